"""A short way round FastAPI for calls whose body is well-formed; everything else takes the ordinary way.

FastAPI goes through its routes and its own layers, parses JSON into Python objects, solves dependencies, validates,
and validates the answer again. The short way knows the call by its path, hands the bytes to pydantic and the result
to the client. Signature, document and every refusal stay FastAPI's: what the short way does not accept is judged, and
answered, by the ordinary handler.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import Request, Response
from fastapi.params import Body, Header
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import answer_to
from api.repository import Repository

Provide = Callable[[Scope, "Outcome"], Any]
JSON = b"application/json"


class LeanRoute(APIRoute):
    """For endpoints with one JSON body whose other parameters are the database, counters, headers and response.

    Of the response such an endpoint sets the status and nothing else.
    """


@dataclass(slots=True)
class Outcome:
    """What an endpoint that takes the short way gets as its response."""

    status_code: int


@dataclass(frozen=True, slots=True)
class _Call:
    """How a route is called without FastAPI."""

    route: LeanRoute
    body: TypeAdapter[Any]
    provide: tuple[tuple[str, Provide], ...]
    endpoint: Callable[..., Awaitable[BaseModel]]
    status: int


class Lean:
    """Plain ASGI, innermost: answers well-formed calls of lean routes, and hands everything else on untouched."""

    def __init__(
        self, app: ASGIApp, routes: Iterable[BaseRoute], repository: Repository, metrics: Metrics
    ) -> None:
        self._app = app
        self._calls: dict[tuple[str, str], _Call] = {}
        for route in routes:
            if isinstance(route, LeanRoute):
                call = _read_signature(route, repository, metrics)
                self._calls |= {(method, route.path): call for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._calls.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if call is None or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        scope["route"] = call.route
        came: list[Message] = []
        outcome = Outcome(call.status)
        try:
            try:
                body = call.body.validate_json(await _read(receive, came))
                values = {name: provide(scope, outcome) for name, provide in call.provide}
            except (ValidationError, _GoneError):
                await self._app(scope, _again(came, receive), send)
                return
            answer = await call.endpoint(body=body, **values)
            content = answer.__pydantic_serializer__.to_json(answer)
        except Exception as error:
            response = await answer_to(Request(scope), error)
            if response is None:
                raise
            await response(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", JSON)]
        await send({"type": "http.response.start", "status": outcome.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class _GoneError(Exception):
    """The client left before its body was complete."""


async def _read(receive: Receive, came: list[Message]) -> bytes:
    """The whole body; what it came in is kept for the ordinary way."""
    while True:
        message = await receive()
        came.append(message)
        if message["type"] != "http.request":
            raise _GoneError
        if not message.get("more_body", False):
            break
    return bytes(came[0].get("body", b"")) if len(came) == 1 else b"".join(m.get("body", b"") for m in came)


def _again(came: list[Message], receive: Receive) -> Receive:
    """Says once more what came, and then what comes."""
    waiting = iter(came)

    async def say() -> Message:
        for message in waiting:
            return message
        return await receive()

    return say


def _is_json(scope: Scope) -> bool:
    value = _header(scope, b"content-type")
    return value is not None and (value == JSON or value.partition(b";")[0].strip().lower() == JSON)


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    """The first header of that name, as Starlette reads it; servers give names in small letters."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None


def _read_signature(route: LeanRoute, repository: Repository, metrics: Metrics) -> _Call:
    """How to read the body, and where the other parameters come from."""
    parameters = inspect.signature(route.endpoint, eval_str=True).parameters
    kind, *metadata = get_args(parameters["body"].annotation)
    kept = tuple(one for one in metadata if not isinstance(one, Body))
    return _Call(
        route,
        TypeAdapter(Annotated[(kind, *kept)] if kept else kind),
        tuple(
            (name, _provider(name, one.annotation, repository, metrics))
            for name, one in parameters.items()
            if name != "body"
        ),
        route.endpoint,
        route.status_code or 200,
    )


def _provider(name: str, annotation: Any, repository: Repository, metrics: Metrics) -> Provide:
    if annotation is Response:
        return lambda scope, outcome: outcome
    kind, *metadata = get_args(annotation)
    if kind is Repository:
        return lambda scope, outcome: repository
    if kind is Metrics:
        return lambda scope, outcome: metrics
    if any(isinstance(one, Header) for one in metadata):
        header: TypeAdapter[Any] = TypeAdapter(annotation)
        title = name.replace("_", "-").encode()

        def read(scope: Scope, outcome: Outcome) -> Any:
            value = _header(scope, title)
            return header.validate_python(None if value is None else value.decode("latin-1"))

        return read
    raise TypeError(f"a lean route cannot provide {name}")
