"""control-rate, failure-policy, unscored: alerts that are not blocked, and transactions that cannot be scored."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from rowguard.cli._output import Json, next_steps, out, print_json, print_table
from rowguard.cli._target import database_url
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.cli")


def control_rate(
    rate: Annotated[
        float | None,
        typer.Argument(help="From 0 to 1; without it the current rate is shown.", min=0, max=1),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set the control rate: the fraction of alerts that is not blocked, so that labels stay unbiased.

    Rows of the control group keep their fraud_probability, but fraud_flag is LEGITIMATE.

    Example: rowguard control-rate 0.02
    """
    from rowguard.operations.control_group import control_rate as run

    group = run(database_url(), rate)
    if as_json:
        print_json(group)
        return
    out.print(
        f"control rate {group.rate:.2%}; in the last 30 days {group.controls:,} of {group.alerts:,} alerts "
        "were in the control group"
    )


def failure_policy(
    mode: Annotated[
        Literal["fail-open", "fail-closed"] | None,
        typer.Argument(
            help="fail-open: store the row unscored. fail-closed: reject the INSERT.", show_default=False
        ),
    ] = None,
    lock_timeout_ms: Annotated[
        int | None, typer.Option(help="Most milliseconds that scoring waits for a lock.", min=1, max=600_000)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set what happens to a transaction that cannot be scored.

    Example: rowguard failure-policy fail-closed --lock-timeout-ms 500
    """
    from psycopg.rows import dict_row

    from rowguard.database import connect

    with connect(database_url()) as connection, connection.cursor(row_factory=dict_row) as cursor:
        if mode is not None or lock_timeout_ms is not None:
            values = {"failure_mode": mode and mode.replace("-", "_"), "lock_timeout_ms": lock_timeout_ms}
            cursor.execute(QUERIES["set_failure_policy"], values)
        current = cursor.execute(QUERIES["failure_policy"]).fetchone()
    assert current is not None
    current["failure_mode"] = current["failure_mode"].replace("_", "-")
    if as_json:
        print_json(current)
    else:
        print_table([current])


def unscored(
    limit: Annotated[int, typer.Option(help="Most rows to list, newest first.", min=0, max=100_000)] = 20,
    as_json: Json = False,
) -> None:
    """List and count live transactions without a decision, with their reasons.

    Example: rowguard unscored --limit 100 --json
    """
    from psycopg.rows import dict_row

    from rowguard.database import connect

    with connect(database_url()) as connection, connection.cursor(row_factory=dict_row) as cursor:
        counts = cursor.execute(QUERIES["unscored_counts"]).fetchall()
        rows = cursor.execute(QUERIES["unscored"], {"limit": limit}).fetchall()
    total = sum(row["transactions"] for row in counts)
    if as_json:
        print_json({"unscored": total, "reasons": counts, "transactions": rows})
        return
    if not total:
        out.print("every live transaction has its decision")
        return
    print_table(counts)
    print_table(rows)
    next_steps(("rowguard rescore", "backfill their decisions, with features as of their time"))
