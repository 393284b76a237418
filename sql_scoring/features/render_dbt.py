"""Renders the dbt project of a feature list: plain SQL models, one a subject, other than the models that never change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from sql_scoring.features import render_live as live
from sql_scoring.features.plan import Plan, minutes
from sql_scoring.features.reads import indent, row_scan
from sql_scoring.features.render_training import (
    all_rollups,
    render_recomputed_features,
    render_training_features,
)
from sql_scoring.features.rollups import render_daily_sums, render_rollup, stored_columns

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
    for name, (_, body) in _functions(plan, hash8).items():
        files[f"functions/{name}.sql"] = body
    files["models/features.yml"] = _dump({"sources": _sources(plan), "models": _model_documents(plan)})
    files["functions/functions.yml"] = _dump({"functions": _function_documents(plan, hash8)})
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


def _functions(plan: Plan, hash8: str) -> dict[str, tuple[list[tuple[str, str, str]], str]]:
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


def _function_documents(plan: Plan, hash8: str) -> list[dict[str, Any]]:
    results = {
        "live_feature_values": (
            "stable",
            "scoring.decision",
            "Feature values, NULL where missing, and the last row.",
        ),
        "row_scan_feature_values": ("stable", "real[]", "One value per feature; NULL where it is missing."),
        "supplied_feature_values": (
            "deterministic",
            "real[]",
            "One value per feature; NULL where it is missing.",
        ),
    }
    descriptions = {
        "live_feature_values": "Feature values of one transaction as of its time, in list order, and the user's last row "
        "with the running totals through it. Called by the facade, for INSERTs and score_transaction alike.",
        "row_scan_feature_values": "The same feature values from every row of the user's longest window; "
        "live_feature_values calls it where running totals are pending or the transaction is late.",
        "supplied_feature_values": "Feature values of a caller who supplies four features; the others are missing.",
    }
    documents = []
    for name, (arguments, _) in _functions(plan, hash8).items():
        recency = ("stable", "double precision", "Minutes; NULL when there is none in the window.")
        volatility, type_, result = results.get(name, recency)
        documents.append(
            {
                "name": name,
                "description": descriptions.get(
                    name, "Minutes since the user's newest transaction with one key."
                ),
                "config": {"volatility": volatility, "alias": f"{name}_{hash8}"},
                "arguments": [
                    {"name": argument, "data_type": data_type, "description": text}
                    for argument, data_type, text in arguments
                ],
                "returns": {"data_type": type_, "description": result},
            }
        )
    return documents


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


def _sources(plan: Plan) -> list[dict[str, Any]]:
    references = plan.declaration.references
    return [
        {
            "name": "public",
            "schema": "{{ env_var('ROWGUARD_SCHEMA', 'public') }}",
            "description": "What applications write.",
            "tables": [
                {"name": "transactions", "description": "One row per transaction."},
                {"name": "fraud_labels", "description": "One row per label of a transaction."},
                *(
                    {"name": table, "description": reference.description}
                    for table, reference in references.items()
                ),
            ],
        },
        {
            "name": "scoring",
            "schema": "scoring",
            "description": "rowguard's internals.",
            "tables": [
                {"name": "models", "description": "One row per model version."},
                {"name": "retention_runs", "description": "One row per archive run."},
                *(
                    {"name": f"{table}_history", "description": f"One row per change of a row of {table}."}
                    for table in references
                ),
            ],
        },
    ]


def _model_documents(plan: Plan) -> list[dict[str, Any]]:
    declaration = plan.declaration
    declared = {name: column.description for name, column in declaration.columns.items()}
    read = {name: column.description for _, _, name, column in declaration.reference_columns()}
    event = {
        "user_id": "Whose transaction it is.",
        "transaction_id": "The transaction; unique together with user_id.",
        "occurred_at": "When it happened.",
        "received_at": "When the database received it; per user, the order of arrival.",
        "is_history": "Loaded afterwards; its features follow event time.",
        "amount": "The amount.",
        **declared,
    }
    documents = [
        _model(
            "stg_transactions",
            "One row per transaction. What counts as an event for any feature is decided here.",
            {
                **event,
                "user_txns_before": "The user's transactions before it, by event time; NULL while pending.",
                "user_amount_before": "Sum of their amounts.",
                "user_amount_squares_before": "Sum of the squares of their amounts.",
                "model_version": "The version that decided it; NULL while unscored.",
                "scored_at": "When it was decided; of a row that its INSERT decided the same as received_at.",
                "feature_values": "What that version saw.",
                **{name: f"As the decision read it. {text}" for name, text in read.items()},
                "event_date": "Date (UTC) on which it happened.",
                "known_date": "Date (UTC) on which it was received; for loaded history, on which it happened.",
            },
        ),
        _model(
            "int_training_rows",
            "One row per transaction, with how its features get into the training set.",
            {
                **event,
                "feature_values": "What the model saw, in the order of that model's feature list.",
                **{name: f"As the decision read it. {text}" for name, text in read.items()},
                "is_scored_live": "Decided by its INSERT, so that it states what was read.",
                "is_logged": "Decided live under the current feature list: its values are taken as they are.",
                "is_complete": "Whether retention left its windows complete.",
            },
        ),
        _model(
            "training_features",
            "One row per transaction: its features as they were, or would have been, when it was decided. The table's name "
            "carries the hash of the feature list, so that another list builds another table. An incremental run adds the "
            "live rows that it lacks, and builds all computed rows again that occurred from macro `rebuild_from`'s date on. "
            "It does not cover what is older: references that were entered after a row's history was built, labels entered "
            "with an earlier date, live rows that arrived later than that, and what the owner changed or deleted in place. "
            "For those run `dbt build --vars 'rebuild_from: <date>'` or `--full-refresh`.",
            {
                "user_id": (
                    "bigint" if declaration.keys.user_id == "bigint" else declaration.keys.user_id,
                    "Whose transaction it is.",
                ),
                "transaction_id": ("bigint", "The transaction."),
                "occurred_at": ("timestamptz", "When it happened."),
                "is_history": ("boolean", "Loaded afterwards, so features follow event time."),
                "feature_values": (
                    "real[]",
                    "One value per feature, in the order of feature_definitions; NULL where it is missing.",
                ),
                "built_at": ("timestamptz", "When the run that built the row started."),
            },
        ),
        _model(
            "feature_definitions",
            "One row per feature of the current list, in the order in which the model sees them.",
            {
                "position": ("integer", "Position in feature_values, from 1."),
                "name": ("text", "The feature."),
                "kind": (
                    "text",
                    "How it is computed: running_total, recency, range, lookup, rollup or derived.",
                ),
                "feature_group": ("text", "The group that a backtest can leave out."),
                "skew_kind": (
                    "text",
                    "How a live value may differ when computed again: window, rollup or shared.",
                ),
                "entity": ("text", "Whose earlier transactions count; NULL for a derived feature."),
                "aggregate": ("text", "How they are aggregated."),
                "measure": ("text", "Which column of them is measured."),
                "condition": ("text", "Which of them count; NULL for all."),
                "window_minutes": ("integer", "Length of the window (t - window, t], in minutes."),
                "delay_days": (
                    "integer",
                    "Days between the end of a daily window and the transaction's day.",
                ),
                "expression": ("text", "SQL of a derived feature."),
                "description": ("text", "What it says."),
                "feature_hash": ("text", "Hash of the whole list and of the SQL that it renders to."),
            },
            unique=("position", "name"),
        ),
        _model(
            "user_velocity",
            "One row per user: the user's windowed features as of now.",
            {
                "user_id": "The user.",
                "as_of": "The time they are of: now.",
                **{
                    planned.name: planned.feature.description
                    for planned in plan.windowed
                    if planned.columns == ("user_id",)
                },
            },
        ),
        _model(
            "monitoring_recomputed_features",
            "One row per live transaction of a sample of the last 7 days: what the model saw, and what is computed now.",
            {
                "user_id": "Whose transaction it is.",
                "transaction_id": "The transaction.",
                "occurred_at": "When it happened.",
                "received_at": "When the database received it.",
                "live_values": "What the model saw.",
                "recomputed_values": "The same features, computed from the transactions.",
                "has_window_skew": "Whether a feature other than the daily ones differs.",
                "has_rollup_skew": "Whether a daily feature differs.",
                "has_shared_skew": "Whether a velocity of another entity than the user differs.",
            },
        ),
    ]
    for table, reference in declaration.references.items():
        columns = {
            reference.key: "The key.",
            **{name: column.description for name, column in reference.columns.items()},
        }
        documents.append(_model(f"stg_{table}", reference.description, columns))
        documents.append(
            _model(
                f"int_{table}_history",
                f"One row per key and period with one row of {table}.",
                {
                    **columns,
                    "valid_from": "When it was entered; it became visible when that transaction was committed.",
                    "history_valid_from": "From when it counts for loaded history: the first row has always been.",
                    "valid_to": "When the next one was entered, or infinity.",
                },
            )
        )
    for rollup in all_rollups(plan):
        keys = dict.fromkeys(rollup.columns, "Part of the key.")
        sums: dict[str, str] = {}
        for index, condition in enumerate(rollup.conditions):
            end, where = (f"_{index + 1}" if index else ""), (f" where {condition}" if condition else "")
            sums |= {
                f"txns{end}": f"Transactions{where}.",
                f"frauds{end}": f"Frauds{where}; negative when labels were withdrawn.",
                f"amount{end}": f"Sum of the amounts{where}.",
            }
        documents.append(
            _model(
                rollup.daily_model,
                f"One row per {rollup.entity}, event date, known date, and kind (transactions or frauds).",
                {
                    **keys,
                    "event_date": "Date (UTC) on which the transactions happened.",
                    "known_date": "Date (UTC) on which the row's numbers became known.",
                    **sums,
                },
            )
        )
        documents.append(
            _model(
                rollup.model,
                f"One row per {rollup.entity} and date from which one of its daily features differs (type 2): what live "
                "scoring and training read. The table's name carries the list's hash. An incremental run builds the rows "
                "again that are valid from macro `rebuild_from`'s date on.",
                {
                    **keys,
                    "valid_from": "First date (UTC) of the transactions that read it.",
                    **{column.name: column.description for column in stored_columns(rollup)},
                },
                not_null=(*keys, "valid_from"),
            )
        )
    return documents


def _model(
    name: str,
    description: str,
    columns: Mapping[str, str | tuple[str, str]],
    unique: Iterable[str] = (),
    not_null: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the documentation of a model; columns with types are a contract."""
    document: dict[str, Any] = {"name": name, "description": description, "columns": []}
    for column, text in columns.items():
        entry: dict[str, Any] = {"name": column}
        if isinstance(text, tuple):
            document["config"] = {"contract": {"enforced": True}}
            entry["data_type"], text = text
        entry["description"] = text
        tests = [
            *(("unique",) if column in unique else ()),
            *(("not_null",) if column in (*unique, *not_null) else ()),
        ]
        if tests:
            entry["data_tests"] = tests
        document["columns"].append(entry)
    return document


def _dump(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)


def _text(value: str | None) -> str:
    if value is None:
        return "NULL::text"
    return "'" + value.replace("'", "''") + "'::text"
