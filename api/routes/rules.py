"""/rules: published sets, drafts, check, backtest, publication, rollback, exceptions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from api.access import require_scope
from api.outcomes import Outcomes
from api.problems import RESPONSES
from api.routes.bodies import BACKTEST, DRAFT, EXCEPTION, ROLLBACK, RULES
from api.routes.parameters import client, integer_parameter, path_integer

router = APIRouter(prefix="/rules", tags=["rules"], responses=RESPONSES)
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is none with this number or name."}}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"description": "The state does not allow it; the detail says why."}
}
DRAFT_ID = {"parameters": [integer_parameter("draft_id")]}
VERSION = {"parameters": [integer_parameter("version")]}
EXCEPTION_ID = {"parameters": [integer_parameter("exception_id")]}


@router.get("", summary="List published rule sets", openapi_extra=require_scope("rules", "publish"))
async def list_rule_sets(request: Request) -> list[dict[str, Any]]:
    """Return version, rules, note, author and approver of each set, newest first, and which one is in force."""
    return await _outcomes(request).rows("list_rule_sets")


@router.post("/check", summary="Check a rule set", openapi_extra=require_scope("rules") | RULES.openapi)
async def check_rules(request: Request) -> dict[str, Any]:
    """Check names, types and safety of every condition; 422 names the first wrong field. Nothing is stored."""
    rule_set = await _outcomes(request).check((await RULES.read(request)).document)
    return {"rules": len(rule_set.rules), "names": rule_set.names()}


@router.post(
    "/backtest",
    summary="Backtest a rule set",
    openapi_extra=require_scope("rules") | BACKTEST.openapi,
)
async def backtest_rules(request: Request) -> dict[str, Any]:
    """Return what each rule would have matched in stored history, and what it adds. Nothing is stored."""
    body = await BACKTEST.read(request)
    result = await _outcomes(request).backtest(body.document, body.start, body.end, body.rule)
    return result.as_document()


@router.get("/drafts", summary="List drafts", openapi_extra=require_scope("rules", "publish"))
async def list_drafts(request: Request) -> list[dict[str, Any]]:
    """Return drafts that are not published, newest first, without their rules."""
    return await _outcomes(request).rows("list_drafts")


@router.post(
    "/drafts",
    summary="Create a draft",
    status_code=201,
    openapi_extra=require_scope("rules", "publish") | DRAFT.openapi,
)
async def create_draft(request: Request) -> dict[str, Any]:
    """Store a draft that passes its check. It is based on the rule set in force."""
    body = await DRAFT.read(request)
    return await _outcomes(request).save_draft(None, body.document, body.note, client(request))


@router.get(
    "/drafts/{draft_id}",
    summary="Read a draft",
    responses=MISSING,
    openapi_extra=require_scope("rules", "publish") | DRAFT_ID,
)
async def get_draft(request: Request) -> dict[str, Any]:
    """Return a draft with its rules."""
    draft_id = path_integer(request, "draft_id")
    return await _outcomes(request).row("select_draft", f"there is no draft {draft_id}", draft_id=draft_id)


@router.post(
    "/drafts/{draft_id}/edit",
    summary="Edit a draft",
    responses=MISSING | CONFLICT,
    openapi_extra=require_scope("rules") | DRAFT_ID | DRAFT.openapi,
)
async def edit_draft(request: Request) -> dict[str, Any]:
    """Replace a draft, which passes its check. An approval ends."""
    body = await DRAFT.read(request)
    draft_id = path_integer(request, "draft_id")
    return await _outcomes(request).save_draft(draft_id, body.document, body.note, client(request))


@router.post(
    "/drafts/{draft_id}/approve",
    summary="Approve a draft",
    responses=MISSING | CONFLICT,
    openapi_extra=require_scope("publish") | DRAFT_ID,
)
async def approve_draft(request: Request) -> dict[str, Any]:
    """Record the approval of another person than its last editor."""
    return await _outcomes(request).approve_draft(path_integer(request, "draft_id"), client(request))


@router.post(
    "/drafts/{draft_id}/publish",
    summary="Publish a draft",
    responses=MISSING | CONFLICT,
    openapi_extra=require_scope("publish") | DRAFT_ID,
)
async def publish_draft(request: Request) -> dict[str, Any]:
    """Make a draft the next rule set, in force from its commit."""
    return await _outcomes(request).publish(path_integer(request, "draft_id"), client(request))


@router.post(
    "/rollback",
    summary="Roll back to an earlier rule set",
    responses=CONFLICT,
    openapi_extra=require_scope("publish") | ROLLBACK.openapi,
)
async def roll_back(request: Request) -> dict[str, Any]:
    """Put any published version in force again; 0 is none, null the one before."""
    return await _outcomes(request).roll_back((await ROLLBACK.read(request)).version)


@router.get("/exceptions", summary="List exceptions", openapi_extra=require_scope("rules", "publish"))
async def list_exceptions(request: Request) -> list[dict[str, Any]]:
    """Return exceptions, newest first, with how often each suppressed its rule."""
    return await _outcomes(request).rows("list_exceptions")


@router.post(
    "/exceptions",
    summary="Add an exception",
    status_code=201,
    responses=MISSING,
    openapi_extra=require_scope("rules", "publish") | EXCEPTION.openapi,
)
async def add_exception(request: Request) -> dict[str, Any]:
    """Suppress a rule of the set in force for a user until it ends, within a year."""
    body = await EXCEPTION.read(request)
    return (await _outcomes(request).rows("add_rule_exception", **body.model_dump(), by=client(request)))[0]


@router.post(
    "/exceptions/{exception_id}/end",
    summary="End an exception",
    responses=MISSING,
    openapi_extra=require_scope("rules", "publish") | EXCEPTION_ID,
)
async def end_exception(request: Request) -> dict[str, Any]:
    """End an exception early."""
    exception_id = path_integer(request, "exception_id")
    await _outcomes(request).rows("end_rule_exception", exception_id=exception_id, by=client(request))
    return {"exception_id": exception_id}


@router.get(
    "/{version}",
    summary="Read a rule set",
    responses=MISSING,
    openapi_extra=require_scope("rules", "publish") | VERSION,
)
async def get_rule_set(request: Request) -> dict[str, Any]:
    """Return a published rule set, and the live rows of 30 days that each rule matched."""
    version = path_integer(request, "version")
    outcomes = _outcomes(request)
    row = await outcomes.row("select_rule_set", f"there is no rule set {version}", version=version)
    return {**row, "matches": await outcomes.rows("rule_matches", version=version)}


def _outcomes(request: Request) -> Outcomes:
    outcomes: Outcomes = request.app.state.outcomes
    return outcomes
