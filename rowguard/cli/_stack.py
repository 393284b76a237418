"""up, down, status, migrate, psql."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer

from rowguard.cli._output import Json, err, next_steps, out, print_json, print_table, steps
from rowguard.cli._target import local_stack, require_addresses, unchecked_database_url

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


def up(
    api: Annotated[bool, typer.Option(help="Start the API as well.")] = True, as_json: Json = False
) -> None:
    """Start the local stack: PostgreSQL, PgBouncer where its program is found, and the API.

    Example: rowguard up && psql "$(rowguard status --json | jq -r .database_url)"
    """
    from rowguard.settings import settings

    require_addresses()
    if api:
        local_stack().check_api_port(settings())
    with steps(quiet=as_json) as step:
        step("starting PostgreSQL and PgBouncer")
        local_stack().up(settings(), api=False)
        if api:
            if settings().database_url is None:
                from sql_scoring.deployment import migrate_schema

                # The API's login role is a member of a role of the schema.
                step("migrating the schema")
                migrate_schema(local_stack().resolve_database_url(settings()), settings().models_dir)
            step("starting the API")
            local_stack().up(settings(), api=True)
    _print_status(as_json)
    if not as_json:
        next_steps(
            "rowguard migrate      schema, features, models", "rowguard simulate     a history to train on"
        )


def down(as_json: Json = False) -> None:
    """Stop the local stack. Its data stay; an external database is left alone.

    Example: rowguard down
    """
    from rowguard.settings import settings

    stopped = local_stack().down(settings())
    if as_json:
        print_json({"stopped": stopped})
    else:
        out.print("stopped: " + ", ".join(stopped) if stopped else "nothing was running")


def status(as_json: Json = False) -> None:
    """Show what runs, where, and which model is champion.

    Example: rowguard status --json
    """
    _print_status(as_json)


def migrate(as_json: Json = False) -> None:
    """Bring the schema to its head, build the features, restore the deployed models. Safe to repeat.

    Example: rowguard migrate
    """
    from rowguard.settings import settings
    from sql_scoring.deployment.migrate import migrate as run

    with steps(quiet=as_json) as step:
        step("connecting")
        url = unchecked_database_url()
        result = run(url, settings(), progress=step)
    if as_json:
        print_json(
            {
                "dbt_nodes": result.features.passed,
                "model_revisions_applied": result.model_revisions,
                "notes": result.notes,
            }
        )
        return
    out.print(
        f"schema at its head, {result.features.passed} dbt nodes built, "
        f"{result.model_revisions} model revisions applied"
    )
    for note in result.notes:
        err.print(f"  {note}")
    next_steps(
        "rowguard simulate         a history with fraud scenarios",
        "rowguard import FILE      your own history",
    )


def psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments go to psql.

    Example: rowguard psql -c "SELECT * FROM model_versions"
    """
    from psycopg.conninfo import conninfo_to_dict

    from rowguard.errors import SettingsError

    options = conninfo_to_dict(unchecked_database_url())
    program = shutil.which("psql") or str(local_stack().find_postgres_binaries() / "psql")
    # In the environment, because every user of the machine can list arguments.
    for name, variable in _PSQL_VARIABLES.items():
        if options.get(name) is not None:
            os.environ[variable] = str(options[name])
    try:
        os.execv(program, [program, *context.args])  # noqa: S606
    except FileNotFoundError:
        raise SettingsError("psql is not installed; put it on PATH") from None


def _print_status(as_json: bool) -> None:
    from rowguard.database import connect
    from rowguard.errors import RowguardError
    from rowguard.settings import settings
    from sql_scoring.registry import champion_version

    require_addresses()
    stack = local_stack().status(settings())
    champion = None
    notes = []
    if stack.database_url:
        try:
            with connect(stack.database_url) as connection:
                champion = champion_version(connection)
        except RowguardError as error:
            notes.append(str(error))
    if as_json:
        print_json({**vars(stack), "champion": champion, "notes": notes})
        return
    shown = stack.redacted()
    rows = [
        ("PostgreSQL", shown.database_url or "stopped", "rowguard psql opens it"),
        ("PgBouncer", shown.pooled_url or "stopped", "transaction pooling"),
        ("API", shown.api_url or "stopped", "/docs shows every call"),
        ("champion", champion or "none yet", ""),
    ]
    print_table(["part", "where", ""], rows)
    for note in notes:
        out.print(f"note: {note}", markup=False)
