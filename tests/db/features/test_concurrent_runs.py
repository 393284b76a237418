"""Whole runs of the features run one after another."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pyarrow as pa
import pytest

from rowguard.errors import FeatureBuildError
from rowguard.operations.importer import load_history
from sql_scoring.features.build import build_features
from sql_scoring.features.dbt import FeatureBuild, OnNode
from tests.fix_database import Workspace
from tests.user_keys import in_json
from tests.waiting import wait_until

HOLDERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7266 AND objid = 2"


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What runs do instead of dbt: each notes its thread twice, with time for others in between."""
    noted: list[int] = []

    def run(*arguments: object, on_node: OnNode | None = None, **options: object) -> FeatureBuild:
        for status in ("started", "success"):
            noted.append(threading.get_ident())
            time.sleep(0.2)
            if on_node:
                on_node("model", status)
        return FeatureBuild(1, 0, 0, 1.0)

    monkeypatch.setattr("sql_scoring.features.build.run_dbt", run)
    return noted


def test_the_second_of_two_runs_waits_and_reports_it(migrated: Workspace, nodes: list[int]) -> None:
    start = threading.Barrier(2)
    messages: dict[int, list[str]] = {0: [], 1: []}

    def run(number: int) -> None:
        start.wait(30)
        build_features(migrated.url, migrated.settings, progress=messages[number].append)

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(run, number) for number in (0, 1)]:
            running.result()
    assert nodes[0] == nodes[1] != nodes[2] == nodes[3]
    about_jobs = [[line for line in lines if "the job 'features'" in line] for lines in messages.values()]
    at_once, (waiting, continuing) = sorted(about_jobs)
    assert at_once == []
    assert re.match(
        r"waiting for session \d+ of rowguard, which holds the lock of the job 'features'", waiting
    )
    assert continuing == "the job 'features' continues, the other session has ended"
    assert _holders(migrated) == 0


def test_a_run_that_fails_releases_the_lock(migrated: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FeatureBuildError("dbt failed")

    monkeypatch.setattr("sql_scoring.features.build.run_dbt", fail)
    with pytest.raises(FeatureBuildError):
        build_features(migrated.url, migrated.settings)
    assert _holders(migrated) == 0


def test_a_run_counts_when_its_lock_is_lost(migrated: Workspace, nodes: list[int]) -> None:
    """As when a firewall ends idle connections."""

    def end_the_lock(name: str, status: str) -> None:
        with migrated.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND classid = 7266 AND objid = 2"
            )

    assert build_features(migrated.url, migrated.settings, on_node=end_the_lock).passed == 1
    assert _holders(migrated) == 0


def test_timeouts_of_the_database_end_neither_the_lock_nor_the_wait_for_it(
    migrated: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would end dbt's own sessions as well, so a slow stand-in runs instead."""
    held: list[int] = []

    def run_slowly(*arguments: object, **options: object) -> FeatureBuild:
        time.sleep(1)
        held.append(_holders(migrated))
        return FeatureBuild(1, 0, 0, 1.0)

    monkeypatch.setattr("sql_scoring.features.build.recompute_totals", lambda url: 0)
    monkeypatch.setattr("sql_scoring.features.build.run_dbt", run_slowly)
    with psycopg.connect(migrated.url) as other:
        other.execute(
            "SELECT pg_advisory_xact_lock(scoring.job_lock_space(), scoring.job_lock_key('features'))"
        )
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


def test_an_import_is_stored_after_a_run_that_is_in_progress(migrated: Workspace) -> None:
    rows = [
        {**in_json({"user_id": 1}), "occurred_at": datetime.now(UTC) - timedelta(days=1), "amount": "2.50"}
    ]
    batches = pa.Table.from_pylist(rows).to_batches()
    with psycopg.connect(migrated.url) as run, migrated.connect() as watcher, ThreadPoolExecutor(1) as pool:
        run.execute(
            "SELECT pg_advisory_xact_lock(scoring.job_lock_space(), scoring.job_lock_key('features'))"
        )
        loading = pool.submit(
            load_history, migrated.url, batches, label_delay=timedelta(days=7), source="test"
        )
        wait_until(
            lambda: watcher.execute("SELECT FROM pg_locks WHERE NOT granted AND objid = 2").rowcount == 1,
            "the import waits for the run",
        )
        assert not loading.done()
        run.rollback()
        assert loading.result().transactions == 1
    assert _holders(migrated) == 0


def _holders(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute(HOLDERS).fetchone()
    assert row is not None
    return int(row[0])
