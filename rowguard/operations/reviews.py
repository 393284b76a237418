"""Review cases on the command line. The database opens, claims and decides them, and writes the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowguard.database import connect
from rowguard.errors import ReviewError, SchemaError
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")
WAITING = ("open", "claimed")

Row = dict[str, Any]


def list_cases(
    url: str,
    due_hours: float,
    states: Sequence[str] = WAITING,
    *,
    claimed_by: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """Open cases for transactions that wait, and return cases, the most urgent first.

    Args:
        url: Address of the database.
        due_hours: Hours until a new case is due.
        states: Some of `open`, `claimed` and `decided`.
        claimed_by: Only cases of this reviewer.
        limit: Most rows.
    """
    values = {"due_hours": due_hours, "states": list(states), "claimed_by": claimed_by, "limit": limit}
    with _reviewing(url) as connection:
        connection.execute(QUERIES["open_review_cases"], values)
        return _rows(connection, "review_cases", values)


def claim_case(url: str, due_hours: float, by: str, case_id: int | None = None) -> Row | None:
    """Claim a case.

    Args:
        url: Address of the database.
        due_hours: Hours until a new case is due.
        by: The reviewer.
        case_id: The case; None is the most urgent open one.

    Returns:
        The case with its transactions and events; None when none is open.

    Raises:
        ReviewError: There is no such case, or another reviewer has it.
    """
    values = {"due_hours": due_hours, "by": by, "case_id": case_id}
    with _reviewing(url) as connection:
        connection.execute(QUERIES["open_review_cases"], values)
        claimed = _rows(connection, "claim_review_case", values)
        return _case(connection, claimed[0]["case_id"]) if claimed else None


def decide_cases(
    url: str,
    by: str,
    case_ids: Sequence[int],
    decision: str,
    *,
    note: str | None = None,
    list_name: str | None = None,
    expires_at: datetime | None = None,
) -> list[int]:
    """Decide cases together, and write the labels of their transactions.

    Args:
        url: Address of the database.
        by: The reviewer.
        case_ids: The cases.
        decision: `fraud`, `legitimate` or `unsure`, which writes no label.
        note: Why.
        list_name: Put the transactions' values of this list's column on it.
        expires_at: When those entries expire.

    Returns:
        The cases.

    Raises:
        ReviewError: A case is unknown, decided, or another reviewer's; nothing was decided.
    """
    values = {
        "by": by,
        "case_ids": list(case_ids),
        "decision": decision,
        "note": note,
        "list": list_name,
        "expires_at": expires_at,
    }
    with _reviewing(url) as connection:
        return [row["case_id"] for row in _rows(connection, "decide_review_cases", values)]


def release_case(url: str, by: str, case_id: int) -> None:
    """Put a claimed case back into the queue.

    Args:
        url: Address of the database.
        by: Who does it.
        case_id: The case.

    Raises:
        ReviewError: It is not claimed.
    """
    with _reviewing(url) as connection:
        connection.execute(QUERIES["release_review_case"], {"by": by, "case_id": case_id})


def reopen_case(url: str, due_hours: float, by: str, case_id: int, note: str | None = None) -> None:
    """Open a decided case again.

    Args:
        url: Address of the database.
        due_hours: Hours until it is due.
        by: Who does it.
        case_id: The case.
        note: Why.

    Raises:
        ReviewError: It is not decided, or the user has an open case.
    """
    values = {"by": by, "case_id": case_id, "note": note, "due_hours": due_hours}
    with _reviewing(url) as connection:
        connection.execute(QUERIES["reopen_review_case"], values)


def get_case(url: str, case_id: int) -> Row:
    """Return a case with its transactions and events.

    Args:
        url: Address of the database.
        case_id: The case.

    Raises:
        ReviewError: There is no such case.
    """
    with _reviewing(url) as connection:
        return _case(connection, case_id)


def _case(connection: psycopg.Connection[Any], case_id: int) -> Row:
    values = {"case_id": case_id}
    cases = _rows(connection, "review_case", values)
    if not cases:
        raise ReviewError(f"there is no case {case_id}")
    return cases[0] | {
        "rows": _rows(connection, "review_case_transactions", values),
        "events": _rows(connection, "review_case_events", values),
    }


def _rows(connection: psycopg.Connection[Any], query: str, values: Row) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[query], values).fetchall()


@contextmanager
def _reviewing(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with connect(url) as connection:
            yield connection
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ):
        raise SchemaError from None
    except (
        psycopg.DataError,
        psycopg.IntegrityError,
        psycopg.errors.NoDataFound,
        psycopg.errors.ObjectInUse,
    ) as error:
        raise ReviewError(error.diag.message_primary) from None
