"""/, /livez, /readyz, /model, /metrics."""

from __future__ import annotations

import math

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.access import require_scope
from api.errors import DatabaseBusyError, NotServingError
from api.metrics import Metrics
from api.problems import RESPONSES
from api.repository import Repository
from api.schemas import ModelInfo, Status
from rowguard.errors import DatabaseUnavailableError, NoModelError, SchemaError

router = APIRouter(tags=["service"])


@router.get("/", summary="Greeting")
async def root() -> Status:
    return Status(status="ok", message="Fraud Detection API is running!")


@router.get("/livez", summary="The process is alive")
async def livez() -> Status:
    return Status(status="ok", message="alive")


@router.get("/readyz", summary="The database is reachable and writable", responses={503: RESPONSES[503]})
async def readyz(request: Request) -> Status:
    ready = await _repository(request).get_readiness()
    if not ready["has_schema"]:
        raise SchemaError("the database has no rowguard schema yet; run: rowguard migrate")
    if not ready["is_writable"]:
        raise NotServingError("the database is a standby and accepts no writes")
    return Status(status="ok", message="ready")


@router.get(
    "/model",
    summary="The champion",
    responses=RESPONSES,
    openapi_extra=require_scope("predict", "admin"),
)
async def model(request: Request) -> ModelInfo:
    champion = await _repository(request).get_champion()
    if champion is None:
        raise NoModelError("no model is deployed yet; run: rowguard retrain")
    return ModelInfo(**champion)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=RESPONSES,
    openapi_extra=require_scope("admin"),
)
async def metrics(request: Request) -> Response:
    repository = _repository(request)
    try:
        unscored: float = await repository.count_unscored()
        reviews = await repository.count_reviews()
    except (DatabaseUnavailableError, DatabaseBusyError, SchemaError):  # the other metrics are still valid
        unscored, reviews = math.nan, {}
    # Values of the database and of no worker, so they are not summed over them.
    gauges = {
        "rowguard_unscored_transactions": unscored,
        'rowguard_review_cases{state="open"}': reviews.get("open", math.nan),
        'rowguard_review_cases{state="claimed"}': reviews.get("claimed", math.nan),
        "rowguard_review_cases_overdue": reviews.get("overdue", math.nan),
        "rowguard_review_overdue_seconds": reviews.get("overdue_seconds") or 0,
    }
    lines = []
    for name, value in gauges.items():
        family = name.partition("{")[0]
        header = f"# TYPE {family} gauge"
        lines += [f"{name} {value}"] if header in lines else [header, f"{name} {value}"]
    counters: Metrics = request.app.state.metrics
    text = counters.text() + ("\n".join(lines) + "\n").encode()
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository
