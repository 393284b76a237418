"""Publishes rule sets and rolls them back: each a generated migration in one transaction, as a model's deployment is.

The new function is created next to the old ones, and the facade is repointed. A session that is running keeps the
function that it has, and stores that version on its row: no row mixes two sets.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowguard.database import connect
from rowguard.declaration import features_file
from rowguard.errors import RuleError, SchemaError
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring.deployment import migrations
from sql_scoring.deployment._facade import literal
from sql_scoring.deployment.revision_files import restore_files
from sql_scoring.deployment.rule_set_files import (
    applied_rule_revisions,
    identify_revision,
    render_rule_set_files,
    render_upgrade,
)
from sql_scoring.deployment.written_files import write_files
from sql_scoring.features.listing import load_declaration
from sql_scoring.jobs import lock_job
from sql_scoring.rules.check import check_rules, deployed_features
from sql_scoring.rules.compile import compile_rules
from sql_scoring.rules.document import RuleProblem, RuleSet, validate_rules

QUERIES = load_queries("sql_scoring")


@dataclass(frozen=True)
class Publication:
    """The rule set in force afterwards, the one before, and the revision; 0 is none."""

    version: int
    previous: int
    revision: str
    rules: int


def current_version(connection: psycopg.Connection[Any]) -> int:
    """Return the rule set in force, 0 for none.

    Raises:
        SchemaError: The database has no rowguard schema.
    """
    try:
        row = connection.execute(QUERIES["current_rule_set"]).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise SchemaError from None
    return int(row[0]) if row else 0


def get_rule_set(connection: psycopg.Connection[Any], version: int) -> dict[str, Any]:
    """Return a published rule set as its row.

    Args:
        connection: An open connection.
        version: Its number.

    Raises:
        RuleError: There is none with this number.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES["select_rule_set"], {"version": version}).fetchone()
    if row is None:
        raise RuleError(f"there is no rule set {version}")
    return row


def list_rule_sets(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Return all published rule sets, newest first."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(QUERIES["list_rule_sets"]).fetchall()
    except psycopg.errors.UndefinedTable:
        raise SchemaError from None


def check_rule_set(url: str, settings: Settings, rule_set: RuleSet) -> None:
    """Check a rule set against a database; nothing is changed.

    Args:
        url: Address of the database.
        settings: Names features.yml.
        rule_set: As read.

    Raises:
        RuleError: A rule is wrong; names it.
    """
    declaration = load_declaration(features_file(settings))
    with connect(url) as connection:
        current_version(connection)
        check_rules(rule_set, declaration, deployed_features(connection), connection)


def publish_rule_set(
    url: str,
    settings: Settings,
    rule_set: RuleSet,
    *,
    based_on: int | None = None,
    note: str = "",
    published_by: str | None = None,
    approved_by: str | None = None,
    draft_id: int | None = None,
) -> Publication:
    """Make a rule set the next version, and put it in force.

    Args:
        url: Address of the database, for a direct connection of its owner.
        settings: Names features.yml and the folder of generated revisions.
        rule_set: As read.
        based_on: The version that it was edited from; by default what its file says, if it does.
        note: Why, for the registry.
        published_by: Who published it; the login role when None.
        approved_by: The second person who approved it.
        draft_id: The draft that it comes from, which is marked.

    Returns:
        The versions before and after.

    Raises:
        RuleError: A rule is wrong, another set was published meanwhile, or this one is in force already.
    """
    declaration = load_declaration(features_file(settings))
    if based_on is None:
        based_on = rule_set.based_on
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        lock_job(driver, "deploy")
        current = current_version(driver)
        last = driver.execute(QUERIES["last_rule_set"]).fetchone()
        if based_on is not None and based_on != current:
            by = f" by {last[1]}" if last and last[0] == current else ""
            raise RuleError(
                f"rule set {current} was put in force meanwhile{by}, and this one was edited from {based_on}; "
                "export that one, repeat the edit, publish again"
            )
        document = rule_set.as_document()
        if current and get_rule_set(driver, current)["document"] == document:
            raise RuleError(f"rule set {current} has exactly these rules and is in force already")
        features = deployed_features(driver)
        check_rules(rule_set, declaration, features, driver)
        version = (int(last[0]) if last else 0) + 1
        compiled = compile_rules(rule_set, version, declaration, features)
        row = {
            "version": version,
            "document": document,
            "feature_names": features,
            "list_names": rule_set.names()["list"],
            "based_on": current,
            "note": note,
            "sql_sha256": compiled.sha256,
            "approved_by": approved_by,
        }
        registration = _registration(row, rule_set, published_by)
        publication, files = _apply(
            connection,
            driver,
            settings.models_dir,
            "publish_rules",
            version,
            current,
            registration,
            compiled.sql_text,
        )
        if draft_id is not None:
            driver.execute(QUERIES["record_published_draft"], {"draft_id": draft_id, "version": version})
    write_files(settings.models_dir, files)
    return Publication(version, current, publication, len(rule_set.rules))


def publish_draft(
    url: str, settings: Settings, draft_id: int, *, by: str, needs_approval: bool
) -> Publication:
    """Publish a draft, based on the version that it was made from.

    Args:
        url: As of `publish_rule_set`.
        settings: As of `publish_rule_set`.
        draft_id: The draft.
        by: Who publishes it.
        needs_approval: Whether another person than its last editor must have approved it.

    Raises:
        RuleError: There is no such draft, it was published, it lacks an approval, or see `publish_rule_set`.
    """
    with connect(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        draft = cursor.execute(QUERIES["select_draft"], {"draft_id": draft_id}).fetchone()
    if draft is None:
        raise RuleError(f"there is no draft {draft_id}")
    if draft["published_version"] is not None:
        raise RuleError(f"draft {draft_id} was published as rule set {draft['published_version']} already")
    if needs_approval and draft["approved_by"] in (None, draft["updated_by"]):
        raise RuleError(f"draft {draft_id} needs the approval of another person than {draft['updated_by']}")
    try:
        rule_set = validate_rules(draft["document"])
    except RuleProblem as problem:
        raise RuleError(f"draft {draft_id}, {problem}") from None
    return publish_rule_set(
        url,
        settings,
        rule_set,
        based_on=draft["based_on"],
        note=draft["note"],
        published_by=by,
        approved_by=draft["approved_by"],
        draft_id=draft_id,
    )


def roll_back_rule_set(url: str, settings: Settings, to: int | None = None) -> Publication:
    """Put an earlier rule set in force again; any published version, or 0 for none.

    Args:
        url: As of `publish_rule_set`.
        settings: As of `publish_rule_set`.
        to: The version; None is the one before the current, and repeated calls keep going back.

    Raises:
        RuleError: There is no such version, or it is in force.
    """
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        lock_job(driver, "deploy")
        current = current_version(driver)
        if to is None:
            if current == 0:
                raise RuleError("no rule set is in force; there is nothing to go back to")
            to = current - 1
        if to == current:
            raise RuleError(f"rule set {to} is in force already")
        rules = len(get_rule_set(driver, to)["document"]["rules"]) if to else 0
        revision, files = _apply(connection, driver, settings.models_dir, "rollback_rules", to, current)
    write_files(settings.models_dir, files)
    return Publication(to, current, revision, rules)


def _apply(
    connection: Any,
    driver: psycopg.Connection,
    models_dir: Path,
    kind: str,
    version: int,
    current: int,
    registration: str = "",
    function: str = "",
) -> tuple[str, dict[str, str]]:
    """Run a revision in the open transaction; its files are written after the commit."""
    models_dir.mkdir(parents=True, exist_ok=True)
    restore_files(driver, models_dir)
    applied = applied_rule_revisions(driver)
    known = {f"{row['revision'].partition('_')[0]}_{row['kind']}_{row['version']}.py" for row in applied}
    for path in sorted(models_dir.glob("r[0-9]*.py")):
        if path.name not in known:
            raise RuleError(
                f"{path.name} is not applied to this database; run: rowguard migrate (or remove the file)"
            )
    parent = applied[-1]["revision"] if applied else None
    schema = migrations.schema_head()
    upgrade = partial(
        render_upgrade, schema_revision=schema, kind=kind, version=version, registration=registration
    )
    revision = identify_revision(len(applied) + 1, parent, kind, version, function + upgrade(revision=""))
    texts = {"upgrade.sql": upgrade(revision=revision)}
    if function:
        texts["function.sql"] = function
    files = render_rule_set_files(
        revision=revision, parent=parent, schema_revision=schema, kind=kind, version=version, texts=texts
    )
    with tempfile.TemporaryDirectory(prefix="rowguard-revision-") as scratch:
        write_files(Path(scratch), files)
        migrations.upgrade(connection, revision, [models_dir, Path(scratch)])
    return revision, files


def _registration(row: dict[str, Any], rule_set: RuleSet, published_by: str | None) -> str:
    rules = [
        {
            "version": row["version"],
            "position": position,
            "condition": rule.when,
            **rule.model_dump(exclude={"when"}),
        }
        for position, rule in enumerate(rule_set.ordered(), start=1)
    ]
    by = literal(published_by) if published_by else "session_user"
    columns = ", ".join(row)
    return (
        f"INSERT INTO scoring.rule_sets ({columns}, published_by)\n"
        f"SELECT {', '.join(f'r.{name}' for name in row)}, {by}\n"
        f"FROM jsonb_populate_record(NULL::scoring.rule_sets, {literal(json.dumps(row))}) AS r;\n\n"
        "INSERT INTO scoring.rules\n"
        f"SELECT r.* FROM jsonb_populate_recordset(NULL::scoring.rules, {literal(json.dumps(rules))}) AS r;\n\n"
    )
