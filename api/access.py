"""Who may call what: scopes of each path, rate limits of each client, hosts of an open loopback."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from fastapi.routing import APIRoute
from limits import RateLimitItem, parse
from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import Scope

from api.problems import ApiProblem
from api.rates import Windows
from api.tokens import Authenticator, TokenError
from rowguard.errors import SettingsError

BEARER = "bearer"
# Open to everybody: what a load balancer or a person without a token needs, and nothing about anybody.
PUBLIC = frozenset({"/", "/livez", "/readyz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})
DEFAULT_RATE = "1000/second"
REFUSED_RATE = "20/second"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def requires(*scopes: str) -> dict[str, object]:
    """What a route gives as `openapi_extra`: any one of the scopes opens it.

    The document and the check read the same thing.
    """
    return {"security": [{BEARER: [scope]} for scope in scopes]}


def scopes_by_path(routes: Iterable[BaseRoute]) -> dict[str, frozenset[str]]:
    """Path to the scopes that open it.

    Raises:
        RuntimeError: a route is neither public nor names a scope; a mistake in the code.
    """
    found: dict[str, frozenset[str]] = {}
    for route in routes:
        if not isinstance(route, APIRoute) or route.path in PUBLIC:
            continue
        security = (route.openapi_extra or {}).get("security", [])
        scopes = frozenset(scope for one in security for scope in one[BEARER])
        if not scopes or "{" in route.path:
            raise RuntimeError(f"the route {route.path} says nothing about who may call it")
        found[route.path] = scopes
    return found


def parse_rate(text: str) -> RateLimitItem:
    """A limit such as `500/second`.

    Raises:
        SettingsError: it is none.
    """
    try:
        return parse(text)
    except ValueError:
        raise SettingsError(
            f"ROWGUARD_API_RATE_LIMIT {text!r} is no limit; write it as 500/second or 10000/minute"
        ) from None


class Access:
    """Lets a request pass or raises the problem that says why not."""

    def __init__(
        self, scopes: dict[str, frozenset[str]], authenticator: Authenticator | None, rate: str | None
    ) -> None:
        self._scopes = scopes
        self._authenticator = authenticator
        if rate is None and authenticator is not None:
            rate = DEFAULT_RATE
        self._served = Windows(parse_rate(rate)) if rate is not None else None
        self._refused = Windows(parse_rate(REFUSED_RATE))

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises ApiProblem when the request may not pass."""
        path = scope["path"]
        address = scope["client"][0] if scope.get("client") else "unknown"
        if self._authenticator is None:
            _require_local_host(headers)
            _count(self._served, address)
            return
        needed = self._scopes.get(path)
        if needed is None:  # public, or not there at all
            _count(self._served, address)
            return
        try:
            client = self._authenticator.client(_token(headers))
        except TokenError as error:
            # Guessing is slowed down by address; whoever holds a token is not hurt by it.
            _count(self._refused, address)
            raise ApiProblem(
                401,
                str(error),
                headers={"WWW-Authenticate": 'Bearer realm="rowguard", error="invalid_token"'},
            ) from None
        _count(self._served, f"client {client.subject}")
        scope["state"]["client"] = client.subject
        if not needed & client.scopes:
            wanted = " or ".join(sorted(needed))
            raise ApiProblem(
                403,
                f"the token lacks the scope {wanted}",
                headers={
                    "WWW-Authenticate": f'Bearer realm="rowguard", error="insufficient_scope", scope="{wanted}"'
                },
            )


def _count(windows: Windows | None, key: str) -> None:
    if windows is None or windows.hit(key):
        return
    wait = max(1, round(windows.rate.get_expiry()))
    raise ApiProblem(429, f"more than {windows.rate} requests; wait", headers={"Retry-After": str(wait)})


def _token(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() != BEARER or not token.strip():
        raise TokenError("a bearer token is required")
    return token.strip()


def _require_local_host(headers: Headers) -> None:
    """Without tokens only names of this machine are served: a page in a browser here could otherwise have a name
    of its own resolve to loopback and call us (DNS rebinding)."""
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() in LOCAL_NAMES or _is_loopback(name):
        return
    raise ApiProblem(421, "without configured authentication only requests to localhost are served")


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
