"""serve, token."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rowguard.cli._output import Json, print_json
from rowguard.cli._target import require_addresses

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def register(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(token)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve.", min=1, max=64)] = None,
) -> None:
    """Serve the HTTP API in the foreground (port 8001).

    Beyond this machine it serves only with tokens: see ROWGUARD_JWT_… in .env.example.

    Example: rowguard serve --port 8080
    """
    from api.app import ApiConfig
    from api.server import require_authentication_beyond_loopback
    from api.server import serve as run
    from rowguard import local
    from rowguard.settings import settings

    require_addresses()
    chosen = settings()
    if workers is not None:
        chosen = chosen.model_copy(update={"api_workers": workers})
    require_authentication_beyond_loopback(chosen, host or chosen.api_host)
    if chosen.database_url is None:
        # The embedded database: a log-in of its own with the API's rights and no more.
        url = local.ensure_login(chosen, "rowguard_api_local", "rowguard_api")
        is_pooled = local.resolve_pooled_url(chosen) is not None
    else:
        pooled = local.resolve_pooled_url(chosen)
        url, is_pooled = pooled or chosen.database_url.get_secret_value(), pooled is not None
    run(chosen, ApiConfig(url, is_pooled, chosen), host=host, port=port)


def token(
    scope: Annotated[
        list[str] | None, typer.Option(help="What it opens: predict, write, label, admin; may be repeated.")
    ] = None,
    subject: Annotated[str, typer.Option(help="Whom it stands for; rate limits go by it.")] = "local",
    expires: Annotated[str, typer.Option(help="How long it is good for: 90s, 30m, 8h, 7d.")] = "1h",
    as_json: Json = False,
) -> None:
    """Mint a bearer token for the API, signed with ROWGUARD_JWT_SECRET. For local use and small set-ups.

    Example: curl -H "authorization: bearer $(rowguard token --scope predict)" localhost:8001/model
    """
    from api.tokens import SCOPES, mint
    from rowguard.settings import settings

    scopes = list(dict.fromkeys(scope or ["predict"]))
    unknown = [one for one in scopes if one not in SCOPES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(SCOPES)}", param_hint="--scope")
    lifetime_s = _seconds(expires)
    minted = mint(settings(), subject, scopes, lifetime_s)
    if as_json:
        print_json({"token": minted, "subject": subject, "scopes": scopes, "expires_in": lifetime_s})
    else:
        print(minted)


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time such as 90s, 30m, 8h or 7d", param_hint="--expires")
    return int(found[1]) * UNITS_S[found[2]]
