"""The model registry: what was trained, what is deployed, and by which revisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
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
    """One row of the registry.

    `sql_sha256` is the hash of the function's text without its name, and of the threshold, so that the same model
    trained twice is recognized.
    """

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

    @property
    def subject(self) -> str | None:
        """The version that the revision is about."""
        return self.challenger if self.kind == "deploy_challenger" else self.champion


@dataclass(frozen=True)
class ChampionHistory:
    """All champions in order, and the position of the current one.

    A rollback moves the position; a new champion replaces those after it.
    """

    versions: tuple[str, ...] = ()
    position: int = -1

    @property
    def current(self) -> str | None:
        """The champion, or None before the first."""
        return self.versions[self.position] if self.versions else None

    def after(self, revision: AppliedRevision) -> ChampionHistory:
        """Return the history once the revision was applied."""
        if revision.kind in ("deploy", "promote"):
            earlier = self.versions[: self.position + 1]
            return ChampionHistory((*earlier, revision.champion), len(earlier))
        if revision.kind in ("rollback", "roll_forward"):
            steps = revision.steps if revision.kind == "roll_forward" else -revision.steps
            return ChampionHistory(self.versions, self.position + steps)
        return self


def candidate(record: ModelRecord) -> Jsonb:
    """Return the registry's row of a model that was never deployed, as JSON."""
    fresh = replace(record, state="candidate", state_reason=None, deployed_at=None, deployed_by=None)
    return Jsonb(asdict(replace(fresh, canary_percent=None)), dumps=partial(json.dumps, default=str))


def has_schema(connection: psycopg.Connection) -> bool:
    """Return whether the database has rowguard's schema."""
    row = connection.execute(QUERIES["has_schema"]).fetchone()
    return bool(row and row[0])


def register_model(connection: psycopg.Connection, record: ModelRecord) -> None:
    """Register a trained model as a candidate."""
    connection.execute(QUERIES["insert_model"], {"model": candidate(record)})


def list_models(connection: psycopg.Connection) -> list[ModelRecord]:
    """Return all models, newest first, without the text of their functions.

    Raises:
        SchemaError: The database has no rowguard schema.
    """
    return _select_models(connection, None)


def get_model(connection: psycopg.Connection, version: str) -> ModelRecord:
    """Return one model, with the text of its function.

    Raises:
        RegistryError: There is no such version; names the newest ones.
    """
    models = _select_models(connection, version)
    if not models:
        known = ", ".join(model.version for model in list_models(connection)[:5]) or "none yet"
        raise RegistryError(f"there is no model {version!r}; registered: {known}")
    return models[0]


def find_version_by_sql(connection: psycopg.Connection, sql_sha256: str, feature_hash: str) -> str | None:
    """Return the version with this function and these features, or None."""
    row = connection.execute(
        QUERIES["select_version_by_sql"], {"sql_sha256": sql_sha256, "feature_hash": feature_hash}
    ).fetchone()
    return row[0] if row else None


def champion_version(connection: psycopg.Connection) -> str | None:
    """Return the champion, or None.

    Raises:
        SchemaError: The database has no rowguard schema.
    """
    return _version_in_state(connection, "champion")


def challenger_version(connection: psycopg.Connection) -> str | None:
    """Return the challenger, or None."""
    return _version_in_state(connection, "challenger")


def _version_in_state(connection: psycopg.Connection, state: str) -> str | None:
    try:
        row = connection.execute(QUERIES["select_deployed"], {"state": state}).fetchone()
    except psycopg.errors.UndefinedTable:
        raise SchemaError from None
    return row[0] if row else None


def missing_feature_functions(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Return the feature functions that are called and not built, by the calling function of the facade."""
    missing: dict[str, list[str]] = {}
    for caller, called in connection.execute(QUERIES["missing_feature_functions"]):
        missing.setdefault(caller, []).append(called)
    return missing


def applied_revisions(connection: psycopg.Connection) -> list[AppliedRevision]:
    """Return the generated migrations that this database has, oldest first."""
    with connection.cursor(row_factory=class_row(AppliedRevision)) as cursor:
        return cursor.execute(QUERIES["select_revisions"]).fetchall()


def champion_history(connection: psycopg.Connection) -> ChampionHistory:
    """Return all champions that there were."""
    history = ChampionHistory()
    for revision in applied_revisions(connection):
        history = history.after(revision)
    return history


def function_exists(connection: psycopg.Connection, function_name: str) -> bool:
    """Return whether the scoring function exists; old versions' functions are pruned."""
    row = connection.execute(QUERIES["function_exists"], {"function_name": function_name}).fetchone()
    return bool(row and row[0])


def prune_model(connection: psycopg.Connection, record: ModelRecord) -> None:
    """Drop a retired version's function; its row, its text and its history are kept."""
    name = sql.SQL(".").join(sql.Identifier(part) for part in record.function_name.split("."))
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}(real[])").format(name))
    connection.execute(QUERIES["record_pruning"], {"version": record.version, "state": record.state})


def update_files(connection: psycopg.Connection, revision: AppliedRevision) -> None:
    """Store a revision's changed files in the registry."""
    connection.execute(
        QUERIES["update_revision_files"], {"revision": revision.revision, "files": Jsonb(revision.files)}
    )


def insert_gate_report(connection: psycopg.Connection, report: Mapping[str, Any]) -> None:
    """Store an evaluation by the gates."""
    connection.execute(QUERIES["insert_gate_report"], {**report, "details": Jsonb(report["details"])})


def last_gate_report(connection: psycopg.Connection, version: str) -> Mapping[str, Any] | None:
    """Return the newest evaluation of a version, or None."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES["select_gate_report"], {"version": version}).fetchone()


def _select_models(connection: psycopg.Connection, version: str | None) -> list[ModelRecord]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(QUERIES["select_models"], {"version": version}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise SchemaError from None
    return [ModelRecord(**row) for row in rows]
