"""console: a link that logs in."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from rowguard.cli._output import Json, out, print_json
from rowguard.cli._serve import parse_seconds

if TYPE_CHECKING:
    from rowguard.settings import Settings


def console(
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="Role: analyst, rule_author, approver or administrator. Repeatable.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The user; by default your login.", show_default=False)
    ] = None,
    expires_in: Annotated[str, typer.Option(help="How long the link is valid: 90s, 30m, 8h.")] = "15m",
    as_json: Json = False,
) -> None:
    """Print a link that logs in to the console of the API on this machine; with a provider, users log in there.

    Example: rowguard console --role analyst
    """
    from api.console.roles import ROLES
    from rowguard.settings import settings

    roles = list(dict.fromkeys(role or ["administrator"]))
    unknown = [word for word in roles if word not in ROLES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(ROLES)}", param_hint="--role")
    link = console_link(settings(), name or getpass.getuser(), roles, parse_seconds(expires_in))
    if as_json:
        print_json({"url": link, "name": name or getpass.getuser(), "roles": roles})
    else:
        out.print(link, markup=False, soft_wrap=True)


def console_link(config: Settings, name: str, roles: list[str], lifetime_s: float) -> str:
    """Return the link."""
    from api.console.secret import mint_link_token

    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.api_host, config.api_host)  # noqa: S104
    scheme = "https" if config.api_tls_cert_file is not None else "http"
    token = mint_link_token(config, name, roles, lifetime_s)
    return f"{scheme}://{host}:{config.api_port}/console/login?token={quote(token)}"
