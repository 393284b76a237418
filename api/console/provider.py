"""The client of the OpenID Connect provider. Imported only where one is configured: Authlib takes a while to load."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import Request, Response
from joserfc.errors import JoseError

from api.console.roles import User, parse_role_names, read_roles
from api.console.sessions import ConsoleProblem
from rowguard.settings import Settings

log = logging.getLogger("rowguard.api")
TIMEOUT_S = 10.0


class Provider:
    """Authorization code flow with PKCE, state and nonce; the id token's signature and claims are checked.

    Args:
        settings: Issuer, client, scope, and where roles are.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer is not None
        secret = settings.oidc_client_secret
        self._roles_claim = settings.oidc_roles_claim
        self._role_names = parse_role_names(settings.oidc_role_names)
        self._client: Any = OAuth().register(
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

    async def redirect(self, request: Request, callback_url: str) -> Response:
        """Send the browser to the provider.

        Raises:
            ConsoleProblem: 502; the provider does not answer.
        """
        with _one_line():
            response: Response = await self._client.authorize_redirect(request, callback_url)
            return response

    async def read_user(self, request: Request) -> User:
        """Return the user that the provider's response names.

        Raises:
            ConsoleProblem: 401; the response is not accepted. 502; the provider does not answer.
        """
        with _one_line():
            token = await self._client.authorize_access_token(request)
            claims: Mapping[str, Any] = token.get("userinfo") or {}
            roles = read_roles(claims, self._roles_claim, self._role_names)
            if claims and not roles:  # some providers put roles into the user info only
                info: Mapping[str, Any] = await self._client.userinfo(token=token)
                if info.get("sub") == claims.get("sub"):
                    roles = read_roles(info, self._roles_claim, self._role_names)
                    claims = {**info, **claims}
        if not claims.get("sub"):
            raise ConsoleProblem(401, "the identity provider's response names no user")
        name = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        return User(str(name)[:256], roles)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        log.warning("identity provider: %s", type(error).__name__)
        raise ConsoleProblem(502, "the identity provider does not answer; try again") from error
    except (
        AuthlibBaseError,
        JoseError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:
        log.warning("login rejected: %s", type(error).__name__)
        raise ConsoleProblem(401, "the identity provider's response is not accepted; log in again") from error
