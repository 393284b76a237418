"""Writes the text of a generated revision. Pure: no database, no files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from rowguard.sql_files import read_sql
from sql_scoring.registry import ModelRecord
from sql_scoring.schema_files import SQL_DIR

ROLLED_BACK = "rollback of"  # begins the reason of a model that was taken back
TEMPLATES = Path(__file__).parent.parent / "templates"
_REGISTERED = (
    "model_kind",
    "layout",
    "feature_names",
    "feature_hash",
    "trained_at",
    "train_from",
    "train_to",
    "label_cutoff",
    "row_count",
    "fraud_count",
    "threshold",
    "threshold_rule",
    "tree_count",
    "node_count",
    "sql_bytes",
    "sql_sha256",
    "artifact_sha256",
)


@dataclass(frozen=True)
class RevisionText:
    """A generated migration before it is written.

    Attributes:
        name: stem of the `.py` and name of the folder beside it.
        files: text of every file by its path relative to the models folder.
    """

    revision: str
    name: str
    files: dict[str, str]


@dataclass(frozen=True)
class Position:
    """Where a new revision goes: `number` counts from 1; `down_revision` is the models branch's head."""

    number: int
    down_revision: str | None
    schema_head: str


def deploy_revision(
    position: Position, model: ModelRecord, previous: ModelRecord | None, *, create_function: bool
) -> RevisionText:
    """A new champion. Its scoring function is created unless the version was deployed before."""
    drop = f"DROP FUNCTION IF EXISTS {model.function_name}(real[]);\n" if create_function else ""
    return _revision(position, "deploy", model, previous, create_function=create_function, drop_function=drop)


def rollback_revision(position: Position, target: ModelRecord, present: ModelRecord) -> RevisionText:
    """Back to a champion of before, whose function is still there."""
    return _revision(position, "rollback", target, present, create_function=False, drop_function="")


def _revision(
    position: Position,
    kind: str,
    model: ModelRecord,
    previous: ModelRecord | None,
    *,
    create_function: bool,
    drop_function: str,
) -> RevisionText:
    name = f"m{position.number:04d}_{kind}_{model.version}"
    reason = (
        "deployed" if kind == "deploy" else f"rolled back from {previous.version if previous else 'nothing'}"
    )
    folder = {
        "upgrade.sql": _template("upgrade").format(
            version=model.version,
            version_literal=literal(model.version),
            register=_register(model) if create_function else "",
            retire_reason=literal(
                f"{model.version} was deployed"
                if kind == "deploy"
                else f"{ROLLED_BACK} it to {model.version}"
            ),
            reason=literal(reason),
            facade=facade(model),
        ),
        "downgrade.sql": _template("downgrade").format(
            version=model.version,
            reason=literal(f"downgrade of {kind} {model.version}"),
            restore_state=_restore_state(previous),
            facade=facade(previous),
            drop_function=drop_function,
        ),
    }
    if create_function:
        if model.sql_text is None:
            raise ValueError(f"the registry holds no function text for {model.version}")
        folder["function.sql"] = model.sql_text
    revision = f"m{position.number:04d}_{sha256(folder['upgrade.sql'])[:8]}"
    title = f"Deploy {model.version}." if kind == "deploy" else f"Roll back to {model.version}."
    py = (
        (TEMPLATES / "revision.py.txt")
        .read_text()
        .format(
            title=title,
            revision=revision,
            down_revision=position.down_revision,
            branch_labels=None if position.down_revision else ("models",),
            depends_on=position.schema_head,
            kind=kind,
            champion=model.version,
            hashes="\n".join(f'        "{file}": "{sha256(text)}",' for file, text in sorted(folder.items())),
        )
    )
    files = {f"{name}.py": py} | {f"{name}/{file}": text for file, text in folder.items()}
    return RevisionText(revision, name, files)


def facade(model: ModelRecord | None) -> str:
    """The two functions that callers know, bound to a model, or as they are before any."""
    if model is None:
        functions = SQL_DIR / "functions"
        return read_sql(functions, "score_candidate") + "\n" + read_sql(functions, "score_basic")
    return _template("facade").format(
        version=model.version,
        version_literal=literal(model.version),
        feature_hash8=model.feature_hash[:8],
        function_name=model.function_name,
        threshold=literal(repr(model.threshold)),
    )


def literal(value: Any) -> str:
    """A value as SQL text, quoted by the driver."""
    return sql.Literal(value).as_string(None).strip()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _register(model: ModelRecord) -> str:
    return _template("register").format(
        version_literal=literal(model.version),
        function_literal=literal(model.function_name),
        **{name: literal(getattr(model, name)) for name in _REGISTERED},
        metrics=literal(Jsonb(dict(model.metrics))),
        library_versions=literal(Jsonb(dict(model.library_versions))),
    )


def _restore_state(previous: ModelRecord | None) -> str:
    if previous is None:
        return ""
    return read_sql(TEMPLATES, "restore_state").format(version_literal=literal(previous.version)) + "\n"


def _template(name: str) -> str:
    return read_sql(TEMPLATES, name)
