"""Backfilled decisions, and scores of a time range."""

from __future__ import annotations

import dataclasses

import psycopg
import pytest

from rowguard.errors import NoModelError, ParityError, RegistryError
from rowguard.operations.rescore import RescoreResult, rescore
from sql_scoring.engine import transpile_for_bulk
from tests.fix_database import Workspace

DECISION = "fraud_flag, fraud_probability, model_version, scored_at, feature_values, unscored_reason"


@pytest.fixture
def broken(scored: Workspace) -> Workspace:
    """A clone in which three inserts of one user met a broken model, between two that did not."""
    with scored.connect() as connection:
        version = _champion(connection)
        _insert(connection, 10)
        connection.execute(f"ALTER FUNCTION scoring.{version}(real[]) RENAME TO gone".encode())
        for amount in (20, 30, 40):
            _insert(connection, amount)
        connection.execute(f"ALTER FUNCTION scoring.gone(real[]) RENAME TO {version}".encode())
        _insert(connection, 50)
    return scored


def test_unscored_rows_get_the_decision_that_they_would_have_had(broken: Workspace) -> None:
    with broken.connect() as connection:
        version, before = _champion(connection), _decisions(connection)
    done = rescore(broken.url, broken.settings)
    assert (done.model_version, done.rows, done.rows_without_features, done.output_table, done.form) == (
        version,
        3,
        0,
        None,
        "deployed",
    )
    with broken.connect() as connection:
        after = _decisions(connection)
        kept = connection.execute(
            "SELECT r.unscored_reason LIKE '42883%', r.model_version, r.rescored_by = session_user,"
            " t.scored_at > t.received_at FROM scoring.rescored_transactions AS r"
            " JOIN transactions AS t USING (user_id, transaction_id)"
        ).fetchall()
        replayed = connection.execute(
            f"SELECT bool_and(scoring.{version}(feature_values) = fraud_probability"
            " AND unscored_reason IS NULL AND fraud_flag IS NOT NULL) FROM transactions WHERE user_id = 900001".encode()
        ).fetchone()
        position = connection.execute(
            "SELECT array_position(feature_names, 'user_txn_count_1h') FROM scoring.models WHERE version = %s",
            [version],
        ).fetchone()
        assert position is not None
        counts = connection.execute(
            "SELECT feature_values[%s] FROM transactions WHERE user_id = 900001 ORDER BY received_at",
            [position[0]],
        ).fetchall()
    assert kept == [(True, version, True, True)] * 3
    assert replayed == (True,)
    # Point-in-time correct: earlier rows only.
    assert [count for (count,) in counts] == [0, 1, 2, 3, 4]
    unscored = [key for key, row in before.items() if row[2] is None and row[5] is not None]
    assert {key for key in before if before[key] != after[key]} == set(unscored)
    assert rescore(broken.url, broken.settings, build=False).rows == 0


def test_rows_without_features_are_unchanged(broken: Workspace) -> None:
    done = rescore(broken.url, broken.settings, build=False)
    assert (done.rows, done.rows_without_features) == (0, 3)


def least_workers(workspace: Workspace) -> int:
    """PostgreSQL 15 gathers below the join in the view of the training set, so that one process scores."""
    with workspace.connect() as connection:
        return 0 if connection.info.server_version < 160_000 else 1


def test_loaded_history_is_decided_only_on_request_and_only_once(scored: Workspace) -> None:
    assert rescore(scored.url, scored.settings, build=False).rows == 0
    with scored.connect() as connection:
        history = connection.execute("SELECT count(*) FROM transactions WHERE is_history").fetchone()
    assert history is not None and history[0] > 1000
    done = rescore(
        scored.url, scored.settings, build=False, include_history=True, bulk_from_rows=1000, workers=2
    )
    assert (done.rows, done.form) == (history[0], "bulk")
    assert done.workers >= least_workers(scored)
    with scored.connect() as connection:
        first = _decisions(connection)
        version = _champion(connection)
        wrong = connection.execute(
            f"SELECT count(*) FROM transactions WHERE scoring.{version}(feature_values)"
            " IS DISTINCT FROM fraud_probability".encode()
        ).fetchone()
        assert wrong == (0,)
    again = rescore(scored.url, scored.settings, build=False, include_history=True)
    assert again.rows == 0
    with scored.connect() as connection:
        assert _decisions(connection) == first


@pytest.mark.parametrize("bulk_from_rows", [100, 10**9])
def test_a_time_range_goes_into_a_new_table(scored: Workspace, bulk_from_rows: int) -> None:
    with scored.connect() as connection:
        before = _decisions(connection)
        row = connection.execute("SELECT max(occurred_at) - interval '10 days' FROM transactions").fetchone()
        assert row is not None
    done = rescore(
        scored.url,
        scored.settings,
        start=row[0],
        output_table="public.backfill",
        build=False,
        bulk_from_rows=bulk_from_rows,
        workers=2,
    )
    assert done.form == ("bulk" if bulk_from_rows == 100 else "deployed")
    assert done.workers >= least_workers(scored)
    with scored.connect() as connection:
        found = connection.execute(
            f"SELECT count(*), min(b.occurred_at) >= %s, bool_and(b.model_version = %s),"
            f" bool_and(scoring.{done.model_version}(f.feature_values) = b.fraud_probability),"
            " bool_and((b.fraud_flag = 'FRAUD') = (b.fraud_probability >= m.threshold))"
            " FROM backfill AS b JOIN features.training_set AS f USING (user_id, transaction_id)"
            " JOIN scoring.models AS m ON m.version = b.model_version".encode(),
            [row[0], done.model_version],
        ).fetchone()
        assert _decisions(connection) == before
    assert found == (done.rows, True, True, True, True)
    assert done.rows > 100
    with pytest.raises(RegistryError, match="public.backfill exists"):
        rescore(scored.url, scored.settings, output_table="public.backfill", build=False)
    with pytest.raises(RegistryError, match="cannot be created"):
        rescore(scored.url, scored.settings, output_table="nowhere.backfill", build=False)


def test_a_bulk_form_that_differs_scores_nothing(scored: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:

    def wrong(*arguments: object, **options: object) -> str:
        text: str = transpile_for_bulk(*arguments, **options)  # type: ignore[arg-type]
        changed = text.replace("OPERATOR(pg_catalog./) float '", "OPERATOR(pg_catalog./) float '1")
        assert changed != text
        return changed

    monkeypatch.setattr("rowguard.operations.rescore.transpile_for_bulk", wrong)
    with pytest.raises(ParityError, match="nothing was scored"):
        rescore(scored.url, scored.settings, build=False, include_history=True, bulk_from_rows=1000)
    with scored.connect() as connection:
        decided = connection.execute("SELECT count(model_version) FROM transactions").fetchone()
    assert decided == (0,)


def test_without_the_artifact_the_deployed_function_does_it(scored: Workspace) -> None:
    elsewhere = scored.settings.model_copy(update={"state_dir": scored.settings.state_dir / "none"})
    done = rescore(scored.url, elsewhere, build=False, include_history=True, bulk_from_rows=1000)
    assert done.form == "deployed" and done.rows > 1000


def test_no_model_no_scores(migrated: Workspace) -> None:
    with pytest.raises(NoModelError):
        rescore(migrated.url, migrated.settings, build=False)


def test_functions_say_the_truth_about_themselves(scored: Workspace) -> None:
    """A function that is called IMMUTABLE and PARALLEL SAFE must not read tables or settings: ours name no
    relation at all, and answer alike in a worker."""
    with scored.connect() as connection:
        version = _champion(connection)
        row = connection.execute(
            "SELECT provolatile, proparallel, procost, prosrc FROM pg_proc WHERE proname = %s", [version]
        ).fetchone()
    assert row is not None
    assert row[:2] == ("i", "s")
    assert row[2] > 100  # far dearer than an operator: the planner shall know
    assert not any(word in row[3].upper() for word in (" FROM ", "PERFORM", "EXECUTE", "CURRENT_SETTING"))


def test_the_report_is_plain_data() -> None:
    assert {field.name for field in dataclasses.fields(RescoreResult)} == {
        "model_version", "rows", "flagged", "rows_without_features", "output_table", "form", "workers", "seconds",
    }  # fmt: skip


def _champion(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
    assert row is not None
    return str(row[0])


def _insert(connection: psycopg.Connection, amount: int) -> None:
    connection.execute(
        "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (900001, %s, 7, 'DE')",
        [amount],
    )


def _decisions(connection: psycopg.Connection) -> dict[int, tuple[object, ...]]:
    rows = connection.execute(f"SELECT transaction_id, {DECISION} FROM transactions".encode()).fetchall()
    return {row[0]: row[1:] for row in rows}
