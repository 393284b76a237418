"""POST /transactions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from api.access import require_scope
from api.metrics import Metrics
from api.problems import RESPONSES, invalid_field
from api.repository import Repository
from api.routes.bodies import TRANSACTION, RequestRoute
from api.schemas import NO_CONTROL_CHARACTERS, Decision

router = APIRouter(tags=["scoring"], responses=RESPONSES, route_class=RequestRoute)
DECISION: TypeAdapter[Any] = TypeAdapter(Decision)
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
        409: {"description": "The Idempotency-Key was used for another transaction."},
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
    return Response(DECISION.dump_json(row), 200 if is_replayed else 201, media_type="application/json")


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise invalid_field("idempotency-key", f"must have 1 to {MAX_KEY_LENGTH} characters")
    if key is None or request.state.client is None:
        return key
    # Another client with the same key is not to get this one's row.
    return f"{request.state.client}:{key}"
