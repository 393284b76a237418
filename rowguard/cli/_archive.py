"""archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rowguard.cli._output import Json, next_steps, out, print_json, print_table, steps
from rowguard.cli._target import database_url


def archive(
    keep: Annotated[str, typer.Option(help="Days to keep, such as 400d.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option(help="Folder of the Parquet files; by default in the state directory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Archive old transactions with their labels to Parquet, then delete them in small transactions.

    Every column is archived, so decisions replay from the files. `rowguard import` loads them back as history.
    Rows that a feature reads, or that still wait for labels, cannot be archived.

    Example: rowguard archive --keep 400d --output /archive/rowguard
    """
    from rowguard.operations.archive import archive_transactions
    from rowguard.settings import settings

    keep_days = _parse_days(keep)
    url = database_url()
    with steps(quiet=as_json) as step:
        result = archive_transactions(
            url,
            output or settings().state_dir / "archive",
            keep_days=keep_days,
            label_delay_days=settings().label_delay_days,
            progress=step,
        )
    if as_json:
        print_json(result)
        return
    out.print(
        f"archived and deleted {result.transactions:,} transactions and {result.labels:,} labels "
        f"before {result.cutoff:%Y-%m-%d}"
    )
    if result.archives:
        print_table(["archive", "rows"], [(str(file.path), file.rows) for file in result.archives])
        next_steps(f"rowguard import {result.archives[0].path}      load them back as history")


def _parse_days(value: str) -> int:
    text = value.removesuffix("d")
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 36_500:
        raise typer.BadParameter(f"{value!r} is no number of days such as 400d", param_hint="--keep")
    return int(text)
