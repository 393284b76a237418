"""Deploying, going back, and what must not happen."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import psycopg
import pytest
from alembic import command
from alembic.util import CommandError
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import FeatureMismatchError, ParityError, RegistryError, RowguardError
from sql_scoring import deployment, registry
from sql_scoring.deployment import migrations
from sql_scoring.deployment.migrate import migrate_models
from sql_scoring.engine import boundary_rows
from tests.db.lifecycle.models import champion_of, insert_rows, train_small
from tests.fix_database import Workspace
from trainer.artifact import artifact_path, load_artifact
from trainer.gates import evaluate_gates
from trainer.retrain import deploy, retrain, rollback, verify


def test_rollback_returns_to_the_model_before_and_keeps_going_back(scored: Workspace) -> None:
    first = champion_of(scored)
    second, third = (train_small(scored, seed) for seed in (1, 2))
    for version in (second, third):
        assert deploy(scored.url, scored.settings, version, force=True).version == version
        assert _decided_by(scored) == version
    assert rollback(scored.url, scored.settings).version == second
    assert _decided_by(scored) == second
    assert rollback(scored.url, scored.settings).version == first
    assert _decided_by(scored) == first
    with pytest.raises(RegistryError, match="is the first champion; there is none before it"):
        rollback(scored.url, scored.settings)
    # Forward again from here: what was rolled back is not what comes before the next one.
    deploy(scored.url, scored.settings, third, force=True)
    assert rollback(scored.url, scored.settings).version == first


def test_a_fresh_database_comes_to_the_same_champion_by_the_files(
    scored: Workspace, migrated: Workspace
) -> None:
    second = train_small(scored, 1)
    deploy(scored.url, scored.settings, second, force=True)
    shutil.copytree(scored.settings.models_dir, migrated.settings.models_dir, dirs_exist_ok=True)
    assert migrate_models(migrated.url, migrated.settings.models_dir) == 2
    assert champion_of(migrated) == second
    assert _decided_by(migrated) == second
    with scored.connect() as ours, migrated.connect() as theirs:
        assert registry.get_model(ours, second).sql_text == registry.get_model(theirs, second).sql_text


def test_lost_revision_files_are_written_again(scored: Workspace) -> None:
    folder = scored.settings.models_dir
    before = _contents(folder)
    shutil.rmtree(folder)
    restored = deployment.restore_missing_files(scored.url, folder)
    assert len(restored) == 1 and _contents(folder) == before
    assert migrate_models(scored.url, folder) == 0


def test_a_changed_revision_file_is_rejected(scored: Workspace, migrated: Workspace) -> None:
    folder = migrated.settings.models_dir
    shutil.copytree(scored.settings.models_dir, folder, dirs_exist_ok=True)
    body = next(folder.rglob("function.sql"))
    body.write_text(body.read_text() + "-- changed\n")
    with pytest.raises(RegistryError, match="function.sql was changed after it was generated"):
        migrate_models(migrated.url, folder)
    assert champion_of(migrated) is None


@pytest.mark.parametrize("target", ["models@-1", "schema@-1"])
def test_a_downgrade_names_the_way_back(scored: Workspace, target: str) -> None:
    champion = champion_of(scored)
    with (
        pytest.raises(CommandError, match="forward only; for the previous champion run: rowguard rollback"),
        migrations.transaction(scored.url) as connection,
    ):
        command.downgrade(migrations.config(connection, [scored.settings.models_dir]), target)
    assert _decided_by(scored) == champion


def test_the_same_data_give_the_same_version(scored: Workspace) -> None:
    done = retrain(scored.url, scored.settings)
    assert done.training.is_new is False
    assert done.training.version == champion_of(scored)
    assert done.deployment is None


def test_a_function_that_differs_from_its_model_is_never_deployed(scored: Workspace) -> None:
    champion, candidate = champion_of(scored), train_small(scored, 1)
    assert champion is not None
    with scored.connect() as connection:
        record = registry.get_model(connection, champion)
        wrong = load_artifact(artifact_path(scored.settings.state_dir, champion), record.artifact_sha256)
    before = _contents(scored.settings.models_dir)
    with pytest.raises(ParityError, match="differs from the model on"):
        deployment.deploy(
            scored.url,
            scored.settings.models_dir,
            candidate,
            wrong,
            boundary_rows(wrong, 500, seed=0),
            built_feature_hash=record.feature_hash,
        )
    assert champion_of(scored) == champion and _decided_by(scored) == champion
    assert _contents(scored.settings.models_dir) == before


def test_a_model_of_another_feature_list_is_rejected(scored: Workspace) -> None:
    candidate = train_small(scored, 1)
    with pytest.raises(FeatureMismatchError, match="retrain"):
        deployment.deploy(
            scored.url,
            scored.settings.models_dir,
            candidate,
            RandomForestClassifier(),
            np.empty((0, 1)),
            built_feature_hash="0" * 32,
        )


def test_refusals_name_what_is_wrong(scored: Workspace, migrated: Workspace) -> None:
    champion = champion_of(scored)
    assert champion is not None
    with pytest.raises(RegistryError, match="is the champion already"):
        deploy(scored.url, scored.settings, champion)
    with pytest.raises(RegistryError, match="there is no model 'rf_nope'; registered: rf_"):
        deploy(scored.url, scored.settings, "rf_nope")
    with pytest.raises(RegistryError, match="no model was ever deployed"):
        rollback(migrated.url, migrated.settings)


def test_files_of_another_database_are_refused(scored: Workspace) -> None:
    candidate = train_small(scored, 1)
    stranger = scored.settings.models_dir / "m0009_deploy_rf_other.py"
    stranger.write_text("revision = 'm0009'\ndown_revision = None\n")
    with pytest.raises(RegistryError, match=r"m0009_deploy_rf_other\.py is not applied to this database"):
        deploy(scored.url, scored.settings, candidate, force=True)


def test_two_deployments_at_once_both_end_in_a_line_of_revisions(scored: Workspace) -> None:
    candidates = [train_small(scored, seed) for seed in (1, 2)]
    errors: list[RowguardError] = []

    def go(version: str) -> None:
        try:
            deploy(scored.url, scored.settings, version, force=True)
        except RowguardError as error:
            errors.append(error)

    threads = [threading.Thread(target=go, args=(version,)) for version in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with scored.connect() as connection:
        applied = registry.applied_revisions(connection)
        states = {model.version: model.state for model in registry.list_models(connection)}
    assert len(applied) == 3 and {revision.champion for revision in applied[1:]} == set(candidates)
    assert states[applied[-1].champion] == "champion"
    assert sorted(states.values()) == ["champion", "retired", "retired"]


def test_the_deployed_function_equals_scikit_learn_on_100_000_rows(scored: Workspace) -> None:
    champion = champion_of(scored)
    assert champion is not None
    with scored.connect() as connection:
        record = registry.get_model(connection, champion)
        forest = load_artifact(artifact_path(scored.settings.state_dir, champion), record.artifact_sha256)
        rows = boundary_rows(forest, 100_000, seed=7)
        assert np.isnan(rows).any()
        parity = deployment.check_parity(connection, record, forest, rows)
    assert parity == deployment.Parity(100_000, 0)


def test_every_decision_replays_from_what_the_model_saw(scored: Workspace) -> None:
    insert_rows(scored, 500)
    report = verify(scored.url, scored.settings)
    assert report.is_ok
    assert report.checks["replayed_rows"] == 500 and report.checks["replay_differences"] == 0


def test_a_worse_candidate_is_rejected_and_the_champion_stays(scored: Workspace) -> None:
    candidate = train_small(scored, 1)
    with scored.connect() as connection:
        connection.execute(
            "UPDATE scoring.models SET metrics = jsonb_set(metrics, '{average_precision}', '0.001')"
            " WHERE version = %s",
            [candidate],
        )
    report = evaluate_gates(scored.url, scored.settings, candidate)
    assert not report.passed and "under 3 times the prevalence" in report.reasons[0]
    with scored.connect() as connection:
        rejected = registry.get_model(connection, candidate)
    assert rejected.state == "rejected" and rejected.state_reason == "; ".join(report.reasons)


def test_the_nightly_run_does_not_bring_back_a_rolled_back_model(scored: Workspace) -> None:
    second = train_small(scored, 1)
    deploy(scored.url, scored.settings, second, force=True)
    rollback(scored.url, scored.settings)
    report = evaluate_gates(scored.url, scored.settings, second)
    assert not report.passed
    assert "it was rolled back" in report.reasons[0]
    assert deploy(scored.url, scored.settings, second, force=True).version == second


def test_every_change_of_state_is_kept(scored: Workspace) -> None:
    first, second = champion_of(scored), train_small(scored, 1)
    strict = scored.settings.model_copy(update={"gate_max_nodes": 10})
    deploy(scored.url, strict, second, force=True)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT version, from_state, to_state FROM scoring.model_state_changes ORDER BY change_id"
        ).fetchall()
    assert rows == [
        (first, None, "candidate"),
        (first, "candidate", "champion"),
        (second, None, "candidate"),
        (second, "candidate", "rejected"),
        (first, "champion", "retired"),
        (second, "rejected", "champion"),
    ]


def test_a_changed_artifact_is_not_loaded(scored: Workspace) -> None:
    candidate = train_small(scored, 1)
    path = artifact_path(scored.settings.state_dir, candidate)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RegistryError, match="is not the registered one"):
        deploy(scored.url, scored.settings, candidate, force=True)


def _decided_by(workspace: Workspace) -> str:
    with workspace.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 1) RETURNING model_version"
        ).fetchone()
    assert row is not None
    return str(row[0])


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_connection_sees_the_new_champion_without_reconnecting(scored: Workspace) -> None:
    second = train_small(scored, 1)
    with psycopg.connect(scored.url, autocommit=True) as connection:
        insert = "INSERT INTO transactions (user_id, amount) VALUES (1, 1) RETURNING model_version"
        before = connection.execute(insert).fetchone()
        deploy(scored.url, scored.settings, second, force=True)
        after = connection.execute(insert).fetchone()
    assert before != after and after == (second,)
