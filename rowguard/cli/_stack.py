"""up, down, status, migrate."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer
from psycopg.conninfo import conninfo_to_dict

from rowguard.cli._output import Json, err, next_steps, out, print_json, steps, table
from rowguard.cli._target import require_addresses, unchecked_database_url

_PSQL_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(migrate)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(psql)


def up(
    api: Annotated[bool, typer.Option(help="Start the API as well.")] = True,
    as_json: Json = False,
) -> None:
    """Start the local stack: PostgreSQL, PgBouncer where its program is found, the API.

    Example: rowguard up && psql "$(rowguard status --json | jq -r .database_url)"
    """
    from rowguard import local
    from rowguard.settings import settings
    from sql_scoring.deployment import migrate_schema

    require_addresses()
    with steps(quiet=as_json) as step:
        step("starting PostgreSQL and PgBouncer")
        local.up(settings(), api=False)
        if api:
            if settings().database_url is None:
                # The API's log-in is a member of a role that the schema makes.
                step("bringing the schema to its head")
                migrate_schema(local.resolve_database_url(settings()), settings().models_dir)
            step("starting the API")
            local.up(settings(), api=True)
    _print_status(as_json)
    if not as_json:
        next_steps(
            "rowguard migrate      schema, features, models", "rowguard simulate     a history to train on"
        )


def down(as_json: Json = False) -> None:
    """Stop the local stack. Data stay where they are; an external database is left alone."""
    from rowguard import local
    from rowguard.settings import settings

    stopped = local.down(settings())
    if as_json:
        print_json({"stopped": list(stopped)})
    else:
        out.print("stopped: " + ", ".join(stopped) if stopped else "nothing was running")


def status(as_json: Json = False) -> None:
    """Show what runs, where, and which model decides."""
    _print_status(as_json)


def migrate(as_json: Json = False) -> None:
    """Bring the schema to its head, build the features, restore the deployed models. Safe to repeat."""
    from trainer.lifecycle import migrate
    from rowguard.settings import settings

    with steps(quiet=as_json) as step:
        step("connecting")
        url = unchecked_database_url()
        done = migrate(url, settings(), progress=step)
    if as_json:
        print_json(
            {
                "dbt_nodes": done.features.passed,
                "model_revisions_applied": done.model_revisions,
                "notes": list(done.notes),
            }
        )
        return
    out.print(
        f"schema at its head, {done.features.passed} dbt nodes built, {done.model_revisions} model revisions applied"
    )
    for note in done.notes:
        err.print(f"  {note}")
    next_steps(
        "rowguard simulate            a history with frauds in it", "rowguard import FILE         your own"
    )


def psql(context: typer.Context) -> None:
    """Open psql on the database; further words go to psql.

    Example: rowguard psql -c "SELECT * FROM model_versions"
    """
    from rowguard.local import find_postgres_binaries, resolve_database_url
    from rowguard.settings import settings

    options = conninfo_to_dict(resolve_database_url(settings()))
    program = shutil.which("psql") or str(find_postgres_binaries() / "psql")
    # In the environment and not among the arguments, which every user of the machine can list.
    for name, variable in _PSQL_VARIABLES.items():
        if options.get(name) is not None:
            os.environ[variable] = str(options[name])
    os.execv(program, [program, *context.args])  # noqa: S606


def _print_status(as_json: bool) -> None:
    from rowguard import local
    from rowguard.database import connect
    from rowguard.errors import RowguardError
    from rowguard.settings import settings
    from sql_scoring.registry import champion_version

    require_addresses()
    found = local.status(settings())
    champion = None
    notes = list(found.notes)
    if found.database_url:
        try:
            with connect(found.database_url) as connection:
                champion = champion_version(connection)
        except RowguardError as error:
            notes.append(str(error))
    if as_json:
        print_json(
            {
                "database_url": found.database_url,
                "pooled_url": found.pooled_url,
                "api_url": found.api_url,
                "champion": champion,
                "postgres_version": found.postgres_version,
                "data_bytes": found.data_bytes,
                "logs": {name: str(path) for name, path in found.logs.items()},
                "notes": list(dict.fromkeys(notes)),
            }
        )
        return
    shown = found.redacted()
    size = f"{found.data_bytes / 1e6:,.0f} MB" if found.data_bytes else "–"
    rows = [
        ("PostgreSQL", shown.database_url or "stopped", f"{found.postgres_version or ''} {size}"),
        ("PgBouncer", shown.pooled_url or "stopped", "transaction pooling"),
        ("API", shown.api_url or "stopped", "/docs shows every call"),
        ("champion", champion or "none yet", ""),
    ]
    out.print(table(["part", "where", ""], rows))
    for note in dict.fromkeys(notes):
        out.print(f"note: {note}", markup=False)
