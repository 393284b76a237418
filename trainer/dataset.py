"""The training set as arrays: read in Arrow batches, labels as they were known at a cut-off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import psycopg
from numpy.typing import NDArray

from rowguard.errors import TrainingDataError
from rowguard.queries import load_queries

QUERIES = load_queries("trainer")


@dataclass(frozen=True)
class FeatureList:
    """The features that are built: names in model order, and the hash that travels with a model."""

    names: tuple[str, ...]
    hash: str


@dataclass(frozen=True)
class Dataset:
    """Rows in order of time.

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

    @property
    def frauds(self) -> int:
        return int(self.is_fraud.sum())


def read_feature_list(connection: psycopg.Connection) -> FeatureList:
    """The list that dbt built last.

    Raises:
        TrainingDataError: the features were never built.
    """
    try:
        rows = connection.execute(QUERIES["feature_definitions"]).fetchall()
    except psycopg.errors.UndefinedTable:
        raise TrainingDataError("the features are not built yet; run: rowguard features") from None
    return FeatureList(tuple(name for name, _ in rows), rows[0][1])


def read_feature_groups(connection: psycopg.Connection) -> dict[str, str]:
    """Feature -> group, in model order; see sql/feature_groups.sql. Call it when the list is known to be built."""
    return dict(connection.execute(QUERIES["feature_groups"]).fetchall())


def read_span(connection: psycopg.Connection) -> tuple[datetime, datetime, int]:
    """First and last instant and number of rows of the training set.

    Raises:
        TrainingDataError: it is empty, or was never built.
    """
    try:
        first, last, rows = connection.execute(QUERIES["training_span"]).fetchone() or (None, None, 0)
    except psycopg.errors.UndefinedTable:
        raise TrainingDataError("the features are not built yet; run: rowguard features") from None
    if not rows:
        raise TrainingDataError(
            "there are no transactions to train on; run: rowguard simulate, or rowguard import FILE"
        )
    return first, last, rows


def read_dataset(url: str, start: datetime, end: datetime, known_at: datetime) -> Dataset:
    """The transactions of [start, end) with the labels known at `known_at`."""
    features, fraud, users, times = [], [], [], []
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        # Literals and not parameters: with parameters the driver cannot stream, and holds the whole answer in memory.
        instants = {"start_at": start, "end_at": end, "known_at": known_at}
        literals = {name: psycopg.sql.Literal(instant).as_string() for name, instant in instants.items()}
        cursor.execute(QUERIES["training_rows"] % literals)
        for batch in cursor.fetch_record_batch():
            values = batch.column("feature_values").flatten().to_numpy(zero_copy_only=False)
            features.append(values.astype(np.float32, copy=False).reshape(len(batch), -1))
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
    return Dataset(_joined(features), np.concatenate(fraud), np.concatenate(users), np.concatenate(times))


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One array of all parts; each is let go of as soon as it is copied, so that they never stand in memory twice.
    Empties `parts`."""
    rows = sum(len(part) for part in parts)
    result = np.empty((rows, parts[0].shape[1]), np.float32)
    parts.reverse()
    start = 0
    while parts:
        part = parts.pop()
        result[start : start + len(part)] = part
        start += len(part)
    return result
