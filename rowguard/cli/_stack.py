"""up, down, status, migrate, psql."""

from __future__ import annotations

import os
import shutil
from typing import Annotated, Any

import typer

from rowguard.cli._next import print_next
from rowguard.cli._output import Json, err, out, print_facts, print_json, steps
from rowguard.cli._target import local_stack, unchecked_database_url


def up(
    api: Annotated[bool, typer.Option(help="Start the API as well.")] = True, as_json: Json = False
) -> None:
    """Start the local stack: PostgreSQL, PgBouncer where its program is found, and the API.

    Example: rowguard up && psql "$(rowguard status --json | jq -r .database_url)"
    """
    from rowguard.settings import settings

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
        print_next(unchecked_database_url())


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
                "dbt_nodes": result.features.passed if result.features else 0,
                "model_revisions_applied": result.model_revisions,
                "notes": result.notes,
            }
        )
        return
    built = f"{result.features.passed} dbt nodes built" if result.features else "features built already"
    out.print(f"schema at its head, {built}, {result.model_revisions} model revisions applied")
    for note in result.notes:
        err.print(f"  {note}")
    print_next(url)


def psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments go to psql.

    Example: rowguard psql -c "SELECT * FROM model_versions"
    """
    from psycopg.pq import Conninfo

    from rowguard.errors import SettingsError
    from rowguard.settings import settings

    program = shutil.which("psql") or str(local_stack().find_postgres_binaries() / "psql")
    # In the environment, because every user of the machine can list arguments.
    for option in Conninfo.parse(unchecked_database_url().encode()):
        if option.val is not None and option.envvar is not None:
            os.environ[option.envvar.decode()] = option.val.decode()
    if (schema := settings().schema_name) != "public":  # a pooler may reject any option
        os.environ["PGOPTIONS"] = f"{os.environ.get('PGOPTIONS', '')} -c search_path={schema},public".strip()
    try:
        os.execv(program, [program, *context.args])  # noqa: S606
    except FileNotFoundError:
        raise SettingsError("psql is not installed; put it on PATH") from None


def _print_status(as_json: bool) -> None:
    from rowguard.database import connect
    from rowguard.errors import RowguardError
    from rowguard.settings import settings
    from sql_scoring.registry import challenger_version, champion_version, get_model

    stack = local_stack().status(settings())
    models: dict[str, Any] = {"champion": None, "challenger": None, "canary_percent": None}
    notes = []
    if stack.database_url:
        try:
            with connect(stack.database_url) as connection:
                models["champion"] = champion_version(connection)
                challenger = challenger_version(connection)
                if challenger:
                    percent = get_model(connection, challenger).canary_percent
                    models |= {"challenger": challenger, "canary_percent": percent}
        except RowguardError as error:
            notes.append(str(error))
    if stack.api_url and not local_stack().api_serves(settings(), stack.database_url):
        notes.append("the API serves another database than the one named here; rowguard up restarts it")
    if as_json:
        print_json({**vars(stack), **models, "notes": notes})
        return
    shown = stack.redacted()
    is_known = stack.database_url is not None and not notes
    facts = {
        "PostgreSQL": shown.database_url or "stopped",
        "PgBouncer": shown.pooled_url or "stopped",
        "API": shown.api_url or "stopped",
        "champion": models["champion"] or ("none yet" if is_known else "unknown"),
    }
    if models["challenger"]:
        facts["challenger"] = (
            f"{models['challenger']}, decides for {models['canary_percent'] or 0:g} % of users"
        )
    print_facts("rowguard", facts)
    for note in notes:
        out.print(f"note: {note}", markup=False)
