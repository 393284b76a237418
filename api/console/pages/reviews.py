"""The review queue, and one case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse

from api.console.data import Data
from api.console.rendering import render
from api.console.sessions import Administrator, ConsoleProblem, Reader, Reviewer, text_field
from api.repository import Repository
from api.scalars import BIGINT_MAX

router = APIRouter(prefix="/reviews")
VIEWS = {"waiting": "Waiting", "mine": "Mine", "decided": "Decided"}
PAGE_ROWS = 50
QUEUE = "/console/reviews"


@router.get("")
async def queue(request: Request, user: Reader, view: str = "waiting", page: str = "1") -> Response:
    """Show a page of the queue."""
    if view not in VIEWS:
        raise ConsoleProblem(404, "there is no such view")
    number = parse_id(page, "page", 100_000)
    repository, data = _state(request)
    await repository.open_review_cases(request.app.state.settings.review_due_hours)
    rows = await data.rows(
        "queue",
        is_decided=view == "decided",
        claimed_by=user.name if view == "mine" else None,
        limit=PAGE_ROWS + 1,
        offset=(number - 1) * PAGE_ROWS,
    )
    return render(
        request,
        "queue.html.j2",
        user,
        cases=rows[:PAGE_ROWS],
        counts=await data.row("queue_counts"),
        view=view,
        views=VIEWS,
        page=number,
        has_more=len(rows) > PAGE_ROWS,
    )


@router.post("/claim")
async def claim(request: Request, user: Reviewer) -> Response:
    """Claim a case, by default the most urgent one, and show it."""
    form = await request.form()
    given = text_field(form, "case_id", 19)
    repository, _ = _state(request)
    case = await repository.claim_review_case(user.name, parse_id(given, "case_id") if given else None)
    if case is None:
        request.session["notice"] = "no case is open"
        return RedirectResponse(QUEUE, 303)
    return RedirectResponse(f"{QUEUE}/{case['case_id']}", 303)


@router.post("/decide")
async def decide(request: Request, user: Reviewer) -> Response:
    """Decide cases together."""
    form = await request.form()
    values = _decision(form) | {"by": user.name}
    repository, _ = _state(request)
    decided = await repository.decide_review_cases(values)
    names = ", ".join(str(case["case_id"]) for case in decided[:10])
    more = f" and {len(decided) - 10} more" if len(decided) > 10 else ""
    request.session["notice"] = f"case {names}{more}: decided {values['decision']}"
    return RedirectResponse(QUEUE, 303)


@router.get("/{case_id}")
async def case(request: Request, case_id: str, user: Reader) -> Response:
    """Show a case."""
    repository, data = _state(request)
    number = parse_id(case_id, "case_id")
    found = await repository.get_review_case(number)
    return render(
        request,
        "case.html.j2",
        user,
        case=found,
        rows=await data.rows("case_transactions", case_id=number),
        lists=await data.rows("list_choices"),
    )


@router.post("/{case_id}/release")
async def release(request: Request, case_id: str, user: Reviewer) -> Response:
    """Put a case back into the queue."""
    repository, _ = _state(request)
    await repository.release_review_case(parse_id(case_id, "case_id"), user.name, is_forced=False)
    return RedirectResponse(QUEUE, 303)


@router.post("/{case_id}/take-away")
async def take_away(request: Request, case_id: str, user: Administrator) -> Response:
    """Put another reviewer's case back into the queue."""
    repository, _ = _state(request)
    await repository.release_review_case(parse_id(case_id, "case_id"), user.name, is_forced=True)
    return RedirectResponse(f"{QUEUE}/{case_id}", 303)


@router.post("/{case_id}/reopen")
async def reopen(request: Request, case_id: str, user: Reviewer) -> Response:
    """Open a decided case again."""
    form = await request.form()
    repository, _ = _state(request)
    hours = request.app.state.settings.review_due_hours
    number = parse_id(case_id, "case_id")
    await repository.reopen_review_case(number, user.name, text_field(form, "note") or None, hours)
    return RedirectResponse(f"{QUEUE}/{number}", 303)


def parse_id(text: str, name: str, most: int = BIGINT_MAX) -> int:
    """Return an id of a path or a form.

    Raises:
        ConsoleProblem: 404; it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= most):
        raise ConsoleProblem(404, f"{name} is no number")
    return int(text)


def _state(request: Request) -> tuple[Repository, Data]:
    return request.app.state.repository, request.app.state.data


def _decision(form: FormData) -> dict[str, Any]:
    ids = [value for value in form.getlist("case_id") if isinstance(value, str)]
    if not ids:
        raise ConsoleProblem(422, "no case is selected")
    seen = text_field(form, "transactions", 10)
    days = text_field(form, "expires_days", 5)
    expires_at = None
    if days:
        expires_at = datetime.now(UTC) + timedelta(days=parse_id(days, "expires_days", 3_650))
    return {
        "case_ids": [parse_id(value, "case_id") for value in ids],
        "decision": text_field(form, "decision", 20),
        "note": text_field(form, "note") or None,
        "transactions": parse_id(seen, "transactions", 2**31 - 1) if seen else None,
        "list_name": text_field(form, "list_name", 64) or None,
        "expires_at": expires_at,
    }
