"""Renders the training features: window frames where they give what a row saw, a row scan where they do not."""

from __future__ import annotations

from sql_scoring.features import rollups
from sql_scoring.features.plan import Plan, PlannedFeature, Rollup
from sql_scoring.features.reads import (
    VISIBLE,
    aggregate_value,
    derived_values,
    indent,
    interval,
    lookup_join,
    lookup_values,
    only_with_key,
    range_join,
    row_scan,
    since_within,
)

TRANSACTIONS = "{{ ref('stg_transactions') }}"


def row_columns(plan: Plan) -> list[str]:
    """Return the columns of a transaction that its features are computed from."""
    declaration = plan.declaration
    return [
        "user_id",
        "transaction_id",
        "occurred_at",
        "received_at",
        "is_history",
        "amount",
        *declaration.columns,
        *(name for _, _, name, _ in declaration.reference_columns()),
        "is_scored_live",
    ]


def render_training_features(plan: Plan, alias: str) -> str:
    """Return the dbt model of every transaction's features as they were, or would have been, when it was decided.

    Args:
        plan: The features.
        alias: Name of the table.
    """
    columns = ",\n        ".join(row_columns(plan))
    windowed = "".join(f",\n        {planned.name}" for planned in plan.windowed)
    is_unbuilt = (
        "NOT EXISTS (\n            SELECT FROM {{ this }} AS b"
        " WHERE b.user_id = r.user_id AND b.transaction_id = r.transaction_id\n        )"
    )
    rows = "{{ ref('int_training_rows') }}"
    return f"""{{{{ config(
    alias='{alias}',
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{{'columns': ['transaction_id', 'user_id'], 'unique': True}}],
    post_hook=['{{{{ delete_incomplete_rows(this) }}}}', 'ANALYZE {{{{ this }}}}'],
) }}}}
-- Rows that the deployed list decided keep what the model saw ("log and wait"); all others are computed, by window
-- frames where they can, and with a row scan where they cannot.
WITH
reachable AS (
    SELECT
        r.*,
        r.is_complete AND NOT r.is_logged
        {{%- if is_incremental() %}}
        AND r.occurred_at >= {{{{ rebuild_from_at() }}}}
        {{%- endif %}} AS is_computed
    FROM {rows} AS r
    {{%- if is_incremental() %}}
    WHERE r.occurred_at >= {{{{ rebuild_from_at() }}}} - {interval(plan.longest_window)}
        AND r.user_id IN (
            SELECT h.user_id
            FROM {rows} AS h
            WHERE NOT h.is_logged AND h.occurred_at >= {{{{ rebuild_from_at() }}}}
        )
    {{%- endif %}}
),

framed AS (
    {indent(_window_frames(plan, "reachable"), 1)}
),

row_scanned AS (
    SELECT
        {columns}
    FROM framed
    WHERE is_computed AND needs_row_scan
    {{%- if is_incremental() %}}
    UNION ALL
    SELECT
        {columns}
    FROM {rows} AS r
    WHERE r.is_complete AND NOT r.is_history AND NOT r.is_logged AND r.occurred_at < {{{{ rebuild_from_at() }}}}
        AND {is_unbuilt}
    {{%- endif %}}
),

windowed AS (
    SELECT
        {columns}{windowed}
    FROM framed
    WHERE is_computed AND NOT needs_row_scan
    UNION ALL
    {indent(_scan_query(plan, "row_scanned"), 1)}
)

{_point_in_time(plan, "windowed")}
UNION ALL
SELECT
    r.user_id,
    r.transaction_id,
    r.occurred_at,
    r.is_history,
    r.feature_values,
    '{{{{ run_started_at }}}}'::timestamptz AS built_at
FROM {rows} AS r
WHERE r.is_complete AND r.is_logged
    {{%- if is_incremental() %}}
    AND {is_unbuilt}
    {{%- endif %}}
"""


def render_recomputed_features(plan: Plan) -> str:
    """Return the dbt model that computes a sample of live rows again and compares it with what the model saw."""
    columns = ",\n        ".join(row_columns(plan))
    own, lagged, of_others = (
        [name for name in plan.names if plan.skew_kinds[name] == kind]
        for kind in ("window", "rollup", "shared")
    )
    return f"""{{{{ config(materialized='table', post_hook='ANALYZE {{{{ this }}}}') }}}}
-- Live rows of the last 7 days whose features are computed again from the transactions, and what the model saw. It
-- shows that online and offline are the same. At most 2,000 rows per day, chosen by a hash. Without users who have a row
-- with features_caveat: what concurrent transactions saw of each other then cannot be told afterwards.
WITH sampled AS (
    SELECT
        {columns},
        feature_values
    FROM (
        SELECT
            r.*,
            row_number() OVER (
                PARTITION BY (r.received_at AT TIME ZONE 'UTC')::date ORDER BY hashint8(r.transaction_id)
            ) AS position
        FROM {{{{ ref('int_training_rows') }}}} AS r
        WHERE r.is_logged AND r.is_complete AND r.received_at >= now() - interval '7 days'
            AND NOT EXISTS (
                SELECT FROM {{{{ source('public', 'transactions') }}}} AS t
                WHERE t.user_id = r.user_id AND t.features_caveat IS NOT NULL
            )
    ) AS ranked
    WHERE position <= 2000
),

windowed AS (
    {indent(_scan_query(plan, "sampled"), 1)}
),

recomputed AS (
    {indent(_point_in_time(plan, "windowed"), 1)}
)

SELECT
    s.user_id,
    s.transaction_id,
    s.occurred_at,
    s.received_at,
    s.feature_values AS live_values,
    r.feature_values AS recomputed_values,
    ({_values_of(plan, own, "s")} IS DISTINCT FROM {_values_of(plan, own, "r")}) AS has_window_skew,
    ({_values_of(plan, lagged, "s")} IS DISTINCT FROM {_values_of(plan, lagged, "r")}) AS has_rollup_skew,
    ({_values_of(plan, of_others, "s")} IS DISTINCT FROM {_values_of(plan, of_others, "r")}) AS has_shared_skew
FROM sampled AS s
INNER JOIN recomputed AS r ON s.user_id = r.user_id AND s.transaction_id = r.transaction_id
"""


def _window_frames(plan: Plan, rows: str) -> str:
    """The windowed features of many rows: each row is read once, however long its windows are.

    A frame follows event time. That is what a row saw, unless it was decided live and a row of earlier event time
    arrived after it, or two rows have the same time. Those rows are marked `needs_row_scan`.
    """
    frames: dict[str, PlannedFeature] = {}
    orders: dict[str, PlannedFeature] = {}
    values = ""
    for planned in plan.windowed:
        if planned.kind == "recency":
            order = f"by_{planned.feature.entity}"
            if planned.extra_columns:
                orders[order] = planned
            value = since_within(planned.feature.length, f"lag(c.occurred_at) OVER {order}")
        else:
            frame = f"{planned.feature.entity}_{planned.feature.window}"
            frames[frame] = planned
            value = aggregate_value(
                planned.feature.aggregate,
                f"(count(*) OVER {frame} - 1)",
                f"(sum(c.amount) OVER {frame} - c.amount)",
                f"(sum(c.amount * c.amount) OVER {frame} - c.amount * c.amount)",
            )
        values += f",\n    {only_with_key(planned, value)} AS {planned.name}"
    windows = [
        "by_user AS (PARTITION BY c.user_id ORDER BY c.occurred_at, c.transaction_id)",
        "before AS (by_user ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)",
    ]
    for name, planned in orders.items():
        keys = ", ".join(f"c.{column}" for column in planned.columns)
        windows.append(f"{name} AS (PARTITION BY {keys} ORDER BY c.occurred_at, c.transaction_id)")
    for name, planned in frames.items():
        # half-open: what happened a whole window ago is out
        start = f"({interval(planned.feature.length)} - interval '1 microsecond')"
        windows.append(
            f"{name} AS (\n        PARTITION BY c.user_id ORDER BY c.occurred_at\n"
            f"        RANGE BETWEEN {start} PRECEDING AND CURRENT ROW\n    )"
        )
    listed = ",\n    ".join(windows)
    return f"""SELECT
    c.*,
    (
        coalesce(lag(c.occurred_at) OVER by_user = c.occurred_at, false)
        OR coalesce(lead(c.occurred_at) OVER by_user = c.occurred_at, false)
        OR (NOT c.is_history AND coalesce(max(c.received_at) OVER before >= c.received_at, false))
    ) AS needs_row_scan{values}
FROM {rows} AS c
WINDOW
    {listed}"""


def _scan_query(plan: Plan, rows: str) -> str:
    """The windowed features of some rows with a row scan: exact for every row, and slow for many."""
    columns = ",\n    ".join(f"c.{column}" for column in row_columns(plan))
    values = "".join(f",\n    w.{planned.name}" for planned in plan.windowed)
    scan = ""
    if plan.windowed:
        text = row_scan(plan.windowed, TRANSACTIONS, VISIBLE)
        scan = f"\nCROSS JOIN LATERAL (\n    {indent(text, 1)}\n) AS w"
    return f"SELECT\n    {columns}{values}\nFROM {rows} AS c{scan}"


def _point_in_time(plan: Plan, windowed: str) -> str:
    """From windowed features to all values: joins what each row saw of references, rollups and other reads."""
    declaration = plan.declaration
    read = {name for _, _, name, _ in declaration.reference_columns()}
    columns = [f"w.{name}" for name in row_columns(plan) if name not in read]
    histories = ""
    for table, reference in declaration.references.items():
        columns += [
            f"CASE WHEN w.is_scored_live THEN w.{name} ELSE {table}_then.{name} END AS {name}"
            for name in reference.columns
        ]
        histories += f"""
    LEFT JOIN {{{{ ref('int_{table}_history') }}}} AS {table}_then
        ON w.{reference.key} = {table}_then.{reference.key}
        AND NOT w.is_scored_live
        AND CASE WHEN w.is_history THEN {table}_then.history_valid_from ELSE {table}_then.valid_from END
        <= CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END
        AND CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END < {table}_then.valid_to"""
    columns += [f"w.{planned.name}" for planned in plan.windowed]
    values = {planned.name: f"c.{planned.name}" for planned in plan.windowed}
    joins: list[str] = []
    previous: dict[str, str] = {}
    for lookup in plan.lookups:
        joins.append(lookup_join(lookup, TRANSACTIONS, "c", VISIBLE))
        values |= lookup_values(lookup)
        if (lookup.entity, lookup.is_first) == ("user", False):
            previous = {name: f"{lookup.alias}.{name}" for name in ("occurred_at", *lookup.measured)}
    for range_read in plan.ranges:
        joins.append(range_join(range_read, declaration, TRANSACTIONS, "c", VISIBLE))
        values |= {planned.name: f"{range_read.alias}.{planned.name}" for planned in range_read.features}
    tables = {rollup.model: f"{{{{ ref('{rollup.model}') }}}}" for rollup in all_rollups(plan)}
    rollup_joins, rollup_values = rollups.joins(plan, tables)
    values |= rollup_values
    joined = "".join(f"\n{join}" for join in (*joins, *rollup_joins))
    listed = ",\n        ".join(columns)
    return f"""SELECT
    c.user_id,
    c.transaction_id,
    c.occurred_at,
    c.is_history,
    {indent(derived_values(plan, values, previous), 1)} AS feature_values,
    '{{{{ run_started_at }}}}'::timestamptz AS built_at
FROM (
    SELECT
        {listed}
    FROM {windowed} AS w{histories}
) AS c{joined}"""


def all_rollups(plan: Plan) -> list[Rollup]:
    """Return the rollups, with the overall one."""
    return [*plan.rollups, *([plan.overall] if plan.overall else [])]


def _values_of(plan: Plan, names: list[str], row: str) -> str:
    """Return some values of a row as an array; an array of none needs a type."""
    items = "".join(f", {row}.feature_values[{plan.names.index(name) + 1}]" for name in names)
    return f"ARRAY[NULL::real{items}]"
