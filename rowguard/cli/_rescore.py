"""rescore."""

from __future__ import annotations

from typing import Annotated

import typer

from rowguard.cli._output import Json, next_steps, out, parse_time, print_json, steps, table
from rowguard.cli._target import database_url


def register(app: typer.Typer) -> None:
    app.command()(rescore)


def rescore(
    start: Annotated[
        str | None, typer.Option("--from", help="Only rows from this day or instant on.")
    ] = None,
    past: Annotated[str | None, typer.Option("--to", help="Only rows before this day or instant.")] = None,
    into: Annotated[
        str | None,
        typer.Option(help="Score every row of the span into this new table and leave the rows alone."),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Decide loaded history too, where it has no decision.")
    ] = False,
    build: Annotated[
        bool, typer.Option("--build/--no-build", help="Build the features of new rows first.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Parallel workers of PostgreSQL; the server's own number if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score stored rows that have no decision, or a whole span into a table of its own.

    Features are those as of each row's own time. What was decided is never changed; what an undecided row said
    before stays in scoring.rescored_transactions.

    Example: rowguard rescore; rowguard rescore --from 2026-09-01 --to 2026-10-01 --into september_scores
    """
    from dataclasses import asdict

    from rowguard.operations.rescore import rescore
    from rowguard.settings import settings

    if into is not None and history:
        raise typer.BadParameter("--into scores history and live rows alike; --history is for decisions")
    if (into is not None and not all(into.split("."))) or (into or "").count(".") > 1:
        raise typer.BadParameter(f"{into!r} is no table name such as backfill or audit.backfill")
    begin, end = parse_time(start, "--from"), parse_time(past, "--to")
    url = database_url()
    with steps(quiet=as_json) as step:
        done = rescore(
            url,
            settings(),
            start=begin,
            past=end,
            into=into,
            include_history=history,
            build=build,
            workers=workers,
            progress=step,
        )
    if as_json:
        print_json(asdict(done))
        return
    rows = [
        ("model", done.model_version),
        ("scored", f"{done.rows:,} rows in {done.seconds:.1f} s, {done.workers} parallel workers"),
        ("flagged", f"{done.flagged:,}"),
        ("without features", f"{done.waiting:,}, left as they are"),
    ]
    out.print(table(["", done.into or "transactions"], rows))
    if done.waiting:
        next_steps("rowguard features              builds what they need", "rowguard rescore")
