"""Lists of keys: allow, block, review and others."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response
from psycopg.types.json import Jsonb
from starlette.responses import RedirectResponse

from api.console.data import Data
from api.console.pages.reviews import parse_id
from api.console.rendering import render
from api.console.sessions import ConsoleProblem, Editor, Reader, text_field
from rowguard.declaration import declared

router = APIRouter(prefix="/lists")
LISTS = "/console/lists"
SHOWN_ENTRIES, MAX_KEYS = 200, 1_000


@router.get("")
async def lists(request: Request, user: Reader) -> Response:
    """Show all lists."""
    data: Data = request.app.state.data
    keyed = ("bigint", "integer", "text", "uuid", "inet")
    columns = ["user_id", *(name for name, column in declared().columns.items() if column.type in keyed)]
    return render(request, "lists.html.j2", user, lists=await data.rows("lists"), columns=columns)


@router.post("")
async def create_list(request: Request, user: Editor) -> Response:
    """Create a list."""
    form = await request.form()
    data: Data = request.app.state.data
    name = text_field(form, "name", 64)
    await data.rows(
        "create_list",
        name=name,
        column=text_field(form, "column", 63),
        kind=text_field(form, "kind", 10),
        description=text_field(form, "description", 500),
        by=user.name,
    )
    request.session["notice"] = f"the list {name} is there"
    return RedirectResponse(f"{LISTS}/{name}", 303)


@router.get("/{name}")
async def show_list(request: Request, name: str, user: Reader, key: str = "") -> Response:
    """Show a list's newest entries, or those of one key."""
    data: Data = request.app.state.data
    found = [row for row in await data.rows("lists") if row["name"] == name]
    if not found:
        raise ConsoleProblem(404, f"there is no list {name[:64]}")
    entries = await data.rows("list_entries", name=name, key=key or None, limit=SHOWN_ENTRIES)
    return render(request, "list.html.j2", user, list=found[0], entries=entries, key=key, shown=SHOWN_ENTRIES)


@router.post("/{name}/add")
async def add_entries(request: Request, name: str, user: Editor) -> Response:
    """Add keys, one a line."""
    form = await request.form()
    days = text_field(form, "days", 5)
    expires_at = None
    if days:
        expires_at = (datetime.now(UTC) + timedelta(days=parse_id(days, "days", 36_500))).isoformat()
    reason = text_field(form, "reason", 500) or None
    entries = [
        {"key": key, "expires_at": expires_at, "reason": reason}
        for key in _keys(text_field(form, "keys", 300_000))
    ]
    await request.app.state.data.rows("add_entries", name=name, entries=Jsonb(entries), by=user.name)
    request.session["notice"] = f"{len(entries)} keys are on {name}"
    return RedirectResponse(f"{LISTS}/{name}", 303)


@router.post("/{name}/remove")
async def remove_entries(request: Request, name: str, user: Editor) -> Response:
    """Remove keys, one a line."""
    keys = _keys(text_field(await request.form(), "keys", 300_000))
    await request.app.state.data.rows("remove_entries", name=name, keys=keys, by=user.name)
    request.session["notice"] = f"{len(keys)} keys are off {name}"
    return RedirectResponse(f"{LISTS}/{name}", 303)


def _keys(text: str) -> list[str]:
    keys = [line.strip() for line in re.split(r"\n", text) if line.strip()]
    if not keys:
        raise ConsoleProblem(422, "no key is given")
    if len(keys) > MAX_KEYS:
        raise ConsoleProblem(422, f"more than {MAX_KEYS:,} keys; import them: rowguard lists import")
    return keys
