"""Removes old versions' functions and revision bodies; their history, and their text in the registry, are kept.

A nightly model is a few megabytes. The chain of revisions must be complete, so a pruned revision keeps its position,
states and facade, and loses only the body of the function: on a fresh database the later revisions lead to the same
champion.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sql_scoring import registry
from sql_scoring.deployment.session import deployment_session

_BODY = "function.sql"


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
        lighter = [
            _without_body(revision)
            for revision in session.applied
            if revision.subject in pruned and any(name.endswith(f"/{_BODY}") for name in revision.files)
        ]
        for revision in lighter:
            registry.update_files(session.driver, revision)
            session.files.update(revision.files)
    return pruned


def _without_body(revision: registry.AppliedRevision) -> registry.AppliedRevision:
    files = {name: text for name, text in revision.files.items() if not name.endswith(f"/{_BODY}")}
    for name in files:
        if name.endswith(".py"):
            files[name] = re.sub(rf'^ *"{re.escape(_BODY)}": .*\n', "", files[name], flags=re.MULTILINE)
    return replace(revision, files=files)
