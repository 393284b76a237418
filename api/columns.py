"""The declared columns of a transaction as types of JSON: features.yml says which there are."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyAddress, PlainSerializer

from api.scalars import NO_CONTROL_CHARACTERS, AnyTime, Id, Integer, reject_control_characters
from rowguard.declaration import Column, Declaration, declared


@cache
def request_fields() -> dict[str, Any]:
    """Return name → (type, field) of the user and the declared columns, for a body."""
    declaration = declared()
    fields: dict[str, Any] = {
        "user_id": (key_type(declaration), Field(description="The user of the transaction."))
    }
    for name, column in declaration.columns.items():
        fields[name] = (_column_type(column) | None, Field(None, description=column.description))
    return fields


def response_fields() -> dict[str, Any]:
    """Return name → type of the user and the declared columns, for a result."""
    declaration = declared()
    types = {
        "bigint": int,
        "integer": int,
        "double precision": float,
        "boolean": bool,
        "uuid": UUID,
        "text": str,
    }
    number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
    fields: dict[str, Any] = {"user_id": types[declaration.keys.user_id]}
    for name, column in declaration.columns.items():
        fields[name] = (number if column.type == "numeric" else types.get(column.type, Any)) | None
    return fields


def key_type(declaration: Declaration) -> Any:
    """Return the type of `user_id` in bodies and paths.

    Args:
        declaration: What features.yml declares.
    """
    if declaration.keys.user_id == "bigint":
        return Id
    return UUID if declaration.keys.user_id == "uuid" else _text(256, min_length=1)


def _column_type(column: Column) -> Any:
    if column.allowed is not None:
        return Literal[tuple(column.allowed)]
    types: dict[str, Any] = {
        "bigint": Id,
        "integer": Integer,
        "double precision": Annotated[float, Field(allow_inf_nan=False, strict=True)],
        "numeric": Annotated[Decimal, Field(allow_inf_nan=False), BeforeValidator(_reject_boolean)],
        "boolean": Annotated[bool, Field(strict=True)],
        "uuid": UUID,
        "inet": IPvAnyAddress,
        "timestamptz": AnyTime,
    }
    return types.get(column.type) or _text(column.length)


def _text(length: int, *, min_length: int = 0) -> Any:
    return Annotated[
        str,
        Field(
            min_length=min_length,
            max_length=length,
            strict=True,
            json_schema_extra={"pattern": NO_CONTROL_CHARACTERS},
        ),
        AfterValidator(reject_control_characters),
    ]


def _reject_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is not a number")
    return str(value) if isinstance(value, float) else value
