"""Renders generated revisions. Pure: no database, no files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

from sql_scoring.deployment._facade import (
    DeploymentState,
    literal,
    render,
    render_facade,
    render_shadow_score,
)
from sql_scoring.registry import ModelRecord, Revision

ROLLED_BACK = "rollback of"  # starts the reason of a model that was rolled back
# The reasons in the registry of the models that enter and leave a state.
_REASONS = {
    "deploy": ("deployed", "{champion} was deployed"),
    "promote": ("promoted", "{champion} was promoted"),
    "rollback": ("rolled back from {previous}", f"{ROLLED_BACK} it to {{champion}}"),
    "roll_forward": ("rolled forward from {previous}", "roll-forward to {champion}"),
    "deploy_challenger": ("challenger", "{subject} is the challenger instead"),
    "retire_challenger": ("retired", "retired"),
}


def identify(revision: Revision, number: int, subject: ModelRecord) -> Revision:
    """Return the revision with its id: its number, and a hash over its values, its parent and its function."""
    values = asdict(revision) | {"revision": number, "creates_function": None, "function": subject.sql_sha256}
    digest = _sha256(json.dumps(values, sort_keys=True))
    return replace(revision, revision=f"m{number:04d}_{digest[:12]}")


def render_revision(revision: Revision, before: DeploymentState, after: DeploymentState) -> dict[str, str]:
    """Render the files of the revision that leads from one state to another.

    Args:
        revision: Its values, with the id of `identify`.
        before: The state that it starts from.
        after: The state that it leads to; the model that it is about has its function's text if it creates that.

    Returns:
        Text by path relative to the models folder.

    Raises:
        RegistryError: The registry does not hold the function's text that was trained.
    """
    subject = next(m for m in after.models_by_state().values() if m.version == revision.subject)
    row = {name: value for name, value in asdict(revision).items() if name != "parent"}
    sql_files = {
        "upgrade.sql": render(
            "upgrade.sql",
            kind=revision.kind,
            version=subject.version,
            states=_states(revision, before, after),
            facades=_facades(before, after),
            columns=", ".join(row),
            values=", ".join(map(literal, row.values())),
        )
    }
    if revision.creates_function:
        sql_files["function.sql"] = subject.function_text()
        if subject.explanation:
            sql_files["explanation.json"] = subject.explanation
    python = render(
        "revision.py.txt",
        title=f"{revision.kind.replace('_', ' ').capitalize()}: {subject.version}.",
        revision=revision.revision,
        down_revision=revision.parent,
        branch_labels=None if revision.parent else ("models",),
        depends_on=revision.schema_revision,
        version=subject.version,
        hashes="\n".join(f'    "{file}": "{_sha256(text)}",' for file, text in sorted(sql_files.items())),
    )
    return {f"{revision.name}.py": python} | {
        f"{revision.name}/{file}": text for file, text in sql_files.items()
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _states(revision: Revision, before: DeploymentState, after: DeploymentState) -> str:
    """First the models that leave, then those that enter, the challenger first: never two of a state."""
    names = {
        "champion": revision.champion,
        "previous": before.champion.version if before.champion else "nothing",
        "subject": revision.subject,
    }
    entering, leaving = (reason.format(**names) for reason in _REASONS[revision.kind])
    if revision.note:
        entering += f"; {revision.note}"
    deployed = after.models_by_state()
    versions = {model.version for model in deployed.values()}
    unchanged = {(state, m.version, m.canary_percent) for state, m in before.models_by_state().items()}
    statements = [
        _state(model.version, state="retired", state_reason=leaving, canary_percent=None)
        for model in before.models_by_state().values()
        if model.version not in versions
    ]
    for state, model in deployed.items():
        if (state, model.version, model.canary_percent) in unchanged:
            continue
        if revision.kind in ("deploy", "deploy_challenger") and model.version == revision.subject:
            statements.append(_registration(model))
        canary = (model.canary_percent or 0.0) if state == "challenger" else None
        statements.append(
            _state(model.version, is_deployed=True, state=state, state_reason=entering, canary_percent=canary)
        )
    return "\n".join(statements)


def _registration(model: ModelRecord) -> str:
    """The statement for another database, which does not know the model yet."""
    row = json.dumps(asdict(model.as_candidate()) | {"sql_text": None, "explanation": None}, default=str)
    return (
        "INSERT INTO scoring.models\n"
        f"SELECT m.* FROM jsonb_populate_record(NULL::scoring.models, {literal(row)}) AS m\n"
        "ON CONFLICT (version) DO NOTHING;\n"
    )


def _state(version: str, *, is_deployed: bool = False, **values: object) -> str:
    assignments = [f"{column} = {literal(value)}" for column, value in values.items()]
    if is_deployed:
        assignments += ["deployed_at = clock_timestamp()", "deployed_by = session_user"]
    return f"UPDATE scoring.models\nSET {', '.join(assignments)}\nWHERE version = {literal(version)};\n"


def _facades(before: DeploymentState, after: DeploymentState) -> str:
    assert after.champion is not None, "a revision leaves a champion"
    parts = [render_facade(after.champion, after.challenger)]
    if before.challenger or after.challenger:
        parts.append(render_shadow_score(after.champion, after.challenger))
    return "\n".join(parts)
