"""Rows without a label, and frauds that were labeled after the label delay, are counted and said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rowguard.errors import TrainingDataError
from tests.fix_database import Workspace
from trainer.window import LabelCoverage, read_window

WEEK = timedelta(days=7)


def test_missing_and_late_labels_are_counted_and_said(
    scored: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with scored.connect() as connection:
        # The simulator labels every row; a charge-back takes nine days here, but for every third one.
        connection.execute(
            "UPDATE fraud_labels AS l SET labelled_at = t.occurred_at"
            " + CASE WHEN mod(t.transaction_id, 3) = 0 THEN interval '7 days' ELSE interval '9 days' END"
            " FROM transactions AS t WHERE l.user_id = t.user_id AND l.transaction_id = t.transaction_id AND l.is_fraud"
        )
        connection.execute("DELETE FROM fraud_labels WHERE NOT is_fraud AND mod(transaction_id, 4) = 0")
    rows = read_window(scored.url, WEEK, None, None)
    with scored.connect() as connection:
        expected = connection.execute(
            "SELECT count(*) FILTER (WHERE l.user_id IS NULL), count(l.user_id) FILTER (WHERE l.is_fraud),"
            " count(*) FILTER (WHERE l.is_fraud AND mod(t.transaction_id, 3) <> 0)"
            " FROM transactions AS t LEFT JOIN fraud_labels AS l ON l.user_id = t.user_id"
            " AND l.transaction_id = t.transaction_id AND l.labelled_at <= %(label_cutoff)s"
            " WHERE t.occurred_at >= %(start)s AND t.occurred_at < %(end)s",
            vars(rows.window),
        ).fetchone()
    assert expected is not None and all(expected)
    assert rows.labels == LabelCoverage(*expected)
    assert rows.labels.known_frauds == rows.everything.frauds
    (record,) = caplog.records
    assert record.message.startswith(
        f"{expected[0]:,} rows of the training window have no label and count as"
    )
    assert (
        f"{expected[2] / expected[1]:.0%} of {expected[1]:,} known frauds were labeled after"
        in record.message
    )


def test_another_label_delay_than_that_of_the_features_is_rejected(scored: Workspace) -> None:
    with pytest.raises(
        TrainingDataError, match="delay of 7 days, ROWGUARD_LABEL_DELAY_DAYS is 5; run: rowguard features"
    ):
        read_window(scored.url, timedelta(days=5), None, None)
