"""A simulated history: its shape, that it repeats, and that it looks like card payments."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from simulator import Simulation, SimulationConfig, simulate
from simulator._fraud import SCENARIOS
from simulator._history import TRANSACTIONS_SCHEMA, USERS_SCHEMA


def fingerprint(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for column in table.columns:
        digest.update("\n".join(map(str, column.to_pylist())).encode())
    return digest.hexdigest()


def mapping(table: pa.Table, key: str, value: str) -> dict[Any, Any]:
    return dict(zip(table[key].to_pylist(), table[value].to_pylist(), strict=True))


def campaigns(history: Simulation, scenario: str) -> dict[tuple[int, datetime], list[dict[str, Any]]]:
    """Frauds of a scenario by card and time of the report, which is the same for a whole campaign."""
    names = pc.cast(history.transactions["scenario"], pa.string())
    frauds = history.transactions.filter(pc.equal(names, scenario))
    by_campaign: dict[tuple[int, datetime], list[dict[str, Any]]] = {}
    for row in frauds.to_pylist():
        by_campaign.setdefault((row["user_id"], row["labelled_at"]), []).append(row)
    return by_campaign


def test_schemas(history: Simulation) -> None:
    assert history.users.schema == USERS_SCHEMA
    assert history.transactions.schema == TRANSACTIONS_SCHEMA
    for table in (history.users, history.transactions):
        table.validate(full=True)


def test_transactions_are_sorted_and_within(history: Simulation, config: SimulationConfig) -> None:
    times = history.transactions["occurred_at"].to_pylist()
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert config.starts_at <= times[0] < config.starts_at + timedelta(hours=2)
    assert config.end - timedelta(hours=2) < times[-1] < config.end


def test_ids_and_amounts(history: Simulation, config: SimulationConfig) -> None:
    table = history.transactions
    assert history.users["user_id"].to_pylist() == list(range(1, config.users + 1))
    assert set(table["user_id"].to_pylist()) <= set(history.users["user_id"].to_pylist())
    assert set(table["merchant_id"].to_pylist()) <= set(range(1, config.merchants + 1))
    places = set(zip(table["merchant_id"].to_pylist(), table["location"].to_pylist(), strict=True))
    assert len(places) == pc.count_distinct(table["merchant_id"]).as_py(), "a merchant is in one country"
    assert Decimal("0.50") <= pc.min(table["amount"]).as_py() <= pc.max(table["amount"]).as_py() <= 25_000


def test_as_many_as_expected(history: Simulation, config: SimulationConfig) -> None:
    legitimate = config.users * config.days * config.transactions_per_user_day
    assert history.transactions.num_rows == pytest.approx(legitimate / (1 - config.fraud_rate), rel=0.1)
    share = pc.mean(history.transactions["is_fraud"].cast(pa.int8())).as_py()
    assert share == pytest.approx(config.fraud_rate, rel=0.15)


def test_same_parameters_same_bytes(history: Simulation, config: SimulationConfig) -> None:
    again = simulate(config)
    assert again.transactions.equals(history.transactions)
    assert again.users.equals(history.users)


def test_bytes_are_pinned() -> None:
    """Fails when the meaning of seeds changes, by an edit or by numpy; either deserves a changelog line."""
    small = simulate(SimulationConfig(users=40, merchants=60, days=12, end=datetime(2026, 1, 10), seed=3))
    fingerprints = {
        "users": fingerprint(small.users)[:16],
        "transactions": fingerprint(small.transactions)[:16],
    }
    assert fingerprints == {
        "users": "ad150a9b8f2103ea",
        "transactions": "6d09470bf71cfe73",
    }


def test_another_seed_is_another_world(config: SimulationConfig, history: Simulation) -> None:
    other = simulate(replace(config, seed=12))
    assert not other.users.equals(history.users)
    assert other.transactions["amount"].to_pylist()[:20] != history.transactions["amount"].to_pylist()[:20]


def test_a_longer_history_holds_the_shorter_one(config: SimulationConfig, history: Simulation) -> None:
    longer = simulate(replace(config, days=50)).transactions
    overlap = longer.filter(pc.greater_equal(longer["occurred_at"], config.starts_at))
    assert overlap.to_pylist() == history.transactions.to_pylist()


@pytest.mark.parametrize("parameters", [{"users": 1}, {"merchants": 28}, {"days": 1}, {"fraud_rate": 0.0}])
def test_small_worlds(parameters: dict[str, Any]) -> None:
    values: dict[str, Any] = {"users": 30, "merchants": 40, "days": 5, "end": datetime(2026, 1, 10)}
    small = simulate(SimulationConfig(**(values | parameters)))
    assert small.transactions.schema == TRANSACTIONS_SCHEMA
    if parameters.get("fraud_rate") == 0.0:
        assert not any(small.transactions["is_fraud"].to_pylist())


def test_labels_come_later(history: Simulation, config: SimulationConfig) -> None:
    delays = pc.subtract(history.transactions["labelled_at"], history.transactions["occurred_at"])
    days = np.asarray(delays.cast(pa.int64())) / 86_400e6
    is_fraud = np.asarray(history.transactions["is_fraud"])
    assert (days[~is_fraud] == config.legitimate_after_days).all()
    assert days[is_fraud].min() > 0
    assert 1.0 < np.median(days[is_fraud]) < 6.0
    assert 0.65 < (days[is_fraud] < 7.0).mean() < 0.95


def test_scenario_is_null_exactly_for_legitimate(history: Simulation) -> None:
    names = history.transactions["scenario"].to_pylist()
    assert [name is not None for name in names] == history.transactions["is_fraud"].to_pylist()
    counts = Counter(name for name in names if name)
    assert set(counts) == {scenario.name for scenario in SCENARIOS}
    for scenario in SCENARIOS:
        assert counts[scenario.name] / counts.total() == pytest.approx(scenario.fraction, abs=0.12)


def test_card_testing_is_a_burst_of_small_amounts(history: Simulation) -> None:
    bursts = campaigns(history, "card_testing")
    with_finale = 0
    for rows in bursts.values():
        small = [row for row in rows if row["amount"] < 10]
        if len(small) < 4:
            continue  # cut off by the edge of the history
        assert small[-1]["occurred_at"] - small[0]["occurred_at"] < timedelta(minutes=30)
        with_finale += rows[-1]["amount"] > 100
    assert with_finale > len(bursts) / 2


def test_takeover_is_usually_abroad_and_spread_over_hours(history: Simulation) -> None:
    homes = mapping(history.users, "user_id", "home_location")
    takeovers = campaigns(history, "account_takeover")
    rows = [row for campaign in takeovers.values() for row in campaign]
    assert sum(row["location"] != homes[row["user_id"]] for row in rows) / len(rows) > 0.7
    spans = [campaign[-1]["occurred_at"] - campaign[0]["occurred_at"] for campaign in takeovers.values()]
    assert max(spans) > timedelta(hours=8)


def test_compromised_merchants_gather_frauds(history: Simulation) -> None:
    rows = [row for rows in campaigns(history, "compromised_merchant").values() for row in rows]
    counts = Counter(row["merchant_id"] for row in rows)
    top = [merchant for merchant, _ in counts.most_common(10)]
    assert sum(counts[merchant] for merchant in top) > len(rows) / 2


def test_out_of_range_amounts_are_out_of_range(history: Simulation) -> None:
    table = history.transactions
    legitimate = table.filter(pc.invert(table["is_fraud"]))
    means = mapping(legitimate.group_by("user_id").aggregate([("amount", "mean")]), "user_id", "amount_mean")
    rows = [row for rows in campaigns(history, "amount_out_of_range").values() for row in rows]
    assert np.median([float(row["amount"] / means[row["user_id"]]) for row in rows]) > 5


def test_users_have_habits(history: Simulation) -> None:
    table = history.transactions.filter(pc.invert(history.transactions["is_fraud"]))
    # They return to their merchants …
    pairs = Counter(zip(table["user_id"].to_pylist(), table["merchant_id"].to_pylist(), strict=True))
    assert sum(count for count in pairs.values() if count > 1) / pairs.total() > 0.6
    # … sleep at night and shop on Saturdays …
    hours = Counter(time.hour for time in table["occurred_at"].to_pylist())
    assert hours[3] < hours[12] / 5
    weekdays = Counter(time.weekday() for time in table["occurred_at"].to_pylist())
    assert weekdays[5] > weekdays[1] * 1.2
    # … are not all the same …
    by_user = np.bincount(np.asarray(table["user_id"]))[1:]
    assert by_user.max() > 4 * np.median(by_user)
    # … and sometimes act like fraudsters: pay abroad, spend much, buy in quick succession.
    homes = np.asarray(history.users["home_location"])[np.asarray(table["user_id"]) - 1]
    assert 0.01 < (homes != np.asarray(table["location"])).mean() < 0.15
    assert pc.quantile(table["amount"].cast(pa.float64()), 0.999)[0].as_py() > 500


def test_works_across_time_zones_and_years() -> None:
    config = SimulationConfig(users=50, merchants=50, days=3, end=datetime(2025, 1, 1, 12, tzinfo=UTC))
    assert simulate(config).transactions.num_rows > 50
