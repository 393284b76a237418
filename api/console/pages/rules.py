"""Rule sets: the one in force, drafts with an editor, approval and publication; exceptions."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from fastapi import APIRouter, Request, Response
from psycopg.types.json import Jsonb
from starlette.responses import RedirectResponse

from api.console.commands import CommandError, require_owner, run_command, stream
from api.console.data import Data
from api.console.pages.reviews import parse_id
from api.console.rendering import render, render_text
from api.console.sessions import Approver, ConsoleProblem, Editor, Reader, text_field
from api.outcomes import Outcomes
from rowguard.database import open_connection
from rowguard.declaration import declared
from rowguard.errors import RowguardError
from rowguard.settings import Settings
from sql_scoring.rules.check import check_rules, deployed_features
from sql_scoring.rules.document import parse_rules

router = APIRouter(prefix="/rules")
RULES = "/console/rules"
MAX_TEXT = 900_000
NEW_RULES = """# docs/how-to/write-rules.md
failure_outcome: review
rules:
  - name: large_amount
    when: amount > 1000
    action: review
    reason_code: large_amount
    reason: The amount is above 1,000.
    mode: shadow
"""


@router.get("")
async def rules(request: Request, user: Reader) -> Response:
    """Show the rule sets, the rules in force, drafts and exceptions."""
    data: Data = request.app.state.data
    sets = await data.rows("rule_sets")
    current = next((row["version"] for row in sets if row["is_in_force"]), None)
    return render(
        request,
        "rules.html.j2",
        user,
        sets=sets,
        current=current,
        rules=await data.rows("rules_in_force") if current else [],
        drafts=await data.rows("drafts"),
        exceptions=await data.rows("exceptions"),
        may_publish=request.app.state.settings.publish_database_url is not None,
    )


@router.post("/drafts")
async def create_draft(request: Request, user: Editor) -> Response:
    """Start a draft from the rule set in force."""
    data: Data = request.app.state.data
    current = await data.row("current_rules")
    document = current["document"] if current else yaml.safe_load(NEW_RULES)
    row = await data.row(
        "insert_draft", document=Jsonb(document), based_on=current["version"] if current else 0, by=user.name
    )
    assert row is not None
    return RedirectResponse(f"{RULES}/drafts/{row['draft_id']}", 303)


@router.get("/drafts/{draft_id}")
async def draft(request: Request, draft_id: str, user: Reader) -> Response:
    """Show a draft in its editor."""
    row = await _draft(request, draft_id)
    return await _show(request, user, row, _dump(row["document"]))


@router.post("/drafts/{draft_id}")
async def save_draft(request: Request, draft_id: str, user: Editor) -> Response:
    """Save a draft when it is right; an edit withdraws its approval."""
    form = await request.form()
    row = await _draft(request, draft_id)
    text = text_field(form, "text", MAX_TEXT)
    problem, document = await _check(request.app.state.settings, text)
    if problem is not None:
        return await _show(request, user, row, text, problem=problem, status=422)
    data: Data = request.app.state.data
    saved = await data.row(
        "update_draft",
        draft_id=row["draft_id"],
        document=Jsonb(document),
        note=text_field(form, "note", 500),
        by=user.name,
        seen=text_field(form, "seen", 40),
    )
    if saved is None:
        return await _show(
            request, user, row, text, status=409,
            problem="another user saved or published this draft meanwhile; copy your text and load the page again",
        )  # fmt: skip
    request.session["notice"] = f"draft {row['draft_id']} is saved"
    return RedirectResponse(f"{RULES}/drafts/{row['draft_id']}", 303)


@router.post("/check")
async def check(request: Request, user: Editor) -> Response:
    """Check a text while it is edited."""
    text = text_field(await request.form(), "text", MAX_TEXT)
    problem, document = await _check(request.app.state.settings, text)
    count = len(document["rules"]) if document else 0
    return render(request, "check.html.j2", user, problem=problem, count=count)


@router.post("/backtest")
async def backtest(request: Request, user: Editor) -> Response:
    """Evaluate a text over stored history."""
    form = await request.form()
    settings: Settings = request.app.state.settings
    text = text_field(form, "text", MAX_TEXT)
    days = parse_id(text_field(form, "days", 5) or "90", "days", 3_650)
    since = datetime.now(UTC) - timedelta(days=days)

    async def build() -> str:
        problem, document = await _check(settings, text)
        if document is None:
            return render_text("backtest.html.j2", problem=problem, result=None)
        try:
            outcomes: Outcomes = request.app.state.outcomes
            result = await outcomes.backtest(document, since, None, None)
        except RowguardError as error:
            return render_text("backtest.html.j2", problem=str(error), result=None)
        return render_text("backtest.html.j2", problem=None, result=result.as_document())

    return stream(build)


@router.post("/drafts/{draft_id}/approve")
async def approve(request: Request, draft_id: str, user: Approver) -> Response:
    """Approve a draft of another user."""
    row = await _draft(request, draft_id)
    seen = text_field(await request.form(), "seen", 40)
    if row["updated_by"] == user.name:
        raise ConsoleProblem(403, f"draft {row['draft_id']} is yours; another user approves it")
    data: Data = request.app.state.data
    if await data.row("approve_draft", draft_id=row["draft_id"], by=user.name, seen=seen) is None:
        raise ConsoleProblem(
            409, f"draft {row['draft_id']} was changed or published meanwhile; look at it again"
        )
    request.session["notice"] = f"draft {row['draft_id']} is approved"
    return RedirectResponse(f"{RULES}/drafts/{row['draft_id']}", 303)


@router.post("/drafts/{draft_id}/publish")
async def publish(request: Request, draft_id: str, user: Approver) -> Response:
    """Publish a draft by a migration."""
    row = await _draft(request, draft_id)
    settings: Settings = request.app.state.settings
    require_owner(settings)
    number = str(row["draft_id"])
    return _run(
        request,
        user.name,
        "rules.publish",
        f"draft {number}",
        "rules",
        "publish",
        "--draft",
        number,
        "--by",
        user.name,
    )


@router.post("/rollback")
async def rollback(request: Request, user: Approver) -> Response:
    """Put an earlier rule set in force."""
    version = str(parse_id(text_field(await request.form(), "version", 9), "version", 999_999))
    require_owner(request.app.state.settings)
    return _run(
        request, user.name, "rules.rollback", f"rule set {version}", "rules", "rollback", "--to", version
    )


@router.post("/exceptions")
async def add_exception(request: Request, user: Editor) -> Response:
    """Suppress a rule for a user until a day."""
    form = await request.form()
    until = text_field(form, "until", 10)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", until):
        raise ConsoleProblem(422, "until is no day such as 2027-01-31")
    data: Data = request.app.state.data
    await data.rows(
        "add_exception",
        rule=text_field(form, "rule", 63),
        user_id=text_field(form, "user_id", 256),
        until=f"{until} 00:00+00",
        reason=text_field(form, "reason", 500),
        by=user.name,
    )
    request.session["notice"] = "the exception is in force"
    return RedirectResponse(RULES, 303)


@router.post("/exceptions/{exception_id}/end")
async def end_exception(request: Request, exception_id: str, user: Editor) -> Response:
    """End an exception early."""
    data: Data = request.app.state.data
    await data.rows("end_exception", exception_id=parse_id(exception_id, "exception_id"), by=user.name)
    request.session["notice"] = "the exception has ended"
    return RedirectResponse(RULES, 303)


async def _draft(request: Request, draft_id: str) -> dict[str, Any]:
    number = parse_id(draft_id, "draft_id")
    row: dict[str, Any] | None = await request.app.state.data.row("draft", draft_id=number)
    if row is None:
        raise ConsoleProblem(404, f"there is no draft {number}")
    return row


async def _show(
    request: Request,
    user: Any,
    row: dict[str, Any],
    text: str,
    *,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    settings: Settings = request.app.state.settings
    return render(
        request,
        "draft.html.j2",
        user,
        status=status,
        draft=row,
        text=text,
        problem=problem,
        needs_approval=settings.rules_need_approval,
        may_publish=settings.publish_database_url is not None,
    )


def _dump(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


async def _check(settings: Settings, text: str) -> tuple[str | None, dict[str, Any] | None]:
    """Return what is wrong with a text as one line, or its document."""

    def run() -> dict[str, Any]:
        rule_set = parse_rules(text, "rules.yml")
        assert settings.database_url is not None
        with open_connection(settings.database_url.get_secret_value()) as connection:
            check_rules(rule_set, declared(), deployed_features(connection), connection)
        return rule_set.as_document()

    try:
        return None, await asyncio.to_thread(run)
    except RowguardError as error:
        return str(error), None


def _run(request: Request, by: str, action: str, subject: str, *arguments: str) -> Response:
    """Run a command that changes, record it, and show its result."""
    settings: Settings = request.app.state.settings
    data: Data = request.app.state.data

    async def build() -> str:
        try:
            result = await run_command(settings, *arguments)
        except CommandError as error:
            return render_text("command.html.j2", problem=str(error), result=None)
        await data.rows("record_audit", actor=by, action=action, subject=subject, details=Jsonb(result))
        return render_text("command.html.j2", problem=None, result=result)

    return stream(build)
