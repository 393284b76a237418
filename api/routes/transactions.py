"""POST /transactions."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError

from api.access import require_scope
from api.columns import key_type
from api.metrics import Metrics
from api.problems import RESPONSES, invalid_field
from api.repository import Repository
from api.routes.bodies import TRANSACTION, RequestRoute
from api.scalars import BIGINT_MAX, NO_CONTROL_CHARACTERS
from api.schemas import Decision, DecisionExplanation, decision
from rowguard.declaration import declared

router = APIRouter(tags=["scoring"], responses=RESPONSES, route_class=RequestRoute)
EXPLANATION: TypeAdapter[Any] = TypeAdapter(DecisionExplanation)
MAX_TOP = 10_000
EXPLAINED_IDS: list[dict[str, Any]] = [
    {"name": name, "in": "path", "required": True, "schema": schema}
    for name, schema in {
        "user_id": {"$ref": "#/components/schemas/UserId"},
        "transaction_id": {"type": "integer", "format": "int64"},
    }.items()
]
TOP: dict[str, Any] = {
    "name": "top",
    "in": "query",
    "required": False,
    "description": "Return this many features, most important first; all by default.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_TOP},
}
MAX_KEY_LENGTH = 200
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A retry returns the first result. The key belongs to the token's subject and the user.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_LENGTH,
        "pattern": NO_CONTROL_CHARACTERS,
    },
}


@router.post(
    "/transactions",
    summary="Store and decide",
    status_code=201,
    response_model=Decision,
    openapi_extra=require_scope("write") | TRANSACTION.openapi | {"parameters": [IDEMPOTENCY_KEY]},
    responses={
        200: {"model": Decision, "description": "The Idempotency-Key was used before: the first result."},
        409: {
            "description": "The Idempotency-Key, or the external_id, belongs to another transaction of the user."
        },
    },
)
async def create_transaction(request: Request) -> Response:
    """Insert a transaction; the database decides it in the same transaction."""
    body = await TRANSACTION.read(request)
    repository: Repository = request.app.state.repository
    row = await repository.insert_transaction({**body.__dict__, "idempotency_key": _idempotency_key(request)})
    is_replayed = row.pop("is_replayed")
    if not is_replayed:
        metrics: Metrics = request.app.state.metrics
        metrics.count_decision("transactions", row["fraud_flag"] or "NONE")
        if row["outcome"] is not None:
            metrics.count_outcome(row["outcome"], row["outcome_reasons"] or ())
    return Response(_result().dump_json(row), 200 if is_replayed else 201, media_type="application/json")


@cache
def _result() -> TypeAdapter[Any]:
    return TypeAdapter(decision())


@router.get(
    "/transactions/{user_id}/{transaction_id}/explanation",
    summary="Explain a stored decision",
    response_model=DecisionExplanation,
    openapi_extra=require_scope("explain") | {"parameters": [*EXPLAINED_IDS, TOP]},
    responses={
        404: {"description": "The user has no such transaction."},
        409: {"description": "The transaction has no decision; the detail states why."},
        410: {"description": "The model that decided is not explained any more, as after it was pruned."},
    },
)
async def explain_transaction(request: Request) -> Response:
    """Return what each feature contributed to the stored score, and the reasons, from the values on the row."""
    repository: Repository = request.app.state.repository
    user_id = _user_id(request.path_params["user_id"])
    transaction_id = _integer(
        "transaction_id", request.path_params["transaction_id"], -BIGINT_MAX - 1, BIGINT_MAX
    )
    unknown = set(request.query_params) - {"top"}
    if unknown:
        raise invalid_field(min(unknown), "is no parameter; there is: top")
    top = request.query_params.get("top")
    row = await repository.get_explanation(
        user_id, transaction_id, None if top is None else _integer("top", top, 1, MAX_TOP)
    )
    return Response(EXPLANATION.dump_json(row), media_type="application/json")


@cache
def _key() -> TypeAdapter[Any]:
    return TypeAdapter(key_type(declared()))


def _user_id(text: str) -> Any:
    try:
        return _key().validate_python(text)
    except ValidationError as error:
        raise invalid_field("user_id", error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _integer(name: str, text: str, least: int, most: int) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and least <= int(text) <= most):
        raise invalid_field(name, f"is no integer from {least} to {most}")
    return int(text)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise invalid_field("idempotency-key", f"must have 1 to {MAX_KEY_LENGTH} characters")
    if key is None or request.state.client is None:
        return key
    # Another client with the same key is not to get this one's row.
    return f"{request.state.client}:{key}"
