"""The feature list (`vars: features` in dbt_project.yml), checked before dbt starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rowguard.database import one_line
from rowguard.errors import FeatureBuildError

# The columns that a transaction brings to the features, stored or not.
TRANSACTION_COLUMNS = {
    "user_id": "bigint",
    "amount": "numeric",
    "merchant_id": "bigint",
    "location": "text",
    "occurred_at": "timestamptz",
    "home_location": "text",
}
# The features that callers of score_features supply. The count also puts each live read next to running totals.
SUPPLIED_FEATURES = {
    "transaction_amount": None,
    "user_txn_minutes_since_last": "minutes_since",
    "user_txn_count_1h": "count",
    "user_location_match": None,
}
PATTERNS = {
    "name": "lowercase letters, digits and _, at most 63",
    "window": "a number and h or d, such as 12h or 30d; of a merchant whole days",
    "delay": "whole days, such as 7d",
}


class _Feature(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,62}$")]
    description: Annotated[str, Field(min_length=1)]


class DerivedFeature(_Feature):
    """SQL over the transaction and the windowed features."""

    expression: Annotated[str, Field(min_length=1)]


class WindowedFeature(_Feature):
    """An aggregate over earlier transactions of the user."""

    entity: Literal["user", "user_merchant", "user_location"]
    measure: Literal["transaction", "amount", "merchant", "location"]
    aggregate: str
    window: Annotated[str, Field(pattern="^[1-9][0-9]{0,3}[hd]$")]


class LabelFeature(_Feature):
    """What labels say of whole days of a merchant that ended a label delay ago."""

    entity: Literal["merchant"]
    measure: Literal["label"]
    aggregate: str
    window: Annotated[str, Field(pattern="^[1-9][0-9]{0,3}d$")]


class RollupFeature(LabelFeature):
    """An aggregate over whole days of a merchant, as known when the transaction's day began."""

    measure: Literal["transaction", "amount"]  # type: ignore[assignment]
    delay: Annotated[str, Field(pattern="^[0-9]{1,3}d$")]


AGGREGATES: dict[type[_Feature], dict[str, tuple[str, ...]]] = {
    WindowedFeature: {
        "transaction": ("count", "minutes_since"),
        "amount": ("sum", "mean", "max", "stddev"),
        "merchant": ("distinct",),
        "location": ("distinct",),
    },
    LabelFeature: {"label": ("count", "fraud_count", "fraud_rate")},
    RollupFeature: {
        "transaction": ("count",),
        "amount": ("sum", "mean"),
    },
}


def check_feature_list(path: Path, connection: psycopg.Connection[Any] | None = None) -> None:
    """Check every entry of the list, and the expressions by letting PostgreSQL plan them.

    Args:
        path: dbt_project.yml.
        connection: any database; None leaves the expressions out.

    Raises:
        FeatureBuildError: the file is no YAML, or an entry cannot be rendered; names its line and the reason.
    """
    entries = _read_entries(path)
    names = dict.fromkeys(TRANSACTION_COLUMNS)
    for line, entry in entries:
        _fail_if(_find_error(entry, names), path, line, entry)
        names[entry["name"]] = entry.get("aggregate")
    for name, aggregate in SUPPLIED_FEATURES.items():
        if names.get(name, "missing") != aggregate:
            kind = f"an aggregate `{aggregate}`" if aggregate else "an expression"
            raise FeatureBuildError(
                f"{path}: the feature list lacks `{name}`, {kind}; score_features needs it"
            )
    if connection is None:
        return
    columns = TRANSACTION_COLUMNS | {
        entry["name"]: "double precision" for _, entry in entries if "expression" not in entry
    }
    row = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in columns.items())
    for line, entry in entries:
        if "expression" in entry:
            _fail_if(_find_sql_error(connection, entry["expression"], row), path, line, entry)


def _read_entries(path: Path) -> list[tuple[int, Any]]:
    """Return each entry with its line."""
    try:
        text = path.read_text(encoding="utf-8")
        entries = list(yaml.safe_load(text)["vars"]["features"] or [])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise FeatureBuildError(f"{path}: no feature list: {' '.join(str(error).split())}") from None
    node: Any = yaml.compose(text)
    for key in ("vars", "features"):
        node = next(value for name, value in node.value if name.value == key)
    return [(item.start_mark.line + 1, entry) for item, entry in zip(node.value, entries, strict=True)]


def _fail_if(reason: str | None, path: Path, line: int, entry: Any) -> None:
    if reason:
        name = entry.get("name") if isinstance(entry, dict) else entry
        raise FeatureBuildError(f"{path}, line {line}, feature `{name}`: {reason}")


def _find_sql_error(connection: psycopg.Connection[Any], expression: str, row: str) -> str | None:
    # Next to a column an aggregate is an error, as it is in the features' queries; the sum rejects text.
    query = f"EXPLAIN SELECT c.user_id, ({expression}) + 0::real FROM (SELECT {row}) AS c"  # noqa: S608
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(query.encode())
    except psycopg.Error as error:
        return one_line(error).partition(" LINE 1: ")[0]
    return None


def _find_error(entry: Any, names: dict[str, Any]) -> str | None:
    """Return what is wrong with an entry, given the names before it."""
    if not isinstance(entry, dict):
        return "not of the form {name: ..., ...}"
    kind: type[_Feature] = WindowedFeature
    if "expression" in entry:
        kind = DerivedFeature
    elif entry.get("measure") == "label":
        kind = LabelFeature
    elif entry.get("entity") == "merchant" or "delay" in entry:
        kind = RollupFeature
    try:
        kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        text = PATTERNS[field] if first["type"] == "string_pattern_mismatch" else first["msg"]
        if kind is LabelFeature and field == "delay":
            text = "of labels it is the setting ROWGUARD_LABEL_DELAY_DAYS, by which models are also trained"
        return f"`{field}`: {text[0].lower()}{text[1:]}"
    if entry["name"] in names:
        return "the name is taken"
    known = AGGREGATES[kind][entry["measure"]] if kind in AGGREGATES else ()
    if known and entry["aggregate"] not in known:
        return f"`aggregate`: of measure `{entry['measure']}` it is {' or '.join(known)}"
    return None
