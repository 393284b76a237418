"""A random share of alerts is let through, and it is recorded."""

from __future__ import annotations

import pytest

from rowguard import pipeline
from rowguard.errors import SettingsError
from tests.fix_database import Workspace
from tests.integration.lifecycle.models import insert_rows


def test_alerts_are_let_through_by_chance_and_keep_their_probability(scored: Workspace) -> None:
    with scored.connect() as connection:
        # Every row is an alert: the facade as it is, with a threshold of nothing.
        body = connection.execute("SELECT pg_get_functiondef('scoring.decide_insert'::regproc)").fetchone()
        assert body is not None
        lowered = body[0].replace("OPERATOR(pg_catalog.>=) ", ">= 0 * ")
        assert lowered != body[0]
        connection.execute(lowered.encode())
    assert pipeline.let_through(scored.url).share == 0
    insert_rows(scored, 200)
    assert pipeline.let_through(scored.url, 0.5).share == 0.5
    insert_rows(scored, 400)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT is_let_through, fraud_flag, count(*) FROM transactions WHERE NOT is_history GROUP BY 1, 2"
        ).fetchall()
    counts = {(spared, flag): count for spared, flag, count in rows}
    assert set(counts) == {(False, "FRAUD"), (True, "LEGITIMATE")}
    assert 140 <= counts[True, "LEGITIMATE"] <= 260
    report = pipeline.verify(scored.url, scored.settings)
    assert report.checks["replay_differences"] == 0
    pipeline.let_through(scored.url, 0)
    with scored.connect() as connection:
        kept = connection.execute(
            "SELECT share FROM scoring.let_through_shares ORDER BY valid_from"
        ).fetchall()
    assert kept == [(0.5,), (0.0,)]


def test_a_share_is_a_share(scored: Workspace) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1, not 2"):
        pipeline.let_through(scored.url, 2)
