"""A short way through FastAPI for calls whose body is well-formed; everything else takes the ordinary way.

FastAPI parses JSON into Python objects, solves dependencies, validates, and validates the answer again. A lean route
hands the bytes to pydantic and the result to the client. Signature, document and every refusal stay FastAPI's: what
the short way does not accept is judged, and answered, by the ordinary handler.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, get_args

from fastapi import Request, Response
from fastapi.params import Body, Header
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.metrics import Metrics
from api.repository import Repository

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Provide = Callable[[Request, Response], Any]


class LeanRoute(APIRoute):
    """For endpoints with one JSON body whose other parameters are the database, counters, headers and response."""

    def get_route_handler(self) -> Handler:
        ordinary = super().get_route_handler()
        if self.body_field is None:
            return ordinary
        adapter, providers = _read_signature(self.endpoint)
        endpoint, status = self.endpoint, self.status_code or 200

        async def handle(request: Request) -> Response:
            if (
                request.headers.get("content-type", "").partition(";")[0].strip().lower()
                != "application/json"
            ):
                return await ordinary(request)
            response = Response()
            response.status_code = status
            try:
                body = adapter.validate_json(await request.body())
                values = {name: provide(request, response) for name, provide in providers.items()}
            except ValidationError:
                return await ordinary(request)
            answer: BaseModel = await endpoint(body=body, **values)
            return Response(
                answer.__pydantic_serializer__.to_json(answer),
                response.status_code,
                media_type="application/json",
            )

        return handle


def _read_signature(endpoint: Callable[..., Any]) -> tuple[TypeAdapter[Any], dict[str, Provide]]:
    """How to read the body, and where the other parameters come from."""
    parameters = inspect.signature(endpoint, eval_str=True).parameters
    kind, *metadata = get_args(parameters["body"].annotation)
    kept = tuple(one for one in metadata if not isinstance(one, Body))
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[(kind, *kept)] if kept else kind)
    providers = {name: _provider(name, one.annotation) for name, one in parameters.items() if name != "body"}
    return adapter, providers


def _provider(name: str, annotation: Any) -> Provide:
    if annotation is Response:
        return lambda request, response: response
    kind, *metadata = get_args(annotation)
    if kind is Repository:
        return lambda request, response: request.app.state.repository
    if kind is Metrics:
        return lambda request, response: request.app.state.metrics
    if any(isinstance(one, Header) for one in metadata):
        header: TypeAdapter[Any] = TypeAdapter(annotation)
        title = name.replace("_", "-")
        return lambda request, response: header.validate_python(request.headers.get(title))
    raise TypeError(f"a lean route cannot provide {name}")
