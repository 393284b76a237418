"""/, /livez, /readyz, /model, /metrics."""

from __future__ import annotations

import math

import psycopg
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout, TooManyRequests

from api.access import requires
from api.endpoints.dependencies import Counters, Database
from api.problems import RESPONSES, ApiProblem
from api.schemas import ModelInfo, Status

router = APIRouter(tags=["service"])


@router.get("/", summary="Is anybody there")
async def root() -> Status:
    return Status(status="ok", message="Fraud Detection API is running!")


@router.get("/livez", summary="The process lives")
async def livez() -> Status:
    return Status(status="ok", message="alive")


@router.get("/readyz", summary="The database answers and takes writes", responses={503: RESPONSES[503]})
async def readyz(database: Database) -> Status:
    ready = await database.readiness()
    if not ready["has_schema"]:
        raise ApiProblem(503, "the database has no rowguard schema yet; run: rowguard migrate")
    if not ready["takes_writes"]:
        raise ApiProblem(503, "the database is a standby and takes no writes")
    return Status(status="ok", message="ready")


@router.get(
    "/model",
    summary="Which model decides",
    responses=RESPONSES,
    openapi_extra=requires("predict", "admin"),
)
async def model(database: Database) -> ModelInfo:
    champion = await database.champion()
    if champion is None:
        raise ApiProblem(503, "no model is deployed yet; run: rowguard retrain")
    return ModelInfo(**champion)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=RESPONSES,
    openapi_extra=requires("admin"),
)
async def metrics(counters: Counters, database: Database) -> Response:
    try:
        unscored: float = await database.count_unscored()
    except (psycopg.Error, PoolTimeout, TooManyRequests):  # the other figures count all the same
        unscored = math.nan
    # The database's figure and no worker's own, so it stands beside the counters that are summed.
    gauge = "# TYPE rowguard_unscored_transactions gauge\nrowguard_unscored_transactions"
    text = counters.text() + f"{gauge} {unscored}\n".encode()
    return Response(text, media_type=CONTENT_TYPE_LATEST)
