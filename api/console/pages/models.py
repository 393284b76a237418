"""The registry of models: states, metrics, gates, comparison."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.console.data import Data
from api.console.rendering import render
from api.console.sessions import ConsoleProblem, Reader

router = APIRouter(prefix="/models")


@router.get("")
async def models(request: Request, user: Reader, compare: str | None = None) -> Response:
    """Show the registry, and on request two models side by side."""
    data: Data = request.app.state.data
    rows = await data.rows("models")
    champion = next((row for row in rows if row["state"] == "champion"), None)
    other = next((row for row in rows if row["version"] == compare), None)
    if compare is not None and other is None:
        raise ConsoleProblem(404, "there is no such model")
    return render(
        request,
        "models.html.j2",
        user,
        models=rows,
        champion=champion,
        other=other,
        comparison=_compare(champion, other) if champion and other else [],
        gates=await data.rows("gate_reports"),
    )


def _compare(champion: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    names = ("trained_at", "model_kind", "row_count", "fraud_count", "threshold", "tree_count", "node_count")
    facts = [(name, champion[name], other[name]) for name in names]
    metrics = [
        (name, champion["metrics"].get(name), other["metrics"].get(name))
        for name in sorted(champion["metrics"].keys() | other["metrics"].keys())
    ]
    return facts + [
        row for row in metrics if all(value is None or isinstance(value, int | float) for value in row[1:])
    ]
