"""The files of rule sets' revisions: rendered when a set is published, and written again from the registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowguard.errors import RegistryError
from rowguard.queries import load_queries
from sql_scoring.deployment._facade import literal, render
from sql_scoring.deployment.written_files import write_files

QUERIES = load_queries("sql_scoring")


def render_rule_set_files(
    *, revision: str, parent: str | None, schema_revision: str, kind: str, version: int, texts: dict[str, str]
) -> dict[str, str]:
    """Return the files of a revision.

    Args:
        revision: Its id.
        parent: The revision before it.
        schema_revision: Head of the schema's branch.
        kind: `publish_rules` or `rollback_rules`.
        version: The rule set in force after it.
        texts: `upgrade.sql`, and `function.sql` where it creates one.

    Returns:
        Text by path relative to the models folder.
    """
    name = f"{revision.partition('_')[0]}_{kind}_{version}"
    python = render(
        "rule_revision.py.txt",
        title=f"{kind.replace('_', ' ').capitalize()}: rule set {version}.",
        revision=revision,
        down_revision=parent,
        branch_labels=None if parent else ("rules",),
        depends_on=schema_revision,
        version=version,
        hashes="\n".join(f'    "{file}": "{_sha256(text)}",' for file, text in sorted(texts.items())),
    )
    return {f"{name}.py": python} | {f"{name}/{file}": text for file, text in texts.items()}


def identify_revision(number: int, parent: str | None, kind: str, version: int, body: str) -> str:
    """Return a revision's id: its number, and a hash over its values and its parent.

    Args:
        number: Its position, from 1.
        parent: The revision before it.
        kind: `publish_rules` or `rollback_rules`.
        version: The rule set in force after it.
        body: Text of the function, empty in a rollback, and of `upgrade.sql` without the id.
    """
    return f"r{number:04d}_{_sha256(json.dumps([number, parent, kind, version, body]))[:12]}"


def render_upgrade(
    *, revision: str, schema_revision: str, kind: str, version: int, registration: str = ""
) -> str:
    """Return `upgrade.sql`.

    Args:
        revision: Its id.
        schema_revision: Head of the schema's branch.
        kind: `publish_rules` or `rollback_rules`.
        version: The rule set in force after it.
        registration: Statements that register the rule set.
    """
    return render(
        "publish_rules.sql",
        kind=kind.replace("_", " ").capitalize(),
        kind_literal=literal(kind),
        version=version,
        registration=registration,
        revision=literal(revision),
        schema_revision=literal(schema_revision),
    )


def applied_rule_revisions(driver: psycopg.Connection) -> list[dict[str, Any]]:
    """Return the revisions of rule sets that this database has, oldest first."""
    with driver.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES["select_rule_set_revisions"]).fetchall()


def restore_rule_set_files(driver: psycopg.Connection, models_dir: Path) -> list[str]:
    """Write the files that the database has and the folder lacks.

    Args:
        driver: Open connection.
        models_dir: Folder of the generated revisions.

    Returns:
        Names of the restored `.py` files.

    Raises:
        RegistryError: A row is not as a publication wrote it, or a file is of another database.
    """
    restored: list[str] = []
    parent = None
    for number, row in enumerate(applied_rule_revisions(driver), start=1):
        revision, version = row["revision"], row["version"]
        texts = {"upgrade.sql": row["upgrade_text"] or ""}
        if row["kind"] == "publish_rules":
            texts["function.sql"] = row["sql_text"] or ""
        body = texts.get("function.sql", "") + texts["upgrade.sql"].replace(revision, "")
        if identify_revision(number, parent, row["kind"], version, body) != revision or not all(
            texts.values()
        ):
            raise RegistryError(
                f"revision {revision} in scoring.rule_set_revisions is not as it was published; restore it and "
                "scoring.rule_sets from a backup"
            )
        files = render_rule_set_files(
            revision=revision,
            parent=parent,
            schema_revision=row["schema_revision"],
            kind=row["kind"],
            version=version,
            texts=texts,
        )
        file = models_dir / f"{revision.partition('_')[0]}_{row['kind']}_{version}.py"
        if not all((models_dir / name).exists() for name in files):
            write_files(models_dir, files)
            restored.append(file.name)
        elif repr(revision) not in file.read_text():
            raise RegistryError(f"{file} is of another database, which published another rule set; remove it")
        parent = revision
    return restored


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
