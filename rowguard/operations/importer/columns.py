"""The columns of each kind of file, as data, and how a file's columns map to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rowguard.declaration import Column as DeclaredColumn
from rowguard.declaration import Declaration
from rowguard.operations.importer.problems import HistoryFileError, shown

_MAX_NAMED = 12


class Column(NamedTuple):
    """A column by name and SQL type; `amount` is scoring.amount. A required one must have a value in every row.

    `length` is that of the longest text, `allowed` lists the values that it may have. Messages leave out values of a
    personal one.
    """

    name: str
    type: str
    is_required: bool = False
    length: int = 256
    allowed: tuple[object, ...] | None = None
    is_personal: bool = False


class FileSchema(NamedTuple):
    """Columns of a kind of file; `key` is unique among the rows that have a value in its first column."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]


def transaction_file(declaration: Declaration) -> FileSchema:
    """Return the columns of a file of transactions."""
    return FileSchema(
        name="transactions",
        columns=(
            Column("transaction_id", "bigint"),
            Column("occurred_at", "timestamptz", is_required=True),
            Column("user_id", declaration.keys.user_id, is_required=True),
            Column("amount", "amount", is_required=True),
            *(declared_column(name, column) for name, column in declaration.columns.items()),
            Column("external_id", "text", length=255),
            Column("is_fraud", "boolean"),
            Column("labelled_at", "timestamptz"),
        ),
        key=("transaction_id", "user_id"),
    )


def label_file(declaration: Declaration) -> FileSchema:
    """Return the columns of a file of labels."""
    return FileSchema(
        name="labels",
        columns=(
            Column("user_id", declaration.keys.user_id, is_required=True),
            Column("transaction_id", "bigint", is_required=True),
            Column("is_fraud", "boolean", is_required=True),
            Column("labelled_at", "timestamptz"),
            Column("source", "text", length=64),
        ),
        # Several labels of one transaction are its history; only the same time twice is a mistake.
        key=("transaction_id", "user_id", "labelled_at"),
    )


def reference_file(declaration: Declaration, table: str) -> FileSchema:
    """Return the columns of a file of one reference table.

    Args:
        declaration: What features.yml declares.
        table: Name of the table.

    Returns:
        Its key and its columns.

    Raises:
        HistoryFileError: It is not declared.
    """
    reference = declaration.references.get(table)
    if reference is None:
        known = ", ".join(declaration.references) or "none"
        raise HistoryFileError(
            f"no reference table {shown(table)} is declared in features.yml; declared are: {known}"
        )
    return FileSchema(
        name=table,
        columns=(
            Column(reference.key, declaration.request_types()[reference.key], is_required=True),
            # A row of a table with one column says nothing without it.
            *(
                declared_column(name, column)._replace(is_required=len(reference.columns) == 1)
                for name, column in reference.columns.items()
            ),
        ),
        key=(reference.key,),
    )


def declared_column(name: str, column: DeclaredColumn) -> Column:
    """Return a declared column as one of a file.

    Args:
        name: Its name.
        column: Its type and rules.
    """
    allowed = None if column.allowed is None else tuple(column.allowed)
    return Column(name, column.type, length=column.length, allowed=allowed, is_personal=column.personal)


def labels_by(labels: FileSchema, column: str) -> FileSchema:
    """Return the columns of a file whose labels name their transaction by another column than its id.

    Args:
        labels: The columns of a file that names it by its id.
        column: A text column of transactions, such as the team's own id. With `user_id` it may repeat among users.
    """
    others = [each for each in labels.columns if each.name not in ("transaction_id", column)]
    others = [each._replace(is_required=False) if each.name == "user_id" else each for each in others]
    return labels._replace(
        columns=(Column(column, "text", is_required=True), *others), key=(column, "labelled_at")
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
    present = f"the file's columns are {_listed(names)}"
    mapped = list(column_mapping.values())
    if repeated := [name for index, name in enumerate(names) if name in names[:index]]:
        raise HistoryFileError(f"{file_name}: the column {_listed(repeated)} is repeated")
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
        elif column.is_required:
            raise HistoryFileError(
                f"{file_name}: the column {column.name} is missing; {present}"
                f" (name it with --map {column.name}=COLUMN)"
            )
    unknown = [name for name in names if name not in sources.values()]
    if unknown and not ignore_unknown:
        raise HistoryFileError(
            f"{file_name}: unknown columns {_listed(unknown)};"
            " map them with --map or skip them with --ignore-unknown-columns"
        )
    return sources


def _listed(names: Sequence[str]) -> str:
    """Return names as one line, shortened."""
    some = ", ".join(shown(name) or "''" for name in names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{some} and {more} more" if more > 0 else some
