"""Access policy: scopes of each path, rate limit of each client, host names of an open loopback."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, compile_path
from starlette.types import Scope

from api.problems import ApiProblem
from api.rate_limit import FixedWindowLimiter
from api.tokens import Authenticator, TokenError

BEARER = "bearer"
# For load balancers and readers of the documentation; none of these shows data.
PUBLIC = frozenset({"/", "/livez", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json"})
DEFAULT_RATE = "1000/second"
INVALID_TOKEN_RATE = "20/second"  # noqa: S105


def require_scope(*scopes: str) -> dict[str, object]:
    """Build the `openapi_extra` of a route that any one of the scopes opens.

    The OpenAPI document and the check both read it.
    """
    return {"security": [{BEARER: [scope]} for scope in scopes]}


def scopes_by_path(routes: Iterable[BaseRoute]) -> dict[str, frozenset[str]]:
    """Collect the scopes that open each path.

    Raises:
        RuntimeError: A route is neither public nor names a scope, which is a defect.
    """
    scopes: dict[str, frozenset[str]] = {}
    for route in routes:
        if not isinstance(route, APIRoute) or route.path in PUBLIC:
            continue
        security = (route.openapi_extra or {}).get("security", [])
        scopes[route.path] = frozenset(scope for entry in security for scope in entry[BEARER])
        if not scopes[route.path]:
            raise RuntimeError(f"the route {route.path} names no scope")
    return scopes


class AccessPolicy:
    """Admits a request, or raises the problem to send.

    Args:
        scopes: Path, or template of paths, to the scopes that open it.
        authenticator: Checks tokens; without one only names of this machine are served.
        rate: Rate limit of a client; None is the default with tokens, and no limit without.
    """

    def __init__(
        self, scopes: Mapping[str, frozenset[str]], authenticator: Authenticator | None, rate: str | None
    ) -> None:
        self._scopes, self._authenticator = scopes, authenticator
        # As the router matches them, so that no spelling of a path reaches a route without its scope.
        self._patterns = [(compile_path(path)[0], names) for path, names in scopes.items() if "{" in path]
        if rate is None and authenticator is not None:
            rate = DEFAULT_RATE
        self._clients = FixedWindowLimiter(rate) if rate is not None else None
        self._invalid_tokens = FixedWindowLimiter(INVALID_TOKEN_RATE)

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
        """Check host, token, rate limit and scope.

        Returns:
            The subject of the token; None where no token is required.

        Raises:
            ApiProblem: The request is not admitted.
        """
        address = scope["client"][0] if scope.get("client") else "unknown"
        if self._authenticator is None:
            _require_local_host(headers)
            _count(self._clients, address)
            return None
        required = self._required_scopes(scope["path"])
        if required is None:  # public or unknown
            _count(self._clients, address)
            return None
        try:
            client = self._authenticator.client(_token(headers))
        except TokenError as error:
            # By address: guessing tokens is slowed down without cost to clients with a token.
            _count(self._invalid_tokens, address)
            challenge = {"WWW-Authenticate": 'Bearer realm="rowguard", error="invalid_token"'}
            raise ApiProblem(401, str(error), headers=challenge) from None
        _count(self._clients, client.subject)
        if not required & client.scopes:
            names = " or ".join(sorted(required))
            challenge = {
                "WWW-Authenticate": f'Bearer realm="rowguard", error="insufficient_scope", scope="{names}"'
            }
            raise ApiProblem(403, f"the token lacks the scope {names}", headers=challenge)
        return client.subject

    def _required_scopes(self, path: str) -> frozenset[str] | None:
        """The scopes that open a path; None when it is public or unknown."""
        if path in self._scopes:
            return self._scopes[path]
        return next((names for pattern, names in self._patterns if pattern.match(path)), None)


def _count(limiter: FixedWindowLimiter | None, key: str) -> None:
    if limiter is not None and not limiter.hit(key):
        raise ApiProblem(
            429, f"more than {limiter.rate} requests; wait", headers={"Retry-After": str(limiter.window_s)}
        )


def _token(headers: Mapping[bytes, bytes]) -> str:
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if kind.lower() != BEARER or not token.strip():
        raise TokenError("a bearer token is required")
    return token.strip()


def _require_local_host(headers: Mapping[bytes, bytes]) -> None:
    """Reject other host names: a web page could have its name resolve to loopback (DNS rebinding)."""
    host = headers.get(b"host", b"").decode("latin-1")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        is_local = name.lower() == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise ApiProblem(421, "without configured authentication only requests to localhost are served")
