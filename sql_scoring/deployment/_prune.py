"""Old versions' functions and revision bodies are removed; their history, and their text in the registry, stay.

A nightly model is a few megabytes. The chain of revisions must stay whole, so a pruned revision keeps its place,
its states and its facade, and loses the body of the function alone: on a fresh database the revisions after it lead
to the same champion.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sql_scoring import registry
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.deployment._changes import workbench

_BODY = "function.sql"


def prune(url: str, models_dir: Path, keep: int) -> list[str]:
    """Keep the present champion and challenger and the `keep` newest other champions; answers what was pruned."""
    with workbench(url, models_dir) as bench:
        line = registry.champion_line(bench.driver)
        kept = {model.version for model in bench.standing.versions().values()}
        newest: list[str] = []
        for revision in reversed(bench.applied):
            for version in (revision.champion, revision.challenger):
                if version and version not in newest and version not in kept:
                    newest.append(version)
        kept.update(newest[:keep])
        # What can be gone forward to is as near as what can be gone back to.
        kept.update(line.versions[line.position + 1 :][:keep])
        pruned = []
        for record in registry.list_models(bench.driver):
            if record.version not in kept and registry.function_exists(bench.driver, record.function_name):
                registry.prune_model(bench.driver, record)
                pruned.append(record.version)
        lighter = [
            _without_body(revision)
            for revision in bench.applied
            if _subject(revision) in pruned and any(name.endswith(f"/{_BODY}") for name in revision.files)
        ]
        for revision in lighter:
            registry.keep_files(bench.driver, revision)
    for revision in lighter:
        migrations.write_files(models_dir, revision.files)
    return pruned


def _subject(revision: registry.AppliedRevision) -> str | None:
    return revision.challenger if revision.kind == "challenge" else revision.champion


def _without_body(revision: registry.AppliedRevision) -> registry.AppliedRevision:
    files = {name: text for name, text in revision.files.items() if not name.endswith(f"/{_BODY}")}
    for name in files:
        if name.endswith(".py"):
            files[name] = re.sub(rf'^ *"{re.escape(_BODY)}": .*\n', "", files[name], flags=re.MULTILINE)
    return replace(revision, files=files)
