"""One transaction: its decision, why, what is usual for the user, and its replay."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from psycopg import sql

from api.console import charts
from api.console.data import Data, as_literal, queries
from api.console.pages.reviews import parse_id
from api.console.rendering import format_time, render
from api.console.sessions import ConsoleProblem, Reader
from api.errors import NotExplainedError, UnscoredTransactionError
from api.repository import Repository
from rowguard.declaration import declared
from rowguard.errors import RowguardError

router = APIRouter(prefix="/transactions")
SHOWN_FEATURES = 12


@router.get("/{user_id}/{transaction_id}")
async def transaction(request: Request, user_id: str, transaction_id: str, user: Reader) -> Response:
    """Show a transaction."""
    data: Data = request.app.state.data
    repository: Repository = request.app.state.repository
    key: dict[str, Any] = {"user_id": user_id, "transaction_id": parse_id(transaction_id, "transaction_id")}
    row = await data.row("transaction", **key)
    if row is None:
        raise ConsoleProblem(404, f"user {user_id} has no transaction {transaction_id}")
    explanation = missing = None
    try:
        explanation = await repository.get_explanation(row["user_id"], row["transaction_id"], None)
    except (UnscoredTransactionError, NotExplainedError) as error:
        missing = str(error)
    recent = await data.rows("recent_transactions", user_id=user_id, until=row["occurred_at"])
    return render(
        request,
        "transaction.html.j2",
        user,
        row=row,
        columns={name: row[name] for name in declared().columns},
        explanation=explanation,
        bars=charts.signed_bars(explanation["contributions"][:SHOWN_FEATURES]) if explanation else [],
        missing=missing,
        features=await data.rows("feature_comparison", **key) if row["model_version"] else [],
        timeline=charts.timeline([_point(other, row) for other in recent], "The user's transactions"),
        recent=recent,
        elsewhere=await _elsewhere(data, key),
    )


@router.get("/{user_id}/{transaction_id}/replay")
async def replay(request: Request, user_id: str, transaction_id: str, user: Reader) -> Response:
    """Score the stored row again."""
    data: Data = request.app.state.data
    try:
        result = await data.row(
            "replay", user_id=user_id, transaction_id=parse_id(transaction_id, "transaction_id")
        )
        return render(request, "replay.html.j2", user, result=result, problem=None)
    except RowguardError as error:
        return render(request, "replay.html.j2", user, result=None, problem=str(error))


def _point(row: dict[str, Any], this: dict[str, Any]) -> dict[str, Any]:
    is_alert = row["fraud_flag"] == "FRAUD" or row["is_control"]
    is_this = row["transaction_id"] == this["transaction_id"]
    kind = ("this " if is_this else "") + ("alert" if is_alert else "passed")
    text = f"{format_time(row['occurred_at'])}: {row['amount']:,.2f}{', an alert' if is_alert else ''}"
    return row | {"kind": kind, "text": text}


async def _elsewhere(data: Data, key: dict[str, Any]) -> list[dict[str, Any]]:
    """The same device, card or merchant elsewhere: of each column that is the key of an entity."""
    keys = {declared().entity_columns(entity) for entity in declared().entities}
    names = sorted(columns[0] for columns in keys if len(columns) == 1 and columns[0] != "user_id")
    if not names:
        return []
    parts = [
        sql.SQL("({})").format(
            sql.SQL(as_literal(queries()["same_value"])).format(
                name=sql.Literal(name), column=sql.Identifier(name)
            )
        )
        for name in names
    ]
    return await data.run(sql.SQL(" UNION ALL ").join(parts), key)
