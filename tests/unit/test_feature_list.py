"""What the feature list may hold, and the line of each refusal."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from rowguard.errors import FeatureBuildError
from sql_scoring.features.dbt import PROJECT_DIR
from sql_scoring.features.feature_list import check_feature_list

SHIPPED = PROJECT_DIR / "dbt_project.yml"
REJECTED = {
    "{name: x, entity: shop, measure: amount, aggregate: sum, window: 1d, description: d}": "`entity`: input should be",
    "{name: x, entity: user, measure: amount, aggregate: median, window: 1d, description: d}": (
        "`aggregate`: of measure `amount` it is sum or mean or max or stddev"
    ),
    "{name: x, entity: user, measure: amount, aggregate: sum, window: 1 week, description: d}": (
        "`window`: a number and h or d"
    ),
    "{name: x, entity: merchant, measure: amount, aggregate: sum, window: 1h, delay: 1d, description: d}": (
        "of a merchant whole days"
    ),
    "{name: x, entity: merchant, measure: amount, aggregate: sum, window: 1d, delay: 1h, description: d}": "`delay`",
    "{name: x, entity: merchant, measure: amount, aggregate: sum, window: 1d, description: d}": "`delay`: field required",
    "{name: x, entity: user, measure: label, aggregate: count, window: 7d, description: d}": "`entity`",
    "{name: x, entity: merchant, measure: label, aggregate: count, window: 7d, delay: 7d, description: d}": (
        "`delay`: of labels it is the setting ROWGUARD_LABEL_DELAY_DAYS"
    ),
    "{name: x, entity: user, measure: amount, window: 1d, description: d}": "`aggregate`: field required",
    "{name: Big, expression: amount, description: d}": "`name`: lowercase letters",
    "{name: amount, expression: amount, description: d}": "feature `amount`: the name is taken",
    "{name: user_txn_count_7d, expression: amount, description: d}": "the name is taken",
    "{name: x, expression: amount}": "`description`: field required",
    "{name: x, expression: amount, color: red, description: d}": "`color`: extra inputs are not permitted",
    "nonsense": "feature `nonsense`: not of the form",
}


def test_the_shipped_list_is_accepted() -> None:
    check_feature_list(SHIPPED)


@pytest.mark.parametrize(("entry", "reason"), REJECTED.items())
def test_an_entry_that_cannot_be_rendered_is_named_with_its_line(
    tmp_path: Path, entry: str, reason: str
) -> None:
    path = tmp_path / "dbt_project.yml"
    before, models, after = SHIPPED.read_text().partition("\nmodels:")
    path.write_text(f"{before}    - {entry}\n{models}{after}")
    with pytest.raises(FeatureBuildError) as refusal:
        check_feature_list(path)
    message = str(refusal.value)
    assert f"line {before.count(chr(10)) + 1}, feature `" in message and reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vars:\n  features:\n", "lacks `transaction_amount`"),
        ("vars: {features: [", "no feature list"),
        ("models: {}", "no feature list: 'vars'"),
        (
            SHIPPED.read_text().replace(
                "aggregate: count, window: 1h", "aggregate: minutes_since, window: 1h"
            ),
            "lacks",
        ),
    ],
)
def test_a_list_that_lacks_what_others_need_is_rejected(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "dbt_project.yml"
    path.write_text(textwrap.dedent(text))
    with pytest.raises(FeatureBuildError, match=reason) as refusal:
        check_feature_list(path)
    assert "\n" not in str(refusal.value)
