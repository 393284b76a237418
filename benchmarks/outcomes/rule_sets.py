"""Rule sets for measurements: rules of three conditions over amounts, places, merchants and features."""

from __future__ import annotations

import random

from sql_scoring.rules.document import RuleSet, validate_rules

COUNTRIES = ("DE", "FR", "IT", "ES", "PL", "NL", "BE", "AT", "CH", "CZ", "US", "GB", "BR", "NG", "IN", "CN")
FEATURES = {
    "user_txn_count_1h": (5, 40),
    "user_txn_count_7d": (60, 400),
    "user_amount_mean_30d": (300, 5_000),
    "user_amount_stddev_7d": (200, 5_000),
}


def make_rule_set(rules: int, *, lists: tuple[str, ...] = (), seed: int = 1) -> RuleSet:
    """Return a rule set of so many live rules.

    Args:
        rules: How many.
        lists: Lists that every tenth rule asks for.
        seed: Of the thresholds.
    """
    source = random.Random(seed)
    entries = []
    for number in range(rules):
        feature, (low, high) = source.choice(list(FEATURES.items()))
        conditions = [
            f"amount > {source.randint(400, 9_000)}.{source.randint(10, 99)}",
            f"{feature} >= {source.randint(low, high)}",
            source.choice(
                [
                    "location IN ({})".format(", ".join(f"'{name}'" for name in source.sample(COUNTRIES, 3))),
                    f"merchant_id = {source.randint(1, 500)}",
                    f"fraud_probability BETWEEN {source.uniform(0.1, 0.3):.3f} AND {source.uniform(0.5, 0.9):.3f}",
                ]
            ),
        ]
        if lists and number % 10 == 0:
            conditions[2] = f"list.{source.choice(lists)}"
        entries.append(
            {
                "name": f"rule_{number}",
                "when": " AND ".join(conditions),
                "action": source.choice(["review", "decline"]),
                "reason_code": f"reason_{number % 50}",
                "reason": "made for a measurement",
                "mode": "live",
                "priority": source.randint(1, 1_000),
            }
        )
    return validate_rules({"thresholds": {"review": 0.5, "decline": 0.9}, "rules": entries})
