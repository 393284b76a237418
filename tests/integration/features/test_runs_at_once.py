"""Whole runs of the features come one after another."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from rowguard.errors import FeatureBuildError
from rowguard.feature_build import build_features
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
    monkeypatch.setattr("rowguard.feature_build.PROJECT_DIR", migrated.settings.state_dir)
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


def test_timeouts_of_the_role_do_not_end_the_lock(migrated: Workspace) -> None:
    held: list[int] = []
    with migrated.connect() as connection:
        settings = ("idle_in_transaction_session_timeout = '300ms'", "lock_timeout = '300ms'")
        for setting in settings:
            connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET {setting}'.encode())
    with psycopg.connect(migrated.url) as other:
        other.execute("SET idle_in_transaction_session_timeout = 0")
        other.execute("SELECT pg_advisory_xact_lock(7266, 2)")
        waiting = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(
                build_features,
                migrated.url,
                migrated.settings,
                on_node=lambda name, status: held.append(_holders(migrated)),
                progress=lambda line: waiting.set(),
            )
            assert waiting.wait(30)
            time.sleep(1)
            assert not running.done()
            other.rollback()
            assert running.result().failed == 0
    assert held and set(held) == {1}


def _holders(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute(HOLDERS).fetchone()
    assert row is not None
    return int(row[0])
