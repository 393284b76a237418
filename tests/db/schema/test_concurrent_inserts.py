"""Many sessions at once, direct and through PgBouncer: no row is counted twice or missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from rowguard.local import PgBouncer, temporary_server
from sql_scoring.deployment import migrate_schema
from tests.waiting import LONG_S

INSERT = "INSERT INTO transactions (user_id, amount) VALUES (%s, %s)"


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str | None]]:
    """Two addresses of one database; the pooled one is None where PgBouncer is not installed."""
    folder = tmp_path_factory.mktemp("concurrent")
    for parent in (folder, folder.parent):
        parent.chmod(0o711)
    with temporary_server() as server:
        migrate_schema(server.url, folder / "models")
        with server.connect() as connection:
            # No row is stored without the user's lock because the machine is busy.
            connection.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 300000)")
        pool = PgBouncer(folder / "pgbouncer", server)
        try:
            yield {"direct": server.url, "pooled": pool.ensure_running()}
        finally:
            pool.destroy()


@pytest.fixture(params=["direct", "pooled"])
def url(request: pytest.FixtureRequest, ways: dict[str, str | None]) -> str:
    found = ways[request.param]
    if found is None:
        pytest.skip("PgBouncer is not installed")
    with psycopg.connect(found, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("DELETE FROM transactions")
    return found


def session(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


def seen(url: str, user: int) -> list[int]:
    """How many rows of the user each of its rows has before it, in order of arrival."""
    with session(url) as connection:
        rows = connection.execute(
            "SELECT user_txns_before FROM transactions WHERE user_id = %s ORDER BY received_at", [user]
        )
        return [count for (count,) in rows]


def test_sessions_that_insert_for_one_user_see_exactly_what_came_before(url: str) -> None:
    sessions, each = 8, 15
    barrier = threading.Barrier(sessions)
    failed: list[BaseException] = []

    def insert() -> None:
        try:
            with session(url) as connection:
                barrier.wait(timeout=LONG_S)
                for amount in range(each):
                    connection.execute(INSERT, [1, amount])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=insert) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert seen(url, 1) == list(range(sessions * each))
