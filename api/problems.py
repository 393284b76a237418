"""Errors as problem documents (RFC 9457); every error that leaves the API is rendered here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from api.errors import (
    ExternalIdConflictError,
    IdempotencyKeyConflictError,
    InvalidValueError,
    NotExplainedError,
    UnknownTransactionError,
    UnscoredTransactionError,
)
from api.schemas import FieldProblem, Problem
from rowguard.errors import RowguardError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "1"
log = logging.getLogger("rowguard.api")
# Parts of a validation error's location that are tags and not fields.
TAGS = ("features", "transaction")

# Of the data layer's errors; every other one may pass, so the client is to try again.
STATUSES: dict[type[Exception], int] = {
    InvalidValueError: 422,
    UnknownTransactionError: 404,
    UnscoredTransactionError: 409,
    NotExplainedError: 410,
    IdempotencyKeyConflictError: 409,
    ExternalIdConflictError: 409,
}

# For the OpenAPI document: the meaning of each status on every endpoint.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in {
        401: "A bearer token is required, or the given one is not accepted.",
        403: "The token lacks the scope.",
        408: "The body did not arrive in time.",
        413: "The body is larger than this server accepts.",
        422: "The input is malformed; `errors` names the fields.",
        429: "The client is above its rate limit; `Retry-After` gives the seconds to wait.",
        500: "A defect of the server; the log has it under the request id.",
        503: "No model is deployed, the server is busy, or the database does not answer; try again.",
    }.items()
}


class ApiProblem(Exception):
    """A problem of HTTP itself.

    Args:
        status: HTTP status.
        detail: One sentence for the client.
        errors: The malformed fields.
        headers: Further headers.
    """

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

    def response(self) -> Response:
        """Render the problem document."""
        problem = Problem(
            title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail, errors=self.errors
        )
        content = problem.model_dump_json(exclude_none=True)
        return Response(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def invalid_field(field: str, reason: str) -> ApiProblem:
    """Build the problem of one malformed field.

    Args:
        field: Name of the field.
        reason: What is wrong with it.
    """
    return ApiProblem(422, f"{field}: {reason}", [FieldProblem(field=field, message=reason)])


def invalid_body(error: ValidationError) -> ApiProblem:
    """Build the problem that names every malformed field of a body."""
    errors = [
        FieldProblem(
            field="body" if entry["type"] == "json_invalid" else _field(entry["loc"]),
            message=entry["msg"].removeprefix("Value error, "),
        )
        for entry in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return ApiProblem(422, f"{errors[0].field}: {errors[0].message}", errors)


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part not in TAGS) or "body"


def register(app: FastAPI) -> None:
    """Turn errors into problem documents."""
    for error_class in (ApiProblem, RowguardError, HTTPException):
        app.add_exception_handler(error_class, _on_error)


async def _on_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ApiProblem):
        problem = error
    elif isinstance(error, HTTPException):
        problem = ApiProblem(error.status_code, str(error.detail), headers=error.headers)
    elif isinstance(error, InvalidValueError) and error.field is not None:
        problem = invalid_field(error.field, str(error).removeprefix(f"{error.field} "))
    else:
        if isinstance(error.__cause__, psycopg.Error):
            log.warning("database: %s", type(error.__cause__).__name__)
        problem = ApiProblem(STATUSES.get(type(error), 503), str(error))
    return problem.response()
