"""A random sample of alerts joins the control group, and it is recorded."""

from __future__ import annotations

import pytest

from rowguard.errors import SettingsError
from rowguard.operations.control_group import control_rate
from tests.db.lifecycle.models import champion_of, flag_everything, insert_rows, train_small
from tests.fix_database import Workspace
from trainer.retrain import deploy, verify


def test_alerts_join_the_control_group_and_keep_their_probability(scored: Workspace) -> None:
    flag_everything(scored)
    assert control_rate(scored.url).rate == 0
    insert_rows(scored, 200)
    assert control_rate(scored.url, 0.5).rate == 0.5
    insert_rows(scored, 400)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT is_control, fraud_flag, count(*) FROM transactions WHERE NOT is_history GROUP BY 1, 2"
        ).fetchall()
    counts = {(is_control, flag): count for is_control, flag, count in rows}
    assert set(counts) == {(False, "FRAUD"), (True, "LEGITIMATE")}
    assert 140 <= counts[True, "LEGITIMATE"] <= 260
    assert verify(scored.url, scored.settings).checks["replay_differences"] == 0
    control_rate(scored.url, 0)
    with scored.connect() as connection:
        rates = connection.execute("SELECT rate FROM scoring.control_rates ORDER BY valid_from").fetchall()
    assert rates == [(0.5,), (0.0,)]


def test_a_rate_is_from_0_to_1(scored: Workspace) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1, not 2"):
        control_rate(scored.url, 2)


@pytest.mark.parametrize("canary", [0, 40])
def test_a_challenger_changes_nothing_about_the_control_group(scored: Workspace, canary: int) -> None:
    champion, second = champion_of(scored), train_small(scored, 1)
    deploy(scored.url, scored.settings, second, role="challenger", canary_percent=canary, force=True)
    control_rate(scored.url, 0.5)
    flag_everything(scored)
    insert_rows(scored, 300)
    with scored.connect() as connection:
        groups = connection.execute(
            "SELECT is_control, fraud_flag, bool_and(shadow_probability IS NOT NULL), count(*)"
            " FROM transactions WHERE NOT is_history GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
        pairs = connection.execute(
            "SELECT DISTINCT model_version, shadow_version FROM transactions WHERE NOT is_history"
        ).fetchall()
    assert [group[:3] for group in groups] == [(False, "FRAUD", True), (True, "LEGITIMATE", True)]
    assert 90 <= groups[1][3] <= 210
    assert set(pairs) == {(champion, second)} | ({(second, champion)} if canary else set())
    assert verify(scored.url, scored.settings).is_ok
