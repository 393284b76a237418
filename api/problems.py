"""Errors as problem documents (RFC 9457); every error that can leave the API is made here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.exceptions import HTTPException

from api.schemas import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "1"
log = logging.getLogger("rowguard.api")
# Parts of an error's place that are not names of fields.
ENVELOPE = ("body", "header", "features", "transaction")
# What scoring.check_transaction looks at: its messages begin with the field.
CHECKED_FIELDS = ("amount", "occurred_at")

# For the OpenAPI document: what each status means wherever it can happen.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in {
        401: "A bearer token is required, or the one given is not accepted.",
        403: "The token lacks the scope.",
        408: "The body did not arrive in time.",
        413: "The body is larger than this server takes.",
        422: "The input is malformed; `errors` names the fields.",
        429: "Too many requests of this client; `Retry-After` says how many seconds to wait.",
        500: "A defect of the server; the log has it under the request id.",
        503: "No model is deployed yet, or the server is busy, or the database does not answer; try again.",
    }.items()
}


class ApiProblem(Exception):
    """An answer that is not a success."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[FieldProblem] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors
        self.headers = dict(headers or {})
        if status == 503:
            self.headers.setdefault("Retry-After", RETRY_AFTER_S)

    def response(self) -> JSONResponse:
        """The document that says it."""
        return answer(self.status, self.detail, self.errors, self.headers)


def register(app: FastAPI) -> None:
    """Turn every exception into a problem document."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def answer_to(request: Request, error: Exception) -> JSONResponse | None:
    """What the application answers to an exception; None when it is unexpected."""
    for kind in type(error).__mro__:
        if kind in HANDLERS:
            return await HANDLERS[kind](request, error)
    return None


def answer(
    status: int,
    detail: str,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(
        problem.model_dump(exclude_none=True), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def _retry(detail: str) -> JSONResponse:
    return answer(503, detail, headers={"Retry-After": RETRY_AFTER_S})


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiProblem)
    return error.response()


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldProblem(field=_field(one), message=str(one["msg"]).removeprefix("Value error, "))
        for one in error.errors()
    ]
    first = errors[0]
    return answer(422, f"{first.field}: {first.message}", errors)


def _field(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":  # its place is an offset in the text
        return "body"
    return ".".join(str(part) for part in error["loc"] if part not in ENVELOPE) or "body"


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's answer to a body that is not even text
        return _invalid_field("body", "is not JSON")
    return answer(error.status_code, str(error.detail), headers=error.headers)


def _invalid_field(field: str, reason: str) -> JSONResponse:
    return answer(422, f"{field}: {reason}", [FieldProblem(field=field, message=reason)])


async def _on_busy(request: Request, error: Exception) -> JSONResponse:
    return _retry("no database connection is free; try again")


async def _on_database(request: Request, error: Exception) -> JSONResponse:
    """Errors that the database raises on purpose keep their text; others are logged and not shown."""
    assert isinstance(error, psycopg.Error)
    message = error.diag.message_primary or ""
    if isinstance(error, psycopg.errors.ObjectNotInPrerequisiteState):
        hint = error.diag.message_hint or "try again"
        return _retry(f"{message}; {hint[0].lower()}{hint[1:]}")
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction):
        return _retry("the database has no rowguard schema yet; run: rowguard migrate")
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        field, _, reason = message.partition(" ")
        if field in CHECKED_FIELDS:
            return _invalid_field(field, reason)
        return answer(422, message or "the database refused the values")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        log.warning("database: %s", type(error).__name__)
        return _retry("the database does not answer; try again")
    log.error("unexpected database error", exc_info=error)
    return answer(500, "unexpected database error")


HANDLERS: dict[type, Callable[[Request, Exception], Coroutine[Any, Any, JSONResponse]]] = {
    ApiProblem: _on_problem,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http,
    PoolTimeout: _on_busy,
    TooManyRequests: _on_busy,
    psycopg.Error: _on_database,
}
