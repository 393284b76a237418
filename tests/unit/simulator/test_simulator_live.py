"""Inserting a live stream, against a stand-in for the connection."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
import pytest

from rowguard.errors import DatabaseUnavailableError, SchemaError
from simulator import LiveTransaction, SimulationConfig, SimulationConfigError, live_transactions
from simulator.live import LiveDecision, insert_live
from tests.waiting import assert_quicker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeCursor:
    def __init__(self, results: list[Any]) -> None:
        self.results = results
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, query: str, parameters: dict[str, Any]) -> FakeCursor:
        self.sent.append((query, parameters))
        return self

    def fetchone(self) -> Any:
        result = self.results[(len(self.sent) - 1) % len(self.results)]
        if isinstance(result, Exception):
            raise result
        return result and (len(self.sent), NOW, *result)


class FakeConnection:
    def __init__(self, results: list[Any], autocommit: bool = True) -> None:
        self.autocommit = autocommit
        self.cursor_ = FakeCursor(results)

    def cursor(self) -> FakeCursor:
        return self.cursor_


def connection(*results: Any, autocommit: bool = True) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", FakeConnection(list(results), autocommit))


def sent(opened: psycopg.Connection[Any]) -> list[tuple[str, dict[str, Any]]]:
    return cast(FakeConnection, opened).cursor_.sent


@pytest.fixture(scope="module")
def rows() -> list[LiveTransaction]:
    config = SimulationConfig(users=200, merchants=100, days=1, end=NOW)
    return list(live_transactions(config, fraud_rate=0.2, count=40))


def test_counts_decisions_against_the_labels(rows: list[LiveTransaction]) -> None:
    seen: list[LiveDecision] = []
    opened = connection(("FRAUD", 0.9, "v1"), ("LEGITIMATE", 0.1, "v1"))
    summary = insert_live(opened, rows, on_row=seen.append)
    frauds = [row.is_fraud for row in rows]
    assert summary.rows == len(rows) == len(summary.decisions)
    assert summary.decisions == seen
    assert summary.true_positives == sum(frauds[::2])
    assert summary.false_positives == len(frauds[::2]) - sum(frauds[::2])
    assert summary.false_negatives == sum(frauds[1::2])
    assert summary.precision == summary.true_positives / 20
    assert summary.recall == summary.true_positives / sum(frauds)
    assert summary.decisions[0].model_version == "v1"
    assert summary.decisions[0].transaction is rows[0]


def test_decisions_are_not_kept_on_request(rows: list[LiveTransaction]) -> None:
    summary = insert_live(connection(("FRAUD", 0.9, "v1")), rows, keep_decisions=False)
    assert summary.true_positives + summary.false_positives == len(rows)
    assert summary.decisions == []


def test_without_a_model_rows_are_unscored(rows: list[LiveTransaction]) -> None:
    summary = insert_live(connection((None, None, None)), rows)
    assert summary.unscored == len(rows)
    assert summary.precision is None
    assert summary.recall is None


def test_sends_the_simulated_time_only_on_request(rows: list[LiveTransaction]) -> None:
    plain, timed = connection((None, None, None)), connection((None, None, None))
    insert_live(plain, rows[:1])
    insert_live(timed, rows[:1], set_occurred_at=True)
    assert "%(occurred_at)s" not in sent(plain)[0][0]
    assert "%(occurred_at)s" in sent(timed)[0][0]
    assert sent(timed)[0][1]["occurred_at"] == rows[0].occurred_at


def test_keeps_the_rate(rows: list[LiveTransaction]) -> None:
    def insert() -> None:
        started = time.perf_counter()
        summary = insert_live(connection((None, None, None)), rows[:11], rate=100.0)
        assert 0.1 <= summary.seconds <= time.perf_counter() - started

    assert_quicker(0.5, insert)


@pytest.mark.parametrize(
    "parameters",
    [{"rate": 0.0}, {"rate": -1.0}, {"rate": float("inf")}],
)
def test_rejects_parameters(rows: list[LiveTransaction], parameters: dict[str, Any]) -> None:
    opened = connection((None, None, None))
    with pytest.raises(SimulationConfigError):
        insert_live(opened, rows, **parameters)
    assert not sent(opened)


def test_needs_autocommit(rows: list[LiveTransaction]) -> None:
    with pytest.raises(SimulationConfigError, match="autocommit"):
        insert_live(connection((None, None, None), autocommit=False), rows)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (psycopg.errors.UndefinedTable("no relation transactions\nLINE 1"), SchemaError, "migrate"),
        (psycopg.OperationalError("server closed\nprobably"), DatabaseUnavailableError, "after 1 rows"),
        (None, SchemaError, "returned no row"),
    ],
)
def test_errors_are_one_line(
    rows: list[LiveTransaction], raised: Any, expected: type[Exception], message: str
) -> None:
    with pytest.raises(expected, match=message) as caught:
        insert_live(connection((None, None, None), raised), rows)
    assert "\n" not in str(caught.value)
