"""SQL that every rendering of a feature shares: the same count and exact sums go in, the same expression comes out.

`c` is the row whose features are computed, `e` a row that they read. Sums are numeric and so exact, whatever the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from rowguard.declaration import Declaration
from sql_scoring.features.expressions import bind_names, bind_to
from sql_scoring.features.plan import LookupRead, Plan, PlannedFeature, RangeRead, longest, minutes

# Which rows `e` the row `c` saw: by arrival when it was decided live; by event time, ties by id, when it was loaded.
VISIBLE = """CASE
    WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
    ELSE e.received_at < c.received_at
END"""


def indent(text: str, levels: int) -> str:
    """Return the text with every line after the first moved to the right.

    Args:
        text: SQL.
        levels: By how many levels of four spaces.
    """
    return text.replace("\n", "\n" + "    " * levels)


def interval(length: timedelta) -> str:
    """Return an interval of hours or minutes: its length does not depend on a time zone's clock changes."""
    whole = minutes(length)
    return f"interval '{whole} minutes'" if whole % 60 else f"interval '{whole // 60} hours'"


def window_start(length: timedelta, occurred_at: str = "c.occurred_at") -> str:
    """Return the end of the half-open window that rows must be later than.

    Args:
        length: Of the window.
        occurred_at: SQL of the transaction's time.
    """
    return f"{occurred_at} - {interval(length)}"


def aggregate_value(aggregate: str | None, txns: str, amount: str, squares: str) -> str:
    """Return the value of count, sum, mean or stddev from exact sums, each rounded once.

    Args:
        aggregate: count, sum, mean or stddev.
        txns, amount, squares: SQL of the window's count, sum and sum of squares.
    """
    if aggregate == "count":
        return f"coalesce({txns}, 0)::double precision"
    if aggregate == "sum":
        return f"coalesce({amount}, 0)::double precision"
    if aggregate == "mean":
        return f"{amount}::double precision / nullif({txns}, 0)::double precision"
    assert aggregate == "stddev"
    return (
        f"sqrt(({txns} * {squares} - {amount} * {amount})::double precision"
        f" / nullif({txns} * ({txns} - 1), 0)::double precision)"
    )


def minutes_since(last_at: str, occurred_at: str = "c.occurred_at") -> str:
    """Return minutes in float64: extract() computes in decimals, at three times the work.

    Args:
        last_at: SQL of the earlier time.
        occurred_at: SQL of the transaction's time.
    """
    return f"date_part('epoch', {occurred_at} - {last_at}) / 60"


def since_within(length: timedelta, last_at: str) -> str:
    """Return the minutes since a time, missing when it is not in the window.

    Args:
        length: Of the window.
        last_at: SQL of the earlier time.
    """
    return f"CASE WHEN {last_at} > {window_start(length)} THEN {minutes_since(last_at)} END"


def only_with_key(planned: PlannedFeature, value: str) -> str:
    """Return the value, missing where the row has no key: there is nothing to aggregate, which is not zero.

    Args:
        planned: The feature.
        value: SQL of its value.
    """
    if not planned.extra_columns:
        return value
    condition = " AND ".join(f"c.{column} IS NOT NULL" for column in planned.extra_columns)
    return f"CASE WHEN {condition} THEN {value} END"


def row_scan(features: Sequence[PlannedFeature], transactions: str, visible: str | None = None) -> str:
    """Return a query of the user's windowed features from every row of the longest window.

    Args:
        features: Of kinds running_total and recency.
        transactions: The relation that is read.
        visible: Condition on rows `e`; None for all.
    """
    values = ",\n    ".join(f"{_row_scan_value(planned)} AS {planned.name}" for planned in features)
    more = f"\n    AND {indent(visible, 1)}" if visible else ""
    return (
        f"SELECT\n    {values}\nFROM {transactions} AS e\nWHERE e.user_id = c.user_id\n"
        f"    AND e.occurred_at > {window_start(longest(features))}\n    AND e.occurred_at <= c.occurred_at{more}"
    )


def _row_scan_value(planned: PlannedFeature) -> str:
    same_key = "".join(f" AND e.{column} = c.{column}" for column in planned.extra_columns)
    only = f" FILTER (WHERE e.occurred_at > {window_start(planned.feature.length)}{same_key})"
    if planned.kind == "recency":
        value = minutes_since(f"max(e.occurred_at){only}")
    else:
        value = aggregate_value(
            planned.feature.aggregate,
            f"count(*){only}",
            f"sum(e.amount){only}",
            f"sum(e.amount * e.amount){only}",
        )
    return only_with_key(planned, value)


def empty_value(planned: PlannedFeature) -> str:
    """Return the value of a windowed feature of a user without rows.

    Args:
        planned: Of kind running_total or recency.
    """
    return f"{'0' if planned.feature.aggregate in ('count', 'sum') else 'NULL'}::double precision"


def range_join(
    read: RangeRead, declaration: Declaration, transactions: str, key: str, visible: str | None
) -> str:
    """Return the lateral join of one range: aggregates over the newest rows of an entity.

    Args:
        read: The range.
        declaration: Types of the columns.
        transactions: The relation that is read.
        key: Where the key's columns are: `c` or `p_request`.
        visible: Condition on rows `e`; None for all.
    """
    values = ",\n        ".join(
        f"{_range_value(planned, read, declaration)} AS {planned.name}" for planned in read.features
    )
    rows = _entity_rows(
        read.columns, ("occurred_at", *read.measured), transactions, key, read.window, visible
    )
    return (
        f"CROSS JOIN LATERAL (\n    SELECT\n        {values}\n    FROM (\n        {indent(rows, 2)}\n"
        f"        ORDER BY e.occurred_at DESC, e.transaction_id DESC\n        LIMIT {read.at_most}\n    ) AS e\n"
        f") AS {read.alias}"
    )


def lookup_join(read: LookupRead, transactions: str, key: str, visible: str | None) -> str:
    """Return the lateral join of one row: the entity's newest, or its first one in a window.

    Args:
        read: The row.
        transactions: The relation that is read.
        key: Where the key's columns are: `c` or `p_request`.
        visible: Condition on rows `e`; None for all.
    """
    rows = _entity_rows(
        read.columns, ("occurred_at", *read.measured), transactions, key, read.window, visible
    )
    order = (
        "e.occurred_at, e.transaction_id" if read.is_first else "e.occurred_at DESC, e.transaction_id DESC"
    )
    return f"LEFT JOIN LATERAL (\n    {indent(rows, 1)}\n    ORDER BY {order}\n    LIMIT 1\n) AS {read.alias} ON true"


def lookup_values(read: LookupRead, columns: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the SQL of each feature of a lookup.

    Args:
        read: The lookup.
        columns: SQL by column of the row that was found; None where the join has the lookup's name.
    """
    found = columns or {name: f"{read.alias}.{name}" for name in ("occurred_at", *read.measured)}
    values: dict[str, str] = {}
    for planned in read.features:
        feature = planned.feature
        if feature.aggregate == "previous":
            assert feature.of is not None
            value = f"{found[feature.of]}::numeric::double precision"
            values[planned.name] = (
                f"CASE WHEN {found['occurred_at']} > {window_start(feature.length)} THEN {value} END"
            )
        else:
            values[planned.name] = since_within(feature.length, found["occurred_at"])
    return values


def derived_values(plan: Plan, values: Mapping[str, str], previous: Mapping[str, str]) -> str:
    """Return the array of all values, in the order of the list.

    Args:
        plan: The features.
        values: SQL by name of every feature that is not derived.
        previous: SQL by column of the user's previous row.

    Returns:
        An ARRAY of real: the cast is scikit-learn's own, so what is stored is exactly what the model sees.
    """
    row = {name: f"c.{name}" for name in plan.declaration.row_types()}
    items = []
    for planned in plan.features:
        value = values.get(planned.name)
        if planned.feature.expression is not None:
            value = bind_names(planned.feature.expression, bind_to({**row, **values}, previous))
        items.append(f"({value})::real")
    return "ARRAY[\n    " + ",\n    ".join(items) + "\n]"


def _entity_rows(
    columns: Sequence[str],
    selected: Sequence[str],
    transactions: str,
    key: str,
    window: timedelta | None,
    visible: str | None,
) -> str:
    conditions = [f"e.{column} = {key}.{column}" for column in columns]
    if window is not None:
        conditions.append(f"e.occurred_at > {window_start(window, f'{key}.occurred_at')}")
    conditions.append(f"e.occurred_at <= {key}.occurred_at")
    if visible:
        conditions.append(indent(visible, 1))
    names = ", ".join(f"e.{name}" for name in selected)
    return f"SELECT {names}\nFROM {transactions} AS e\nWHERE " + "\n    AND ".join(conditions)


def _range_value(planned: PlannedFeature, read: RangeRead, declaration: Declaration) -> str:
    feature = planned.feature
    in_window = [] if feature.length == read.window else [f"e.occurred_at > {window_start(feature.length)}"]
    where = []
    if feature.where is not None:
        row = {name: f"e.{name}" for name in declaration.request_types()}
        where = ["(" + bind_names(feature.where, bind_to(row)) + ")"]

    def only(conditions: Sequence[str]) -> str:
        return f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""

    both = only([*in_window, *where])
    types = declaration.request_types()
    measured = f"e.{feature.of}"
    # Sums of floating-point numbers depend on the order of the rows; decimals do not.
    exact = measured if feature.of and types[feature.of] == "numeric" else f"{measured}::numeric"
    if feature.aggregate == "count":
        value = f"(count(*){both})::double precision"
    elif feature.aggregate == "distinct":
        value = f"(count(DISTINCT {measured}){both})::double precision"
    elif feature.aggregate in ("min", "max"):
        value = f"({feature.aggregate}({measured}){both})::double precision"
    elif feature.aggregate == "share":
        value = (
            f"(count(*){both})::double precision / nullif((count(*){only(in_window)})::double precision, 0)"
        )
    elif feature.aggregate == "minutes_since_last":
        value = minutes_since(f"(max(e.occurred_at){both})")
    elif feature.aggregate == "minutes_since_first":
        value = minutes_since(f"(min(e.occurred_at){both})")
    elif feature.aggregate == "previous":
        value = f"((array_agg({measured}::numeric ORDER BY e.occurred_at DESC){both})[1])::double precision"
    else:
        value = aggregate_value(
            feature.aggregate,
            f"(count({measured}){both})",
            f"(sum({exact}){both})",
            f"(sum({exact} * {exact}){both})",
        )
    return only_with_key(planned, value)
