"""Lint all SQL: files, named queries, dbt models (compiled on a temporary server), and the migrations' output.

`make lint` runs it in the project's environment; the linters are on PATH.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rowguard.local import temporary_server
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring.deployment.migrate import migrate
from sql_scoring.features.dbt import profile_variables
from sql_scoring.features.project import write_project

ROOT = Path(__file__).resolve().parent.parent
FILES = ("sql_scoring/sql", "migrations/schema", "benchmarks")
PGBOUNCER_AUTH = ROOT / "deploy" / "images" / "pgbouncer" / "auth.sql"
SQLFLUFF = ("sqlfluff", "lint", "--nocolor", "--disable-progress-bar")
# The first schema is built in an empty database: no lock harms, no table is large.
# Text columns have length checks, and integers that cannot overflow are small on purpose.
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
    "ban-drop-function",  # of triggers that are dropped with them
    "require-timeout-settings",
    "prefer-text-field",
    "ban-create-domain-with-constraint",
)


def main() -> int:
    """Run every linter; return 1 if one of them reports anything."""
    failed = [name for name, run in CHECKS.items() if not run()]
    print("SQL: " + (f"findings in {', '.join(failed)}" if failed else "no findings"))
    return bool(failed)


def plain_files() -> bool:
    """Lint files that hold one statement or object."""
    return _run([*SQLFLUFF, *FILES])


def named_queries() -> bool:
    """Lint each named query as a file; `{placeholders}` become names."""
    listed = _git_files("*queries.sql")
    texts = {
        f"{package}.{name}": text
        for package in (str(Path(path).parent).replace("/", ".") for path in listed)
        for name, text in load_queries(package).items()
    }
    texts["pgbouncer.auth"] = PGBOUNCER_AUTH.read_text().strip().removesuffix(";")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {kind: Path(scratch, kind) for kind in ("whole", "composed")}
        # A placeholder may stand for a whole clause, which then neither parses nor is laid out.
        rules = {"whole": "", "composed": "LT02, LT05, LT12, "}
        config = (ROOT / ".sqlfluff").read_text()
        for kind, folder in folders.items():
            folder.mkdir()
            (folder / ".sqlfluff").write_text(
                config.replace("exclude_rules = ", f"exclude_rules = {rules[kind]}")
            )
        for name, text in texts.items():
            composed = re.sub(r"\{(\w*)\}", r"placeholder_\1", text)
            folder = folders["whole" if composed == text else "composed"]
            # sqlfluff puts the name in place of a parameter: `limit` is a keyword, and `%s` has none.
            named = re.sub(r"%(?:\((\w+)\))?s\b", lambda match: f"%(p{match[1] or ''})s", composed)
            (folder / f"{name}.sql").write_text(named + ";\n")
        lenient: dict[str, list[str]] = {"whole": [], "composed": ["--ignore", "parsing"]}
        results = [_run([*SQLFLUFF, *lenient[kind], str(folder)]) for kind, folder in folders.items()]
        return all(results)


def dbt_models() -> bool:
    """Lint the dbt models of the repository as dbt compiles them; golden tests hold those that Python renders."""
    models = [path.removeprefix("dbt/") for path in _git_files("dbt/*.sql") if "/macros/" not in path]
    with temporary_server() as server, tempfile.TemporaryDirectory() as scratch:
        project = write_project(Settings(state_dir=Path(scratch), _env_file=None)).folder
        config = ConfigParser(interpolation=None)
        config.read([ROOT / ".sqlfluff", ROOT / "dbt/.sqlfluff"])
        with (project / ".sqlfluff").open("w") as file:
            config.write(file)
        environment = {**profile_variables(server.url), "DBT_TARGET_PATH": scratch, "DBT_LOG_PATH": scratch}
        return _run([*SQLFLUFF, *models], folder=project, environment=environment)


def migrations_squawk() -> bool:
    """Check the migrations' SQL for locks and unsafe changes."""
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch, "schema.sql")
        lines = _migration_script().splitlines(keepends=True)
        # Alembic's own frame; the transaction is assumed by the option below.
        script.write_text("".join(line for line in lines if line.strip() not in ("BEGIN;", "COMMIT;")))
        excluded = [f"--exclude={rule}" for rule in SQUAWK_EXCLUDED]
        return _run(["squawk", *excluded, "--assume-in-transaction", "--pg-version", "15.0", str(script)])


def functions_pgspot() -> bool:
    """Check functions, the rendered facade, dbt's functions and PgBouncer's lookup for search_path attacks.

    Not a model's function: it qualifies every operator, since a pinned search_path costs each call. Not a body after
    RETURN: its names are bound at creation, and pgspot cannot read it. PS002 concerns schemas shared with others.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = [
            _readable(path.read_text(), Path(scratch) / path.name)
            for path in sorted((ROOT / "sql_scoring/sql/functions").glob("*.sql"))
            if "AS $$" in path.read_text()
        ]
        files += _write_functions(Path(scratch))
        return _run(["pgspot", "--ignore", "PS002", *map(str, files)])


def _readable(text: str, path: Path) -> Path:
    """A copy for pgspot, whose parser knows no composite types and so no fields of variables of one."""
    path.write_text(
        re.sub(
            r"(\w+) scoring\.(decision|shadow_score|outcome|scoring_request|lists)( :=|;)",
            r"\1 record\3",
            text,
        )
    )
    return path


def _write_functions(folder: Path) -> list[Path]:
    """Write one file per function that has none, and the facade rendered from its template."""
    with temporary_server() as server:
        chosen = Settings(
            database_url=SecretStr(server.url), state_dir=folder, models_dir=folder, _env_file=None
        )
        migrate(server.url, chosen)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE pgbouncer NOLOGIN")
            names = {"role": sql.Identifier("pgbouncer"), "database": sql.Identifier(connection.info.dbname)}
            auth = sql.SQL(PGBOUNCER_AUTH.read_text())
            connection.execute(auth.format(**names))
            rows = connection.execute(
                "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc AS p"
                " JOIN pg_namespace AS n ON n.oid = p.pronamespace"
                " WHERE n.nspname IN ('features', 'pgbouncer') AND p.prokind = 'f' ORDER BY 1"
            ).fetchall()
    fields = {"version": "v", "feature_hash8": "00000000", "function_name": "scoring.v", "cut": "0.5"}
    fields |= {"version_literal": "'v'", "buckets": "1", "shadow": "", "shown": "", "shown_by_canary": ""}
    fields |= {f"{role}_literal": "'v'" for role in ("champion", "challenger")}
    fields |= {f"{role}_score": "scoring.v(s.feature_values)" for role in ("champion", "challenger")}
    fields |= {f"{role}_features": "NULL" for role in ("champion", "challenger")}
    templates = ROOT / "sql_scoring/templates"
    canary = (templates / "canary.sql").read_text().format(**fields)
    facades = [
        (templates / f"{name}.sql").read_text().format(**fields, canary=canary)
        for name in ("facade", "shadow")
    ]
    texts = [text for _, text in rows] + facades
    if len(rows) < 5:  # dbt's four and PgBouncer's one
        raise RuntimeError("functions of dbt or PgBouncer are missing in the database")
    files = [folder / f"function_{number}.sql" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        _readable(text.rstrip().rstrip(";") + ";\n", file)
    return files


CHECKS = {
    "sqlfluff": plain_files,
    "sqlfluff (queries)": named_queries,
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


def _git_files(pattern: str) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def _run(command: list[str], folder: Path = ROOT, environment: dict[str, str] | None = None) -> bool:
    finished = subprocess.run(
        command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True
    )
    if finished.returncode:
        print(finished.stdout + finished.stderr)
    return finished.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
