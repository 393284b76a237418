"""Renders generated revisions. Pure: no database, no files."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from sql_scoring.deployment._facade import DeploymentState, render_facade, render_shadow_score
from sql_scoring.deployment._templates import literal, render
from sql_scoring.registry import ModelRecord, candidate

ROLLED_BACK = "rollback of"  # starts the reason of a model that was rolled back
_REASONS = {
    "deploy": "deployed",
    "promote": "promoted",
    "rollback": "rolled back from {champion}",
    "roll_forward": "rolled forward from {champion}",
    "deploy_challenger": "challenger",
    "retire_challenger": "retired",
}


def render_revision(
    number: int,
    parents: tuple[str | None, str],
    kind: str,
    before: DeploymentState,
    after: DeploymentState,
    *,
    subject: ModelRecord,
    creates_function: bool,
    steps: int = 1,
    note: str = "",
) -> tuple[str, dict[str, str]]:
    """Render the revision that leads from one state to another.

    Args:
        number: Its position in the models branch, from 1.
        parents: The heads of the models branch, if it has one, and of the schema.
        kind: As in `scoring.model_revisions`.
        before: The state that it starts from, and that its downgrade restores.
        after: The state that it leads to.
        subject: The model that the revision is about.
        creates_function: Whether it creates the subject's scoring function.
        steps: How many champions a rollback or a roll-forward moves.
        note: Added to the subject's reason, such as why it was forced.

    Returns:
        The revision's id, and the text of its files by their path relative to the models folder.

    Raises:
        ValueError: It leaves no champion, or the registry holds no function text.
    """
    if after.champion is None:
        raise ValueError("a revision leaves a champion")
    down_revision, schema_head = parents
    reason = _REASONS[kind].format(champion=before.champion.version if before.champion else "nothing")
    leaving = {
        "deploy": f"{after.champion.version} was deployed",
        "promote": f"{after.champion.version} was promoted",
        "rollback": f"{ROLLED_BACK} it to {after.champion.version}",
        "roll_forward": f"roll-forward to {after.champion.version}",
        "deploy_challenger": f"{subject.version} is the challenger instead",
        "retire_challenger": "retired",
    }[kind]
    names = {"kind": kind, "version": subject.version}
    files = {
        "upgrade.sql": render(
            "upgrade.sql",
            **names,
            register=render("register.sql", model=literal(candidate(replace(subject, sql_text=None))))
            if creates_function
            else "",
            states=_states(before, after, leaving, reason + (f"; {note}" if note else ""), is_deployed=True),
            facades=_facades(before, after),
        ),
        "downgrade.sql": render(
            "downgrade.sql",
            **names,
            states=_states(
                after,
                before,
                f"downgrade of {kind} {subject.version}",
                "the revision after it was downgraded",
                is_deployed=False,
            ),
            facades=_facades(after, before),
            drop_function=f"DROP FUNCTION IF EXISTS {subject.function_name}(real[]);\n"
            if creates_function
            else "",
        ),
    }
    if creates_function:
        if subject.sql_text is None:
            raise ValueError(f"the registry holds no function text for {subject.version}")
        files["function.sql"] = subject.sql_text
    name = f"m{number:04d}_{kind}_{subject.version}"
    revision = f"m{number:04d}_{sha256(files['upgrade.sql'])[:8]}"
    python = render(
        "revision.py.txt",
        title=f"{kind.replace('_', ' ').capitalize()}: {subject.version}.",
        revision=revision,
        down_revision=down_revision,
        branch_labels=None if down_revision else ("models",),
        depends_on=schema_head,
        kind=kind,
        champion=after.champion.version,
        challenger=after.challenger.version if after.challenger else None,
        steps=steps,
        hashes="\n".join(f'        "{file}": "{sha256(text)}",' for file, text in sorted(files.items())),
    )
    return revision, {f"{name}.py": python} | {f"{name}/{file}": text for file, text in files.items()}


def sha256(text: str) -> str:
    """Return the hash of a file's text, as a revision lists it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _states(
    before: DeploymentState, after: DeploymentState, leaving: str, entering: str, *, is_deployed: bool
) -> str:
    """First the models that leave, then those that enter, the challenger before the champion: never two of a state.

    The downgrade of a promotion makes the champion a challenger again.
    """
    versions = {model.version for model in after.models_by_state().values()}
    unchanged = {(state, m.version, m.canary_percent) for state, m in before.models_by_state().items()}
    statements = [
        _state(model, "retired", leaving)
        for model in before.models_by_state().values()
        if model.version not in versions
    ]
    statements += [
        _state(model, state, entering, is_deployed=is_deployed)
        for state, model in after.models_by_state().items()
        if (state, model.version, model.canary_percent) not in unchanged
    ]
    return "\n".join(statements)


def _state(model: ModelRecord, state: str, reason: str, *, is_deployed: bool = False) -> str:
    return render(
        "state.sql",
        version_literal=literal(model.version),
        state=literal(state),
        reason=literal(reason),
        canary=literal(model.canary_percent or 0.0) if state == "challenger" else "NULL",
        stamp=",\n    deployed_at = clock_timestamp(), deployed_by = session_user" if is_deployed else "",
    )


def _facades(before: DeploymentState, after: DeploymentState) -> str:
    parts = [render_facade(after)]
    if before.challenger or after.challenger:
        parts.append(render_shadow_score(after))
    return "\n".join(parts)
