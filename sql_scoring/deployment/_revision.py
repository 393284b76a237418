"""Writes the text of a generated revision. Pure: no database, no files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from rowguard.sql_files import read_sql
from sql_scoring.deployment._facade import facade, insert_facade, literal, shadow
from sql_scoring.registry import ModelRecord

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


@dataclass(frozen=True)
class Standing:
    """Who decides, and who is tried beside it. The challenger's own `canary_percent` says for how many users."""

    champion: ModelRecord | None
    challenger: ModelRecord | None = None

    def versions(self) -> dict[str, ModelRecord]:
        """State -> model, of those that there are."""
        both = {"challenger": self.challenger, "champion": self.champion}
        return {state: model for state, model in both.items() if model is not None}


def revision_text(
    position: Position,
    kind: str,
    before: Standing,
    after: Standing,
    *,
    subject: ModelRecord,
    creates_function: bool,
    insert_features: frozenset[str] = frozenset(),
    steps: int = 1,
    note: str = "",
) -> RevisionText:
    """The revision that leads from one standing to another.

    Args:
        kind: as in `scoring.model_revisions`.
        subject: the model that the revision is about; its scoring function is created when `creates_function`.
        insert_features: hashes of the feature lists that have a function for the trigger; see `insert_facade`.
        note: is added to the subject's reason, such as why it was forced.
    """
    if after.champion is None:
        raise ValueError("a revision leaves a champion")
    name = f"m{position.number:04d}_{kind}_{subject.version}"
    reason = _WORDS[kind].format(before=before.champion.version if before.champion else "nothing")
    leaving = {
        "deploy": f"{after.champion.version} was deployed",
        "promote": f"{after.champion.version} was promoted",
        "rollback": f"{ROLLED_BACK} it to {after.champion.version}",
        "forward": f"forward to {after.champion.version}",
        "challenge": f"{subject.version} is the challenger instead",
        "withdraw": "withdrawn",
    }[kind]
    back = f"downgrade of {kind} {subject.version}"
    drop = f"DROP FUNCTION IF EXISTS {subject.function_name}(real[]);\n" if creates_function else ""
    folder = {
        "upgrade.sql": _template("upgrade").format(
            kind=kind,
            version=subject.version,
            register=_register(subject) if creates_function else "",
            states=_states(before, after, leaving, reason + (f"; {note}" if note else ""), stamp=True),
            facades=_facades(before, after, insert_features),
        ),
        "downgrade.sql": _template("downgrade").format(
            kind=kind,
            version=subject.version,
            states=_states(after, before, back, "the revision after it was taken back", stamp=False),
            # Older revisions know no decide_insert: it has to follow their facade when they are taken back as well.
            facades=_facades(after, before, None),
            drop_function=drop,
        ),
    }
    if creates_function:
        if subject.sql_text is None:
            raise ValueError(f"the registry holds no function text for {subject.version}")
        folder["function.sql"] = subject.sql_text
    revision = f"m{position.number:04d}_{sha256(folder['upgrade.sql'])[:8]}"
    py = (
        (TEMPLATES / "revision.py.txt")
        .read_text()
        .format(
            title=f"{kind.capitalize()}: {subject.version}.",
            revision=revision,
            down_revision=position.down_revision,
            branch_labels=None if position.down_revision else ("models",),
            depends_on=position.schema_head,
            kind=kind,
            champion=after.champion.version,
            challenger=after.challenger.version if after.challenger else None,
            steps=steps,
            hashes="\n".join(f'        "{file}": "{sha256(text)}",' for file, text in sorted(folder.items())),
        )
    )
    files = {f"{name}.py": py} | {f"{name}/{file}": text for file, text in folder.items()}
    return RevisionText(revision, name, files)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_WORDS = {
    "deploy": "deployed",
    "promote": "promoted",
    "rollback": "rolled back from {before}",
    "forward": "forward again from {before}",
    "challenge": "challenger",
    "withdraw": "withdrawn",
}


def _states(before: Standing, after: Standing, leaving: str, entering: str, *, stamp: bool) -> str:
    """Who leaves first, then who comes, the challenger before the champion (taking a promotion back makes the
    champion a challenger again): there is never more than one of a kind."""
    statements = [
        _state(model, "retired", leaving)
        for model in before.versions().values()
        if model.version not in {one.version for one in after.versions().values()}
    ]
    statements += [
        _state(model, state, entering, stamp=stamp)
        for state, model in after.versions().items()
        if not _stands_already(before, state, model)
    ]
    return "\n".join(statements)


def _stands_already(before: Standing, state: str, model: ModelRecord) -> bool:
    present = before.versions().get(state)
    return (
        present is not None
        and present.version == model.version
        and (state == "champion" or present.canary_percent == model.canary_percent)
    )


def _state(model: ModelRecord, state: str, reason: str, *, stamp: bool = False) -> str:
    return _template("state").format(
        version_literal=literal(model.version),
        state=literal(state),
        reason=literal(reason),
        canary=literal(model.canary_percent or 0.0) if state == "challenger" else "NULL",
        stamp=",\n    deployed_at = clock_timestamp(), deployed_by = session_user" if stamp else "",
    )


def _facades(before: Standing, after: Standing, insert_features: frozenset[str] | None) -> str:
    parts = [
        facade(after.champion, after.challenger),
        insert_facade(after.champion, after.challenger, insert_features=insert_features),
    ]
    if before.challenger or after.challenger:
        parts.append(shadow(after.champion, after.challenger))
    return "\n".join(parts)


def _register(model: ModelRecord) -> str:
    values: dict[str, Any] = {name: literal(getattr(model, name)) for name in _REGISTERED}
    return _template("register").format(
        version_literal=literal(model.version),
        function_literal=literal(model.function_name),
        **values,
        metrics=literal(Jsonb(dict(model.metrics))),
        library_versions=literal(Jsonb(dict(model.library_versions))),
        reference=literal(Jsonb(dict(model.reference))) if model.reference else sql.NULL.as_string(None),
    )


def _template(name: str) -> str:
    return read_sql(TEMPLATES, name)
