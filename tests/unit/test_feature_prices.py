"""Prices that `rowguard features --explain` shows: what opens a read pays for it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.inserts.instructions import features_file
from sql_scoring.features.listing import load_declaration
from sql_scoring.features.plan import Plan
from sql_scoring.features.prices import price_text


def test_the_first_feature_of_a_read_pays_for_opening_it(tmp_path: Path) -> None:
    path = tmp_path / "features.yml"
    path.write_text(features_file("bigint", True, False))
    plan = Plan(load_declaration(path), 7)
    prices = {planned.name: price_text(plan, planned) for planned in plan.features}
    assert prices["user_txn_count_1h"] == "30" and prices["user_txn_count_7d"] == "30"
    assert prices["user_amount_stddev_7d"] == "10", "its window is open already"
    assert prices["device_txn_count_10m"] == "90 to 2,190" and prices["device_txn_count_1d"] == "13"
    assert prices["device_minutes_since_first"] == "63"
    assert prices["card_device_distinct_30d"] == "28"
    assert prices["user_location_match"] == "24", "it reads a reference"
    assert prices["transaction_amount"] == "4" and prices["merchant_fraud_rate_7d"] == "2"
    assert all(prices.values())
