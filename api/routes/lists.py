"""/lists: lists and their entries."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from psycopg.types.json import Jsonb

from api.access import require_scope
from api.outcomes import Outcomes
from api.problems import RESPONSES
from api.routes.bodies import ENTRIES, KEYS, LIST
from api.routes.parameters import client, query_values, text_parameter

router = APIRouter(prefix="/lists", tags=["lists"], responses=RESPONSES)
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no list of this name."}}
NAME = text_parameter("name", "path")
AFTER, KEY = text_parameter("after", "query"), text_parameter("key", "query")
PAGE = 1_000


@router.get("", summary="List all lists", openapi_extra=require_scope("lists"))
async def list_lists(request: Request) -> list[dict[str, Any]]:
    """Return each list with its column, kind and number of current entries."""
    return await _outcomes(request).rows("list_lists")


@router.post(
    "/create",
    summary="Create a list",
    status_code=201,
    responses={409: {"description": "There is a list of this name."}},
    openapi_extra=require_scope("lists") | LIST.openapi,
)
async def create_list(request: Request) -> dict[str, Any]:
    """Create a list of keys of one column; name, column and kind are fixed from then on."""
    values = (await LIST.read(request)).model_dump()
    await _outcomes(request).rows("create_list", **values, by=client(request))
    return values  # type: ignore[no-any-return]


@router.get(
    "/{name}/entries",
    summary="Read the entries of a list",
    responses=MISSING,
    openapi_extra=require_scope("lists") | {"parameters": [NAME, AFTER, KEY]},
)
async def list_entries(request: Request) -> dict[str, Any]:
    """Return up to 1,000 current entries, in no order of keys; `after` is the last key of the page before.

    With `key` only the entry of this key, or none.
    """
    name = request.path_params["name"]
    values = query_values(request, "after", "key")
    outcomes = _outcomes(request)
    await outcomes.row("select_list", f"there is no list {name}", name=name)
    return {
        "entries": await outcomes.rows(
            "list_entries", name=name, after=values.get("after"), key=values.get("key"), limit=PAGE
        )
    }


@router.post(
    "/{name}/add",
    summary="Add keys to a list",
    responses=MISSING,
    openapi_extra=require_scope("lists") | {"parameters": [NAME]} | ENTRIES.openapi,
)
async def add_entries(request: Request) -> dict[str, Any]:
    """Add up to 1,000 keys, or none of them; of a key that is on the list expiry and reason are replaced."""
    body = await ENTRIES.read(request)
    entries = Jsonb([entry.model_dump(mode="json") for entry in body.entries])
    values = {"name": request.path_params["name"], "entries": entries, "by": client(request)}
    return (await _outcomes(request).rows("add_list_entries", **values))[0]


@router.post(
    "/{name}/remove",
    summary="Remove keys from a list",
    responses=MISSING,
    openapi_extra=require_scope("lists") | {"parameters": [NAME]} | KEYS.openapi,
)
async def remove_entries(request: Request) -> dict[str, Any]:
    """Remove up to 1,000 keys; their history remains."""
    body = await KEYS.read(request)
    values = {"name": request.path_params["name"], "keys": body.keys, "by": client(request)}
    return (await _outcomes(request).rows("remove_list_entries", **values))[0]


def _outcomes(request: Request) -> Outcomes:
    outcomes: Outcomes = request.app.state.outcomes
    return outcomes
