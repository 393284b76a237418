"""POST /predict and POST /transactions."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Response

from api.endpoints.dependencies import Counters, Database
from api.problems import RESPONSES, ApiProblem
from api.schemas import Decision, Features, Prediction, PredictRequest, RawTransaction, refuse_nul

router = APIRouter(tags=["scoring"], responses=RESPONSES)

FEATURES_EXAMPLE = {
    "transaction_amount": 450.75,
    "time_since_last_txn": 1.5,
    "num_txns_last_hour": 12,
    "user_location_match": True,
}
TRANSACTION_EXAMPLE = {"user_id": 42, "amount": 450.75, "merchant_id": 7, "location": "DE"}


@router.post("/predict", summary="Score without storing")
async def predict(
    body: Annotated[
        PredictRequest,
        Body(
            openapi_examples={
                "features": {"summary": "Four features", "value": FEATURES_EXAMPLE},
                "transaction": {"summary": "A raw transaction", "value": TRANSACTION_EXAMPLE},
            }
        ),
    ],
    database: Database,
    counters: Counters,
) -> Prediction:
    """Score four features, or a raw transaction whose velocity the database reads. Nothing is stored."""
    started = time.perf_counter()
    if isinstance(body, Features):
        score = await database.score_features(body.model_dump())
    else:
        score = await database.score_transaction(body.model_dump())
    counters.decisions.labels("predict", score["flag"]).inc()
    milliseconds = (time.perf_counter() - started) * 1000
    return Prediction(**score, message=f"Prediction served successfully in {milliseconds:.0f}ms.")


@router.post(
    "/transactions",
    summary="Store and decide",
    status_code=201,
    responses={
        200: {"model": Decision, "description": "The Idempotency-Key was used before: the first answer."},
        409: {"description": "The Idempotency-Key was used for another transaction."},
    },
)
async def create_transaction(
    body: Annotated[RawTransaction, Body(examples=[TRANSACTION_EXAMPLE])],
    response: Response,
    database: Database,
    counters: Counters,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="Makes a retry return the first answer.")
    ] = None,
) -> Decision:
    """Insert a transaction; the database decides it in the same transaction."""
    row, is_new = await database.insert_transaction(
        body.model_dump() | {"idempotency_key": refuse_nul(idempotency_key)}
    )
    if is_new:
        counters.decisions.labels("transactions", row["fraud_flag"] or "NONE").inc()
    else:
        _require_same(row, body)
        response.status_code = 200
    return Decision(**row)


def _require_same(row: dict[str, Any], body: RawTransaction) -> None:
    """A key belongs to one transaction; the time counts only when the retry names it."""
    same = (
        row["amount"] == Decimal(body.amount)
        and row["merchant_id"] == body.merchant_id
        and row["location"] == body.location
        and body.occurred_at in (None, row["occurred_at"])
    )
    if not same:
        raise ApiProblem(409, "this Idempotency-Key was used for another transaction of the user")
