"""Parameters of paths and queries, and who calls."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from api.problems import invalid_field
from api.scalars import BIGINT_MAX, CONTROL_CHARACTER, NO_CONTROL_CHARACTERS

MAX_TEXT = 256


def integer_parameter(name: str) -> dict[str, Any]:
    """Return the OpenAPI form of an integer of the path."""
    schema = {"type": "integer", "minimum": 1, "maximum": BIGINT_MAX}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def text_parameter(name: str, place: str) -> dict[str, Any]:
    """Return the OpenAPI form of a text.

    Args:
        name: The parameter.
        place: `path`, where it is required, or `query`.
    """
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": NO_CONTROL_CHARACTERS}
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def path_integer(request: Request, name: str) -> int:
    """Return an integer of the path.

    Args:
        request: The request.
        name: The parameter.

    Raises:
        ApiProblem: 422; it is none, or out of range.
    """
    text = request.path_params[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= BIGINT_MAX):
        raise invalid_field(name, f"is no integer from 1 to {BIGINT_MAX}")
    return int(text)


def read_integer(name: str, text: str, least: int, most: int) -> int:
    """Read an integer of a query.

    Args:
        name: The parameter.
        text: Its value.
        least: The smallest.
        most: The largest.

    Raises:
        ApiProblem: 422; it is none, or out of range.
    """
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and least <= int(text) <= most):
        raise invalid_field(name, f"is no integer from {least} to {most}")
    return int(text)


def query_values(request: Request, *names: str) -> dict[str, str]:
    """Return the parameters of the query.

    Args:
        request: The request.
        names: The parameters that there are.

    Raises:
        ApiProblem: 422; there is another one, or a value is malformed.
    """
    values = dict(request.query_params)
    if unknown := set(values) - set(names):
        raise invalid_field(min(unknown), f"is no parameter; there is: {', '.join(names)}")
    for name, value in values.items():
        if not 1 <= len(value) <= MAX_TEXT or CONTROL_CHARACTER.search(value):
            raise invalid_field(name, f"does not have 1 to {MAX_TEXT} characters, or has control characters")
    return values


def client(request: Request) -> str:
    """Return who calls: the subject of the token, or `local` where none is required."""
    subject: str | None = request.state.subject
    return (subject or "local")[:100]
