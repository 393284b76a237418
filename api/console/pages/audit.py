"""The audit trail."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.console.data import Data
from api.console.pages.reviews import parse_id
from api.console.rendering import render
from api.console.sessions import Auditor

router = APIRouter(prefix="/audit")
PAGE_ROWS = 100


@router.get("")
async def audit(
    request: Request, user: Auditor, before: str | None = None, actor: str = "", subject: str = ""
) -> Response:
    """Show the newest events, optionally of one user or one object."""
    data: Data = request.app.state.data
    rows = await data.rows(
        "audit_events",
        before=parse_id(before, "before") if before else None,
        actor=actor or None,
        subject=subject or None,
        limit=PAGE_ROWS,
    )
    return render(
        request,
        "audit.html.j2",
        user,
        events=rows,
        actor=actor,
        subject=subject,
        before=rows[-1]["event_id"] if len(rows) == PAGE_ROWS else None,
    )
