"""Renders the dbt project of a feature list: plain SQL models, one a subject."""

from __future__ import annotations

import hashlib
import re

from sql_scoring.features import render_live as live
from sql_scoring.features.plan import Plan, minutes
from sql_scoring.features.reads import indent, row_scan
from sql_scoring.features.render_documents import (
    Functions,
    render_function_documents,
    render_model_documents,
)
from sql_scoring.features.render_training import (
    all_rollups,
    render_recomputed_features,
    render_training_features,
)
from sql_scoring.features.rollups import render_daily_sums, render_rollup

_LIVE = ".include(database=false)"


def render_files(plan: Plan) -> dict[str, str]:
    """Return path → text of every file of the dbt project that depends on the feature list.

    Args:
        plan: The features.
    """
    digest = feature_hash(plan)
    hash8 = digest[:8]
    files = {
        "models/staging/stg_transactions.sql": _render_staging(plan),
        "models/intermediate/int_training_rows.sql": _render_training_rows(plan, digest),
        "models/marts/training_features.sql": render_training_features(plan, f"training_features_{hash8}"),
        "models/marts/feature_definitions.sql": _render_definitions(plan, digest),
        "models/marts/user_velocity.sql": _render_user_velocity(plan),
        "models/monitoring/monitoring_recomputed_features.sql": render_recomputed_features(plan),
        "tests/training_set_is_complete.sql": _render_completeness_test(plan),
    }
    if leakage := _render_leakage_test(plan):
        files["tests/no_future_leakage.sql"] = leakage
    for table in plan.declaration.references:
        files[f"models/staging/stg_{table}.sql"] = _render_reference(plan, table)
        files[f"models/intermediate/int_{table}_history.sql"] = _render_reference_history(plan, table)
    for rollup in all_rollups(plan):
        files[f"models/intermediate/{rollup.daily_model}.sql"] = render_daily_sums(rollup, plan)
        files[f"models/marts/{rollup.model}.sql"] = render_rollup(rollup, f"{rollup.model}_{hash8}")
    functions = _functions(plan, hash8)
    for name, (_, body) in functions.items():
        files[f"functions/{name}.sql"] = body
    files["models/features.yml"] = render_model_documents(plan)
    files["functions/functions.yml"] = render_function_documents(functions, hash8)
    return files


def feature_hash(plan: Plan) -> str:
    """Return a hash that changes with anything that could change a value: the list, its order, or its SQL."""
    texts = [",".join(plan.names)]
    texts += [body for _, body in _functions(plan, "hash").values()]
    texts += [row_scan(plan.windowed, "transactions")] if plan.windowed else []
    for rollup in all_rollups(plan):
        texts += [render_daily_sums(rollup, plan), render_rollup(rollup, "hash")]
    texts.append(render_training_features(plan, "hash"))
    return hashlib.md5(re.sub(r"\s+", " ", " ".join(texts)).encode(), usedforsecurity=False).hexdigest()


def _functions(plan: Plan, hash8: str) -> Functions:
    """Return name → (arguments, body); an argument is its name, type and description."""
    relations = live.Relations(
        transactions=_source("public", "transactions") + "",
        references={table: _source("public", table) for table in plan.declaration.references},
        rollups={rollup.model: f"{{{{ ref('{rollup.model}'){_LIVE} }}}}" for rollup in all_rollups(plan)},
        hash8=hash8,
    )
    request = [("p_request", "scoring.scoring_request", "The transaction.")]
    types = plan.declaration.request_types()
    functions = {
        "live_feature_values": (request, live.render_live(plan, relations)),
        "row_scan_feature_values": (request, live.render_row_scan(plan, relations)),
        "supplied_feature_values": (
            [
                ("p_transaction_amount", "double precision", "Amount."),
                ("p_time_since_last_txn", "double precision", "Minutes since the last transaction."),
                ("p_num_txns_last_hour", "integer", "Transactions in the last hour."),
                ("p_user_location_match", "boolean", "Whether the location is the user's home."),
            ],
            live.render_supplied(plan),
        ),
    }
    for name, (columns, body) in live.render_recency(plan, relations).items():
        arguments = [("p_user_id", types["user_id"], "The user.")]
        arguments += [(f"p_{column}", types[column], "Part of the key.") for column in columns]
        arguments += [("p_occurred_at", "timestamptz", "Time of the transaction.")]
        arguments += [("p_window", "interval", "The lookback window.")]
        functions[name] = (arguments, body)
    return functions


def _source(schema: str, table: str) -> str:
    return f"{{{{ source('{schema}', '{table}'){_LIVE} }}}}"


def _render_staging(plan: Plan) -> str:
    columns = "".join(f"    t.{name},\n" for name in plan.declaration.columns)
    read = "".join(f"    t.{name},\n" for _, _, name, _ in plan.declaration.reference_columns())
    return f"""-- What counts as an event is said here, once, for training.
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.is_history::boolean AS is_history,
    t.amount,
{columns}    t.user_txns_before,
    t.user_amount_before,
    t.user_amount_squares_before,
    t.model_version,
    t.scored_at,
    t.feature_values,
{read}    (t.occurred_at AT TIME ZONE 'UTC')::date AS event_date,
    -- Loaded history counts as known when it happened.
    ((CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END) AT TIME ZONE 'UTC')::date AS known_date
FROM {{{{ source('public', 'transactions') }}}} AS t
"""


def _render_training_rows(plan: Plan, digest: str) -> str:
    columns = "".join(f"    t.{name},\n" for name in plan.declaration.columns)
    read = "".join(f"    t.{name},\n" for _, _, name, _ in plan.declaration.reference_columns())
    return f"""-- How each transaction gets into the training set: `is_logged` rows bring the values that the model saw, others are
-- computed. Retention leaves windows incomplete before its `complete_from`.
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.is_history,
    t.amount,
{columns}    t.feature_values,
{read}    coalesce(t.scored_at = t.received_at, false) AS is_scored_live,
    m.version IS NOT NULL AS is_logged,
    t.occurred_at >= r.complete_from AS is_complete
FROM {{{{ ref('stg_transactions') }}}} AS t
LEFT JOIN {{{{ source('scoring', 'models') }}}} AS m
    ON t.model_version = m.version
    AND m.feature_hash = '{digest}'
    AND NOT t.is_history
CROSS JOIN (
    SELECT coalesce(max(c.complete_from), '-infinity') AS complete_from
    FROM {{{{ source('scoring', 'retention_runs') }}}} AS c
) AS r
"""


def _render_reference(plan: Plan, table: str) -> str:
    reference = plan.declaration.references[table]
    columns = ", ".join(f"u.{name}" for name in (reference.key, *reference.columns))
    return f"SELECT {columns}\nFROM {{{{ source('public', '{table}') }}}} AS u\n"


def _render_reference_history(plan: Plan, table: str) -> str:
    reference = plan.declaration.references[table]
    columns = "".join(f"    h.{name},\n" for name in (reference.key, *reference.columns))
    return f"""-- The row of each key over time. Loaded history is older than any entry, so the first known row also covers the time
-- before it (`history_valid_from`); rows that were scored live saw none then.
SELECT
{columns}    h.valid_from,
    CASE
        WHEN lag(h.valid_from) OVER per_key IS NULL THEN '-infinity'::timestamptz
        ELSE h.valid_from
    END AS history_valid_from,
    coalesce(lead(h.valid_from) OVER per_key, 'infinity'::timestamptz) AS valid_to
FROM {{{{ source('scoring', '{table}_history') }}}} AS h
WINDOW per_key AS (PARTITION BY h.{reference.key} ORDER BY h.valid_from)
"""


def _render_definitions(plan: Plan, digest: str) -> str:
    rows = []
    for position, planned in enumerate(plan.features, start=1):
        feature = planned.feature
        window = str(minutes(feature.length)) if feature.window else "NULL"
        delay = str(planned.delay_days) if planned.kind == "rollup" else "NULL"
        rows.append(
            f"""SELECT
    {position}::integer AS position,
    {_text(planned.name)} AS name,
    {_text(planned.kind)} AS kind,
    {_text(planned.group(plan))} AS feature_group,
    {_text(plan.skew_kinds[planned.name])} AS skew_kind,
    {_text(feature.entity)} AS entity,
    {_text(feature.aggregate)} AS aggregate,
    {_text(feature.of)} AS measure,
    {_text(feature.where)} AS condition,
    {window}::integer AS window_minutes,
    {delay}::integer AS delay_days,
    {_text(feature.expression)} AS expression,
    {_text(feature.description)} AS description,
    '{digest}'::text AS feature_hash"""
        )
    return (
        "-- The feature list as a table, for the trainer, the registry and readers.\n"
        + "\nUNION ALL\n".join(rows)
        + "\n"
    )


def _render_user_velocity(plan: Plan) -> str:
    features = [planned for planned in plan.windowed if planned.columns == ("user_id",)]
    values = "".join(f",\n    w.{planned.name}" for planned in features)
    scan = ""
    if features:
        text = row_scan(features, "{{ ref('stg_transactions') }}")
        scan = f"\nCROSS JOIN LATERAL (\n    {indent(text, 1)}\n) AS w"
    return f"""{{{{ config(materialized='replaced_view') }}}}
-- Velocity of every user as of now, under the names of the list, for readers and monitors.
SELECT
    c.user_id,
    c.occurred_at AS as_of{values}
FROM (
    SELECT DISTINCT
        t.user_id,
        now() AS occurred_at
    FROM {{{{ ref('stg_transactions') }}}} AS t
) AS c{scan}
"""


def _render_completeness_test(plan: Plan) -> str:
    return f"""-- Every transaction that can be trained on has its features, one value per feature. What arrived since the build
-- started is the next build's.
-- depends_on: {{{{ ref('training_set') }}}}
SELECT
    r.user_id,
    r.transaction_id
FROM {{{{ ref('int_training_rows') }}}} AS r
LEFT JOIN {{{{ ref('training_features') }}}} AS f
    ON r.user_id = f.user_id AND r.transaction_id = f.transaction_id
WHERE r.is_complete
    AND r.received_at < '{{{{ run_started_at }}}}'::timestamptz
    AND cardinality(f.feature_values) IS DISTINCT FROM {len(plan.names)}
"""


def _render_leakage_test(plan: Plan) -> str | None:
    counts = [planned for planned in plan.of_kind("running_total") if planned.feature.aggregate == "count"]
    if not counts:
        return None
    planned = max(counts, key=lambda planned: planned.feature.length)
    position = plan.names.index(planned.name) + 1
    return f"""-- A count over the longest window must be the number of the user's earlier transactions, computed a second way: the
-- rows up to this one, less those that had left the window. A row that saw itself or the future has more.
-- Of a sample of users, and of loaded history only: what live rows saw depends on arrival.
WITH counted AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.is_history,
        row_number() OVER (PARTITION BY t.user_id ORDER BY t.occurred_at, t.transaction_id) - 1
        - count(*) OVER (
            PARTITION BY t.user_id
            ORDER BY t.occurred_at
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '{minutes(planned.feature.length)} minutes' PRECEDING
        ) AS earlier_count
    FROM {{{{ ref('stg_transactions') }}}} AS t
    WHERE t.received_at < '{{{{ run_started_at }}}}'::timestamptz AND (hashtext(t.user_id::text) & 7) = 0
)

SELECT
    f.user_id,
    f.transaction_id,
    c.earlier_count,
    f.feature_values[{position}] AS stored_count
FROM counted AS c
INNER JOIN {{{{ ref('training_set') }}}} AS f ON c.user_id = f.user_id AND c.transaction_id = f.transaction_id
WHERE c.is_history
    AND f.feature_values[{position}] IS DISTINCT FROM c.earlier_count
"""


def _text(value: str | None) -> str:
    if value is None:
        return "NULL::text"
    return "'" + value.replace("'", "''") + "'::text"
