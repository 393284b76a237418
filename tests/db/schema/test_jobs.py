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
        row = holder.execute("SELECT scoring.job_lock_key(%s), pg_backend_pid()", [job]).fetchone()
        assert row is not None
        holder.execute("SET ROLE rowguard_readonly")
        holder.execute("SELECT pg_advisory_lock(%s)", [row[0]])
        with pytest.raises(JobLockedError, match=f"session {row[1]} of rowguard holds the lock .*'{job}'"):
            run(migrated)
