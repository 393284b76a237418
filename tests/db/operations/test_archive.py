"""Old transactions are archived with their labels and deleted; the others still decide and train alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from rowguard.errors import RetentionError
from rowguard.operations.archive import archive_transactions
from sql_scoring import registry
from sql_scoring.features.build import build_features
from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run, run  # noqa: F401
from trainer.retrain import verify

pytestmark = pytest.mark.slow

# The longest window looks back 28 days, ending 7 days before; a day for clocks; and a training window of 3 days.
LEAST = 39
ASK = (
    "SELECT s.fraud_probability, s.flag FROM generate_series(1, 300) AS g CROSS JOIN LATERAL score_transaction("
    "user_id => g, amount => 50, merchant_id => 1 + g %% 100, location => 'DE', occurred_at => %s) AS s"
)
TRAINING = "SELECT user_id, transaction_id, feature_values FROM features.training_set WHERE occurred_at >= %s ORDER BY 1, 2"


def counts(workspace: Workspace) -> tuple[int, int]:
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM fraud_labels)"
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def keep(workspace: Workspace, folder: Path, days: int = LEAST, **more: Any) -> Any:
    return archive_transactions(
        workspace.url, folder, keep_days=days, label_delay_days=1, batch_rows=500, **more
    )


@pytest.fixture
def aged(scored: Workspace) -> Workspace:
    """Live decisions, some of which lie far back, next to 45 days of history."""
    with scored.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)"
            " SELECT 1 + g % 300, g + 0.25, g % 50, 'DE', now() - make_interval(hours => g * 5), 'k' || g"
            " FROM generate_series(0, 220) AS g"
        )
    build_features(scored.url, scored.settings)
    return scored


def test_old_rows_go_to_parquet_with_their_labels_and_the_rest_is_unchanged(
    aged: Workspace, tmp_path: Path
) -> None:
    with aged.connect() as connection:
        now = connection.execute("SELECT now()").fetchone()
        scores = connection.execute(ASK.encode(), now).fetchall()
    before = counts(aged)
    done = keep(aged, tmp_path / "archive")
    assert 0 < done.transactions < before[0] and 0 < done.labels < before[1]
    assert counts(aged) == (before[0] - done.transactions, before[1] - done.labels)
    transactions, labels = (pq.read_table(file.path) for file in done.archives)
    assert (len(transactions), len(labels)) == (done.transactions, done.labels)
    assert max(transactions["occurred_at"].to_pylist()) < done.cutoff
    with aged.connect() as connection:
        # Velocity of the next transactions and the training set are unchanged.
        assert connection.execute(ASK.encode(), now).fetchall() == scores
        kept = connection.execute(TRAINING.encode(), [done.complete_from]).fetchall()
        assert connection.execute("SELECT min(occurred_at) FROM features.training_set").fetchone() >= (  # type: ignore[operator]
            done.complete_from,
        )
        assert connection.execute(
            "SELECT count(*) FROM scoring.retention_runs WHERE finished_at IS NOT NULL"
        ).fetchone() == (1,)
        _replay_from(connection, transactions.to_pylist())
    # A full refresh without the old rows gives the same values from complete_from on.
    build_features(aged.url, aged.settings, full_refresh=True)
    with aged.connect() as connection:
        assert connection.execute(TRAINING.encode(), [done.complete_from]).fetchall() == kept
    assert verify(aged.url, aged.settings).is_ok


def _replay_from(connection: psycopg.Connection, rows: list[dict[str, Any]]) -> None:
    """Replay archived decisions: the values are in the file, the model in the registry."""
    decided = [row for row in rows if row["model_version"] is not None]
    assert decided
    for row in decided:
        function = registry.get_model(connection, row["model_version"]).function_name
        again = connection.execute(
            sql.SQL("SELECT {}(%s::real[])").format(sql.Identifier(*function.split("."))),
            [row["feature_values"]],
        ).fetchone()
        assert again == (row["fraud_probability"],)


def test_a_window_is_never_cut_into(scored: Workspace, tmp_path: Path) -> None:
    before = counts(scored)
    with pytest.raises(RetentionError, match=f"at least {LEAST} days must be kept"):
        keep(scored, tmp_path, LEAST - 1)
    for delay, least in ((7, 52), (90, 294)):
        with pytest.raises(RetentionError, match=f"at least {least} days must be kept"):
            archive_transactions(scored.url, tmp_path, keep_days=least - 1, label_delay_days=delay)
    assert counts(scored) == before


def test_nothing_is_deleted_when_the_archive_cannot_be_written(scored: Workspace, tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where the folder should be")
    before = counts(scored)
    with pytest.raises(RetentionError, match="nothing was deleted"):
        keep(scored, tmp_path / "archive")
    assert counts(scored) == before


def test_a_second_run_continues_a_killed_one(
    scored: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counts(scored)

    class Killed(BaseException):
        pass

    def die(step: str) -> None:
        if step.startswith("deleting"):
            raise Killed

    with pytest.raises(Killed):
        keep(scored, tmp_path / "archive", progress=die)
    left = counts(scored)
    assert left[0] == before[0] - 500
    second = keep(scored, tmp_path / "archive")
    assert second.transactions > 0
    archived = [
        (row["user_id"], row["transaction_id"])
        for file in (tmp_path / "archive").glob("transactions-*.parquet")
        for row in pq.read_table(file).to_pylist()
    ]
    assert len(set(archived)) == before[0] - counts(scored)[0]
    assert keep(scored, tmp_path / "archive").transactions == 0


def test_concurrent_runs_exclude_each_other(scored: Workspace, tmp_path: Path) -> None:
    with scored.connect() as other:
        other.execute("SELECT pg_advisory_lock(scoring.job_lock_space(), scoring.job_lock_key('archive'))")
        with pytest.raises(RetentionError, match="another archive run"):
            keep(scored, tmp_path / "archive")


def test_the_command_reports(run: Run, scored: Workspace, tmp_path: Path) -> None:  # noqa: F811
    words = ("archive", "--output", str(tmp_path / "archive"), "--json")
    settings = {"DATABASE_URL": scored.url, "ROWGUARD_LABEL_DELAY_DAYS": "1"}
    document = run(*words, "--keep", "40d", **settings).document()
    assert document["transactions"] > 0 and [file["rows"] for file in document["archives"]] == [
        document["transactions"],
        document["labels"],
    ]
    assert f"at least {LEAST} days" in run(*words, "--keep", "10d", **settings).refusal()
    for bad in ("", "d", "0", "-5d", "4w", "1.5d"):
        assert run(*words, "--keep", bad, DATABASE_URL=scored.url).code == 2


def test_every_column_is_archived_and_a_new_one_is_not_dropped(aged: Workspace, tmp_path: Path) -> None:
    with aged.connect() as connection:
        connection.execute("ALTER TABLE transactions ADD COLUMN device_id text")
        connection.execute("UPDATE transactions SET device_id = 'd' || transaction_id")
        expected = {
            table: connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
                [table],
            ).fetchall()
            for table in ("transactions", "fraud_labels")
        }
        rows = connection.execute(
            "SELECT transaction_id, device_id, amount::text, received_at, unscored_reason FROM transactions"
        ).fetchall()
    before = {row[0]: row for row in rows}
    result = keep(aged, tmp_path / "archive")
    archived = [pq.read_table(file.path) for file in result.archives]
    for table, columns in zip(archived, expected.values(), strict=True):
        assert table.column_names == [name for (name,) in columns]
    names = ("transaction_id", "device_id", "amount", "received_at", "unscored_reason")
    for row in archived[0].select(names).to_pylist():
        assert tuple(row[name] for name in names) == before[row["transaction_id"]]


STORED = (
    "SELECT user_id, transaction_id, occurred_at, amount, merchant_id, location FROM transactions"
    " WHERE occurred_at < %s ORDER BY 1, 2"
)
LABELED = (
    "SELECT l.user_id, l.transaction_id, l.is_fraud, l.labelled_at, l.source FROM fraud_labels AS l"
    " JOIN transactions AS t USING (user_id, transaction_id) WHERE t.occurred_at < %s ORDER BY 1, 2, 4"
)


def test_an_archive_loads_into_an_empty_database_as_history(
    run: Run,  # noqa: F811
    aged: Workspace,
    migrated: Workspace,
    tmp_path: Path,
) -> None:
    """History and labels come back. Decisions stay in the archive, from which they replay."""
    with aged.connect() as connection:
        # Four decimals are allowed, so they load back; and so do labels that are dated ahead.
        connection.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at)"
            " VALUES (5, 3.1415, now() - interval '40 days'), (5, 0.0001, now() - interval '41 days')"
        )
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT user_id, transaction_id, true, now() + interval '9 days' FROM transactions"
            " WHERE amount IN (3.1415, 0.0001)"
        )
        cutoff = connection.execute(
            "SELECT date_trunc('day', now(), 'UTC') - make_interval(days => %s)", [LEAST]
        ).fetchone()
        stored = connection.execute(STORED.encode(), cutoff).fetchall()
        labels = connection.execute(LABELED.encode(), cutoff).fetchall()
    result = keep(aged, tmp_path / "archive")
    assert (len(stored), len(labels)) == (result.transactions, result.labels)
    transactions, fraud_labels = (str(file.path) for file in result.archives)
    run("import", transactions, "--json", DATABASE_URL=migrated.url).document()
    document = run("import", fraud_labels, "--labels", "--json", DATABASE_URL=migrated.url).document()
    assert document["labels"] == len(labels) and document["frauds"] == sum(label[2] for label in labels) > 2
    with migrated.connect() as connection:
        assert connection.execute(STORED.encode(), cutoff).fetchall() == stored
        assert connection.execute(LABELED.encode(), cutoff).fetchall() == labels
        assert connection.execute(
            "SELECT bool_and(is_history AND model_version IS NULL) FROM transactions"
        ).fetchone() == (True,)
