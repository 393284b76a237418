"""The monitoring report's charts, from the current rows."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.console import charts
from api.console.data import Data
from api.console.rendering import render
from api.console.sessions import Reader

router = APIRouter(prefix="/monitoring")
QUANTILES = ("median", "90 %", "99 %")


@router.get("")
async def monitoring(request: Request, user: Reader) -> Response:
    """Show metrics with their thresholds, and charts by day."""
    data: Data = request.app.state.data
    metrics = await data.panel("all_metrics")
    scores = await data.panel("scores_daily") or []
    outcomes = await data.panel("outcomes_daily") or []
    versions = sorted({row["model_version"] for row in scores if row["model_version"]})
    shown = [
        ("Transactions by day", _by_version(scores, [*versions, None], "row_count"), None),
        ("Alert rate by day", _by_version(scores, versions, "alert_rate"), None),
        ("Fraud probability of the newest model", _quantiles(scores, versions), 1.0),
        ("Precision by day, as labels are known", _by_version(outcomes, versions, "precision"), 1.0),
        ("Recall by day, as labels are known", _by_version(outcomes, versions, "recall"), 1.0),
    ]
    return render(
        request,
        "monitoring.html.j2",
        user,
        metrics=metrics,
        plots=[charts.lines(series, title, highest) for title, series, highest in shown if series],
        drift=await data.panel("drift"),
        challenger=await data.panel("challenger_daily"),
    )


Series = list[tuple[str, list[tuple[str, float | None]]]]


def _by_version(rows: list[dict[str, Any]], versions: list[Any], name: str) -> Series:
    series = [
        (
            version or "unscored",
            [(f"{row['event_date']:%m-%d}", row[name]) for row in rows if row["model_version"] == version],
        )
        for version in versions
    ]
    return [(title, points) for title, points in series if any(value is not None for _, value in points)]


def _quantiles(rows: list[dict[str, Any]], versions: list[str]) -> Series:
    own = [
        row for row in rows if versions and row["model_version"] == versions[-1] and row["score_quantiles"]
    ]
    return [
        (label, [(f"{row['event_date']:%m-%d}", row["score_quantiles"][place]) for row in own])
        for place, label in enumerate(QUANTILES)
        if own
    ]
