"""Reasons of stored decisions: their explanation, and reason codes on the rows of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from rowguard.database import connect, fetch_one
from rowguard.errors import ExplanationError
from rowguard.queries import load_queries
from sql_scoring import registry

QUERIES = load_queries("rowguard.operations")
ROWS_PER_BATCH = 1_000


@dataclass(frozen=True)
class ReasonsReport:
    """Reason codes of the alerts of a period.

    Attributes:
        on_alerts: Whether the INSERT of an alert writes them.
        days: How far back.
        alerts: Alerts of that time.
        explained: How many got their codes now.
        without: How many still have none, as their models are not explained.
    """

    on_alerts: bool
    days: int
    alerts: int
    explained: int
    without: int


def explain(
    url: str,
    user_id: int | UUID | str,
    transaction_id: int,
    *,
    top: int | None = None,
    language: str = "en",
    has_changes: bool = False,
) -> dict[str, Any]:
    """Explain a stored decision.

    Args:
        url: Address of the database.
        user_id: The transaction's user; the text of an id is read by the database.
        transaction_id: The transaction.
        top: Most features to return; all by default.
        language: Language of the reasons.
        has_changes: Also return the single changes that would have let an alert pass.

    Returns:
        The document of the SQL function `explanation`, with `passing_changes` if asked for.

    Raises:
        ExplanationError: There is no such row, it has no decision, or its model is not explained; states which.
    """
    values = {"user_id": str(user_id), "transaction_id": transaction_id, "top": top, "language": language}
    with connect(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        try:
            (document,) = fetch_one(connection, QUERIES["explanation"], values)
            if has_changes:
                document["passing_changes"] = cursor.execute(QUERIES["passing_changes"], values).fetchall()
        except (
            psycopg.errors.NoDataFound,
            psycopg.errors.ObjectNotInPrerequisiteState,
            psycopg.errors.UndefinedObject,
            psycopg.DataError,
        ) as error:
            details = (error.diag.message_primary, error.diag.message_hint)
            raise ExplanationError("; ".join(text for text in details if text)) from None
    explanation: dict[str, Any] = document
    return explanation


def build_explanation(url: str, version: str) -> int | None:
    """Build the tables of a model's explanation, again if there are some.

    Args:
        url: Address of the database.
        version: A registered version.

    Returns:
        The number of states; None for a model without tables.

    Raises:
        RegistryError: There is no such version.
        ExplanationError: The registry holds no explanation of it.
    """
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        if record.explanation is None:
            raise ExplanationError(
                f"{version} was registered without an explanation; train again: rowguard train"
            )
        states: int | None = fetch_one(connection, QUERIES["build_explanation"], {"version": version})[0]
    return states


def explain_alerts(url: str, days: int, *, on_alerts: bool | None = None) -> ReasonsReport:
    """Switch reason codes in the INSERT on or off, then fill in those of alerts without.

    Args:
        url: Address of the database.
        days: How far back.
        on_alerts: The setting; None leaves it.

    Returns:
        What was done.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    explained = 0
    with connect(url, autocommit=True) as connection:
        if on_alerts is not None:
            connection.execute(QUERIES["set_reasons_on_alerts"], {"is_on": on_alerts})
        values = {"since": since, "max_rows": ROWS_PER_BATCH}
        while True:  # each batch is a transaction, so that no row is locked for long
            (rows,) = fetch_one(connection, QUERIES["explain_alerts"], values)
            explained += rows
            if rows < ROWS_PER_BATCH:
                break
        is_on, alerts, without = fetch_one(connection, QUERIES["alert_reasons"], {"since": since})
    return ReasonsReport(bool(is_on), days, int(alerts), explained, int(without))
