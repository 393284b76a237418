"""Loading during live traffic: no user waits, totals are pending until they are compared, interruptions lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from rowguard.declaration import declared
from rowguard.errors import ImportFileError
from rowguard.operations.importer import (
    load,
    load_history,
    load_labels,
    load_reference,
    read_history,
    reference_file,
)
from sql_scoring.features.totals import recompute_totals
from tests.db.features.totals import totals_pending_count, wrong_totals
from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run, run  # noqa: F401
from tests.waiting import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
USER_IDS = range(1, 6)


def batch(hours: int, **more: pa.Array) -> pa.RecordBatch:
    """Some rows of each user, the newest one this many hours ago."""
    pairs = [(user, NOW - timedelta(hours=hours + step)) for step in range(4) for user in USER_IDS]
    columns = {
        "user_id": pa.array([user for user, _ in pairs], pa.int64()),
        "occurred_at": pa.array([at for _, at in pairs], pa.timestamp("us", "UTC")),
        "amount": pa.array([Decimal("3.25")] * len(pairs), pa.decimal128(16, 4)),
    }
    return pa.RecordBatch.from_pydict(columns | more)


def store(workspace: Workspace, rows: pa.RecordBatch) -> load.LoadResult:
    return load_history(workspace.url, [rows], label_delay=timedelta(days=7), source="test")


def test_an_import_stores_its_rows_while_a_payment_of_the_same_user_is_open(migrated: Workspace) -> None:
    insert = "INSERT INTO transactions (user_id, amount, occurred_at) VALUES (1, 7, %s)"
    with migrated.connect() as watcher, psycopg.connect(migrated.url) as live, ThreadPoolExecutor() as pool:
        # Its totals do not include the loaded rows, although they come before and after it.
        live.execute(insert, [NOW - timedelta(hours=2, minutes=30)])
        loading = pool.submit(store, migrated, batch(1))
        wait_until(
            lambda: watcher.execute("SELECT count(*) = 20 FROM transactions").fetchone() == (True,), "stored"
        )
        assert totals_pending_count(watcher) >= 1
        live.commit()
        assert loading.result().transactions == 20
        recompute_totals(migrated.url)  # on a busy machine the lock may have come too late
        assert (totals_pending_count(watcher), wrong_totals(watcher)) == (0, [])


def test_an_interrupted_import_is_continued(migrated: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(url: str) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(load, "recompute_totals", interrupt)
        store(migrated, batch(1))
    with migrated.connect() as connection:
        assert totals_pending_count(connection) == len(USER_IDS)
        recompute_totals(migrated.url)
        assert (totals_pending_count(connection), wrong_totals(connection)) == (0, [])


@pytest.mark.parametrize("hours", [(1, 100), (100, 1), (3, 1)])
def test_loads_before_after_and_between_stored_rows(migrated: Workspace, hours: tuple[int, int]) -> None:
    for hour in hours:
        store(migrated, batch(hour))
    with migrated.connect() as connection:
        assert (totals_pending_count(connection), wrong_totals(connection)) == (0, [])


def test_what_the_database_refuses_loads_nothing(migrated: Workspace) -> None:
    for ids, message in (
        ([7] * 20, "already stored"),
        ([2**62 + 1] * 20, "leaves no ids for new transactions"),
    ):
        rows = batch(1, transaction_id=pa.array(ids, pa.int64()), is_fraud=pa.array([True] * 20))
        with pytest.raises(ImportFileError, match=message):
            store(migrated, rows)
    labels = pa.RecordBatch.from_pydict({"user_id": [1], "transaction_id": [7], "is_fraud": [True]})
    with pytest.raises(
        ImportFileError, match=r"unknown transaction: Key \(user_id, transaction_id\)=\(1, 7\)"
    ):
        load_labels(migrated.url, [labels], source="test")
    with migrated.connect() as connection:
        assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (0,)


def test_profiles(migrated: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    for text, changed in (("1,DE\n2,FR\n", 2), ("1,DE\n2,US\n3,DE\n", 2)):
        path.write_text("user_id,home_location\n" + text)
        assert (
            load_reference(
                migrated.url, read_history(path, reference_file(declared(), "users")), "users"
            ).references
            == changed
        )
    with migrated.connect() as connection:
        assert connection.execute("SELECT user_id, home_location FROM users ORDER BY 1").fetchall() == [
            (1, "DE"),
            (2, "US"),
            (3, "DE"),
        ]


def test_rows_of_a_table_of_the_same_database(run: Run, migrated: Workspace) -> None:  # noqa: F811
    with migrated.connect() as connection:
        connection.execute(
            "CREATE TABLE payments AS SELECT g AS customer, g + 0.125 AS amount, 'a;\nb' AS note,"
            " now() - g * interval '1 hour' AS paid_at, g % 2 = 0 AS is_fraud FROM generate_series(1, 50) AS g"
        )
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET datestyle = 'German'".encode())
        query = "SELECT paid_at AS occurred_at, customer AS user_id, amount, is_fraud, note FROM payments;"
        words = ("import", "--query", query, "--json")
        assert "unknown columns note" in run(*words, DATABASE_URL=migrated.url).refusal()
        document = run(*words, "--ignore-unknown-columns", DATABASE_URL=migrated.url).document()
        assert (document["transactions"], document["labels"], document["frauds"]) == (50, 50, 25)
        assert connection.execute(
            "SELECT count(*) FROM transactions AS t JOIN payments AS p ON t.user_id = p.customer"
            " AND t.amount = p.amount AND t.occurred_at = p.paid_at"
        ).fetchone() == (50,)
    for query, message in (
        ("SELECT now() AS occurred_at, 1 AS user_id, -1 AS amount", "line 2: amount is negative"),
        ("SELECT nothing", 'the query fails: column "nothing" does not exist'),
        (
            "DELETE FROM transactions RETURNING *",
            "the query fails: cannot execute DELETE in a read-only transaction",
        ),
    ):
        assert message in run("import", "--query", query, "--json", DATABASE_URL=migrated.url).refusal()
