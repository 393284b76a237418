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
    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, query: str, parameters: dict[str, Any]) -> FakeCursor:
        self.sent.append((query, parameters))
        return self

    def fetchone(self) -> Any:
        answer = self.answers[(len(self.sent) - 1) % len(self.answers)]
        if isinstance(answer, Exception):
            raise answer
        return answer and (len(self.sent), NOW, *answer)


class FakeConnection:
    def __init__(self, answers: list[Any], autocommit: bool = True) -> None:
        self.autocommit = autocommit
        self.made = FakeCursor(answers)

    def cursor(self) -> FakeCursor:
        return self.made


def connection(*answers: Any, autocommit: bool = True) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", FakeConnection(list(answers), autocommit))


def sent(made: psycopg.Connection[Any]) -> list[tuple[str, dict[str, Any]]]:
    return cast(FakeConnection, made).made.sent


@pytest.fixture(scope="module")
def rows() -> list[LiveTransaction]:
    config = SimulationConfig(users=200, merchants=100, days=1, end=NOW)
    return list(live_transactions(config, fraud_share=0.2, count=40))


def test_counts_decisions_against_the_truth(rows: list[LiveTransaction]) -> None:
    seen: list[LiveDecision] = []
    made = connection(("FRAUD", 0.9, "v1"), ("LEGITIMATE", 0.1, "v1"))
    summary = insert_live(made, rows, on_row=seen.append)
    frauds = [row.is_fraud for row in rows]
    assert summary.rows == len(rows) == len(summary.decisions)
    assert summary.decisions == seen
    assert summary.frauds_flagged == sum(frauds[::2])
    assert summary.false_alarms == len(frauds[::2]) - sum(frauds[::2])
    assert summary.frauds_missed == sum(frauds[1::2])
    assert summary.precision == summary.frauds_flagged / 20
    assert summary.recall == summary.frauds_flagged / sum(frauds)
    assert summary.decisions[0].model_version == "v1"
    assert summary.decisions[0].transaction is rows[0]


def test_a_boolean_flag_counts_too(rows: list[LiveTransaction]) -> None:
    summary = insert_live(connection((True, 0.9, "v1"), (False, 0.1, "v1")), rows, keep_decisions=False)
    assert summary.frauds_flagged + summary.false_alarms == 20
    assert summary.decisions == []


def test_without_a_model_nothing_is_decided(rows: list[LiveTransaction]) -> None:
    summary = insert_live(connection((None, None, None)), rows)
    assert summary.undecided == len(rows)
    assert summary.precision is None
    assert summary.recall is None


def test_sends_the_instant_only_when_asked(rows: list[LiveTransaction]) -> None:
    plain, timed = connection((None, None, None)), connection((None, None, None))
    insert_live(plain, rows[:1])
    insert_live(timed, rows[:1], set_occurred_at=True)
    assert "%(occurred_at)s" not in sent(plain)[0][0]
    assert "%(occurred_at)s" in sent(timed)[0][0]
    assert sent(timed)[0][1]["occurred_at"] == rows[0].occurred_at


def test_keeps_the_rate(rows: list[LiveTransaction]) -> None:
    def insert() -> None:
        began = time.perf_counter()
        summary = insert_live(connection((None, None, None)), rows[:11], rate=100.0)
        assert 0.1 <= summary.seconds <= time.perf_counter() - began

    assert_quicker(0.5, insert)


def test_pauses(rows: list[LiveTransaction]) -> None:
    began = time.perf_counter()
    insert_live(connection((None, None, None)), rows[:5], pause_between=0.01)
    assert time.perf_counter() - began >= 0.05


@pytest.mark.parametrize(
    "parameters",
    [{"rate": 1.0, "pause_between": 1.0}, {"rate": 0.0}, {"rate": float("inf")}, {"pause_between": -1.0}],
)
def test_refuses_parameters(rows: list[LiveTransaction], parameters: dict[str, Any]) -> None:
    made = connection((None, None, None))
    with pytest.raises(SimulationConfigError):
        insert_live(made, rows, **parameters)
    assert not sent(made)


def test_needs_autocommit(rows: list[LiveTransaction]) -> None:
    with pytest.raises(SimulationConfigError, match="autocommit"):
        insert_live(connection((None, None, None), autocommit=False), rows)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (psycopg.errors.UndefinedTable("no relation transactions\nLINE 1"), SchemaError, "migrate"),
        (psycopg.OperationalError("server closed\nprobably"), DatabaseUnavailableError, "after 1 rows"),
        (None, SchemaError, "answered with no row"),
    ],
)
def test_errors_are_one_line(
    rows: list[LiveTransaction], raised: Any, expected: type[Exception], message: str
) -> None:
    with pytest.raises(expected, match=message) as caught:
        insert_live(connection((None, None, None), raised), rows)
    assert "\n" not in str(caught.value)
