"""Reads features.yml: every problem is one line with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml
from pglast.keywords import RESERVED_KEYWORDS
from psycopg import sql
from pydantic import BaseModel, ValidationError

from rowguard.database import one_line
from rowguard.declaration import (
    BASE_COLUMNS,
    LONGEST_WINDOW,
    NUMERIC_TYPES,
    PATTERNS,
    Column,
    Declaration,
    Feature,
)
from rowguard.errors import FeatureBuildError
from rowguard.yaml_places import find_position, read_yaml
from sql_scoring.features.expressions import ExpressionError, bind_names, bind_to

# Relations of the schema of reference tables; a reference `labels` would clash with the model stg_labels.
TAKEN_TABLES = frozenset(
    (
        "transactions",
        "fraud_labels",
        "model_versions",
        "unscored_transactions",
        "labels",
        "transactions_columns",
    )
)
# Names that the tables, types and functions of rowguard use; a declared column would clash with them.
RESERVED = frozenset(
    # A word each would take pages.
    [
        "transaction_id",
        "received_at",
        "is_history",
        "idempotency_key",
        "fraud_flag",
        "fraud_probability",
        "model_version",
        "scored_at",
        "feature_values",
        "unscored_reason",
        "features_caveat",
        "user_txns_before",
        "user_amount_before",
        "user_amount_squares_before",
        "is_control",
        "shadow_version",
        "shadow_probability",
        "shadow_feature_values",
        "shadow_error",
        "reason_codes",
        "is_fraud",
        "needs_shadow_score",
        "last_occurred_at",
        "txns_through_last",
        "amount_through_last",
        "amount_squares_through_last",
        "labelled_at",
        "label_id",
        "source",
        "valid_from",
        "valid_to",
        "created_at",
        "updated_at",
        "event_date",
        "known_date",
        "built_at",
        "is_complete",
        "is_logged",
        "is_scored_live",
        "needs_row_scan",
        "previous",
        "explain",
        "outcome",
        "outcome_reasons",
        "rule_set_version",
        "matched_rules",
        "list",
        "external_id",
        # PostgreSQL's own columns of a table.
        "ctid",
        "xmin",
        "xmax",
        "cmin",
        "cmax",
        "tableoid",
        # Attributes of the classes that the API reads columns into.
        *(name for name in dir(BaseModel) if not name.startswith("_")),
    ]
)
KEYWORDS = frozenset(RESERVED_KEYWORDS) | {
    "begin",
    "by",
    "case",
    "declare",
    "execute",
    "foreach",
    "if",
    "loop",
    "strict",
    "while",
}
MAX_NAME = 63
_NEEDS_NUMBER = ("sum", "mean", "stddev", "min", "max")
Place = tuple[str | int, ...]


def load_declaration(path: Path) -> Declaration:
    """Read and check features.yml.

    Args:
        path: The file.

    Returns:
        What it declares.

    Raises:
        FeatureBuildError: The file cannot be read, or an entry is wrong; names file, line, column, entry and reason.
    """
    root, document = _read(path)

    def fail(place: Place, message: str) -> None:
        line, column = find_position(root, place)
        raise FeatureBuildError(f"{path}, line {line}, column {column}{_entry(document, place)}: {message}")

    try:
        declaration = Declaration.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        fail(tuple(first["loc"]), _message(first))
        raise AssertionError from None
    for place, message in _find_problems(declaration):
        fail(place, message)
    return declaration


def check_expressions(declaration: Declaration, path: Path, connection: psycopg.Connection[Any]) -> None:
    """Have PostgreSQL check types, and that every expression is immutable; nothing is kept.

    Args:
        declaration: As read from the file.
        path: The file, for messages.
        connection: Any database.

    Raises:
        FeatureBuildError: PostgreSQL rejects an expression; names its place and the reason.
    """
    values = {
        feature.name: "double precision" for feature in declaration.features if feature.expression is None
    }
    columns = declaration.row_types() | values
    previous = {f"previous.{name}": type_ for name, type_ in declaration.request_types().items()}
    bound = {name: sql.Identifier(name).as_string(None) for name in {**columns, **previous}}
    for index, feature in enumerate(declaration.features):
        key = "expression" if feature.expression is not None else "where"
        text = feature.expression or feature.where
        if text is None:
            continue
        text = bind_names(
            text,
            bind_to(
                bound,
                {
                    name: sql.Identifier(f"previous.{name}").as_string(None)
                    for name in declaration.request_types()
                },
            ),
        )
        # A generated column takes immutable expressions only, without tables, aggregates and sets of rows.
        kind = (
            sql.SQL("real GENERATED ALWAYS AS (({text})::real)")
            if key == "expression"
            else sql.SQL("boolean GENERATED ALWAYS AS ({text})")
        )
        statement = sql.SQL(
            "CREATE TEMPORARY TABLE rowguard_check ({columns}, checked_value {kind} STORED)"
        ).format(
            columns=sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
                for name, type_ in {**columns, **previous}.items()
            ),
            kind=kind.format(text=sql.SQL(text)),
        )
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(statement)
        except psycopg.Error as error:
            reason = one_line(error).partition(" LINE 1: ")[0]
            if "not immutable" in reason:
                reason = (
                    "it depends on the time, the session or its time zone; name zones: AT TIME ZONE 'UTC'"
                )
            root, document = _read(path)
            place: Place = ("features", index, key)
            line, column = find_position(root, place)
            raise FeatureBuildError(
                f"{path}, line {line}, column {column}{_entry(document, place)}: `{key}`: {reason}"
            ) from None


def _find_long_names(declaration: Declaration) -> Iterator[tuple[Place, str]]:
    """PostgreSQL cuts names off at 63 bytes, and rowguard adds to them."""
    suffixed: dict[str, tuple[Iterable[str], str]] = {
        "columns": (declaration.columns, "_value"),
        "entities": (declaration.entities, "_minutes_since_00000000"),
        "references": (declaration.references, "_history"),
    }
    for section, (names, suffix) in suffixed.items():
        for name in names:
            if len(name) + len(suffix) > MAX_NAME:
                yield (section, name), f"the name is longer than {MAX_NAME - len(suffix)} characters"
    for index, feature in enumerate(declaration.features):
        if feature.smoothing is not None and len(feature.name) + len("_frauds") > MAX_NAME:
            yield (
                ("features", index, "name"),
                f"the name is longer than {MAX_NAME - len('_frauds')} characters",
            )


def _find_problems(declaration: Declaration) -> Iterator[tuple[Place, str]]:
    yield from _find_long_names(declaration)
    request = declaration.request_types()
    known = dict(declaration.row_types())
    for name, column in declaration.columns.items():
        if name in BASE_COLUMNS or name in RESERVED:
            yield ("columns", name), "the name is rowguard's"
        yield from _find_column_problems(("columns", name), name, column)
    seen_references: set[str] = set()
    for table, reference in declaration.references.items():
        if reference.key not in request:
            yield ("references", table, "key"), f"no column `{reference.key}` is declared"
        if table in TAKEN_TABLES:
            yield ("references", table), "the name is rowguard's"
        for name, column in reference.columns.items():
            yield from _find_column_problems(("references", table, "columns", name), name, column)
            if name in request or name in RESERVED or name in seen_references:
                yield ("references", table, "columns", name), "the name is taken"
            seen_references.add(name)
    for entity, declared_entity in declaration.entities.items():
        columns = declared_entity.columns
        if declared_entity.serialize and "user_id" in columns:
            yield ("entities", entity, "serialize"), "`serialize`: rows of a user are serialized already"
        if entity in ("user", "overall"):
            yield ("entities", entity), f"`{entity}` is there without being declared"
        for index, name in enumerate(columns):
            if name not in request or name in ("amount", "occurred_at"):
                yield ("entities", entity, "columns", index), f"no column `{name}` is declared"
            if name in columns[:index]:
                yield ("entities", entity, "columns", index), f"`{name}` is there twice"
    values: dict[str, str] = {}
    for index, feature in enumerate(declaration.features):
        for key, message in _find_feature_problems(feature, declaration):
            yield ("features", index, *key), message
        if feature.name in KEYWORDS:
            yield ("features", index, "name"), f"`{feature.name}` is a reserved word of SQL"
        if feature.name in RESERVED or feature.name in known or feature.name in values:
            yield ("features", index, "name"), "the name is taken"
        if feature.expression is None:
            values[feature.name] = feature.name
    row = {name: name for name in declaration.row_types()}
    for index, feature in enumerate(declaration.features):
        try:
            if feature.expression is not None:
                bind_names(feature.expression, bind_to(row | values, dict.fromkeys(request, "x")))
            if feature.where is not None:
                bind_names(feature.where, bind_to(dict.fromkeys(request, "x")))
        except ExpressionError as error:
            part = "expression" if feature.expression is not None else "where"
            yield ("features", index, part), f"`{part}`: {error}"


def _find_column_problems(place: Place, name: str, column: Column) -> Iterator[tuple[Place, str]]:
    if name in KEYWORDS:
        yield place, f"`{name}` is a reserved word of SQL"
    if column.max_length is not None and column.type != "text":
        yield (*place, "max_length"), "only text has a length"
    python_type = {"text": str, "boolean": bool, "bigint": int, "integer": int}.get(column.type)
    for index, value in enumerate(column.allowed or ()):
        if python_type is None:
            yield (*place, "allowed"), f"values of type {column.type} cannot be listed"
        elif type(value) is not python_type:
            yield (*place, "allowed", index), f"{value!r} is not of type {column.type}"


def _find_feature_problems(feature: Feature, declaration: Declaration) -> Iterator[tuple[Place, str]]:
    if feature.expression is not None:
        return
    request = declaration.request_types()
    if feature.entity != "user" and feature.entity not in declaration.entities:
        yield ("entity",), f"`entity`: no entity `{feature.entity}` is declared"
        return
    if not timedelta(minutes=1) <= feature.length <= LONGEST_WINDOW:
        yield ("window",), "`window`: is not between a minute and a year"
    needs_of = feature.aggregate in (*_NEEDS_NUMBER, "distinct", "previous")
    if needs_of and feature.of is None:
        yield ("aggregate",), f"`of`: {feature.aggregate} needs the column that it measures"
    if feature.of is not None:
        if not needs_of:
            yield ("of",), f"`of`: {feature.aggregate} measures no column"
        if feature.of not in request:
            yield ("of",), f"`of`: no column `{feature.of}` is declared"
        elif feature.aggregate in _NEEDS_NUMBER and request[feature.of] not in NUMERIC_TYPES:
            yield (
                ("of",),
                f"`of`: {feature.aggregate} needs a number, `{feature.of}` is {request[feature.of]}",
            )
        elif feature.aggregate == "previous" and request[feature.of] not in (*NUMERIC_TYPES, "boolean"):
            yield ("of",), f"`of`: previous needs a number, `{feature.of}` is {request[feature.of]}"
    if feature.aggregate == "share" and feature.where is None:
        yield ("aggregate",), "`where`: share needs the condition whose share it is"
    if feature.smoothing is not None and feature.aggregate != "fraud_rate":
        yield ("smoothing",), "`smoothing`: only a fraud_rate is smoothed"
    if feature.counts_labels or feature.delay is not None:
        if feature.counts_labels and feature.delay is not None:
            yield (
                ("delay",),
                "`delay`: of labels it is the setting ROWGUARD_LABEL_DELAY_DAYS, by which models are trained",
            )
        if not (feature.window or "").endswith("d"):
            yield ("window",), "`window`: with a delay it is whole days, such as 7d"
        if feature.aggregate not in ("count", "sum", "mean", "fraud_count", "fraud_rate"):
            yield ("aggregate",), "`aggregate`: with a delay it is count, sum or mean"
        if feature.of not in (None, "amount"):
            yield ("of",), "`of`: with a delay it is amount"
        if feature.at_most is not None:
            yield ("at_most",), "`at_most`: daily sums need no bound"


def _read(path: Path) -> tuple[yaml.Node, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FeatureBuildError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    return read_yaml(text, path, FeatureBuildError, "mapping with columns, entities, references and features")


def _entry(document: Any, place: Place) -> str:
    if len(place) >= 2 and place[0] == "features" and isinstance(place[1], int):
        entry = document["features"][place[1]]
        name = entry.get("name", place[1] + 1) if isinstance(entry, dict) else place[1] + 1
        return f", feature `{name}`"
    return f", {'.'.join(map(str, place[:2]))}" if place else ""


def _message(error: Any) -> str:
    place = [part for part in error["loc"] if part != "[key]"]
    field = str(place[-1]) if place else ""
    if error["type"] == "string_pattern_mismatch":
        text = PATTERNS.get(field, PATTERNS["name"])
    elif error["type"] == "extra_forbidden":
        text = "is not known here"
    elif error["type"] == "value_error":
        return str(error["ctx"]["error"])
    else:
        text = error["msg"]
    return f"`{field}`: {text[0].lower()}{text[1:]}"
