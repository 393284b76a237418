"""Whole runs of the features come one after another."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from rowguard.errors import FeatureBuildError
from sql_scoring.features.build import FeatureBuild, build_features
from tests.fix_database import Workspace

HOLDERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7266 AND objid = 2"


def test_two_runs_at_once_come_one_after_another_and_the_second_says_that_it_waits(
    migrated: Workspace,
) -> None:
    start = threading.Barrier(2)
    nodes: list[int] = []
    said: dict[int, list[str]] = {0: [], 1: []}

    def run(number: int) -> None:
        start.wait(30)
        built = build_features(
            migrated.url,
            migrated.settings,
            on_node=lambda name, status: nodes.append(number),
            progress=said[number].append,
        )
        assert built.failed == 0 and built.passed > 20

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(run, number) for number in (0, 1)]:
            running.result()
    first = nodes[0]
    assert nodes == sorted(nodes, key=lambda number: number != first), (
        "nodes of one lie among those of the other"
    )
    assert len(set(nodes)) == 2
    assert said == {
        first: [],
        1 - first: [
            "waiting for another run of the features to end",
            "building features, the other run has ended",
        ],
    }
    assert _holders(migrated) == 0


def test_a_run_that_fails_lets_the_next_one_go(migrated: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sql_scoring.features.build.PROJECT_DIR", migrated.settings.state_dir)
    with pytest.raises(FeatureBuildError):
        build_features(migrated.url, migrated.settings)
    assert _holders(migrated) == 0


def test_a_run_whose_lock_is_lost_counts_all_the_same(migrated: Workspace) -> None:
    """As when a firewall ends connections that are idle for long."""

    def end_the_lock(name: str, status: str) -> None:
        with migrated.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND classid = 7266 AND objid = 2"
            )

    assert build_features(migrated.url, migrated.settings, on_node=end_the_lock).passed > 20
    assert _holders(migrated) == 0


def test_timeouts_of_the_database_end_neither_the_lock_nor_the_wait_for_it(
    migrated: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt's own sessions would be ended by them as well, so something else stands for it that takes long."""
    held: list[int] = []

    def take_long(*arguments: object, **options: object) -> FeatureBuild:
        time.sleep(1)
        held.append(_holders(migrated))
        return FeatureBuild(1, 0, 0, 1.0)

    monkeypatch.setattr("sql_scoring.features.build.settle_totals", lambda url: 0)
    monkeypatch.setattr("sql_scoring.features.build.run_dbt", take_long)
    with psycopg.connect(migrated.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(7266, 2)")
        with migrated.connect() as connection:
            names = ["idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"]
            if connection.info.server_version >= 170000:
                names.append("transaction_timeout")
            for name in names:
                connection.execute(
                    f"ALTER DATABASE \"{connection.info.dbname}\" SET {name} = '500ms'".encode()
                )
        waiting = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(
                build_features, migrated.url, migrated.settings, progress=lambda line: waiting.set()
            )
            assert waiting.wait(60)
            time.sleep(1)
            assert not running.done()
            other.rollback()
            assert running.result() == FeatureBuild(1, 0, 0, 1.0)
    assert held == [1]


def _holders(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute(HOLDERS).fetchone()
    assert row is not None
    return int(row[0])
