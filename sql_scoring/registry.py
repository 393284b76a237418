"""The model registry: what was trained, what is deployed, and by which revisions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from rowguard.errors import RegistryError, SchemaError
from rowguard.queries import load_queries
from rowguard.settings import settings

QUERIES = load_queries("sql_scoring")
# Values that become part of a path, a name or a statement.
_VERSION = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HASH = re.compile(r"[0-9a-f]{32}")
_REVISION = re.compile(r"(m\d{4,}_[0-9a-f]{12})?")
_KIND = re.compile(r"deploy|promote|rollback|roll_forward|deploy_challenger|retire_challenger")


@dataclass(frozen=True)
class ModelRecord:
    """One row of the registry.

    `sql_sha256` is `function_sha256` of the text and the threshold, so that the same model trained twice is
    recognized, and a changed text too. The version names files and functions: only rowguard's own form is taken.
    """

    version: str
    model_kind: str
    layout: str
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
    explanation: str | None = None
    state: str = "candidate"
    state_reason: str | None = None
    deployed_at: datetime | None = None
    deployed_by: str | None = None
    reference: Mapping[str, Any] | None = None
    canary_percent: float | None = None
    margin_cut: float | None = None

    def __post_init__(self) -> None:
        _require_form("version", self.version, _VERSION)
        _require_form("feature_hash", self.feature_hash, _HASH)

    @property
    def function_name(self) -> str:
        """Qualified name of the scoring function."""
        return f"scoring.{self.version}"

    def as_candidate(self) -> ModelRecord:
        """Return the model as it is before its first deployment."""
        return replace(
            self,
            state="candidate",
            state_reason=None,
            deployed_at=None,
            deployed_by=None,
            canary_percent=None,
        )

    def function_text(self) -> str:
        """Return the statement that creates the scoring function.

        Raises:
            RegistryError: The registry holds none, or not the one that was trained.
        """
        from sql_scoring.engine._codegen import is_function_statement  # loads scikit-learn

        if self.sql_text is None:
            raise RegistryError(f"the registry holds no function text for {self.version}")
        name = self.function_name.split(".")
        is_trained = (
            function_sha256(self.version, self.sql_text, self.threshold, self.margin_cut) == self.sql_sha256
        )
        if not (is_trained and is_function_statement(self.sql_text, name)):
            raise RegistryError(
                f"the function text of {self.version} in scoring.models is not the one that was trained; train again"
            )
        return self.sql_text


@dataclass(frozen=True)
class Revision:
    """A generated migration: what it does. Its files are rendered from this and from the registry.

    Attributes:
        revision: `m`, its number in the models branch, and `fingerprint` over the other values.
        parent: The revision before it.
        schema_revision: The head of the schema branch when it was generated.
        kind: As in `scoring.model_revisions`.
        champion: The champion after it.
        challenger: The challenger after it, with `canary_percent`.
        steps: How many champions a rollback or a roll-forward moves.
        note: Added to the subject's reason, such as why it was forced.
        creates_function: Whether it creates the subject's scoring function; false once that was pruned.
    """

    revision: str
    parent: str | None
    schema_revision: str
    kind: str
    champion: str
    challenger: str | None = None
    canary_percent: float | None = None
    steps: int = 1
    note: str = ""
    creates_function: bool = False

    def __post_init__(self) -> None:
        _require_form("revision", self.revision, _REVISION)
        _require_form("kind", self.kind, _KIND)

    @property
    def subject(self) -> str:
        """The version that the revision is about."""
        return self.challenger if self.kind == "deploy_challenger" and self.challenger else self.champion

    @property
    def name(self) -> str:
        """Name of its `.py`, without the suffix, and of its folder."""
        return f"{self.revision.partition('_')[0]}_{self.kind}_{self.subject}"


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

    def after(self, revision: Revision) -> ChampionHistory:
        """Return the history once the revision was applied."""
        if revision.kind in ("deploy", "promote"):
            earlier = self.versions[: self.position + 1]
            return ChampionHistory((*earlier, revision.champion), len(earlier))
        if revision.kind in ("rollback", "roll_forward"):
            steps = revision.steps if revision.kind == "roll_forward" else -revision.steps
            return ChampionHistory(self.versions, self.position + steps)
        return self


def has_schema(connection: psycopg.Connection) -> bool:
    """Return whether the database has rowguard's schema.

    Raises:
        SchemaError: It has, but under another name than the settings give.
    """
    row = connection.execute(QUERIES["own_schema"]).fetchone()
    if row and row[0] != settings().schema_name:
        raise SchemaError(f"rowguard is in schema {row[0]} of this database; set ROWGUARD_SCHEMA={row[0]}")
    return row is not None


def register_model(connection: psycopg.Connection, record: ModelRecord) -> None:
    """Register a trained model as a candidate."""
    row = Jsonb(asdict(record.as_candidate()), dumps=partial(json.dumps, default=str))
    connection.execute(QUERIES["insert_model"], {"model": row})


def list_models(connection: psycopg.Connection) -> list[ModelRecord]:
    """Return all models, newest first, without the texts of their functions and explanations.

    Raises:
        SchemaError: The database has no rowguard schema.
    """
    return _select_models(connection, None)


def get_model(connection: psycopg.Connection, version: str) -> ModelRecord:
    """Return one model, with the texts of its function and its explanation.

    Raises:
        RegistryError: There is no such version; names the newest ones.
    """
    models = _select_models(connection, version)
    if not models:
        known = ", ".join(model.version for model in list_models(connection)[:5]) or "none yet"
        raise RegistryError(f"there is no model {version!r}; registered: {known}")
    return models[0]


def find_version_by_sql(connection: psycopg.Connection, sql_sha256: str, feature_hash: str) -> str | None:
    """Return the version with this function and these features, or None.

    Args:
        connection: An open connection.
        sql_sha256: Hash of the function and its threshold.
        feature_hash: Hash of the feature list.
    """
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


def applied_revisions(connection: psycopg.Connection) -> list[Revision]:
    """Return the generated migrations that this database has, oldest first."""
    with connection.cursor(row_factory=class_row(Revision)) as cursor:
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
    """Drop a retired version's function and explanation; its row, its texts and its history are kept."""
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}(real[])").format(qualified(record.function_name)))
    connection.execute(QUERIES["drop_explanation"], {"version": record.version})
    connection.execute(QUERIES["record_pruning"], {"version": record.version, "state": record.state})


def qualified(name: str) -> sql.Composed:
    """Return `schema.name` quoted for a statement."""
    return sql.SQL(".").join(map(sql.Identifier, name.split(".")))


def insert_gate_report(connection: psycopg.Connection, report: Mapping[str, Any]) -> None:
    """Store an evaluation by the gates."""
    connection.execute(QUERIES["insert_gate_report"], {**report, "details": Jsonb(report["details"])})


def last_gate_report(connection: psycopg.Connection, version: str) -> Mapping[str, Any] | None:
    """Return the newest evaluation of a version, or None."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES["select_gate_report"], {"version": version}).fetchone()


def function_sha256(version: str, sql_text: str, threshold: float, margin_cut: float | None = None) -> str:
    """Return the hash of a function's text without its name, and of the threshold: what decides.

    Args:
        version: Name of the model, which the hash leaves out.
        sql_text: Text of the function.
        threshold: Decision threshold.
        margin_cut: The margin that equals it, where the function returns a margin.
    """
    nameless = sql_text.replace(f'"scoring"."{version}"', '"scoring"."model"', 1)
    decision = f"-- threshold {float(threshold)!r}\n"
    if margin_cut is not None:
        decision += f"-- margin cut {float(margin_cut)!r}\n"
    return hashlib.sha256(f"{nameless}\n{decision}".encode()).hexdigest()


def _select_models(connection: psycopg.Connection, version: str | None) -> list[ModelRecord]:
    columns = [
        field.name
        for field in fields(ModelRecord)
        if version or field.name not in ("sql_text", "explanation")
    ]
    query = sql.SQL(QUERIES["select_models"]).format(columns=sql.SQL(", ").join(map(sql.Identifier, columns)))
    try:
        with connection.cursor(row_factory=class_row(ModelRecord)) as cursor:
            return cursor.execute(query, {"version": version}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise SchemaError from None


def _require_form(column: str, value: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(value):
        raise RegistryError(
            f"the registry holds a {column} that rowguard never writes: {value!r}; nothing was done"
        )
