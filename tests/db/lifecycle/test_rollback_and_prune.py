"""Rollback, roll-forward, crashes in the middle, and pruning."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rowguard.errors import RegistryError
from rowguard.settings import PROJECT_ROOT
from sql_scoring import deployment, registry
from sql_scoring.deployment import session as deployment_session
from sql_scoring.deployment import written_files
from sql_scoring.deployment.migrate import migrate_models
from tests.db.lifecycle.models import champion_of, insert_rows, train_small
from tests.fix_database import Workspace
from tests.waiting import wait_until
from trainer.retrain import deploy, roll_forward, rollback, verify

pytestmark = pytest.mark.slow

OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


def test_back_by_three_forward_by_two_and_to_a_name(scored: Workspace) -> None:
    url, settings = scored.url, scored.settings
    first = champion_of(scored)
    others = [train_small(scored, seed) for seed in (1, 2, 3)]
    for version in others:
        deploy(url, settings, version, force=True)
    assert rollback(url, settings, steps=3).version == first
    with pytest.raises(RegistryError, match="is the first champion; there is none before it"):
        rollback(url, settings)
    assert roll_forward(url, settings, steps=2).version == others[1]
    assert roll_forward(url, settings).version == others[2]
    with pytest.raises(RegistryError, match="cannot go forward 1 champions .* none was rolled back"):
        roll_forward(url, settings)
    assert rollback(url, settings, to=others[0]).version == others[0]
    with pytest.raises(RegistryError, match="cannot go back 2 champions .* there is one before it"):
        rollback(url, settings, steps=2)
    assert rollback(url, settings, to=others[2]).version == others[2]
    with pytest.raises(RegistryError, match="is the champion already"):
        rollback(url, settings, to=others[2])
    with pytest.raises(RegistryError, match="is not in the history of champions"):
        rollback(url, settings, to=train_small(scored, 4))
    with pytest.raises(RegistryError, match="there is no model 'rf_nope'"):
        rollback(url, settings, to="rf_nope")
    insert_rows(scored, 5)
    with scored.connect() as connection:
        decided = connection.execute(
            "SELECT DISTINCT model_version FROM transactions WHERE NOT is_history"
        ).fetchall()
    assert decided == [(others[2],)]


def test_a_new_champion_takes_the_place_of_those_that_were_rolled_back(scored: Workspace) -> None:
    url, settings = scored.url, scored.settings
    first = champion_of(scored)
    second, third = train_small(scored, 1), train_small(scored, 2)
    deploy(url, settings, second, force=True)
    rollback(url, settings)
    deploy(url, settings, third, force=True)
    with pytest.raises(RegistryError, match="cannot go forward"):
        roll_forward(url, settings)
    assert rollback(url, settings).version == first


def test_pruned_versions_leave_their_history_and_a_fresh_database_still_comes_to_the_champion(
    scored: Workspace, migrated: Workspace
) -> None:
    url = scored.url
    settings = scored.settings.model_copy(update={"keep_versions": 1})
    first = champion_of(scored)
    second, third = train_small(scored, 1), train_small(scored, 2)
    for version in (second, third):
        deploy(url, settings, version, force=True)
    assert first is not None
    with scored.connect() as connection:
        assert not registry.function_exists(connection, f"scoring.{first}")
        assert registry.function_exists(connection, f"scoring.{second}")
        kept = registry.get_model(connection, first)
        reasons = connection.execute(
            "SELECT reason FROM scoring.model_state_changes WHERE version = %s ORDER BY change_id", [first]
        ).fetchall()
    assert kept.state == "retired" and kept.sql_text
    assert reasons[-1] == ("function pruned",)
    assert not list(settings.models_dir.glob(f"*_deploy_{first}/function.sql"))
    assert list(settings.models_dir.glob(f"*_deploy_{first}/upgrade.sql"))
    with pytest.raises(RegistryError, match=f"was pruned; use: rowguard deploy {first}"):
        rollback(url, settings, steps=2)
    # Nothing else to prune, no file to restore.
    assert deployment.prune(url, settings.models_dir, 1) == []
    assert deployment.restore_missing_files(url, settings.models_dir) == []

    shutil.copytree(settings.models_dir, migrated.settings.models_dir, dirs_exist_ok=True)
    assert migrate_models(migrated.url, migrated.settings.models_dir) == 3
    assert champion_of(migrated) == third
    insert_rows(migrated, 5)
    with migrated.connect() as connection:
        assert connection.execute("SELECT DISTINCT model_version FROM transactions").fetchall() == [(third,)]

    # It can be brought back: its text is in the registry.
    assert deploy(url, settings, first).version == first
    insert_rows(scored, 5)
    assert verify(url, settings).is_ok


def test_a_killed_deploy_leaves_the_champion_and_the_next_one_works(scored: Workspace) -> None:
    """kill -9 after the function, the facade and the registry were written, before the commit."""
    first, second = champion_of(scored), train_small(scored, 1)
    program = f"""
import time
from rowguard.settings import Settings
from sql_scoring.deployment import _champion
from trainer.retrain import deploy

def never_ends(*arguments):
    print("in the middle", flush=True)
    time.sleep(600)

_champion.check_parity = never_ends
deploy({scored.url!r}, Settings(), {second!r}, force=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        env={
            **os.environ,
            "DATABASE_URL": scored.url,
            "ROWGUARD_STATE_DIR": str(scored.settings.state_dir),
            "ROWGUARD_MODELS_DIR": str(scored.settings.models_dir),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "in the middle"
        insert_rows(scored, 5)  # no client waits for the deployment
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with scored.connect() as connection:
        # The server notices that the client is gone, and rolls back.
        wait_until(lambda: connection.execute(OTHERS).fetchone() == (0,), "the killed deploy's session ends")
        assert not registry.function_exists(connection, f"scoring.{second}")
        assert len(registry.applied_revisions(connection)) == 1
        decided = connection.execute(
            "SELECT DISTINCT model_version FROM transactions WHERE NOT is_history"
        ).fetchall()
    assert champion_of(scored) == first and decided == [(first,)]
    assert deploy(scored.url, scored.settings, second, force=True).version == second


def test_files_lost_between_commit_and_writing_come_back(
    scored: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = train_small(scored, 1)

    real = written_files.write_files
    calls = []

    def write(folder: Path, files: dict[str, str]) -> None:
        calls.append(folder)
        if folder == scored.settings.models_dir:
            raise KeyboardInterrupt
        real(folder, files)

    monkeypatch.setattr(deployment_session, "write_files", write)
    with pytest.raises(KeyboardInterrupt):
        deploy(scored.url, scored.settings, second, force=True)
    monkeypatch.undo()
    assert champion_of(scored) == second
    assert not list(scored.settings.models_dir.glob(f"*{second}.py"))
    rollback(scored.url, scored.settings)
    assert list(scored.settings.models_dir.glob(f"*deploy_{second}.py"))
