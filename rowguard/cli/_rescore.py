"""rescore."""

from __future__ import annotations

from typing import Annotated

import typer

from rowguard.cli._output import Json, next_steps, parse_time, print_facts, print_json, steps
from rowguard.cli._target import database_url


def rescore(
    start: Annotated[str | None, typer.Option("--from", help="Only rows from this day or time on.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only rows before this day or time.")] = None,
    output_table: Annotated[
        str | None, typer.Option(help="Score every row into this new table; the rows are unchanged.")
    ] = None,
    include_history: Annotated[
        bool, typer.Option("--include-history", help="Also decide loaded history.")
    ] = False,
    build: Annotated[
        bool, typer.Option("--build/--no-build", help="Build the features of new rows first.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Most parallel workers; by default the server's setting.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Backfill decisions of unscored rows, or score a time range into a new table.

    Features are point-in-time correct. No decision is ever changed; the former reason of a row is stored in
    scoring.rescored_transactions.

    Example: rowguard rescore --from 2026-09-01 --to 2026-10-01 --output-table september_scores
    """
    from rowguard.operations.rescore import rescore as run
    from rowguard.settings import settings

    if output_table is not None and include_history:
        raise typer.BadParameter("--output-table scores history anyway; --include-history is for decisions")
    if output_table is not None and (not all(output_table.split(".")) or output_table.count(".") > 1):
        raise typer.BadParameter(f"{output_table!r} is no table name such as backfill or audit.backfill")
    first, last = parse_time(start, "--from"), parse_time(end, "--to")
    url = database_url()
    with steps(quiet=as_json) as step:
        result = run(
            url,
            settings(),
            start=first,
            end=last,
            output_table=output_table,
            include_history=include_history,
            build=build,
            workers=workers,
            progress=step,
        )
    if as_json:
        print_json(result)
        return
    print_facts(
        result.output_table or "transactions",
        [
            ("model", result.model_version),
            ("scored", f"{result.rows:,} rows in {result.seconds:.1f} s, {result.workers} parallel workers"),
            ("alerts", f"{result.flagged:,}"),
            ("without features", f"{result.rows_without_features:,}, unchanged"),
        ],
    )
    if result.rows_without_features:
        next_steps("rowguard features      build what they need", "rowguard rescore")
