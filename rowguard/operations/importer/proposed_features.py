"""The features.yml that is proposed for a file: its columns, entities, and velocity features of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rowguard.operations.importer.profiles import ColumnProfile

_ENTITIES = ("merchant_id", "device_id", "ip", "card", "mcc")
_PERSONAL = ("ip", "card", "device_id")
# Columns that every transaction has, and those that are not stored on its row.
_NOT_DECLARED = ("occurred_at", "user_id", "amount", "external_id", "is_fraud", "labelled_at", "currency")


def propose_features(placed: Mapping[str, ColumnProfile]) -> dict[str, Any]:
    """Return a features.yml: the columns that were placed, and velocity of the user and of each entity.

    Args:
        placed: Column of ours → column of the file.
    """
    key = placed.get("user_id")
    declared = {name: found for name, found in placed.items() if name not in _NOT_DECLARED}
    columns = {
        name: {
            "type": _sql_type(name, found),
            "description": f"From {found.name}.",
            **({"personal": True} if name in _PERSONAL or re.search("birth|dob", name) else {}),
        }
        for name, found in declared.items()
    }
    entities = {name.removesuffix("_id"): [name] for name in _ENTITIES if name in declared}
    return {
        "keys": {"user_id": "bigint" if key is None else _key_type(key)},
        "columns": columns,
        "entities": entities,
        "features": [*_user_features(), *_entity_features(entities)],
    }


def _key_type(found: ColumnProfile) -> str:
    return {"integer": "bigint", "uuid": "uuid"}.get(found.kind, "text")


def _sql_type(name: str, found: ColumnProfile) -> str:
    if name in ("status", "ip", "mcc"):
        return "text"
    types = {
        "integer": "bigint",
        "number": "double precision",
        "uuid": "uuid",
        "boolean": "boolean",
        "time": "timestamptz",
    }
    return types.get(found.kind, "text")


def _user_features() -> Iterator[dict[str, Any]]:
    yield {
        "name": "transaction_amount",
        "expression": "amount::double precision",
        "description": "Amount of the transaction.",
        "reason": {
            "theme": "amount",
            "label": "Amount",
            "high": "The amount is high",
            "low": "The amount is low",
            "missing": "The amount is unknown",
        },
    }
    for window in ("10m", "1h", "1d", "7d"):
        yield _feature("user", "count", window)
    for window in ("7d", "30d"):
        yield _feature("user", "mean", window) | {"of": "amount"}
    yield _feature("user", "minutes_since_last", "30d")


def _entity_features(entities: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    for entity in entities:
        if entity in ("device", "ip", "card"):
            for window in ("10m", "1h", "1d"):
                yield _feature(entity, "count", window)
            yield _feature(entity, "distinct", "1d") | {"of": "user_id", "name": f"{entity}_users_1d"}
        for window in ("7d", "28d"):
            yield _feature(entity, "fraud_rate", window)


# Aggregate: theme of the user, label, phrases high, low and missing, by which a feature is a reason.
_WORDS = {
    "count": ("frequency", "Payments", "Many payments", "Few payments", "There is no value"),
    "mean": ("spending", "Mean amount", "Large payments", "Small payments", "There is no payment"),
    "minutes_since_last": (
        "frequency", "Time since the last payment", "A long time since a payment", "A short time since a payment",
        "There is no payment",
    ),
    "distinct": ("frequency", "Users", "Many users", "Few users", "There is no value"),
    "fraud_rate": ("frauds", "Frauds", "Many frauds", "Few frauds", "There is no payment"),
}  # fmt: skip


def _feature(entity: str, aggregate: str, window: str) -> dict[str, Any]:
    described = {
        "count": "Transactions", "mean": "Mean amount", "minutes_since_last": "Minutes since the last transaction",
        "distinct": "Users", "fraud_rate": "Fraction of frauds",
    }  # fmt: skip
    subject = "txn_count" if aggregate == "count" else "amount_mean" if aggregate == "mean" else aggregate
    theme, label, high, low, missing = _WORDS[aggregate]
    reason = {
        "theme": theme if entity == "user" else entity,
        "label": f"{label} of the {entity} within {window}",
        "high": f"{high} of the {entity} within {window}",
        "low": f"{low} of the {entity} within {window}",
        "missing": f"{missing} of the {entity}",
    }
    return {
        "name": f"{entity}_{subject}_{window}",
        "entity": entity,
        "aggregate": aggregate,
        "window": window,
        "description": f"{described[aggregate]} of the {entity} within {window}.",
        "reason": reason,
    }
