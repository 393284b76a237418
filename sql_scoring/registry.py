"""The model registry: what was trained, what is deployed, and by which revisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from rowguard.errors import RegistryError, SchemaError
from rowguard.queries import load_queries

QUERIES = load_queries("sql_scoring")


@dataclass(frozen=True)
class ModelRecord:
    """One row of the registry. `sql_sha256` is the hash of the function's text without its name, and of the
    threshold, so that the same model trained twice is recognised."""

    version: str
    model_kind: str
    layout: str
    function_name: str
    feature_names: list[str]
    feature_hash: str
    trained_at: datetime
    train_from: datetime
    train_to: datetime
    label_cutoff: datetime
    row_count: int
    fraud_count: int
    threshold: float
    threshold_rule: str
    metrics: Mapping[str, Any]
    tree_count: int
    node_count: int
    sql_bytes: int
    sql_sha256: str
    artifact_sha256: str
    library_versions: Mapping[str, str]
    sql_text: str | None = None
    state: str = "candidate"
    state_reason: str | None = None
    deployed_at: datetime | None = None
    deployed_by: str | None = None
    reference: Mapping[str, Any] | None = None
    canary_percent: float | None = None


@dataclass(frozen=True)
class AppliedRevision:
    """A generated migration that this database has: what it did, and its files by relative name."""

    revision: str
    kind: str
    champion: str
    files: dict[str, str]
    steps: int = 1
    challenger: str | None = None


@dataclass(frozen=True)
class ChampionLine:
    """All champions in the order in which they came, and which of them decides: going back moves the position,
    a new champion takes the place of those after it."""

    versions: tuple[str, ...] = ()
    position: int = -1

    @property
    def present(self) -> str | None:
        return self.versions[self.position] if self.versions else None

    def after(self, revision: AppliedRevision) -> ChampionLine:
        """The line once the revision was applied."""
        if revision.kind in ("deploy", "promote"):
            kept = self.versions[: self.position + 1]
            return ChampionLine((*kept, revision.champion), len(kept))
        if revision.kind in ("rollback", "forward"):
            steps = revision.steps if revision.kind == "forward" else -revision.steps
            return ChampionLine(self.versions, self.position + steps)
        return self


def exists(connection: psycopg.Connection) -> bool:
    """Whether the database has rowguard's schema."""
    row = connection.execute(QUERIES["has_registry"]).fetchone()
    return bool(row and row[0])


def insert_candidate(connection: psycopg.Connection, record: ModelRecord) -> None:
    """Register a trained model."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    values["metrics"] = Jsonb(dict(record.metrics))
    values["library_versions"] = Jsonb(dict(record.library_versions))
    values["reference"] = Jsonb(dict(record.reference)) if record.reference else None
    connection.execute(QUERIES["insert_model"], values)


def list_models(connection: psycopg.Connection) -> list[ModelRecord]:
    """All models, newest first, without the text of their functions.

    Raises:
        SchemaError: the database has no rowguard schema.
    """
    return _select_models(connection, None)


def get_model(connection: psycopg.Connection, version: str) -> ModelRecord:
    """One model.

    Raises:
        RegistryError: there is no such version; names those there are.
    """
    found = _select_models(connection, version)
    if not found:
        known = ", ".join(model.version for model in list_models(connection)[:5]) or "none yet"
        raise RegistryError(f"there is no model {version!r}; registered: {known}")
    return found[0]


def find_version_by_sql(connection: psycopg.Connection, sql_sha256: str, feature_hash: str) -> str | None:
    """The version that is this very model, if there is one."""
    row = connection.execute(
        QUERIES["select_version_by_sql"], {"sql_sha256": sql_sha256, "feature_hash": feature_hash}
    ).fetchone()
    return row[0] if row else None


def champion_version(connection: psycopg.Connection) -> str | None:
    """The deployed version, or None.

    Raises:
        SchemaError: the database has no rowguard schema.
    """
    try:
        row = connection.execute(QUERIES["select_champion"]).fetchone()
    except psycopg.errors.UndefinedTable:
        raise SchemaError from None
    return row[0] if row else None


def challenger_version(connection: psycopg.Connection) -> str | None:
    """The version that is tried beside the champion, or None."""
    row = connection.execute(QUERIES["select_challenger"]).fetchone()
    return row[0] if row else None


@dataclass(frozen=True)
class OutdatedChallenger:
    """A challenger whose revision is older than what the trigger calls: beside it nothing is let through until the
    next revision, and where `has_second_opinion` is false, it is not asked either."""

    version: str
    canary_percent: float
    has_second_opinion: bool

    def __str__(self) -> str:
        waits = (
            "nothing is let through"
            if self.has_second_opinion
            else "it is not asked and nothing is let through"
        )
        return (
            f"challenger {self.version} was deployed by an earlier release: {waits} until "
            f"`rowguard deploy {self.version} --as challenger --canary {self.canary_percent:g}`, "
            "or, where its feature list is not built any more, `rowguard withdraw`"
        )


def outdated_challenger(connection: psycopg.Connection) -> OutdatedChallenger | None:
    """The challenger, if the trial has to be bound anew; see `OutdatedChallenger`."""
    with connection.cursor(row_factory=class_row(OutdatedChallenger)) as cursor:
        return cursor.execute(QUERIES["outdated_challenger"]).fetchone()


def missing_feature_functions(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Function of the facade -> the functions of the features that it calls and that are not built."""
    found: dict[str, list[str]] = {}
    for caller, called in connection.execute(QUERIES["missing_feature_functions"]):
        found.setdefault(caller, []).append(called)
    return found


def applied_revisions(connection: psycopg.Connection) -> list[AppliedRevision]:
    """The generated migrations that this database has, oldest first."""
    row = connection.execute(QUERIES["has_steps"]).fetchone()
    query = "select_revisions" if row and row[0] else "select_old_revisions"
    with connection.cursor(row_factory=class_row(AppliedRevision)) as cursor:
        return cursor.execute(QUERIES[query]).fetchall()


def champion_line(connection: psycopg.Connection) -> ChampionLine:
    """All champions that there were, and where among them the present one stands."""
    line = ChampionLine()
    for revision in applied_revisions(connection):
        line = line.after(revision)
    return line


def function_exists(connection: psycopg.Connection, function_name: str) -> bool:
    """Whether the scoring function is there; old versions' functions are pruned."""
    row = connection.execute(QUERIES["function_exists"], {"function_name": function_name}).fetchone()
    return bool(row and row[0])


def prune_model(connection: psycopg.Connection, record: ModelRecord) -> None:
    """Drop a retired version's function; its row, its text and its history stay."""
    name = sql.SQL(".").join(sql.Identifier(part) for part in record.function_name.split("."))
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}(real[])").format(name))
    connection.execute(QUERIES["record_pruning"], {"version": record.version, "state": record.state})


def keep_files(connection: psycopg.Connection, revision: AppliedRevision) -> None:
    """Write a revision's changed files into the registry."""
    connection.execute(
        QUERIES["update_revision_files"], {"revision": revision.revision, "files": Jsonb(revision.files)}
    )


def insert_gate_report(connection: psycopg.Connection, report: Mapping[str, Any]) -> None:
    """Keep what a candidate was judged by."""
    connection.execute(QUERIES["insert_gate_report"], {**report, "figures": Jsonb(report["figures"])})


def last_gate_report(connection: psycopg.Connection, version: str) -> Mapping[str, Any] | None:
    """The newest judgement of a version, or None."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES["select_gate_report"], {"version": version}).fetchone()


def _select_models(connection: psycopg.Connection, version: str | None) -> list[ModelRecord]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(QUERIES["select_models"], {"version": version}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise SchemaError from None
    return [ModelRecord(**row) for row in rows]
