"""The files of generated revisions in the models folder: rendered from the registry, never copied from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import psycopg

from rowguard.errors import RegistryError
from sql_scoring import registry
from sql_scoring.deployment import migrations
from sql_scoring.deployment._facade import DeploymentState
from sql_scoring.deployment._revision import identify, render_revision
from sql_scoring.deployment.rule_set_files import restore_rule_set_files
from sql_scoring.deployment.written_files import write_files
from sql_scoring.registry import ModelRecord, Revision


def restore_missing_files(url: str, models_dir: Path) -> list[str]:
    """Write the revision files that the database has and the folder lacks.

    Returns:
        Names of the restored revisions' `.py` files.

    Raises:
        RegistryError: The registry or a file is not as a deployment wrote it.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        if not registry.has_schema(driver):
            return []
        return restore_files(driver, models_dir)


def restore_files(driver: psycopg.Connection, models_dir: Path) -> list[str]:
    """As `restore_missing_files`, in an open transaction.

    Args:
        driver: Open connection.
        models_dir: Folder of the generated revisions.
    """
    restored = []
    models = {model.version: model for model in registry.list_models(driver)}
    before = DeploymentState(None)
    for number, revision in enumerate(registry.applied_revisions(driver), start=1):
        missing = {revision.champion, revision.challenger or revision.champion} - models.keys()
        if missing or identify(revision, number, models[revision.subject]).revision != revision.revision:
            raise RegistryError(
                f"revision {revision.revision} in scoring.model_revisions is not as it was deployed; "
                "restore scoring.model_revisions and scoring.models from a backup"
            )
        after = _state_after(revision, models)
        file = models_dir / f"{revision.name}.py"
        parts = ["upgrade.sql", "function.sql"] if revision.creates_function else ["upgrade.sql"]
        if file.exists() and "explanation.json" in file.read_text():
            parts.append("explanation.json")
        if not all(path.exists() for path in (file, *(file.with_suffix("") / part for part in parts))):
            write_files(models_dir, _render_applied(driver, revision, before, after))
            restored.append(file.name)
        elif repr(revision.revision) not in file.read_text():
            raise RegistryError(f"{file} is of another database, which deployed another model; remove it")
        before = after
    return restored + restore_rule_set_files(driver, models_dir)


def reject_unapplied_files(folder: Path, applied: Iterable[Revision]) -> None:
    """Require that every revision in the folder is applied before another goes on top.

    Args:
        folder: Folder of the generated revisions.
        applied: Names of applied files.

    Raises:
        RegistryError: Names a file that the database does not have.
    """
    known = {f"{revision.name}.py" for revision in applied}
    for path in sorted(folder.glob("m*.py")):
        if path.name not in known:
            raise RegistryError(
                f"{path.name} is not applied to this database; run: rowguard migrate (or remove the file, "
                "if it belongs to another database)"
            )


def _state_after(revision: Revision, models: Mapping[str, ModelRecord]) -> DeploymentState:
    challenger = models[revision.challenger] if revision.challenger else None
    if challenger is not None:
        challenger = replace(challenger, canary_percent=revision.canary_percent)
    return DeploymentState(models[revision.champion], challenger)


def _render_applied(
    driver: psycopg.Connection, revision: Revision, before: DeploymentState, after: DeploymentState
) -> dict[str, str]:
    if not revision.creates_function:
        return render_revision(revision, before, after)
    texts = registry.get_model(driver, revision.subject)

    def with_text(model: ModelRecord | None) -> ModelRecord | None:
        if model is None or model.version != revision.subject:
            return model
        return replace(model, sql_text=texts.sql_text, explanation=texts.explanation)

    return render_revision(
        revision, before, DeploymentState(with_text(after.champion), with_text(after.challenger))
    )
