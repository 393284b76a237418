"""The live stream: it continues the history, and its frauds come early and in bursts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any, get_args
from uuid import UUID

import pyarrow.compute as pc
import pytest

from rowguard.declaration import KeyType
from simulator import SimulationConfig, SimulationConfigError, live_transactions, simulate
from simulator.user_keys import user_key


def test_is_deterministic_and_sorted(config: SimulationConfig) -> None:
    first = list(live_transactions(config, count=400))
    assert first == list(live_transactions(config, count=400))
    assert all(earlier.occurred_at <= later.occurred_at for earlier, later in pairwise(first))
    assert first[0].occurred_at >= config.end


def test_its_purchases_are_those_of_a_longer_history(config: SimulationConfig) -> None:
    stream = live_transactions(config, count=300)
    live = [(row.occurred_at, row.user_id, row.merchant_id, row.amount) for row in stream if not row.is_fraud]
    later_end = config.end + timedelta(days=2)
    longer = simulate(replace(config, end=later_end, days=config.days + 2)).transactions
    later = longer.filter(
        pc.and_(pc.greater_equal(longer["occurred_at"], config.end), pc.invert(longer["is_fraud"]))
    )
    names = ("occurred_at", "user_id", "merchant_id", "amount")
    expected = list(zip(*(later[name].to_pylist() for name in names), strict=True))
    assert live == expected[: len(live)]


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.2])
def test_fraud_rate(config: SimulationConfig, rate: float) -> None:
    rows = list(live_transactions(config, fraud_rate=rate, count=6_000))
    assert sum(row.is_fraud for row in rows) / len(rows) == pytest.approx(rate, rel=0.2)


def test_a_few_hundred_rows_contain_several_scenarios(config: SimulationConfig) -> None:
    rows = list(live_transactions(config, count=300))
    assert any(row.is_fraud for row in rows[:60])
    assert len({row.scenario for row in rows if row.scenario}) >= 3


def test_card_testing_comes_in_bursts(config: SimulationConfig) -> None:
    tests = [row for row in live_transactions(config, count=3_000) if row.scenario == "card_testing"]
    close = sum(
        first.user_id == second.user_id and second.occurred_at - first.occurred_at < timedelta(minutes=5)
        for first, second in pairwise(tests)
    )
    assert close > len(tests) / 2


def test_without_frauds(config: SimulationConfig) -> None:
    assert not any(row.is_fraud for row in live_transactions(config, fraud_rate=0.0, count=500))


def test_starts_at_the_given_time_and_never_ends(config: SimulationConfig) -> None:
    start = config.end + timedelta(days=3, minutes=7)
    rows = list(islice(live_transactions(config, start=start.replace(tzinfo=None)), 50))
    assert start <= rows[0].occurred_at < start + timedelta(hours=1)
    assert list(live_transactions(config, count=0)) == []


def test_values_fit_the_table(config: SimulationConfig) -> None:
    for row in live_transactions(config, count=200):
        assert isinstance(row.user_id, int) and 1 <= row.user_id <= config.users
        assert 1 <= row.merchant_id <= config.merchants
        assert row.amount == row.amount.quantize(Decimal("0.01")) > 0
        assert len(row.location) == 2
        assert (row.scenario is None) == (not row.is_fraud)


@pytest.mark.parametrize("parameters", [{"fraud_rate": 0.6}, {"fraud_rate": float("nan")}, {"count": -1}])
def test_rejects_immediately(config: SimulationConfig, parameters: dict[str, Any]) -> None:
    with pytest.raises(SimulationConfigError):
        live_transactions(config, **parameters)


@pytest.mark.parametrize("key_type", get_args(KeyType))
def test_ids_have_the_declared_type_and_the_same_numbers(key_type: KeyType) -> None:
    numbered = SimulationConfig(users=40, days=3, seed=2)
    keyed = replace(numbered, user_id_type=key_type)
    history, plain = simulate(keyed), simulate(numbered)
    written = [str(user_key(number, key_type)) for number in plain.transactions["user_id"].to_pylist()]
    assert list(map(str, history.transactions["user_id"].to_pylist())) == written
    assert set(history.users["user_id"].to_pylist()) >= set(history.transactions["user_id"].to_pylist())
    assert history.transactions.drop_columns("user_id") == plain.transactions.drop_columns("user_id")
    live = [row.user_id for row in live_transactions(keyed, count=20)]
    assert live == [
        user_key(int(str(row.user_id)), key_type) for row in live_transactions(numbered, count=20)
    ]
    assert user_key(42, "uuid") == UUID("00000000-0000-0000-0000-00000000002a")
