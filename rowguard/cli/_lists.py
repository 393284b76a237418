"""lists: create, add, remove, import, export and list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rowguard.cli._output import Json, err, out, print_json, print_table, steps, time_option
from rowguard.cli._target import database_url

app = typer.Typer(
    no_args_is_help=True, help="Allow, block and other lists: create, add, remove, import, export, list."
)
Name = Annotated[str, typer.Argument(help="The list.", show_default=False)]
Keys = Annotated[list[str], typer.Argument(help="Values of the list's column.", show_default=False)]
Expires = Annotated[Any, time_option("--expires", help="When the entries expire.")]
Reason = Annotated[str | None, typer.Option(help="Why, at most 500 characters.", show_default=False)]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="At most 20 of a-z, 0-9 and _.", show_default=False)],
    column: Annotated[
        str, typer.Argument(help="A column of transactions, such as user_id.", show_default=False)
    ],
    kind: Annotated[
        Literal["allow", "block", "review", "other"],
        typer.Option(help="What a row on it gets; other: only rules ask for it."),
    ] = "other",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Create a list of keys of one column.

    Example: rowguard lists create stolen_cards card_id --kind block
    """
    from rowguard.operations.lists import create_list

    create_list(database_url(), name, column, kind, description)
    _report(
        as_json,
        {"list": name, "column": column, "kind": kind},
        f"{name} is a list of kind {kind} for {column}",
    )


@app.command()
def add(
    name: Name, keys: Keys, expires: Expires = None, reason: Reason = None, as_json: Json = False
) -> None:
    """Add keys to a list; of a key that is on it expiry and reason are replaced.

    Example: rowguard lists add blocked_users 42 43 --expires 2027-01-31 --reason "ticket 77"
    """
    from rowguard.operations.lists import add_entries

    entries = [{"key": key, "expires_at": expires and expires.isoformat(), "reason": reason} for key in keys]
    written = add_entries(database_url(), name, entries)
    _report(as_json, {"list": name, "written": written}, f"{written} entries of {name} were written")


@app.command()
def remove(name: Name, keys: Keys, as_json: Json = False) -> None:
    """Remove keys from a list; its history remains.

    Example: rowguard lists remove blocked_users 42
    """
    from rowguard.operations.lists import remove_entries

    removed = remove_entries(database_url(), name, keys)
    _report(as_json, {"list": name, "removed": removed}, f"{removed} entries of {name} were removed")


@app.command("import")
def import_(
    name: Name,
    file: Annotated[
        Path, typer.Argument(help="CSV with key, and optionally expires_at and reason.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Add the keys of a CSV file to a list; a wrong line rejects the whole file.

    Example: rowguard lists import stolen_cards cards.csv
    """
    from rowguard.operations.lists import import_csv

    url = database_url()
    with steps(quiet=as_json) as step:
        result = import_csv(url, name, file, progress=step)
    _report(
        as_json,
        {"list": name, "lines": result.lines, "written": result.written},
        f"{result.written:,} of {result.lines:,} entries of {name} were new or changed",
    )


@app.command()
def export(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead.", show_default=False)
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Also removed and expired entries.")] = False,
) -> None:
    """Write the entries of a list as CSV, which `lists import` reads.

    Example: rowguard lists export stolen_cards --output cards.csv
    """
    import sys

    from rowguard.operations.lists import export_csv

    url = database_url()
    if output is None:
        export_csv(url, name, sys.stdout.buffer.write, with_history=history)
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as stream:
            lines = export_csv(url, name, stream.write, with_history=history)
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}") from None
    err.print(f"wrote {lines:,} entries to {output}", markup=False)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all lists with their columns, kinds and sizes.

    Example: rowguard lists list
    """
    from rowguard.operations.lists import list_lists

    rows = list_lists(database_url())
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        out.print("no list yet; create one: rowguard lists create blocked_users user_id --kind block")


def _report(as_json: bool, document: dict[str, Any], line: str) -> None:
    if as_json:
        print_json(document)
    else:
        out.print(line, markup=False)
