"""Daily sums of an entity, as known when the transaction's day began: windows end `delay` days before that day.

A table holds them as type-2 rows, so that a read is one row of an index however busy the entity is, and windows continue
to slide between two builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sql_scoring.features.expressions import bind_names, bind_to
from sql_scoring.features.plan import Plan, PlannedFeature, Rollup
from sql_scoring.features.reads import aggregate_value, indent

_MEASURES = ("txns", "frauds", "amount")


class StoredColumn(NamedTuple):
    """A column of the type-2 table.

    Attributes:
        name: Its name.
        value: SQL over the sums `s`.
        type: SQL type.
        missing: Its value for an entity without a row.
        description: What it says.
    """

    name: str
    value: str
    type: str
    missing: str
    description: str


class _Window(NamedTuple):
    delay: int
    days: int
    condition: int

    @property
    def end(self) -> int:
        """After how many days an event has left it."""
        return self.delay + self.days

    def column(self, measure: str) -> str:
        return f"{measure}_{self.days}d_delayed_{self.delay}d" + _suffix(self.condition)


def joins(plan: Plan, tables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the joins that give the rollup features of a row `c`, and the SQL of each feature.

    Args:
        plan: The features.
        tables: Relation by model of each type-2 table.
    """
    texts: list[str] = []
    values: dict[str, str] = {}
    if plan.overall:
        texts.append(_join(plan.overall, tables))
    for rollup in plan.rollups:
        texts.append(_join(rollup, tables))
        for planned in rollup.features:
            values[planned.name] = _read_value(planned, rollup)
    return texts, values


def stored_columns(rollup: Rollup) -> list[StoredColumn]:
    """Return the columns of a rollup's table other than its key and valid_from."""
    columns = []
    for planned in rollup.features:
        window = _window(planned, rollup)
        txns, frauds, amount = (f"s.{window.column(measure)}" for measure in _MEASURES)
        name, text = planned.name, planned.feature.description
        if planned.feature.smoothing and rollup.columns:
            columns += [
                StoredColumn(
                    f"{name}_frauds",
                    f"{frauds}::double precision",
                    "double precision",
                    "0",
                    f"Frauds. {text}",
                ),
                StoredColumn(
                    f"{name}_txns",
                    f"{txns}::double precision",
                    "double precision",
                    "0",
                    f"Transactions. {text}",
                ),
            ]
        elif planned.feature.aggregate == "fraud_count":
            columns.append(StoredColumn(name, f"{frauds}::double precision", "real", "0", text))
        elif planned.feature.aggregate == "fraud_rate":
            rate = f"{frauds}::double precision / nullif({txns}, 0)::double precision"
            type_ = "double precision" if planned.feature.smoothing else "real"
            columns.append(StoredColumn(name, rate, type_, "NULL", text))
        else:
            value = aggregate_value(planned.feature.aggregate, txns, amount, "")
            columns.append(
                StoredColumn(name, value, "real", "0" if _is_never_missing(planned) else "NULL", text)
            )
    return columns


def render_daily_sums(rollup: Rollup, plan: Plan) -> str:
    """Return the dbt model of sums per entity, date of the event and date on which it was known.

    Args:
        rollup: The entity and its features.
        plan: The features with the declared columns.
    """
    row = {name: f"t.{name}" for name in plan.declaration.request_types()}
    keys = "".join(f"    t.{column},\n" for column in rollup.columns)
    group = "".join(f"t.{column}, " for column in rollup.columns)
    known = "".join(
        f"\nWHERE t.{column} IS NOT NULL" if i == 0 else f" AND t.{column} IS NOT NULL"
        for i, column in enumerate(rollup.columns)
    )
    events, labels = [], []
    for index, condition in enumerate(rollup.conditions):
        only = f" FILTER (WHERE {bind_names(condition, bind_to(row))})" if condition else ""
        end = _suffix(index)
        amount = f"sum(t.amount){only}" if not only else f"coalesce(sum(t.amount){only}, 0)"
        events += [f"(count(*){only})::integer AS txns{end}", f"0 AS frauds{end}", f"{amount} AS amount{end}"]
        frauds = f"sum(l.fraud_change){only}" if not only else f"coalesce(sum(l.fraud_change){only}, 0)"
        labels += [f"0 AS txns{end}", f"({frauds})::integer AS frauds{end}", f"0::numeric AS amount{end}"]
    event_columns, label_columns = (",\n    ".join(columns) for columns in (events, labels))
    return f"""-- Sums per entity, date of the event and date on which it was known: what rollups are made of. A transaction counts
-- from when it was received, a fraud from when its label was. A withdrawn label counts against the one before it.
-- integer: sums of it are bigint, which are far faster than numeric.
SELECT
{keys}    t.event_date,
    t.known_date,
    {event_columns}
FROM {{{{ ref('stg_transactions') }}}} AS t{known}
GROUP BY {group}t.event_date, t.known_date
UNION ALL
SELECT
{keys}    t.event_date,
    greatest(l.known_date, t.known_date) AS known_date,
    {label_columns}
FROM {{{{ ref('int_label_changes') }}}} AS l
INNER JOIN {{{{ ref('stg_transactions') }}}} AS t ON l.user_id = t.user_id AND l.transaction_id = t.transaction_id{known}
GROUP BY {group}t.event_date, greatest(l.known_date, t.known_date)
"""


def render_rollup(rollup: Rollup, alias: str) -> str:
    """Return the dbt model of a rollup's type-2 rows.

    What happened on `event_date` and became known on `known_date` enters a window when the window's end has passed the
    first and the current date the second. It leaves when the window's start has passed it.

    Args:
        rollup: The entity and its features.
        alias: Name of the table.
    """
    windows = _windows(rollup)
    stored = stored_columns(rollup)
    keys = rollup.columns
    indexed = ", ".join(f"'{column}'" for column in (*keys, "valid_from"))
    delays = ",\n        ".join(
        f"({delay}, 0, 1, greatest(d.event_date + {delay + 1}, d.known_date + 1))"
        for delay in dict.fromkeys(window.delay for window in windows)
    )
    ends = ",\n        ".join(
        f"({delay}, {days}, -1, d.event_date + {delay + days + 1})"
        for delay, days in dict.fromkeys((window.delay, window.days) for window in windows)
    )
    measures = ",\n        ".join(
        f"m.sign * d.{measure}{_suffix(index)} AS {measure}{_suffix(index)}"
        for index in range(len(rollup.conditions))
        for measure in _MEASURES
    )
    sums = ",\n        ".join(
        f"coalesce(sum(c.{measure}{_suffix(window.condition)}) FILTER (\n"
        f"            WHERE c.delay = {window.delay} AND c.window_days IN (0, {window.days})"
        f" AND c.known_after < {window.end}\n        ) OVER so_far, 0) AS {window.column(measure)}"
        for window in windows
        for measure in _measures(window, rollup)
    )
    values = ",\n        ".join(f"({column.value})::{column.type} AS {column.name}" for column in stored)
    compared = "ARRAY[{}]::double precision[]"
    current = compared.format(", ".join(f"{{0}}.{column.name}" for column in stored))
    missing = compared.format(", ".join(column.missing for column in stored))

    def partition(row: str) -> str:
        return f"PARTITION BY {', '.join(f'{row}.{column}' for column in keys)} " if keys else ""

    def listed(row: str, levels: int) -> str:
        return "".join(f"{row}.{column},\n{'    ' * levels}" for column in keys)

    return f"""{{{{ config(
    alias='{alias}',
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{{'columns': [{indexed}], 'unique': True}}],
    pre_hook="{{{{ delete_rows_to_rebuild({list(keys)}) }}}}",
    post_hook=[{{'sql': 'VACUUM (ANALYZE) {{{{ this }}}}', 'transaction': False}}],
) }}}}
-- Type-2 rows: what happened on `event_date` and became known on `known_date` enters a window when the window's end has
-- passed the first and the current date the second. It leaves when the window's start has passed it.
WITH changes AS (
    -- What each daily sum adds to all windows of a delay (`window_days` 0), and takes from each window again.
    SELECT
        {listed("d", 2)}-- What changed before the first date only counts towards the sums that it starts with.
        greatest(m.valid_from, date '{{{{ rebuild_from() }}}}' - 1) AS valid_from,
        m.delay,
        m.window_days,
        d.known_date - d.event_date AS known_after,
        {measures}
    FROM {{{{ ref('{rollup.daily_model}') }}}} AS d
    CROSS JOIN LATERAL (
        VALUES
        {delays},
        {ends}
    ) AS m (delay, window_days, sign, valid_from)
    WHERE d.event_date >= date '{{{{ rebuild_from() }}}}' - {max(window.end for window in windows) + 1}
),

-- Rows of one date are peers: each holds the sums of all of them, and all but one are left out below. What became known
-- after a window had passed never enters it.
sums AS (
    SELECT
        {listed("c", 2)}c.valid_from,
        {sums}
    FROM changes AS c
    WINDOW so_far AS ({partition("c")}ORDER BY c.valid_from)
),

valued AS (
    SELECT
        {listed("s", 2)}s.valid_from,
        {values}
    FROM sums AS s
),

compared AS (
    SELECT
        v.*,
        lag({current.format("v")}, 1, {missing}) OVER (
            {partition("v")}ORDER BY v.valid_from
        ) AS previous_values
    FROM valued AS v
)

SELECT
    {listed("c", 1)}c.valid_from,
    {indent(", ".join(f"c.{column.name}" for column in stored).replace(", ", "," + chr(10)), 1)}
FROM compared AS c
WHERE c.valid_from >= '{{{{ rebuild_from() }}}}' AND {current.format("c")} IS DISTINCT FROM c.previous_values
-- Dates that transactions read today lie together on the pages.
ORDER BY c.valid_from
"""


def _join(rollup: Rollup, tables: Mapping[str, str]) -> str:
    names = ", ".join(f"r.{column.name}" for column in stored_columns(rollup))
    keys = "".join(f"r.{column} = c.{column} AND " for column in rollup.columns)
    return (
        f"LEFT JOIN LATERAL (\n    SELECT {names}\n    FROM {tables[rollup.model]} AS r\n"
        f"    WHERE {keys}r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date\n"
        f"    ORDER BY r.valid_from DESC\n    LIMIT 1\n) AS {rollup.model} ON true"
    )


def _read_value(planned: PlannedFeature, rollup: Rollup) -> str:
    column = f"{rollup.model}.{planned.name}"
    if smoothing := planned.feature.smoothing:
        # A value that was never seen has no row, and stays missing.
        return f"({column}_frauds + {smoothing!r} * overall_risk.{planned.name}) / ({column}_txns + {smoothing!r})"
    if not _is_never_missing(planned):
        return column
    known = " AND ".join(f"c.{name} IS NOT NULL" for name in rollup.columns)
    return f"CASE WHEN {known} THEN coalesce({column}, 0::real) END"


def _is_never_missing(planned: PlannedFeature) -> bool:
    """Counts and sums of an entity without a row are 0; means and rates are missing."""
    return planned.feature.aggregate in ("count", "sum", "fraud_count")


def _windows(rollup: Rollup) -> list[_Window]:
    return list(dict.fromkeys(_window(planned, rollup) for planned in rollup.features))


def _window(planned: PlannedFeature, rollup: Rollup) -> _Window:
    condition = rollup.conditions.index(planned.feature.where)
    return _Window(planned.delay_days, planned.window_days, condition)


def _measures(window: _Window, rollup: Rollup) -> list[str]:
    """Return the sums that features of a window read."""
    read = {
        "count": ("txns",),
        "fraud_count": ("frauds",),
        "fraud_rate": ("txns", "frauds"),
        "sum": ("amount",),
        "mean": ("txns", "amount"),
    }
    features = [planned for planned in rollup.features if _window(planned, rollup) == window]
    used = {measure for planned in features for measure in read[planned.feature.aggregate or ""]}
    return [measure for measure in _MEASURES if measure in used]


def _suffix(condition: int) -> str:
    return f"_{condition + 1}" if condition else ""
