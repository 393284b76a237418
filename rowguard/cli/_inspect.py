"""inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._data import local_file
from rowguard.cli._output import Json, next_steps, out, print_json

if TYPE_CHECKING:
    from rowguard.operations.importer.inspection import Inspection


def inspect(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV, also gzip; - is standard input.")],
    encoding: Annotated[
        str | None, typer.Option(help="Of CSV, such as cp1252; by default found.", show_default=False)
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Of CSV, one character; by default found.", show_default=False)
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Write mapping.yml and features.yml to this folder.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Propose a mapping file and a features.yml for a file, by its first rows; nothing is loaded.

    Says what it could not place, and what only you know. Existing files are not replaced.

    Example: rowguard inspect acquirer.csv --write acquirer
    """
    from rowguard.errors import SettingsError
    from rowguard.operations.importer.inspection import inspect_file, render

    with local_file(file) as path:
        found = inspect_file(path, encoding=encoding, delimiter=delimiter)
    texts = render(found)
    if write is not None:
        paths = {write / name: text for name, text in texts.items()}
        if there := [str(path) for path in paths if path.exists()]:
            raise SettingsError(f"{there[0]} exists; name another folder")
        write.mkdir(parents=True, exist_ok=True)
        for target, text in paths.items():
            target.write_text(text, encoding="utf-8")
    if as_json:
        print_json(_document(found))
        return
    for name, text in texts.items():
        place = name if write is None else write / name
        out.print(f"# --- {place}", style="bold", highlight=False)
        out.print(text, markup=False, soft_wrap=True)
    folder = write or Path()
    next_steps(
        ("edit both files", "the notes at their top say what to check"),
        (f"ROWGUARD_FEATURES={folder / 'features.yml'} rowguard migrate", "columns and key type"),
        (f"rowguard import {file} --mapping {folder / 'mapping.yml'}", "load the rows"),
    )


def _document(found: Inspection) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "mapping": found.mapping,
        "features": found.features,
        "notes": found.notes,
        "unplaced": found.unplaced,
        "missing": found.missing,
    }
