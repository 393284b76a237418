"""Removes old versions' functions and revision bodies; their history, and their text in the registry, are kept.

A nightly model is a few megabytes. The chain of revisions must be complete, so a pruned revision keeps its position,
states and facade, and loses only the body of the function: on a fresh database the later revisions lead to the same
champion.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sql_scoring import registry
from sql_scoring.deployment.revision_files import restore_missing_files
from sql_scoring.deployment.session import deployment_session


def prune(url: str, models_dir: Path, keep: int) -> list[str]:
    """Drop the functions of old versions.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the generated revisions.
        keep: How many versions to keep next to champion and challenger, newest first.

    Returns:
        The pruned versions.
    """
    with deployment_session(url, models_dir) as session:
        history = registry.champion_history(session.driver)
        deployed = {model.version for model in session.state.models_by_state().values()}
        deployed_versions = (
            version
            for revision in reversed(session.applied)
            for version in (revision.champion, revision.challenger)
            if version and version not in deployed
        )
        newest = list(dict.fromkeys(deployed_versions))
        # Versions to roll forward to are as near as those to roll back to.
        retained = {*deployed, *newest[:keep], *history.versions[history.position + 1 :][:keep]}
        pruned = []
        for record in registry.list_models(session.driver):
            if record.version not in retained and registry.function_exists(
                session.driver, record.function_name
            ):
                registry.prune_model(session.driver, record)
                pruned.append(record.version)
    # Rendered again, they are files without the function.
    for revision in session.applied:
        if revision.creates_function and revision.subject in pruned:
            shutil.rmtree(models_dir / revision.name)
    restore_missing_files(url, models_dir)
    return pruned
