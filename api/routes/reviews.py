"""/reviews: the review queue. The token's subject is the reviewer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from api.access import require_scope
from api.errors import NotFoundError
from api.problems import RESPONSES, invalid_field
from api.repository import Repository
from api.routes.bodies import REVIEW_CLAIM, REVIEW_DECISION, REVIEW_REOPENING, RequestRoute
from api.routes.parameters import client, read_integer
from api.scalars import BIGINT_MAX
from api.schemas import ReviewCase, ReviewCaseDetails, ReviewCases
from api.statements import Row

router = APIRouter(prefix="/reviews", tags=["reviews"], responses=RESPONSES, route_class=RequestRoute)
CASE: TypeAdapter[Any] = TypeAdapter(ReviewCase)
CASES: TypeAdapter[Any] = TypeAdapter(ReviewCases)
DETAILS: TypeAdapter[Any] = TypeAdapter(ReviewCaseDetails)
STATES: dict[str, tuple[str, ...]] = {
    "waiting": ("open", "claimed"),
    "open": ("open",),
    "claimed": ("claimed",),
    "decided": ("decided",),
}
MAX_CASES = 1_000
LISTED: dict[str, Any] = {
    "parameters": [
        {
            "name": "state",
            "in": "query",
            "required": False,
            "schema": {"type": "string", "enum": list(STATES), "default": "waiting"},
        },
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_CASES, "default": 50},
        },
    ]
}
CASE_ID: dict[str, Any] = {
    "parameters": [
        {"name": "case_id", "in": "path", "required": True, "schema": {"type": "integer", "format": "int64"}}
    ]
}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such case."}}
CHANGED = UNKNOWN | {409: {"description": "Another reviewer has the case, or it is in another state."}}


@router.get(
    "", summary="List cases", response_model=ReviewCases, openapi_extra=require_scope("review") | LISTED
)
async def list_reviews(request: Request) -> Response:
    """Return cases, the most urgent first. Transactions that wait are given a case first."""
    unknown = set(request.query_params) - {"state", "limit"}
    if unknown:
        raise invalid_field(min(unknown), "is no parameter; there are: limit, state")
    state = request.query_params.get("state", "waiting")
    if state not in STATES:
        raise invalid_field("state", f"is none of {', '.join(STATES)}")
    limit = read_integer("limit", request.query_params.get("limit", "50"), 1, MAX_CASES)
    repository = await _opened(request)
    return _json(CASES, {"cases": await repository.list_review_cases(STATES[state], limit)})


@router.get(
    "/{case_id:int}",
    summary="Show a case",
    response_model=ReviewCaseDetails,
    openapi_extra=require_scope("review") | CASE_ID,
    responses=UNKNOWN,
)
async def show_review(request: Request) -> Response:
    """Return a case with its transactions and its events."""
    return _json(DETAILS, await _repository(request).get_review_case(_case_id(request)))


@router.post(
    "/claim",
    summary="Claim a case",
    response_model=ReviewCase,
    openapi_extra=require_scope("review") | REVIEW_CLAIM.openapi,
    responses=CHANGED,
)
async def claim_review(request: Request) -> Response:
    """Claim a case, by default the most urgent open one; 404 when none is open."""
    body = await REVIEW_CLAIM.read(request)
    repository = await _opened(request)
    case = await repository.claim_review_case(client(request), body.case_id)
    if case is None:
        raise NotFoundError("no case is open")
    return _json(CASE, case)


@router.post(
    "/decide",
    summary="Decide cases",
    response_model=ReviewCases,
    openapi_extra=require_scope("review") | REVIEW_DECISION.openapi,
    responses=CHANGED,
)
async def decide_reviews(request: Request) -> Response:
    """Decide cases, all or none: writes the labels of their transactions, and on request puts keys on a list."""
    body = await REVIEW_DECISION.read(request)
    values = body.model_dump() | {"by": client(request)}
    return _json(CASES, {"cases": await _repository(request).decide_review_cases(values)})


@router.post(
    "/{case_id:int}/release",
    summary="Release a case",
    response_model=ReviewCase,
    openapi_extra=require_scope("review") | CASE_ID,
    responses=CHANGED,
)
async def release_review(request: Request) -> Response:
    """Put a case that you claimed back into the queue."""
    case_id, by = _case_id(request), client(request)
    return _json(CASE, await _repository(request).release_review_case(case_id, by, is_forced=False))


@router.post(
    "/{case_id:int}/reopen",
    summary="Reopen a case",
    response_model=ReviewCase,
    openapi_extra=require_scope("review") | REVIEW_REOPENING.openapi | CASE_ID,
    responses=CHANGED,
)
async def reopen_review(request: Request) -> Response:
    """Open a decided case again; the next decision writes newer labels."""
    note = (await REVIEW_REOPENING.read(request)).note
    hours = request.app.state.settings.review_due_hours
    case_id, by = _case_id(request), client(request)
    return _json(CASE, await _repository(request).reopen_review_case(case_id, by, note, hours))


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


async def _opened(request: Request) -> Repository:
    repository = _repository(request)
    await repository.open_review_cases(request.app.state.settings.review_due_hours)
    return repository


def _case_id(request: Request) -> int:
    case_id: int = request.path_params["case_id"]
    if case_id > BIGINT_MAX:
        raise NotFoundError(f"there is no case {case_id}")
    return case_id


def _json(adapter: TypeAdapter[Any], document: Row) -> Response:
    return Response(adapter.dump_json(document), media_type="application/json")
