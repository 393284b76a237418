"""What people read of rule sets, and exceptions. Publishing is in `sql_scoring.deployment.rule_sets`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowguard.database import connect, fetch_one
from rowguard.declaration import features_file
from rowguard.errors import RuleError, SchemaError
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring.deployment.rule_sets import current_version, get_rule_set, list_rule_sets
from sql_scoring.features.listing import load_declaration
from sql_scoring.rules.backtest import BacktestResult, backtest_rules
from sql_scoring.rules.document import RuleSet, dump_rules, validate_rules
from sql_scoring.rules.thresholds import Costs, ThresholdChoice, choose_thresholds

QUERIES = load_queries("rowguard.operations")


def sets_with_times(url: str) -> list[dict[str, Any]]:
    """Return all published rule sets, newest first."""
    with connect(url) as connection:
        current_version(connection)
        return list_rule_sets(connection)


def rules_with_matches(url: str, version: int) -> list[dict[str, Any]]:
    """Return the rules of a set in the order in which they decide, with the live rows that they matched in 30 days.

    Args:
        url: Address of the database.
        version: The rule set.

    Raises:
        RuleError: There is none with this number.
    """
    with connect(url) as connection:
        get_rule_set(connection, version)
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(QUERIES["rules_with_matches"], {"version": version}).fetchall()


def export_rules(url: str, version: int | None) -> str:
    """Return a published rule set as the text of rules.yml.

    Args:
        url: Address of the database.
        version: Its number; None is the one in force.

    Raises:
        RuleError: There is none.
    """
    with connect(url) as connection:
        current = current_version(connection)
        if version is None and current == 0:
            raise RuleError("no rule set is in force; name a version")
        row = get_rule_set(connection, version or current)
    return dump_rules(validate_rules(row["document"]), based_on=current)


def list_exceptions(url: str, *, unused: bool = False, stale: bool = False) -> list[dict[str, Any]]:
    """Return exceptions, newest first, with how often each suppressed its rule.

    Args:
        url: Address of the database.
        unused: Only active ones that suppressed nothing.
        stale: Only ended ones.
    """
    with connect(url) as connection:
        current_version(connection)
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(QUERIES["list_exceptions"], {"unused": unused, "stale": stale}).fetchall()


def add_exception(url: str, rule: str, user_id: str, ends_at: datetime, reason: str) -> int:
    """Suppress a rule for a user until a time.

    Args:
        url: Address of the database.
        rule: A rule of the set in force.
        user_id: The user, as text.
        ends_at: Within a year.
        reason: Why.

    Returns:
        The exception's number.

    Raises:
        RuleError: There is no such rule, or a value is wrong.
    """
    values = {"rule": rule, "user_id": user_id, "ends_at": ends_at, "reason": reason}
    return int(_call(url, "add_rule_exception", values)[0])


def end_exception(url: str, exception_id: int) -> None:
    """End an exception early.

    Args:
        url: Address of the database.
        exception_id: Its number.

    Raises:
        RuleError: There is no active exception with this number.
    """
    _call(url, "end_rule_exception", {"exception_id": exception_id})


def backtest(
    url: str,
    settings: Settings,
    rule_set: RuleSet,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    only: str | None = None,
) -> BacktestResult:
    """Evaluate rules over stored history.

    Args:
        url: Address of the database.
        settings: Names features.yml.
        rule_set: The rules.
        start: First event time.
        end: First event time after it.
        only: Name of the one rule to evaluate.

    Raises:
        RuleError: A rule is wrong, or there is no rule of this name.
    """
    with connect(url) as connection:
        current_version(connection)
        return backtest_rules(
            connection, rule_set, load_declaration(features_file(settings)), start=start, end=end, only=only
        )


def thresholds(
    url: str,
    *,
    review_rate: float | None = None,
    decline_rate: float | None = None,
    costs: Costs | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> ThresholdChoice:
    """Choose the thresholds of a rule set; arguments and errors as of `choose_thresholds`."""
    with connect(url) as connection:
        current_version(connection)
        return choose_thresholds(
            connection, review_rate=review_rate, decline_rate=decline_rate, costs=costs, start=start, end=end
        )


def _call(url: str, query: str, values: dict[str, Any]) -> tuple[Any, ...]:
    try:
        with connect(url) as connection:
            return fetch_one(connection, QUERIES[query], values)
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ):
        raise SchemaError from None
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.NoDataFound) as error:
        raise RuleError(error.diag.message_primary) from None
