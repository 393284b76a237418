"""The registry of models: states, metrics, gates, comparison."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from psycopg.types.json import Jsonb

from api.console.commands import CommandError, require_owner, run_command, stream
from api.console.data import Data
from api.console.rendering import render, render_text
from api.console.sessions import Approver, ConsoleProblem, Reader, text_field
from rowguard.settings import Settings

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
        has_challenger=any(row["state"] == "challenger" for row in rows),
        may_deploy=request.app.state.settings.publish_database_url is not None,
    )


@router.post("/promote")
async def promote(request: Request, user: Approver) -> Response:
    """Make the challenger the champion; its gates run first."""
    return _deploy(request, user.name, "models.promote", "the challenger", "promote")


@router.post("/rollback")
async def rollback(request: Request, user: Approver) -> Response:
    """Go back to the previous champion."""
    return _deploy(request, user.name, "models.rollback", "the champion", "rollback")


@router.post("/challenge")
async def challenge(request: Request, user: Approver) -> Response:
    """Deploy a candidate as the challenger; its gates run first."""
    version = text_field(await request.form(), "version", 63)
    data: Data = request.app.state.data
    if version not in {row["version"] for row in await data.rows("models")}:
        raise ConsoleProblem(404, "there is no such model")
    return _deploy(
        request, user.name, "models.challenge", f"model {version}", "deploy", version, "--as", "challenger"
    )


def _deploy(request: Request, by: str, action: str, subject: str, *arguments: str) -> Response:
    """Run a deployment as the owner, record it, and show its result."""
    settings: Settings = request.app.state.settings
    data: Data = request.app.state.data
    require_owner(settings)

    async def build() -> str:
        try:
            result = await run_command(settings, *arguments)
        except CommandError as error:
            return render_text("command.html.j2", problem=str(error), result=None)
        shown = {name: value for name, value in result.items() if isinstance(value, str | int | float)}
        await data.rows("record_audit", actor=by, action=action, subject=subject, details=Jsonb(shown))
        return render_text("command.html.j2", problem=None, result=shown)

    return stream(build)


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
