"""A random share of alerts is let through, and it is recorded."""

from __future__ import annotations

import pytest

from rowguard.errors import RegistryError, SettingsError
from rowguard.operations.control_group import control_rate
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.schema_files import SQL_DIR
from tests.db.lifecycle.models import champion_of, drop_insert_functions, insert_rows, train_small
from tests.fix_database import Workspace
from trainer.lifecycle import migrate
from trainer.retrain import deploy, verify

# What a revision from before `scoring.decide_insert` wrote: it drops the mark of a row that is let through.
OLD_SECOND_OPINION = """
CREATE OR REPLACE FUNCTION scoring.shadow_on_insert()
RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.is_let_through := false;
    NEW.shadow_version := {challenger};
    NEW.shadow_probability := {function}(NEW.feature_values);
    RETURN NEW;
END
$$
"""


def test_alerts_are_let_through_by_chance_and_keep_their_probability(scored: Workspace) -> None:
    with scored.connect() as connection:
        # Every row is an alert: the facade as it is, with a threshold of nothing.
        body = connection.execute("SELECT pg_get_functiondef('scoring.decide_insert'::regproc)").fetchone()
        assert body is not None
        lowered = body[0].replace("v.fraud_probability >= ", "v.fraud_probability >= 0 * ")
        assert lowered != body[0]
        connection.execute(lowered.encode())
    assert control_rate(scored.url).rate == 0
    insert_rows(scored, 200)
    assert control_rate(scored.url, 0.5).rate == 0.5
    insert_rows(scored, 400)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT is_let_through, fraud_flag, count(*) FROM transactions WHERE NOT is_history GROUP BY 1, 2"
        ).fetchall()
    counts = {(spared, flag): count for spared, flag, count in rows}
    assert set(counts) == {(False, "FRAUD"), (True, "LEGITIMATE")}
    assert 140 <= counts[True, "LEGITIMATE"] <= 260
    report = verify(scored.url, scored.settings)
    assert report.checks["replay_differences"] == 0
    control_rate(scored.url, 0)
    with scored.connect() as connection:
        kept = connection.execute(
            "SELECT share FROM scoring.let_through_shares ORDER BY valid_from"
        ).fetchall()
    assert kept == [(0.5,), (0.0,)]


def test_a_share_is_a_share(scored: Workspace) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1, not 2"):
        control_rate(scored.url, 2)


@pytest.mark.parametrize("canary", [0, 40])
def test_beside_a_challenger_whose_list_has_no_function_for_the_trigger_alerts_are_let_through(
    scored: Workspace, canary: int
) -> None:
    """As when an earlier release built that list: the revision is new, and with it the second opinion."""
    drop_insert_functions(scored)
    champion, second = champion_of(scored), train_small(scored, 1)
    _challenge(scored, second, canary)
    control_rate(scored.url, 0.5)
    _flag_everything(scored)
    insert_rows(scored, 300)
    assert control_rate(scored.url).inactive_reason is None
    with scored.connect() as connection:
        marks = connection.execute(
            "SELECT is_let_through, fraud_flag, shadow_probability IS NOT NULL AS is_asked, count(*)"
            " FROM transactions WHERE NOT is_history GROUP BY 1, 2, 3 ORDER BY 1"
        ).fetchall()
        pairs = connection.execute(
            "SELECT DISTINCT model_version, shadow_version FROM transactions WHERE NOT is_history"
        ).fetchall()
        totals = connection.execute(
            "SELECT count(*) FROM transactions WHERE NOT is_history AND user_txns_before IS NULL"
        ).fetchone()
    assert [mark[:3] for mark in marks] == [(False, "FRAUD", True), (True, "LEGITIMATE", True)]
    assert 90 <= marks[1][3] <= 210
    assert set(pairs) == {(champion, second)} | ({(second, champion)} if canary else set())
    assert totals == (0,)
    assert verify(scored.url, scored.settings).is_ok


def test_a_challenger_of_an_earlier_release_holds_the_share_until_it_is_bound_anew(scored: Workspace) -> None:
    second = train_small(scored, 1)
    _challenge(scored, second, 5)
    control_rate(scored.url, 1)
    with pytest.raises(RegistryError, match="the challenger already, with a canary of 5 %"):
        _challenge(scored, second, 5)
    with scored.connect() as connection:
        function = connection.execute(
            "SELECT function_name FROM scoring.models WHERE version = %s", [second]
        ).fetchone()
        assert function is not None
        text = OLD_SECOND_OPINION.format(challenger=f"'{second}'", function=function[0])
        connection.execute(text.encode())
        connection.execute((SQL_DIR / "functions" / "decide_insert.sql").read_bytes())
    _flag_everything(scored)
    insert_rows(scored, 50)
    assert _marks(scored) == {("FRAUD", False)}
    line = (
        f"challenger {second} was deployed by an earlier release: nothing is let through until "
        f"`rowguard deploy {second} --as challenger --canary 5`, or, where its feature list is not built any more, "
        "`rowguard withdraw`"
    )
    assert migrate(scored.url, scored.settings).notes == (line,)
    assert control_rate(scored.url).inactive_reason == line
    with scored.connect() as connection:
        connection.execute((SQL_DIR / "functions" / "shadow_on_insert.sql").read_bytes())
    assert "it is not asked and nothing is let through" in str(control_rate(scored.url).inactive_reason)
    _challenge(scored, second, 5)
    assert control_rate(scored.url).inactive_reason is None
    assert migrate(scored.url, scored.settings).notes == ()
    _flag_everything(scored)
    with scored.connect() as connection:
        connection.execute("DELETE FROM transactions WHERE NOT is_history")
    insert_rows(scored, 50)
    assert _marks(scored) == {("LEGITIMATE", True)}


def test_what_a_downgrade_leaves_fits_the_second_opinions_of_older_revisions(scored: Workspace) -> None:
    """Taking back more may put one there that drops the mark; so beside it nothing is let through."""
    second = train_small(scored, 1)
    _challenge(scored, second, 0)
    deploy(scored.url, scored.settings, train_small(scored, 2), force=True)
    control_rate(scored.url, 1)
    with migrations.transaction(scored.url) as connection:
        migrations.downgrade(connection, "models@-1", [scored.settings.models_dir])
    assert str(control_rate(scored.url).inactive_reason).startswith(f"challenger {second} was deployed by")
    _flag_everything(scored)
    insert_rows(scored, 50)
    assert _marks(scored) == {("FRAUD", False)}


def _challenge(workspace: Workspace, version: str, canary: float) -> None:
    deploy(workspace.url, workspace.settings, version, role="challenger", canary_percent=canary, force=True)


def _flag_everything(workspace: Workspace) -> None:
    """The facades as they are, with thresholds of nothing."""
    with workspace.connect() as connection:
        for name in ("decide_insert", "score_candidate"):
            body = connection.execute(
                "SELECT pg_get_functiondef(to_regproc(%s))", [f"scoring.{name}"]
            ).fetchone()
            assert body is not None
            connection.execute(body[0].replace("probability >= ", "probability >= 0 * ").encode())


def _marks(workspace: Workspace) -> set[tuple[str, bool]]:
    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT fraud_flag, is_let_through FROM transactions WHERE NOT is_history"
        ).fetchall()
    return {(flag, is_let_through) for flag, is_let_through in rows}
