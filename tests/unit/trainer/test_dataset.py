"""The training set as arrays, with the labels known at a cutoff."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest

from rowguard.errors import TrainingDataError
from tests.fix_database import Workspace
from trainer.dataset import read_dataset, read_feature_list, read_time_range

SECOND = timedelta(seconds=1)


class Row(NamedTuple):
    """A stored transaction without labels."""

    user_id: int
    transaction_id: int
    occurred_at: datetime


@pytest.fixture
def row(scored: Workspace) -> Row:
    """A row of the training set whose labels were deleted."""
    with scored.connect() as connection:
        found = connection.execute(
            "SELECT user_id, transaction_id, occurred_at FROM features.training_set"
            " ORDER BY occurred_at DESC, transaction_id LIMIT 1"
        ).fetchone()
        assert found is not None
        chosen = Row(*found)
        connection.execute("DELETE FROM fraud_labels WHERE user_id = %s AND transaction_id = %s", chosen[:2])
    return chosen


def label(workspace: Workspace, row: Row, is_fraud: bool, at: datetime) -> None:
    with workspace.connect() as connection:
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at) VALUES (%s, %s, %s, %s)",
            [row.user_id, row.transaction_id, is_fraud, at],
        )


def known(workspace: Workspace, row: Row, at: datetime) -> bool:
    """The label of the row at a label cutoff."""
    data = read_dataset(workspace.url, row.occurred_at, row.occurred_at + SECOND, at)
    assert row.user_id in data.user_id
    return bool(data.is_fraud[data.user_id == row.user_id][0])


def test_a_label_counts_from_the_time_it_was_known(scored: Workspace, row: Row) -> None:
    reported_at = row.occurred_at + timedelta(days=3)
    assert not known(scored, row, reported_at)
    label(scored, row, True, reported_at)
    assert not known(scored, row, reported_at - timedelta(microseconds=1))
    assert known(scored, row, reported_at)


def test_the_latest_known_label_wins(scored: Workspace, row: Row) -> None:
    reported, cleared, confirmed = (row.occurred_at + timedelta(days=days) for days in (1, 5, 9))
    # They need not arrive in order.
    label(scored, row, True, confirmed)
    label(scored, row, True, reported)
    label(scored, row, False, cleared)
    assert [known(scored, row, at) for at in (reported, cleared - SECOND, cleared, confirmed - SECOND, confirmed)] == [
        True, True, False, False, True,
    ]  # fmt: skip


def test_of_two_labels_of_one_time_the_later_stored_one_wins(scored: Workspace, row: Row) -> None:
    at = row.occurred_at + timedelta(days=1)
    label(scored, row, True, at)
    label(scored, row, False, at)
    assert not known(scored, row, at)


def test_rows_come_in_order_of_time_with_nan_for_what_is_missing(scored_template: Workspace) -> None:
    with scored_template.connect() as connection:
        features = read_feature_list(connection)
        first, last, count = read_time_range(connection)
        stored = connection.execute(
            "SELECT user_id, feature_values FROM features.training_set"
            " ORDER BY occurred_at, user_id, transaction_id"
        ).fetchall()
    data = read_dataset(scored_template.url, first, last + SECOND, last)
    assert len(data) == count == len(stored) and data.features.shape == (count, len(features.names))
    assert data.features.dtype == np.float32 and np.isnan(data.features).any()
    assert (np.diff(data.occurred_at) >= np.timedelta64(0)).all()
    assert data.user_id.tolist() == [user for user, _ in stored]
    expected = np.array([values for _, values in stored], dtype=np.float32)
    assert np.array_equal(data.features, expected, equal_nan=True)
    assert 0 < data.frauds < count


def test_the_window_is_half_open(scored_template: Workspace) -> None:
    with scored_template.connect() as connection:
        first, last, count = read_time_range(connection)
    middle = first + (last - first) / 2
    url = scored_template.url
    parts = [read_dataset(url, first, middle, last), read_dataset(url, middle, last + SECOND, last)]
    assert sum(len(part) for part in parts) == count
    without_last = read_dataset(url, first, last, last)
    assert len(without_last) < count
    assert without_last.occurred_at.max() < np.datetime64(last.replace(tzinfo=None))


def test_an_empty_window_gives_no_rows(scored_template: Workspace) -> None:
    with scored_template.connect() as connection:
        first, _, _ = read_time_range(connection)
    data = read_dataset(scored_template.url, first - SECOND, first, first)
    assert len(data) == 0 and data.frauds == 0


def test_errors_name_the_next_command(migrated: Workspace, empty_workspace: Workspace) -> None:
    with (
        migrated.connect() as connection,
        pytest.raises(TrainingDataError, match="run: rowguard"),
    ):
        read_time_range(connection)
    for read in (read_feature_list, read_time_range):
        with (
            empty_workspace.connect() as connection,
            pytest.raises(TrainingDataError, match="run: rowguard features"),
        ):
            read(connection)
