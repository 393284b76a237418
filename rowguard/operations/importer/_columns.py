"""Mapping of a file's columns to the canonical ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rowguard.operations.importer._errors import HistoryFileError, shown
from rowguard.operations.importer._schema import FileSchema

_MAX_NAMED = 12


class Resolved(NamedTuple):
    """Canonical name → name in the file, in canonical order, and the unused columns of the file."""

    sources: dict[str, str]
    ignored: tuple[str, ...]


def resolve(
    file_name: str,
    names: Sequence[str],
    schema: FileSchema,
    column_mapping: Mapping[str, str],
    *,
    ignore_unknown: bool,
) -> Resolved:
    """Find every canonical column in the file.

    Args:
        file_name: For messages.
        names: Columns of the file.
        schema: The canonical columns.
        column_mapping: Canonical name → name in the file, where they differ.
        ignore_unknown: Skip other columns instead of rejecting the file.

    Returns:
        The mapping.

    Raises:
        HistoryFileError: A mapped or required column is missing, a name is repeated, or columns are unknown.
    """
    present = f"the file's columns are {listed(names)}"
    repeated = [name for index, name in enumerate(names) if name in names[:index]]
    if repeated:
        raise HistoryFileError(f"{file_name}: the column {listed(repeated)} is repeated")
    canonical = [column.name for column in schema.columns]
    for target, source in column_mapping.items():
        if target not in canonical:
            raise HistoryFileError(
                f"{file_name}: cannot map to {shown(target)};"
                f" the columns to map to are {', '.join(canonical)}"
            )
        if source not in names:
            raise HistoryFileError(f"{file_name}: there is no column {shown(source)} for {target}; {present}")
    mapped = list(column_mapping.values())
    for source in mapped:
        if mapped.count(source) > 1:
            raise HistoryFileError(f"{file_name}: the column {shown(source)} is mapped twice")

    sources: dict[str, str] = {}
    for column in schema.columns:
        source = column_mapping.get(column.name, column.name)
        if source in names and (column.name in column_mapping or source not in mapped):
            sources[column.name] = source
        elif column.required:
            raise HistoryFileError(
                f"{file_name}: the column {column.name} is missing; {present}"
                f" (name it with --map {column.name}=COLUMN)"
            )
    ignored = tuple(name for name in names if name not in sources.values())
    if ignored and not ignore_unknown:
        raise HistoryFileError(
            f"{file_name}: unknown columns {listed(ignored)};"
            " map them with --map or skip them with --ignore-unknown-columns"
        )
    return Resolved(sources, ignored)


def listed(names: Sequence[str]) -> str:
    """Return names as one line, shortened."""
    some = ", ".join(shown(name) or "''" for name in names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{some} and {more} more" if more > 0 else some
