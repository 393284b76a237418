"""The canonical columns of a history file and of a labels file, and how a file's columns map to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import pyarrow as pa

from rowguard.amounts import MAX_DECIMALS
from rowguard.operations.importer.problems import HistoryFileError, shown

_MAX_NAMED = 12


class Kind(Enum):
    """Kinds of columns, by the Arrow type that they are read into."""

    INTEGER = pa.int64()
    TIME = pa.timestamp("us", tz="UTC")
    AMOUNT = pa.decimal128(16, MAX_DECIMALS)
    TEXT = pa.string()
    BOOLEAN = pa.bool_()


class Column(NamedTuple):
    """A canonical column; a required one must be in the file and hold a value in every row."""

    name: str
    kind: Kind
    required: bool = False


class FileSchema(NamedTuple):
    """Columns of a kind of file; `key` is unique among the rows that have a transaction_id."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]


TRANSACTIONS = FileSchema(
    columns=(
        Column("transaction_id", Kind.INTEGER),
        Column("occurred_at", Kind.TIME, required=True),
        Column("user_id", Kind.INTEGER, required=True),
        Column("merchant_id", Kind.INTEGER),
        Column("amount", Kind.AMOUNT, required=True),
        Column("location", Kind.TEXT),
        Column("is_fraud", Kind.BOOLEAN),
    ),
    key=("user_id", "transaction_id"),
)

LABELS = FileSchema(
    columns=(
        Column("user_id", Kind.INTEGER, required=True),
        Column("transaction_id", Kind.INTEGER, required=True),
        Column("is_fraud", Kind.BOOLEAN, required=True),
        Column("labelled_at", Kind.TIME),
        Column("source", Kind.TEXT),
    ),
    # Several labels of one transaction are its history; only the same time twice is a mistake.
    key=("user_id", "transaction_id", "labelled_at"),
)


def map_columns(
    file_name: str,
    names: Sequence[str],
    schema: FileSchema,
    column_mapping: Mapping[str, str],
    *,
    ignore_unknown: bool,
) -> dict[str, str]:
    """Find every canonical column in the file.

    Args:
        file_name: For messages.
        names: Columns of the file.
        schema: The canonical columns.
        column_mapping: Canonical name → name in the file, where they differ.
        ignore_unknown: Skip other columns instead of rejecting the file.

    Returns:
        Canonical name → name in the file, in canonical order.

    Raises:
        HistoryFileError: A mapped or required column is missing, a name is repeated, or columns are unknown.
    """
    present = f"the file's columns are {listed(names)}"
    mapped = list(column_mapping.values())
    if repeated := [name for index, name in enumerate(names) if name in names[:index]]:
        raise HistoryFileError(f"{file_name}: the column {listed(repeated)} is repeated")
    canonical = [column.name for column in schema.columns]
    for target, source in column_mapping.items():
        if target not in canonical:
            known = ", ".join(canonical)
            raise HistoryFileError(
                f"{file_name}: cannot map to {shown(target)}; the columns to map to are {known}"
            )
        if source not in names:
            raise HistoryFileError(f"{file_name}: there is no column {shown(source)} for {target}; {present}")
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
    unknown = [name for name in names if name not in sources.values()]
    if unknown and not ignore_unknown:
        raise HistoryFileError(
            f"{file_name}: unknown columns {listed(unknown)};"
            " map them with --map or skip them with --ignore-unknown-columns"
        )
    return sources


def listed(names: Sequence[str]) -> str:
    """Return names as one line, shortened."""
    some = ", ".join(shown(name) or "''" for name in names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{some} and {more} more" if more > 0 else some
