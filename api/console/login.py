"""Log in at an OpenID Connect provider, or by a link that `rowguard console` prints; log out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from psycopg.types.json import Jsonb
from starlette.responses import RedirectResponse

from api.console.rendering import render
from api.console.roles import User, parse_role_names
from api.console.secret import read_link_token
from api.console.sessions import ConsoleProblem, Reader, start_session
from rowguard.errors import SettingsError
from rowguard.settings import Settings

if TYPE_CHECKING:
    from api.console.provider import Provider

router = APIRouter()
HOME = "/console/"


def create_provider(settings: Settings) -> Provider | None:
    """Return the client of the OpenID Connect provider; None without one.

    Raises:
        SettingsError: Names of roles are malformed, or the client has no id.
    """
    parse_role_names(settings.oidc_role_names)
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_id is None:
        raise SettingsError("ROWGUARD_OIDC_ISSUER needs ROWGUARD_OIDC_CLIENT_ID, the console's id there")
    from api.console.provider import Provider

    return Provider(settings)


@router.get("/login")
async def login(request: Request, token: str | None = None) -> Response:
    """Show how to log in, or log in by the token of a link."""
    app = request.app.state
    if token is None:
        return render(request, "login.html.j2", has_provider=app.provider is not None)
    user = read_link_token(app.secret, token) if app.provider is None else None
    if user is None:
        raise ConsoleProblem(
            401, "the link is not valid or has expired; print another with: rowguard console"
        )
    return await _enter(request, user, "link")


@router.get("/login/provider")
async def login_at_provider(request: Request) -> Response:
    """Send the browser to the provider."""
    return await _provider(request).redirect(request, str(request.url_for("callback")))


@router.get("/login/callback")
async def callback(request: Request) -> Response:
    """Take the provider's response."""
    return await _enter(request, await _provider(request).read_user(request), "identity provider")


@router.post("/logout")
async def logout(request: Request, user: Reader) -> Response:
    """End the session."""
    await _audit(request, user.name, "console.logout", {})
    request.session.clear()
    return RedirectResponse("/console/login", 303)


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise ConsoleProblem(404, "no identity provider is configured; print a link with: rowguard console")
    return provider


async def _enter(request: Request, user: User, means: str) -> Response:
    if not user.roles:
        raise ConsoleProblem(403, f"{user.name} has no role of the console; the identity provider gives it")
    target = request.session.get("next", HOME)
    start_session(request, user, request.app.state.settings.console_session_hours * 3600)
    await _audit(request, user.name, "console.login", {"roles": sorted(user.roles), "by": means})
    return RedirectResponse(target, 303)


async def _audit(request: Request, name: str, action: str, details: dict[str, Any]) -> None:
    await request.app.state.data.rows(
        "record_audit", actor=name, action=action, subject="console", details=Jsonb(details)
    )
