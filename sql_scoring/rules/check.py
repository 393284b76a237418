"""Checks a rule set against a database: names, types, that conditions are immutable, that its lists are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from rowguard.database import one_line
from rowguard.declaration import Declaration
from rowguard.queries import load_queries
from sql_scoring.features.expressions import UNBOUNDED, ExpressionError, bind_names
from sql_scoring.rules.document import RuleProblem, RuleSet
from sql_scoring.rules.names import Name, binder, rule_names

QUERIES = load_queries("sql_scoring")
# A table has at most 1,600 columns.
_RULES_PER_TABLE = 500
# A constant that reads otherwise in one of these depends on the session.
_SESSIONS = (("UTC", "ISO, MDY"), ("Asia/Kathmandu", "ISO, DMY"))


def deployed_features(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the features of the champion in its order; none without one."""
    row = connection.execute(QUERIES["champion_features"]).fetchone()
    return list(row[0]) if row else []


def check_rules(
    rule_set: RuleSet,
    declaration: Declaration,
    feature_names: Sequence[str],
    connection: psycopg.Connection[Any],
) -> None:
    """Have PostgreSQL check names and types, and that every condition is immutable; nothing is kept.

    Args:
        rule_set: As read from a document.
        declaration: Columns and references.
        feature_names: The champion's features.
        connection: To the database, in a transaction or autocommit mode.

    Raises:
        RuleProblem: The first rule that is wrong, and why.
    """
    names = rule_names(declaration, feature_names)
    lists = {name for (name,) in connection.execute(QUERIES["list_names"])}
    columns = {name: (named.type, sql.Identifier(name).as_string(None)) for name, named in names.items()}
    bound = {name: Name(quoted, type_) for name, (type_, quoted) in columns.items()}
    conditions: list[str] = []
    for index, rule in enumerate(rule_set.rules):

        def bind_list(name: str) -> str:
            if name not in lists:
                raise ExpressionError(f"names `list.{name}`, but there is no such list; create it first")
            return sql.Identifier(f"list.{name}").as_string(None)

        try:
            conditions.append(bind_names(rule.when, binder(bound, bind_list), excluded=UNBOUNDED))
        except ExpressionError as error:
            hint = "" if feature_names else "; no model is deployed, so there are no features"
            raise _problem(index, rule.name, f"{error}{hint}") from None
    types = {name: type_ for name, (type_, _) in columns.items()}
    types |= {f"list.{name}": "boolean" for name in lists}
    for start in range(0, len(conditions), _RULES_PER_TABLE):
        part = conditions[start : start + _RULES_PER_TABLE]
        if _find_error(connection, types, part) is None:
            continue
        for index, condition in enumerate(part, start=start):
            if reason := _find_error(connection, types, [condition]):
                raise _problem(index, rule_set.rules[index].name, reason)


def _problem(index: int, name: str, message: str) -> RuleProblem:
    return RuleProblem(("rules", index, "when"), f"rule `{name}`", f"`when`: {message}")


def _find_error(
    connection: psycopg.Connection[Any], types: Mapping[str, str], conditions: Sequence[str]
) -> str | None:
    """A generated column takes immutable expressions only, without tables, aggregates and sets of rows."""
    statement = sql.SQL("CREATE TEMPORARY TABLE rowguard_check ({columns})").format(
        columns=sql.SQL(", ").join(
            [
                *(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
                    for name, type_ in types.items()
                ),
                *(
                    sql.SQL("{} boolean GENERATED ALWAYS AS ({}) STORED").format(
                        sql.Identifier(f"rule.{index}"), sql.SQL(condition)
                    )
                    for index, condition in enumerate(conditions)
                ),
            ]
        )
    )
    seen = []
    try:
        for time_zone, date_style in _SESSIONS:
            with connection.transaction(force_rollback=True):
                connection.execute(QUERIES["set_time_settings"], {"zone": time_zone, "style": date_style})
                connection.execute(statement)
                connection.execute(QUERIES["set_time_settings"], {"zone": "UTC", "style": "ISO, MDY"})
                seen.append(connection.execute(QUERIES["checked_expressions"]).fetchall())
    except psycopg.Error as error:
        reason = one_line(error).partition(" LINE 1: ")[0]
        return _DEPENDS if "not immutable" in reason else reason
    return None if seen[0] == seen[1] else _DEPENDS


_DEPENDS = (
    "it depends on the time, the session or its time zone; "
    "name zones: AT TIME ZONE 'UTC', '2026-01-01 00:00+00'"
)
