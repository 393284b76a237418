"""Renders the documentation of a feature list's dbt models, sources and functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from sql_scoring.features.plan import Plan
from sql_scoring.features.render_training import all_rollups
from sql_scoring.features.rollups import stored_columns

# Name → (arguments as name, type and description; body).
Functions = dict[str, tuple[list[tuple[str, str, str]], str]]


def render_model_documents(plan: Plan) -> str:
    """Return the documentation of sources and models, as dbt reads it."""
    return _dump({"sources": _sources(plan), "models": _model_documents(plan)})


def render_function_documents(functions: Functions, hash8: str) -> str:
    """Return the documentation of the functions, as dbt reads it.

    Args:
        functions: Arguments and body by name.
        hash8: Ends their names in the database.
    """
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
    for name, (arguments, _) in functions.items():
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
    return _dump({"functions": documents})


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
    declared = {
        name: column.description + (" Personal data." if column.personal else "")
        for name, column in declaration.columns.items()
    }
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
