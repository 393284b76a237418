"""The training set as arrays, read in Arrow batches, with the labels that were known at a label cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.database import fetch_one
from rowguard.errors import TrainingDataError
from rowguard.queries import load_queries

QUERIES = load_queries("trainer")


@dataclass(frozen=True)
class FeatureList:
    """The built feature list: names in model order, and the hash that travels with a model."""

    names: tuple[str, ...]
    hash: str


@dataclass(frozen=True)
class Dataset:
    """Rows in order of event time.

    Attributes:
        features: float32 of shape (rows, features); NaN where a value is missing.
        is_fraud: bool of shape (rows,).
        user_id: int64 of shape (rows,).
        occurred_at: datetime64[us] in UTC of shape (rows,).
    """

    features: NDArray[np.float32]
    is_fraud: NDArray[np.bool_]
    user_id: NDArray[np.int64]
    occurred_at: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.is_fraud)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Dataset:
        return Dataset(self.features[rows], self.is_fraud[rows], self.user_id[rows], self.occurred_at[rows])

    @property
    def frauds(self) -> int:
        """Number of fraud rows."""
        return int(self.is_fraud.sum())

    def between(self, start: datetime, end: datetime) -> Dataset:
        """Return the rows of [start, end) as views of the same arrays."""
        first, last = np.searchsorted(self.occurred_at, [to_datetime64(start), to_datetime64(end)])
        return self[int(first) : int(last)]


def to_datetime64(time: datetime) -> np.datetime64:
    """Return a time in UTC as numpy holds it."""
    return np.datetime64(time.replace(tzinfo=None), "us")


def read_feature_list(connection: psycopg.Connection) -> FeatureList:
    """Return the feature list that dbt built last.

    Raises:
        TrainingDataError: The features were never built.
    """
    rows = _fetch_built(connection, "feature_definitions")
    return FeatureList(tuple(name for name, _ in rows), rows[0][1])


def read_feature_groups(connection: psycopg.Connection) -> dict[str, str]:
    """Return feature → group, in model order.

    Raises:
        TrainingDataError: The features were never built.
    """
    return dict(_fetch_built(connection, "feature_groups"))


def read_time_range(connection: psycopg.Connection) -> tuple[datetime, datetime, int]:
    """Return first and last event time, and the number of rows, of the training set.

    Raises:
        TrainingDataError: It is empty or was never built; names the next command.
    """
    ((first, last, rows),) = _fetch_built(connection, "training_range")
    if not rows:
        raise TrainingDataError(
            "the features of the stored transactions are not built; run: rowguard features"
            if has_transactions(connection)
            else "there are no transactions to train on; run: rowguard import FILE"
        )
    return first, last, rows


def _fetch_built(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query over tables that dbt builds."""
    try:
        return connection.execute(QUERIES[query]).fetchall()
    except psycopg.errors.UndefinedTable:
        raise TrainingDataError("the features are not built; run: rowguard features") from None


def has_transactions(connection: psycopg.Connection) -> bool:
    """Return whether any transaction is stored."""
    return bool(fetch_one(connection, QUERIES["has_transactions"])[0])


def read_dataset(url: str, start: datetime, end: datetime, label_cutoff: datetime | None = None) -> Dataset:
    """Read the transactions of [start, end).

    Args:
        url: Address of the database.
        start: First event time.
        end: End of the event times, exclusive.
        label_cutoff: Later labels are not used; None uses all labels.

    Returns:
        The rows; unlabeled ones count as legitimate.
    """
    import adbc_driver_postgresql.dbapi as adbc  # loads Arrow; other commands only ask for the feature list

    features, fraud, users, times = [], [], [], []
    values = {"start_at": start, "end_at": end, "label_cutoff": label_cutoff or "infinity"}
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        # With parameters the driver cannot stream, and holds the whole result in memory.
        cursor.execute(
            QUERIES["training_rows"]
            % {name: sql.Literal(value).as_string() for name, value in values.items()}
        )
        for batch in cursor.fetch_record_batch():
            flat = batch.column("feature_values").flatten().to_numpy(zero_copy_only=False)
            features.append(flat.astype(np.float32, copy=False).reshape(len(batch), -1))
            fraud.append(batch.column("is_fraud").to_numpy(zero_copy_only=False).astype(bool))
            users.append(batch.column("user_id").to_numpy())
            times.append(batch.column("occurred_at").to_numpy().astype("datetime64[us]"))
    if not features:
        return Dataset(
            np.empty((0, 0), np.float32),
            np.empty(0, bool),
            np.empty(0, np.int64),
            np.empty(0, "datetime64[us]"),
        )
    return Dataset(
        _concatenate(features), np.concatenate(fraud), np.concatenate(users), np.concatenate(times)
    )


def _concatenate(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join the parts and empty the list: each part is freed once it is copied, so memory holds the rows once."""
    result = np.empty((sum(len(part) for part in parts), parts[0].shape[1]), np.float32)
    end = len(result)
    while parts:
        part = parts.pop()
        result[end - len(part) : end] = part
        end -= len(part)
    return result
