"""POST /predict, /predict/batch and /transactions."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Response

from api.access import requires
from api.endpoints.dependencies import Counters, Database
from api.lean import LeanRoute
from api.problems import RESPONSES, ApiProblem
from api.schemas import (
    Decision,
    Features,
    PredictBatch,
    Prediction,
    Predictions,
    PredictRequest,
    RawTransaction,
    Scored,
)

router = APIRouter(tags=["scoring"], responses=RESPONSES, route_class=LeanRoute)

FEATURES_EXAMPLE = {
    "transaction_amount": 450.75,
    "time_since_last_txn": 1.5,
    "num_txns_last_hour": 12,
    "user_location_match": True,
}
TRANSACTION_EXAMPLE = {"user_id": 42, "amount": 450.75, "merchant_id": 7, "location": "DE"}


@router.post("/predict", summary="Score without storing", openapi_extra=requires("predict"))
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
        score = await database.score_features(body.__dict__)
    else:
        score = await database.score_transaction(body.__dict__)
    counters.decided("predict", score.flag)
    return Prediction(**score._asdict(), message=_served("Prediction", started))


@router.post("/predict/batch", summary="Score many without storing", openapi_extra=requires("predict"))
async def predict_batch(
    body: Annotated[PredictBatch, Body(examples=[{"items": [FEATURES_EXAMPLE, TRANSACTION_EXAMPLE]}])],
    database: Database,
    counters: Counters,
) -> Predictions:
    """Up to 1,000 questions in one call, answered in their order; one that is malformed refuses all of them."""
    started = time.perf_counter()
    features = [one.__dict__ for one in body.items if isinstance(one, Features)]
    transactions = [one.__dict__ for one in body.items if not isinstance(one, Features)]
    from_features = iter(await database.score_features_batch(features))
    from_transactions = iter(await database.score_transactions_batch(transactions))
    scores = [next(from_features if isinstance(one, Features) else from_transactions) for one in body.items]
    for score in scores:
        counters.decided("predict", score.flag)
    return Predictions(
        predictions=[Scored(**score._asdict()) for score in scores],
        message=_served(f"{len(scores)} predictions", started),
    )


def _served(what: str, started: float) -> str:
    return f"{what} served successfully in {(time.perf_counter() - started) * 1000:.0f}ms."


@router.post(
    "/transactions",
    summary="Store and decide",
    status_code=201,
    openapi_extra=requires("write"),
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
    row, is_new = await database.insert_transaction({**body.__dict__, "idempotency_key": idempotency_key})
    if is_new:
        counters.decided("transactions", row["fraud_flag"] or "NONE")
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
