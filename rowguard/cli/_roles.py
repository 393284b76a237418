"""roles: the script that a DBA runs on an external server."""

from __future__ import annotations

from typing import Annotated

import typer


def roles(
    sql: Annotated[bool, typer.Option("--sql", help="Print the script. It is the only form.")] = True,
    owner: Annotated[str, typer.Option(help="Role that owns the database.")] = "rowguard_owner",
    login: Annotated[str, typer.Option(help="Login role of the API.")] = "rowguard_api_login",
    database: Annotated[str, typer.Option(help="Name of the database.")] = "rowguard",
) -> None:
    """Print the SQL script with which a DBA creates the roles and the database.

    Example: rowguard roles --sql --owner shop_owner --database shop | psql -d postgres
    """
    from sql_scoring.roles import render_roles

    print(render_roles(owner=owner, login=login, database=database), end="")
