"""Builds of the feature project in tests: with dbt, and of its compiled SQL over psycopg, which takes no start of dbt."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from rowguard.database import fetch_one
from rowguard.resources import dbt_project
from sql_scoring.features.dbt import profile_variables, run_dbt
from sql_scoring.features.project import write_project
from tests.fix_database import Workspace
from tests.user_keys import USER_ID_TYPE, with_key_type

SHIPPED = dbt_project() / "features.yml"
MODELS = ["--select", "merchant_risk", "training_features", "training_set"]
TABLES = {
    "merchant_risk": "to_jsonb(m)",
    "training_features": "user_id, transaction_id, occurred_at, is_history, feature_values",
}

CompiledSql = Mapping[str, str]


def extend_feature_list(lines: str, folder: Path) -> Path:
    """Return a features.yml whose list ends with these entries."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "features.yml"
    path.write_text(SHIPPED.read_text() + textwrap.indent(lines, "  "))
    return path


def with_features(workspace: Workspace, path: Path) -> Workspace:
    """Return the same database with another features.yml, of the key type of this run."""
    if USER_ID_TYPE != "bigint" and f"user_id: {USER_ID_TYPE}" not in path.read_text():
        keyed = workspace.settings.state_dir / f"{path.stem}.{uuid.uuid4().hex[:8]}.yml"
        keyed.parent.mkdir(parents=True, exist_ok=True)
        keyed.write_text(with_key_type(path.read_text()))
        path = keyed
    return Workspace(workspace.url, workspace.settings.model_copy(update={"features": path}))


def build(workspace: Workspace, **variables: object) -> None:
    run_dbt(["run", *MODELS], workspace.url, workspace.settings, variables=variables)


def call_dbt(workspace: Workspace, target: Path, *arguments: str) -> None:
    """Run dbt and keep its target folder."""
    project = write_project(workspace.settings).folder
    subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "--no-version-check", "--log-path", str(target / "logs"),
            *arguments, "--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target),
        ],
        env={**os.environ, **profile_variables(workspace.url)},
        check=True,
        capture_output=True,
    )  # fmt: skip


def read_compiled(workspace: Workspace, target: Path) -> CompiledSql:
    """Every compiled model and data test, for any database with the same feature list."""
    with workspace.connect() as connection:
        database = f'"{connection.info.dbname}".'
    return {
        path.stem: path.read_text().replace(database, "")
        for path in (target / "compiled").rglob("*.sql")
        if path.is_file()
    }


def refresh(connection: psycopg.Connection[Any], compiled: CompiledSql, *models: str) -> None:
    """What a full refresh does to the tables of these models."""
    for model in models:
        table = f"features.{model}" + (f"_{built_hash8(connection)}" if model in TABLES else "")
        connection.execute(f"DELETE FROM {table}".encode())
        connection.execute(f"INSERT INTO {table} SELECT * FROM ({compiled[model]}) AS m".encode())


def assert_matches_full_refresh(workspace: Workspace, compiled: CompiledSql, since: date = date.min) -> None:
    """Each table holds what its model gives from scratch."""
    with workspace.connect() as connection:
        hash8 = built_hash8(connection)
        for model, columns in TABLES.items():
            # Retention leaves rollups behind that no transaction of the training set reads.
            where = f"WHERE m.valid_from > '{since}'" if model.endswith("_risk") else ""
            table = f"SELECT {columns} FROM features.{model}_{hash8} AS m {where}"
            expected = f"SELECT {columns} FROM ({compiled[model]}) AS m {where}"
            for name, left, right in (("extra", table, expected), ("missing", expected, table)):
                rows = connection.execute(f"{left} EXCEPT {right} LIMIT 5".encode()).fetchall()
                assert rows == [], f"{model}: {name} rows"


def built_hash8(connection: psycopg.Connection[Any]) -> str:
    return str(
        fetch_one(connection, "SELECT left(feature_hash, 8) FROM features.feature_definitions LIMIT 1")[0]
    )
