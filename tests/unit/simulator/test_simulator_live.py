"""Inserting a live stream, against a stand-in for the connection."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from unittest.mock import MagicMock

import pytest

from simulator import LiveTransaction, SimulationConfig, SimulationConfigError, live_transactions
from simulator.live import LiveDecision, insert_live
from tests.waiting import assert_quicker

UNSCORED = (1, None, None)


def connection(*results: Any) -> MagicMock:
    """Stand in for an autocommit connection whose INSERTs return the results in turn."""
    stand_in = MagicMock(autocommit=True)
    stand_in.cursor().__enter__().execute().fetchone.side_effect = cycle(results)
    stand_in.cursor().__enter__().execute.reset_mock()
    return stand_in


def sent(stand_in: MagicMock) -> list[dict[str, Any]]:
    return [call.args[1] for call in stand_in.cursor().__enter__().execute.call_args_list]


@pytest.fixture(scope="module")
def rows() -> list[LiveTransaction]:
    config = SimulationConfig(users=200, merchants=100, days=1, end=datetime(2026, 1, 1, tzinfo=UTC))
    return list(live_transactions(config, fraud_rate=0.2, count=40))


def test_counts_decisions_against_the_labels(rows: list[LiveTransaction]) -> None:
    seen: list[LiveDecision] = []
    summary = insert_live(connection((1, "FRAUD", 0.9), (2, "LEGITIMATE", 0.1)), rows, on_row=seen.append)
    assert summary.decisions == seen and [decision.transaction for decision in seen] == rows
    frauds = [row.is_fraud for row in rows]
    metrics = summary.metrics()
    assert metrics["rows"] == len(rows) and metrics["unscored"] == 0
    assert metrics["true_positives"] == sum(frauds[::2])
    assert metrics["false_positives"] == len(frauds[::2]) - sum(frauds[::2])
    assert metrics["false_negatives"] == sum(frauds[1::2])
    assert metrics["true_negatives"] == len(frauds[1::2]) - sum(frauds[1::2])
    assert metrics["precision"] == sum(frauds[::2]) / 20
    assert metrics["recall"] == sum(frauds[::2]) / sum(frauds)


def test_without_a_model_rows_are_unscored(rows: list[LiveTransaction]) -> None:
    metrics = insert_live(connection(UNSCORED), rows).metrics()
    assert metrics["unscored"] == len(rows)
    assert metrics["precision"] is metrics["recall"] is None


def test_sends_the_simulated_time_only_on_request(rows: list[LiveTransaction]) -> None:
    plain, timed = connection(UNSCORED), connection(UNSCORED)
    insert_live(plain, rows[:1])
    insert_live(timed, rows[:1], set_occurred_at=True)
    assert sent(plain)[0]["occurred_at"] is None
    assert sent(timed)[0]["occurred_at"] == rows[0].occurred_at


def test_keeps_the_rate(rows: list[LiveTransaction]) -> None:
    def insert() -> None:
        started = time.perf_counter()
        summary = insert_live(connection(UNSCORED), rows[:11], rate=100.0)
        assert 0.1 <= summary.seconds <= time.perf_counter() - started

    assert_quicker(0.5, insert)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf")])
def test_rejects_a_rate(rows: list[LiveTransaction], rate: float) -> None:
    stand_in = connection(UNSCORED)
    with pytest.raises(SimulationConfigError):
        insert_live(stand_in, rows, rate=rate)
    assert not sent(stand_in)


def test_needs_autocommit(rows: list[LiveTransaction]) -> None:
    with pytest.raises(SimulationConfigError, match="autocommit"):
        insert_live(MagicMock(autocommit=False), rows)
