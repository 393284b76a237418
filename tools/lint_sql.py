"""Lints all SQL: plain files, dbt models (compiled against a throw-away server), and what the migrations emit.

Run by `make lint` in the project's environment; the linters themselves are found on PATH.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rowguard import operations as pipeline
from rowguard.local import temporary_server
from rowguard.local._sql import load_sql
from rowguard.settings import Settings
from sql_scoring.features.dbt import profile_variables

ROOT = Path(__file__).resolve().parent.parent
PLAIN = (
    "sql_scoring/sql",
    "sql_scoring/queries.sql",
    "migrations/schema",
    "api/queries.sql",
    "trainer/queries.sql",
    "rowguard/cli/queries.sql",
    "rowguard/operations/queries.sql",
    "simulator/queries.sql",
    "benchmarks",
)
# The first schema is built where there is nothing yet: no lock that could hurt, no table that could be large.
# The text columns have length checks, and integers that cannot overflow are meant to be small.
SQUAWK_EXCLUDED = (
    "prefer-robust-stmts",
    "require-concurrent-index-creation",
    "prefer-identity",
    "prefer-bigint-over-int",
    "constraint-missing-not-valid",
    "adding-foreign-key-constraint",
    "ban-drop-table",
    "require-concurrent-index-deletion",  # the same: an index that the next release replaces
    "ban-drop-constraint",  # widened in the same statement
    "ban-drop-function",  # of triggers that are dropped beside them
    "require-timeout-settings",
    "prefer-text-field",
)


def main() -> int:
    """Run every linter; answers 1 if any found something."""
    failed = [name for name, run in CHECKS.items() if not run()]
    print("SQL: " + (f"findings in {', '.join(failed)}" if failed else "no findings"))
    return bool(failed)


def plain_files() -> bool:
    return _run(["sqlfluff", "lint", "--nocolor", "--disable-progress-bar", *PLAIN])


def dbt_models() -> bool:
    with temporary_server() as server, tempfile.TemporaryDirectory() as scratch:
        environment = {**profile_variables(server.url), "DBT_TARGET_PATH": scratch, "DBT_LOG_PATH": scratch}
        command = ["sqlfluff", "lint", "--nocolor", "--disable-progress-bar", "models", "tests"]
        return _run(command, folder=ROOT / "dbt", environment=environment)


def migrations_squawk() -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch, "schema.sql")
        lines = _migration_script().splitlines(keepends=True)
        # Alembic's own frame; the transaction is assumed by the option below.
        script.write_text("".join(line for line in lines if line.strip() not in ("BEGIN;", "COMMIT;")))
        excluded = [f"--exclude={rule}" for rule in SQUAWK_EXCLUDED]
        return _run(["squawk", *excluded, "--assume-in-transaction", "--pg-version", "15.0", str(script)])


def functions_pgspot() -> bool:
    """Our files, the facade that a deploy writes, and dbt's functions and PgBouncer's look-up as a database has them.

    Only the functions: of the tables pgspot says that their defaults are unqualified, and those run with nobody's
    rights. PS002 is about replacing a function in a schema of others; ours are made just before. A model's own
    function is not among them: it names every operator with its schema and pins no search_path, which would cost
    each call; the golden files show its text."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [
            _readable(path.read_text(), Path(scratch) / path.name)
            for path in sorted((ROOT / "sql_scoring/sql/functions").glob("*.sql"))
        ]
        files += _write_functions(Path(scratch))
        return _run(["pgspot", "--ignore", "PS002", *map(str, files)])


def _readable(text: str, path: Path) -> Path:
    """A copy for pgspot, whose parser knows no composite types and so no fields of variables of one."""
    path.write_text(text.replace("v scoring.insert_decision;", "v record;"))
    return path


def _write_functions(folder: Path) -> list[Path]:
    """One file a function that is no file of ours; the facade of a model is rendered from its template."""
    with temporary_server() as server:
        chosen = Settings(
            database_url=SecretStr(server.url), state_dir=folder, models_dir=folder, _env_file=None
        )
        pipeline.migrate(server.url, chosen)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE pgbouncer NOLOGIN")
            names = {"role": sql.Identifier("pgbouncer"), "database": sql.Identifier(connection.info.dbname)}
            connection.execute(load_sql("pgbouncer_auth", **names))
            rows = connection.execute(
                "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc AS p"
                " JOIN pg_namespace AS n ON n.oid = p.pronamespace"
                " WHERE n.nspname IN ('features', 'pgbouncer') AND p.prokind = 'f' ORDER BY 1"
            ).fetchall()
    fields = {
        "version": "v",
        "feature_hash8": "00000000",
        "function_name": "scoring.v",
        "threshold": "0.5",
        "version_literal": "'v'",
        "second_opinion": "",
    }
    templates = ROOT / "sql_scoring/templates"
    facades = [
        (templates / f"{name}.sql").read_text().format(
            **fields, canary=(templates / f"{canary}.sql").read_text().format(**fields, slots=1)
        )
        for name, canary in (("facade", "canary"), ("decide_insert", "canary_insert"))
    ]  # fmt: skip
    facades.append((templates / "decide_insert_by_candidate.sql").read_text().format(**fields))
    texts = [text for _, text in rows] + facades
    if len(rows) < 5:  # dbt's four and PgBouncer's one
        raise RuntimeError("the database does not show all of its functions")
    files = [folder / f"function_{number}.sql" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        _readable(text.rstrip().rstrip(";") + ";\n", file)
    return files


CHECKS = {
    "sqlfluff": plain_files,
    "sqlfluff (dbt)": dbt_models,
    "squawk": migrations_squawk,
    "pgspot": functions_pgspot,
}


def _migration_script() -> str:
    alembic = Path(sys.executable).with_name("alembic")
    return subprocess.run(
        [str(alembic), "upgrade", "schema@head", "--sql"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _run(command: list[str], folder: Path = ROOT, environment: dict[str, str] | None = None) -> bool:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
