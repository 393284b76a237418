"""POST /predict and /predict/batch."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from api.access import require_scope
from api.metrics import Metrics
from api.problems import RESPONSES
from api.repository import Repository
from api.routes.bodies import PREDICT, PREDICT_BATCH, RequestRoute
from api.schemas import Features, Prediction, Predictions
from api.statements import Row

router = APIRouter(tags=["scoring"], responses=RESPONSES, route_class=RequestRoute)
PREDICTION: TypeAdapter[Any] = TypeAdapter(Prediction)
PREDICTIONS: TypeAdapter[Any] = TypeAdapter(Predictions)


@router.post(
    "/predict",
    summary="Score without storing",
    response_model=Prediction,
    openapi_extra=require_scope("predict") | PREDICT.openapi,
)
async def predict(request: Request) -> Response:
    """Score four features, or a transaction whose velocity features the database reads. Nothing is stored."""
    started = time.perf_counter()
    body = await PREDICT.read(request)
    repository: Repository = request.app.state.repository
    if body.explain:
        query = "explain_features" if isinstance(body, Features) else "explain_transaction"
        score = await repository.explain_score(query, body.__dict__)
    elif isinstance(body, Features):
        score = await repository.score_features(body.__dict__)
    else:
        score = await repository.score_transaction(body.__dict__)
    _count(request, score)
    score["message"] = _served("Prediction", started)
    return Response(PREDICTION.dump_json(score), media_type="application/json")


@router.post(
    "/predict/batch",
    summary="Score many without storing",
    response_model=Predictions,
    openapi_extra=require_scope("predict") | PREDICT_BATCH.openapi,
)
async def predict_batch(request: Request) -> Response:
    """Score up to 1,000 items in one call, in their order; one malformed item rejects all of them."""
    started = time.perf_counter()
    items = (await PREDICT_BATCH.read(request)).items
    repository: Repository = request.app.state.repository
    features = [item.__dict__ for item in items if isinstance(item, Features)]
    transactions = [item.__dict__ for item in items if not isinstance(item, Features)]
    from_features = iter(await repository.score_features_batch(features))
    from_transactions = iter(await repository.score_transactions_batch(transactions))
    scores = [next(from_features if isinstance(item, Features) else from_transactions) for item in items]
    for score in scores:
        _count(request, score)
    predictions = {"predictions": scores, "message": _served(f"{len(scores)} predictions", started)}
    return Response(PREDICTIONS.dump_json(predictions), media_type="application/json")


def _count(request: Request, score: Row) -> None:
    metrics: Metrics = request.app.state.metrics
    metrics.count_decision("predict", score["flag"])


def _served(what: str, started: float) -> str:
    return f"{what} served successfully in {(time.perf_counter() - started) * 1000:.0f}ms."
