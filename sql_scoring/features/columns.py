"""Brings a database to the columns, references and indexes that features.yml declares."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.declaration import BASE_COLUMNS, Column, Declaration
from rowguard.errors import FeatureBuildError
from rowguard.progress import Progress, silent
from rowguard.queries import in_own_schema, load_queries
from rowguard.slots import SLOT as SQL_SLOT
from rowguard.slots import create_domains, rule, rule_digest, stored_type
from sql_scoring.features.plan import LookupRead, Plan, RangeRead
from sql_scoring.schema_files import BUILD_ORDER, has_slots, read_schema_file

QUERIES = load_queries("sql_scoring")
# Changing a table waits for running INSERTs, and new ones wait for it: give up soon, and try again later.
LOCK_TIMEOUT = "5s"
_PREFIX = "transactions_entity_"


@dataclass(frozen=True)
class Change:
    """One step, and what it does in words. Indexes are created without blocking INSERTs, outside of a transaction."""

    text: str
    statement: str
    is_concurrent: bool = False


@dataclass(frozen=True)
class Changes:
    """What a database lacks.

    Attributes:
        steps: In the order in which they must run.
        declaration: The declaration in the order of the database's columns, with those that it keeps.
        kept: Columns that are declared no longer; their data is kept.
    """

    steps: tuple[Change, ...]
    declaration: Declaration
    kept: tuple[str, ...]


def find_changes(connection: psycopg.Connection[Any], plan: Plan, *, drops_columns: bool = False) -> Changes:
    """Compare a database with the declaration.

    Args:
        connection: A database with rowguard's schema.
        plan: The features, with the declaration.
        drops_columns: Drop what is declared no longer, with its data.

    Returns:
        What to change.

    Raises:
        FeatureBuildError: A key or a column has another type in the database, or a column that a deployed model reads
            is to be dropped.
    """
    declaration = plan.declaration
    existing = dict(connection.execute(QUERIES["request_attributes"]))
    stored = dict(
        connection.execute(QUERIES["table_columns"], {"table": in_own_schema("public.transactions")})
    )
    _check_types(declaration, existing)
    kept = tuple(name for name in existing if name not in declaration.request_types())
    steps: list[Change] = []
    if drops_columns:
        for name in kept:
            steps += _drop_column(connection, name)
        existing = {name: type_ for name, type_ in existing.items() if name not in kept}
    # In the order of the type's attributes: rows are cast to it by position.
    columns = {
        name: declaration.columns.get(name)
        or Column.model_validate({"type": type_, "description": "Declared no longer."})
        for name, type_ in existing.items()
        if name not in BASE_COLUMNS
    }
    new = {name: column for name, column in declaration.columns.items() if name not in existing}
    merged = declaration.model_copy(update={"columns": columns | new})
    steps = [*_change_domains(connection, merged, kept), *steps]
    for name, column in new.items():
        steps.append(
            Change(
                f"add column {name} {column.type} to transactions",
                f"ALTER TABLE public.transactions ADD COLUMN IF NOT EXISTS {name} {stored_type(name, column)};\n"
                f"ALTER TYPE scoring.scoring_request ADD ATTRIBUTE {name} {column.type}",
            )
        )
    steps += _change_references(connection, merged, stored)
    locked = _lock_keys(fetch_one(connection, QUERIES["trigger_text"])[0])
    needs_locks = locked != _lock_keys(read_schema_file("functions/score_on_insert.sql", merged))
    if needs_locks:
        names = ", ".join(merged.serialized_entities()) or "none but the user"
        trigger = "functions/score_on_insert.sql"
        steps.append(Change(f"serialize rows of entities: {names}", _replacement(trigger, merged)))
    if steps:
        steps += [
            Change(f"replace {name.removesuffix('.sql')}", _replacement(name, merged))
            for name in BUILD_ORDER
            if name.startswith(("functions/", "triggers/references", "roles/grants")) and has_slots(name)
        ]
    steps += _change_indexes(connection, plan)
    return Changes(tuple(steps), merged, () if drops_columns else kept)


def apply_changes(url: str, changes: Changes, *, progress: Progress = silent) -> None:
    """Change a database: the tables and functions in one transaction, then the indexes, one at a time.

    Args:
        url: Address of the database, for a direct connection.
        changes: Of find_changes.
        progress: Called with each step.

    Raises:
        FeatureBuildError: A step failed; names it. Nothing of the transaction is kept.
    """
    step: Change | None = None
    try:
        with connect(url) as connection:
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
            for step in changes.steps:
                if not step.is_concurrent:
                    progress(step.text)
                    connection.execute(in_own_schema(step.statement).encode())
            connection.execute(QUERIES["reapply_failure_policy"])
        with connect(url, autocommit=True) as connection:
            for step in changes.steps:
                if step.is_concurrent:
                    progress(step.text)
                    connection.execute(in_own_schema(step.statement).encode())
    except psycopg.errors.LockNotAvailable:
        raise FeatureBuildError(
            "transactions is locked by another session, so its columns were not changed; try again"
        ) from None
    except psycopg.Error as error:
        assert step is not None
        raise FeatureBuildError(f"cannot {step.text}: {error.diag.message_primary}") from None


def entity_indexes(plan: Plan) -> dict[str, str]:
    """Return name → definition of the index of each entity that features read.

    A name ends with the definition's hash: another definition is another index.
    """
    included: dict[tuple[str, ...], dict[str, None]] = {}
    tied: set[tuple[str, ...]] = set()
    entities: dict[tuple[str, ...], str] = {}
    for planned in plan.of_kind("recency"):
        if planned.extra_columns:
            included.setdefault(planned.columns, {})
            entities.setdefault(planned.columns, planned.feature.entity or "")
    reads: list[RangeRead | LookupRead] = [*plan.ranges, *plan.lookups]
    for read in reads:
        if read.columns != ("user_id",):
            tied.add(read.columns)
            entities.setdefault(read.columns, read.entity)
            included.setdefault(read.columns, {}).update(dict.fromkeys(read.measured))
    indexes = {}
    for columns, measured in included.items():
        # The id orders rows of one time, so that the newest rows are the same ones everywhere.
        key = [*columns, "occurred_at", *(["transaction_id"] if columns in tied else [])]
        extra = [name for name in measured if name not in key]
        definition = f"({', '.join(key)})" + (f" INCLUDE ({', '.join(extra)})" if extra else "")
        known = " AND ".join(f"{name} IS NOT NULL" for name in columns if name != "user_id")
        definition += f" WHERE {known}"
        digest = hashlib.md5(definition.encode(), usedforsecurity=False).hexdigest()[:6]
        indexes[f"{_PREFIX}{entities[columns]}"[:56] + f"_{digest}"] = definition
    return indexes


def _check_types(declaration: Declaration, existing: dict[str, str]) -> None:
    for name, type_ in declaration.request_types().items():
        if name in existing and existing[name] != type_:
            what = (
                "the type of user_id is fixed by the first migration"
                if name == "user_id"
                else "declare the new one under another name"
            )
            raise FeatureBuildError(
                f"column {name} is {existing[name]} in this database and {type_} in features.yml: {what}"
            )


def _lock_keys(trigger_text: str) -> set[str]:
    """Return the keys of serialized entities that the text of the trigger's function locks."""
    return set(re.findall(r"hashtextextended\('.*?, 8245940728973324900\)", trigger_text))


def _drop_column(connection: psycopg.Connection[Any], name: str) -> list[Change]:
    users = [
        row[0]
        for row in connection.execute(QUERIES["functions_that_read"], {"pattern": rf"p_request\.{name}\M"})
    ]
    if users:
        raise FeatureBuildError(
            f"column {name} is read by a deployed model through {users[0]}: "
            "first deploy one whose features do not read it"
        )
    return [
        Change(
            f"drop column {name} of transactions, with its data",
            f"ALTER TYPE scoring.scoring_request DROP ATTRIBUTE {name} CASCADE;\n"
            f"ALTER TABLE public.transactions DROP COLUMN {name};\n"
            f"DROP DOMAIN IF EXISTS scoring.{name}_value",
        )
    ]


def _change_domains(
    connection: psycopg.Connection[Any], declaration: Declaration, kept: tuple[str, ...]
) -> list[Change]:
    known = dict(connection.execute(QUERIES["domain_rules"]))
    columns = dict(declaration.columns) | {
        name: column for _, _, name, column in declaration.reference_columns()
    }
    changes = []
    for name, statement in create_domains(declaration):
        check = rule(name, columns[name])
        assert check is not None
        domain = f"{name}_value"
        if domain not in known:
            if name not in kept:
                changes.append(Change(f"create the rule of column {name}", statement))
        elif known[domain] != rule_digest(check) and name not in kept:
            # Stored rows keep their values: the rule is for new ones.
            changes.append(
                Change(
                    f"change the rule of column {name}",
                    f"ALTER DOMAIN scoring.{domain} DROP CONSTRAINT {name}_valid;\n"
                    f"ALTER DOMAIN scoring.{domain} ADD CONSTRAINT {name}_valid CHECK (\n    {check}\n) NOT VALID;\n"
                    f"COMMENT ON DOMAIN scoring.{domain} IS '{rule_digest(check)}'",
                )
            )
    return changes


def _change_references(
    connection: psycopg.Connection[Any], declaration: Declaration, stored: dict[str, str]
) -> list[Change]:
    changes = []
    for table, reference in declaration.references.items():
        present = {
            row[0]: row[1]
            for row in connection.execute(
                QUERIES["table_columns"], {"table": in_own_schema(f"public.{table}")}
            )
        }
        only = declaration.model_copy(update={"references": {table: reference}})
        if not present:
            changes.append(
                Change(f"create reference table {table}", read_schema_file("tables/references.sql", only))
            )
        for name, column in reference.columns.items():
            if present and name not in present:
                changes.append(
                    Change(
                        f"add column {name} to {table}",
                        f"ALTER TABLE public.{table} ADD COLUMN {name} {stored_type(name, column)};\n"
                        f"ALTER TABLE scoring.{table}_history ADD COLUMN {name} {column.type}",
                    )
                )
            if name not in stored:
                changes.append(
                    Change(
                        f"keep {name} on transactions, as decisions read it",
                        f"ALTER TABLE public.transactions ADD COLUMN {name} {column.type};\n"
                        f"ALTER TYPE scoring.decision ADD ATTRIBUTE {name} {column.type}",
                    )
                )
    return changes


def _change_indexes(connection: psycopg.Connection[Any], plan: Plan) -> list[Change]:
    wanted = entity_indexes(plan)
    present = dict(connection.execute(QUERIES["entity_indexes"], {"prefix": _PREFIX + "%"}))
    changes = [
        Change(f"drop index {name}, which was not completed", f"DROP INDEX CONCURRENTLY public.{name}", True)
        for name, is_valid in present.items()
        if name in wanted and not is_valid
    ]
    changes += [
        Change(
            f"create index {name} on transactions {definition}",
            f"CREATE INDEX CONCURRENTLY {name} ON public.transactions {definition}",
            True,
        )
        for name, definition in wanted.items()
        if not present.get(name)
    ]
    return changes


def _replacement(name: str, declaration: Declaration) -> str:
    """Return the file, after dropping a function whose signature depends on the columns: it has one form."""
    text = read_schema_file(name, declaration)
    signature = SQL_SLOT.search(read_schema_file(name).partition("LANGUAGE")[0])
    created = re.search(r"^CREATE OR REPLACE FUNCTION ([\w.\"]+)", text, re.MULTILINE)
    if signature and created:
        text = f"DROP FUNCTION IF EXISTS {created[1]};\n\n{text}"
    return text
