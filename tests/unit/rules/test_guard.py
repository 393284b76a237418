"""The guard of conditions: everything hostile is rejected by its parse tree, everything usual is accepted."""

from __future__ import annotations

import pytest

from rowguard.errors import RuleError
from sql_scoring.features.expressions import UNBOUNDED, ExpressionError, find_names
from sql_scoring.rules.document import validate_rules
from tests.unit.rules.corpus import read_conditions

HOSTILE, LEGITIMATE = read_conditions("hostile"), read_conditions("legitimate")


def test_the_corpus_is_large_enough() -> None:
    assert len(set(HOSTILE)) >= 150
    assert len(set(LEGITIMATE)) >= 100


@pytest.mark.parametrize("condition", HOSTILE)
def test_hostile_conditions_are_rejected_in_one_line(condition: str) -> None:
    rule = {"name": "r", "when": condition, "action": "review", "reason_code": "r", "reason": "r"}
    with pytest.raises(RuleError) as error:
        validate_rules({"rules": [rule]})
    assert "rule `r`" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("condition", LEGITIMATE)
def test_legitimate_conditions_are_accepted(condition: str) -> None:
    find_names(condition, excluded=UNBOUNDED)


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 3_000 + "true",
        "NOT " * 990 + "true",
        "amount" + "+amount" * 600 + " > 1",
        "a" * 4_001,
        "-" * 3_999,
        "\0true",
    ],
)
def test_huge_and_deep_conditions_end_quickly(condition: str) -> None:
    try:
        find_names(condition, excluded=UNBOUNDED)
    except ExpressionError as error:
        assert len(str(error)) < 500
