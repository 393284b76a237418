"""policy, unscored: what happens to transactions that cannot be scored, and which did."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from rowguard.cli._output import Json, next_steps, out, print_json, table
from rowguard.cli._target import database_url
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.cli")


def register(app: typer.Typer) -> None:
    app.command()(policy)
    app.command()(unscored)


def policy(
    on_failure: Annotated[
        Literal["fail_open", "fail_closed"] | None,
        typer.Argument(help="fail_open: store with the reason. fail_closed: fail the INSERT.", show_default=False),
    ] = None,
    lock_timeout: Annotated[
        int | None,
        typer.Option(help="Milliseconds that scoring may wait for a lock.", min=1, max=600_000),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or change what happens to a transaction that cannot be scored.

    Example: rowguard policy fail_closed --lock-timeout 500
    """
    from rowguard.database import connect

    with connect(database_url()) as connection:
        if on_failure is not None or lock_timeout is not None:
            values = {"on_failure": on_failure, "lock_timeout_ms": lock_timeout}
            connection.execute(QUERIES["set_policy"], values)
        row = connection.execute(QUERIES["policy"]).fetchone()
    assert row is not None
    names = ("failure_mode", "lock_timeout_ms", "changed_at", "changed_by")
    if as_json:
        print_json(dict(zip(names, row, strict=True)))
        return
    out.print(table(["a transaction that cannot be scored", "waits for a lock (ms)", "since", "by"], [row]))


def unscored(
    limit: Annotated[int, typer.Option(help="How many to list, newest first.", min=0, max=100_000)] = 20,
    as_json: Json = False,
) -> None:
    """List and count live transactions without a decision, with their reasons.

    Example: rowguard unscored --limit 100 --json
    """
    from psycopg.rows import dict_row

    from rowguard.database import connect

    with connect(database_url()) as connection, connection.cursor(row_factory=dict_row) as cursor:
        counts = cursor.execute(QUERIES["unscored_counts"]).fetchall()
        rows = cursor.execute(QUERIES["unscored"], {"most": limit}).fetchall()
    total = sum(row["transactions"] for row in counts)
    if as_json:
        print_json({"unscored": total, "reasons": counts, "transactions": rows})
        return
    if not total:
        out.print("every live transaction has its decision")
        return
    out.print(table(["reason", "transactions", "first", "last"], [list(row.values()) for row in counts]))
    out.print(table(list(rows[0]) if rows else ["–"], [list(row.values()) for row in rows]))
    next_steps("rowguard rescore      decide them now, with features as of their time")
