"""The first page: volume, alerts, latency, queue, models, alarms."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.console import charts
from api.console.data import Data
from api.console.rendering import render
from api.console.sessions import Reader
from api.repository import Repository

router = APIRouter()
VOLUME = (("passed", "passed"), ("controls", "control group"), ("alerts", "alerts"), ("unscored", "unscored"))


@router.get("/")
async def overview(request: Request, user: Reader) -> Response:
    """Show the first page."""
    data: Data = request.app.state.data
    repository: Repository = request.app.state.repository
    await repository.open_review_cases(request.app.state.settings.review_due_hours)
    volume = await data.rows("daily_volume")
    models = await data.rows("models")
    return render(
        request,
        "overview.html.j2",
        user,
        total=sum(row["all_rows"] for row in volume),
        alerts=sum(row["alerts"] + row["controls"] for row in volume),
        unscored=sum(row["unscored"] for row in volume),
        volume=charts.stacked_bars(volume, VOLUME, "day", "Live transactions by day, 14 days"),
        queue=await data.row("queue_counts"),
        models=[row for row in models if row["state"] in ("champion", "challenger")],
        alarms=await data.panel("alarms"),
        drift=await data.panel("drift"),
        latency=request.app.state.metrics.latency("/transactions"),
        changes=await data.rows("latest_changes"),
    )
