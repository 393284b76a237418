"""Renders the functions that read a request's features while it is inserted or scored: bodies of PL/pgSQL functions."""

from __future__ import annotations

from typing import NamedTuple

from rowguard.declaration import Declaration
from sql_scoring.features import rollups
from sql_scoring.features.plan import Plan, PlannedFeature
from sql_scoring.features.reads import (
    aggregate_value,
    derived_values,
    empty_value,
    indent,
    interval,
    lookup_join,
    lookup_values,
    minutes_since,
    range_join,
    row_scan,
    since_within,
)

# score_features takes four values under names that stay; what a list does not have is left out.
SUPPLIED_FEATURES = {
    "transaction_amount": "p_transaction_amount",
    "user_txn_minutes_since_last": "p_time_since_last_txn",
    "user_txn_count_1h": "p_num_txns_last_hour",
    "user_location_match": "p_user_location_match::integer",
}


class Relations(NamedTuple):
    """SQL names of what the functions read. A database's name is never part of them: bodies must survive a restore."""

    transactions: str
    references: dict[str, str]
    rollups: dict[str, str]
    hash8: str


def render_live(plan: Plan, relations: Relations) -> str:
    """Return the body of live_feature_values: one statement of a few index lookups, and the slow path.

    Args:
        plan: The features.
        relations: What it reads.

    Returns:
        PL/pgSQL; it returns a scoring.decision with the values, references, and the user's last row.
    """
    names = [name for _, _, name, _ in plan.declaration.reference_columns()]
    references = "".join(f"d.{name}, " for name in names)
    return f"""-- The features of a transaction that is being inserted or only scored: a few index lookups. The user's last row
-- comes with them, which the new row's running totals continue from.
DECLARE
    d scoring.decision;
BEGIN
    {indent(_live_query(plan, relations), 1)}
    INTO
        d.feature_values, {references}d.last_occurred_at, d.txns_through_last, d.amount_through_last,
        d.amount_squares_through_last;
    IF NOT FOUND THEN
        -- The user's first row.
        {indent(_first_query(plan, relations), 2)}
        INTO {", ".join(["d.feature_values", *(f"d.{name}" for name in names)])};
        d.last_occurred_at := '-infinity';
        d.txns_through_last := 0;
        d.amount_through_last := 0;
        d.amount_squares_through_last := 0;
    ELSIF d.feature_values IS NULL THEN
        d.feature_values := features.row_scan_feature_values_{relations.hash8}(p_request);
    END IF;
    RETURN d;
END
"""


def render_row_scan(plan: Plan, relations: Relations) -> str:
    """Return the body of row_scan_feature_values, the slow path for late rows and pending totals.

    Args:
        plan: The features.
        relations: What it reads.
    """
    values = {planned.name: f"w.{planned.name}" for planned in plan.windowed}
    scan = f"CROSS JOIN LATERAL (\n    {indent(row_scan(plan.windowed, relations.transactions), 1)}\n) AS w"
    array, source = _values_and_source(plan, relations, values, [scan] if plan.windowed else [])
    return f"""-- The same features from every row of the user's longest window: the slow path for a late-arriving transaction, and for
-- a user whose totals are pending.
DECLARE
    v_feature_values real[];
BEGIN
    SELECT
        {indent(array, 2)}
    INTO v_feature_values
    {indent(source, 1)};
    RETURN v_feature_values;
END
"""


def render_recency(plan: Plan, relations: Relations) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return name → (columns, body) of the functions that find when the user was last at a key.

    A range of time in the index condition would be checked for every row on a page; so it is checked for the row that
    was found.

    Args:
        plan: The features.
        relations: What they read.
    """
    functions: dict[str, tuple[tuple[str, ...], str]] = {}
    for planned in plan.of_kind("recency"):
        if not planned.extra_columns:
            continue
        keys = "".join(f" AND e.{column} = p_{column}" for column in planned.extra_columns)
        functions[f"{planned.feature.entity}_minutes_since"] = (
            planned.extra_columns,
            f"""-- Minutes since the user's newest transaction with this key, if it is in the window; the live features call it
-- when the user's last transaction had another one.
BEGIN
    RETURN (
        SELECT CASE WHEN e.occurred_at > p_occurred_at - p_window THEN {minutes_since("e.occurred_at", "p_occurred_at")} END
        FROM {relations.transactions} AS e
        WHERE e.user_id = p_user_id{keys}
        ORDER BY e.occurred_at DESC
        LIMIT 1
    );
END
""",
        )
    return functions


def render_supplied(plan: Plan) -> str:
    """Return the body of supplied_feature_values: four values of a caller, the others missing."""
    items = ",\n        ".join(f"{SUPPLIED_FEATURES.get(name, 'NULL')}::real" for name in plan.names)
    return f"""-- The features of a caller who supplies four of them; the others are missing. Names are those of the list.
BEGIN
    RETURN ARRAY[
        {items}
    ];
END
"""


def _live_query(plan: Plan, relations: Relations) -> str:
    """One statement: the user's last row `l` holds the running totals through it, the first row of each window those
    before it, and their difference is the window's. Values are NULL where totals cannot give them: the request is late,
    or a row of the user is pending. For a user without rows the statement returns none."""
    transactions = relations.transactions
    last_columns = {column for planned in plan.of_kind("recency") for column in planned.extra_columns}
    values: dict[str, str] = {}
    joins: list[str] = []
    if totals := plan.of_kind("running_total"):
        joins.append(_totals_join(totals, transactions))
        values |= {planned.name: f"w.{planned.name}" for planned in totals}
    recency = plan.of_kind("recency")
    if recency:
        named = ",\n        ".join(
            f"{_live_recency(planned, relations.hash8)} AS {planned.name}" for planned in recency
        )
        joins.append(f"CROSS JOIN LATERAL (\n    SELECT\n        {named}\n{_offset(plan, recency)}) AS p")
        values |= {planned.name: f"p.{planned.name}" for planned in recency}
    previous: dict[str, str] = {}
    for read in plan.lookups:
        if (read.entity, read.is_first) == ("user", False):
            last_columns |= set(read.measured)
            previous = _previous_columns(read.measured, "l.last_{}")
            values |= lookup_values(read, previous)
        else:
            joins.append(lookup_join(read, transactions, "p_request", None))
            values |= lookup_values(read)
    _add_shared_reads(plan, relations, joins, values)
    references = "".join(f"\n    c.{name}," for _, _, name, _ in plan.declaration.reference_columns())
    last = "".join(
        f"\n        e.{name} AS last_{name},"
        for name in plan.declaration.request_types()
        if name in last_columns - {"occurred_at"}
    )
    return f"""SELECT
    CASE
        WHEN l.last_occurred_at > c.occurred_at OR l.totals_pending THEN NULL
        ELSE {indent(derived_values(plan, values, previous), 2)}
    END,{references}
    CASE WHEN NOT l.totals_pending THEN l.last_occurred_at END,
    l.txns_through,
    l.amount_through,
    l.amount_squares_through
FROM (
    {indent(_request_row(plan.declaration, relations), 1)}
) AS c
-- No row for a user without transactions: a second statement computes their first features.
CROSS JOIN LATERAL (
    SELECT
        e.occurred_at AS last_occurred_at,
        e.user_txns_before + 1 AS txns_through,
        e.user_amount_before + e.amount AS amount_through,
        e.user_amount_squares_before + e.amount * e.amount AS amount_squares_through,{last}
        EXISTS (
            SELECT FROM {transactions} AS n WHERE n.user_id = p_request.user_id AND n.user_txns_before IS NULL
        ) AS totals_pending
    FROM {transactions} AS e
    WHERE e.user_id = p_request.user_id
    ORDER BY e.occurred_at DESC, e.user_txns_before DESC
    LIMIT 1
) AS l
{chr(10).join(joins)}"""


def _first_query(plan: Plan, relations: Relations) -> str:
    """The features of a user without rows, whose windows are empty. OFFSET keeps the planner from computing with their
    constants: an expression that divides by one would fail where it is not needed."""
    values = {planned.name: f"w.{planned.name}" for planned in plan.windowed}
    named = ", ".join(f"{empty_value(planned)} AS {planned.name}" for planned in plan.windowed)
    empty = f"CROSS JOIN (\n    SELECT {named}\n    OFFSET 0\n) AS w"
    array, source = _values_and_source(plan, relations, values, [empty] if plan.windowed else [])
    references = "".join(f",\n    c.{name}" for _, _, name, _ in plan.declaration.reference_columns())
    return f"SELECT\n    {indent(array, 1)}{references}\n{source}"


def _values_and_source(
    plan: Plan, relations: Relations, values: dict[str, str], joins: list[str]
) -> tuple[str, str]:
    """The array of all values, and the FROM clause that it needs, where totals are not read."""
    values, joins, previous = dict(values), list(joins), {}
    for read in plan.lookups:
        joins.append(lookup_join(read, relations.transactions, "p_request", None))
        values |= lookup_values(read)
        if (read.entity, read.is_first) == ("user", False):
            previous = _previous_columns(read.measured, read.alias + ".{}")
    _add_shared_reads(plan, relations, joins, values)
    request = f"FROM (\n    {indent(_request_row(plan.declaration, relations), 1)}\n) AS c"
    return derived_values(plan, values, previous), "\n".join([request, *joins])


def _totals_join(totals: tuple[PlannedFeature, ...], transactions: str) -> str:
    windows = list(dict.fromkeys(planned.feature.length for planned in totals))
    aggregates = list(dict.fromkeys(planned.feature.aggregate for planned in totals))
    named = ",\n        ".join(
        f"s.windows[{windows.index(planned.feature.length) + 1}][{aggregates.index(planned.feature.aggregate) + 1}]"
        f" AS {planned.name}"
        for planned in totals
    )
    values = ",\n                ".join(
        aggregate_value(aggregate, "f.txns", "f.amount", "f.squares") for aggregate in aggregates
    )
    lengths = ", ".join(f"({interval(window)})" for window in windows)
    return f"""CROSS JOIN LATERAL (
    -- Both OFFSETs keep the planner from copying these expressions into each derived feature.
    SELECT
        {named}
    FROM (
        -- A row per window, in the order of the windows (a nested loop keeps it), a column per aggregate. Expressions
        -- are built once for all windows here; next to each feature's name they would be built for each.
        SELECT ARRAY(
            SELECT ARRAY[
                {values}
            ]
            FROM (VALUES {lengths}) AS w (length)
            LEFT JOIN LATERAL (
                SELECT
                    l.txns_through - e.user_txns_before AS txns,
                    l.amount_through - e.user_amount_before AS amount,
                    l.amount_squares_through - e.user_amount_squares_before AS squares
                FROM {transactions} AS e
                WHERE e.user_id = p_request.user_id AND e.occurred_at > p_request.occurred_at - w.length
                ORDER BY e.occurred_at, e.user_txns_before
                LIMIT 1
            ) AS f ON true
        ) AS windows
        OFFSET 0
    ) AS s
    OFFSET 0
) AS w"""


def _live_recency(planned: PlannedFeature, hash8: str) -> str:
    """Next to running totals no row is later than the request, so the newest row with the key is the one. Usually that
    is the user's last row: the lookup of another one is a function, whose statement is set up only when it is called."""
    length = planned.feature.length
    if not planned.extra_columns:
        return since_within(length, "l.last_occurred_at")
    same = " AND ".join(f"l.last_{column} = c.{column}" for column in planned.extra_columns)
    known = " AND ".join(f"c.{column} IS NOT NULL" for column in planned.extra_columns)
    arguments = "".join(f"p_request.{column}, " for column in planned.extra_columns)
    return f"""CASE
            WHEN {same} THEN {since_within(length, "l.last_occurred_at")}
            WHEN {known}
                THEN features.{planned.feature.entity}_minutes_since_{hash8}(
                    p_request.user_id, {arguments}p_request.occurred_at, {interval(length)}
                )
        END"""


def _add_shared_reads(plan: Plan, relations: Relations, joins: list[str], values: dict[str, str]) -> None:
    for read in plan.ranges:
        joins.append(range_join(read, plan.declaration, relations.transactions, "p_request", None))
        values |= {planned.name: f"{read.alias}.{planned.name}" for planned in read.features}
    rollup_joins, rollup_values = rollups.joins(plan, relations.rollups)
    joins += rollup_joins
    values |= rollup_values


def _previous_columns(measured: tuple[str, ...], pattern: str) -> dict[str, str]:
    return {name: pattern.format(name) for name in ("occurred_at", *measured)}


def _offset(plan: Plan, features: tuple[PlannedFeature, ...]) -> str:
    """OFFSET 0 where derived features name these: the planner would copy each expression into every one."""
    return "    OFFSET 0\n" if plan.is_named_by_derived(features) else ""


def _request_row(declaration: Declaration, relations: Relations) -> str:
    columns = [f"p_request.{name} AS {name}" for name in declaration.request_types()]
    columns += [
        f"({_reference_lookup(table, key, name, relations)}) AS {name}"
        for table, key, name in _reference_columns(declaration)
    ]
    return "SELECT\n    " + ",\n    ".join(columns)


def _reference_lookup(table: str, key: str, name: str, relations: Relations) -> str:
    return f"SELECT u.{name} FROM {relations.references[table]} AS u WHERE u.{key} = p_request.{key}"


def _reference_columns(declaration: Declaration) -> list[tuple[str, str, str]]:
    return [(table, reference.key, name) for table, reference, name, _ in declaration.reference_columns()]
