"""serve, token."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from rowguard.cli._output import Json, print_json
from rowguard.cli._target import local_stack

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Number of server processes.", min=1, max=64)] = None,
) -> None:
    """Serve the HTTP API in the foreground (port 8001).

    Beyond this machine it requires tokens: see ROWGUARD_JWT_… in .env.example.

    Example: rowguard serve --port 8080
    """
    from pydantic import SecretStr

    from api.server import require_authentication_beyond_loopback
    from api.server import serve as run
    from rowguard.settings import settings

    config = settings()
    if workers is not None:
        config = config.model_copy(update={"api_workers": workers})
    require_authentication_beyond_loopback(config, host or config.api_host)
    if config.database_url is None:
        # A login role with the API's rights only.
        url = SecretStr(local_stack().ensure_login(config, "rowguard_api_local", "rowguard_api"))
        is_pooled = local_stack().resolve_pooled_url(config) is not None
        owner = SecretStr(
            local_stack().resolve_database_url(config)
        )  # for the console, which publishes rules
        config = config.model_copy(
            update={"pooled_url" if is_pooled else "database_url": url, "publish_database_url": owner}
        )
        os.environ["ROWGUARD_MODELS_DIR"] = str(config.models_dir)  # not that of an address
    run(config, host=host, port=port)


def token(
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Scope: predict, write, label, explain, review or admin. Repeatable."),
    ] = None,
    subject: Annotated[
        str, typer.Option(help="Client that the token identifies; rate limits count by it.")
    ] = "local",
    expires_in: Annotated[str, typer.Option(help="Lifetime: 90s, 30m, 8h, 7d.")] = "1h",
    as_json: Json = False,
) -> None:
    """Mint a bearer token for the API, signed with ROWGUARD_JWT_SECRET. For local use and small setups.

    Example: curl -H "authorization: bearer $(rowguard token --scope predict)" localhost:8001/model
    """
    from api.tokens import SCOPES, mint
    from rowguard.settings import settings

    scopes = list(dict.fromkeys(scope or ["predict"]))
    unknown = [name for name in scopes if name not in SCOPES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(SCOPES)}", param_hint="--scope")
    lifetime_s = parse_seconds(expires_in)
    minted = mint(settings(), subject, scopes, lifetime_s)
    if as_json:
        print_json({"token": minted, "subject": subject, "scopes": scopes, "expires_in": lifetime_s})
    else:
        print(minted)


def parse_seconds(text: str) -> int:
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is no duration such as 90s, 30m, 8h or 7d", param_hint="--expires-in"
        )
    return int(match[1]) * UNITS_S[match[2]]
