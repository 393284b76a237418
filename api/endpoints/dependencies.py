"""What endpoints get from the application. Coroutines, as FastAPI runs plain functions in a thread pool."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.metrics import Metrics
from api.repository import Repository


async def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


Database = Annotated[Repository, Depends(_repository)]
Counters = Annotated[Metrics, Depends(_metrics)]
