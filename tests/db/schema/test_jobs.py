"""Any login can hold an advisory lock: what waits for one says so, and ends with a clear line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from rowguard.errors import JobLockedError
from rowguard.operations.importer import load_history
from sql_scoring import jobs
from sql_scoring.deployment import retire_challenger
from sql_scoring.deployment.migrate import migrate_models
from sql_scoring.features.build import build_features
from tests.fix_database import Workspace

JOBS: dict[str, tuple[str, Callable[[Workspace], object]]] = {
    "migrate": ("deploy", lambda w: migrate_models(w.url, w.settings.models_dir)),
    "deploy": ("deploy", lambda w: retire_challenger(w.url, w.settings.models_dir)),
    "features": ("features", lambda w: build_features(w.url, w.settings)),
    "import": ("features", lambda w: load_history(w.url, [], label_delay=timedelta(0), source="x")),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_login_that_may_only_read_cannot_stop_a_job_for_ever(
    migrated: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(jobs, "MAX_WAIT_S", 1)
    job, run = JOBS[name]
    with migrated.connect() as holder:
        row = holder.execute(
            "SELECT scoring.job_lock_key(%s), pg_backend_pid(), scoring.job_lock_space()", [job]
        ).fetchone()
        assert row is not None
        holder.execute("SET ROLE rowguard_readonly")
        holder.execute("SELECT pg_advisory_lock(%s, %s)", [row[2], row[0]])
        with pytest.raises(JobLockedError, match=f"session {row[1]} of rowguard holds the lock .*'{job}'"):
            run(migrated)


def test_no_payment_holds_the_lock_of_a_job(migrated: Workspace) -> None:
    """A user's key is one bigint. The ids here are those whose keys would be a job's two integers, side by side."""
    with migrated.connect() as payer, migrated.connect() as other, payer.transaction():
        for job in ("deploy", "archive", "features", "reviews"):
            payer.execute(
                "INSERT INTO transactions (user_id, amount)"
                " SELECT scoring.user_lock_key((scoring.job_lock_space()::bigint << 32) | k.key - d.less), 5"
                " FROM (SELECT scoring.job_lock_key(%s)::bigint) AS k (key), (VALUES (0), (1)) AS d (less)"
                " ON CONFLICT DO NOTHING",
                [job],
            )
            with other.transaction():
                jobs.lock_job(other, job, progress=pytest.fail)
                row = other.execute(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
                    " AND pid = pg_backend_pid()"
                ).fetchone()
                assert row == (1,)
