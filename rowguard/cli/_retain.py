"""retain: old transactions leave the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rowguard.cli._output import Json, out, print_json, steps, table
from rowguard.cli._target import database_url


def register(app: typer.Typer) -> None:
    app.command()(retain)


def retain(
    keep: Annotated[str, typer.Option(help="How many days stay, such as 400d.", show_default=False)],
    archive: Annotated[
        Path | None, typer.Option(help="Folder for the Parquet files; in the state directory if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Archive transactions older than that to Parquet, labels too, and delete them in small steps.

    What a feature still looks at, or nobody has labelled yet, cannot go. Decisions replay from the archive.

    Example: rowguard retain --keep 400d --archive /archive/rowguard
    """
    from rowguard.operations.archive import retain as run
    from rowguard.settings import settings

    days = _days(keep)
    url = database_url()
    with steps(quiet=as_json) as step:
        done = run(
            url,
            archive or settings().state_dir / "archive",
            keep_days=days,
            label_delay_days=settings().label_delay_days,
            progress=step,
        )
    document = {
        "cut": done.cut,
        "complete_from": done.complete_from,
        "transactions": done.transactions,
        "labels": done.labels,
        "archives": [
            {"path": str(file.path), "rows": file.rows, "sha256": file.sha256} for file in done.archives
        ],
    }
    if as_json:
        print_json(document)
        return
    out.print(
        f"{done.transactions:,} transactions and {done.labels:,} labels before {done.cut:%Y-%m-%d} went"
    )
    if done.archives:
        out.print(table(["archive", "rows"], [(str(file.path), file.rows) for file in done.archives]))


def _days(value: str) -> int:
    text = value.removesuffix("d")
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 36_500:
        raise typer.BadParameter(f"{value!r} is no number of days such as 400d", param_hint="--keep")
    return int(text)
