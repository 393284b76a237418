"""Log in at an OpenID Connect provider, or by a link that `rowguard console` prints; log out."""

from __future__ import annotations

import logging
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, Request, Response
from joserfc.errors import JoseError
from starlette.responses import RedirectResponse

from api.console.rendering import render
from api.console.roles import User, parse_role_names, read_roles
from api.console.secret import read_link_token
from api.console.sessions import ConsoleProblem, Reader, start_session
from rowguard.settings import Settings

router = APIRouter()
log = logging.getLogger("rowguard.api")
HOME, TIMEOUT_S = "/console/", 10.0


def create_provider(settings: Settings) -> Any:
    """Return the client of the OpenID Connect provider; None without one."""
    parse_role_names(settings.oidc_role_names)
    if settings.oidc_issuer is None:
        return None
    secret = settings.oidc_client_secret
    return OAuth().register(
        "provider",
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_id=settings.oidc_client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
        client_kwargs={
            "scope": settings.oidc_scope,
            "code_challenge_method": "S256",
            "timeout": TIMEOUT_S,
            **({"token_endpoint_auth_method": "none"} if secret is None else {}),
        },
    )


@router.get("/login")
async def login(request: Request, token: str | None = None) -> Response:
    """Show how to log in, or log in by the token of a link."""
    app = request.app.state
    if token is None:
        return render(request, "login.html.j2", has_provider=app.provider is not None)
    user = read_link_token(app.secret, token) if app.provider is None else None
    if user is None:
        raise ConsoleProblem(401, "the link is not valid or has expired; print another with: rowguard console")
    return await _enter(request, user, "a link")


@router.get("/login/provider")
async def login_at_provider(request: Request) -> Response:
    """Send the browser to the provider."""
    provider = _provider(request)
    try:
        response: Response = await provider.authorize_redirect(request, str(request.url_for("callback")))
    except (httpx.HTTPError, AuthlibBaseError, ValueError, KeyError) as error:
        log.warning("identity provider: %s", type(error).__name__)
        raise ConsoleProblem(502, "the identity provider does not answer; try again") from error
    return response


@router.get("/login/callback")
async def callback(request: Request) -> Response:
    """Take the provider's response: check the id token, read the roles."""
    provider, settings = _provider(request), request.app.state.settings
    try:
        token = await provider.authorize_access_token(request)
        claims = dict(token.get("userinfo") or {})
        names = parse_role_names(settings.oidc_role_names)
        roles = read_roles(claims, settings.oidc_roles_claim, names)
        if not roles and claims:  # some providers put roles into the user info only
            info = dict(await provider.userinfo(token=token))
            if info.get("sub") == claims.get("sub"):
                roles = read_roles(info, settings.oidc_roles_claim, names)
                claims = info | claims
    except httpx.HTTPError as error:
        log.warning("identity provider: %s", type(error).__name__)
        raise ConsoleProblem(502, "the identity provider does not answer; try again") from error
    except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        log.warning("login rejected: %s", type(error).__name__)
        raise ConsoleProblem(401, "the identity provider's response is not accepted; log in again") from error
    if not claims.get("sub"):
        raise ConsoleProblem(401, "the identity provider's response names no user")
    name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
    return await _enter(request, User(name[:256], roles), "the identity provider")


@router.post("/logout")
async def logout(request: Request, user: Reader) -> Response:
    """End the session."""
    await _audit(request, user.name, "console.logout", {})
    request.session.clear()
    return RedirectResponse("/console/login", 303)


def _provider(request: Request) -> Any:
    provider = request.app.state.provider
    if provider is None:
        raise ConsoleProblem(404, "no identity provider is configured; print a link with: rowguard console")
    return provider


async def _enter(request: Request, user: User, means: str) -> Response:
    if not user.roles:
        raise ConsoleProblem(403, f"{user.name} has no role of the console; an administrator of the provider gives it")
    target = request.session.get("next", HOME)
    start_session(request, user, request.app.state.settings.console_session_hours * 3600)
    await _audit(request, user.name, "console.login", {"roles": sorted(user.roles), "by": means})
    return RedirectResponse(target, 303)


async def _audit(request: Request, name: str, action: str, details: dict[str, Any]) -> None:
    from psycopg.types.json import Jsonb

    await request.app.state.data.rows(
        "record_audit", actor=name, action=action, subject="console", details=Jsonb(details)
    )
