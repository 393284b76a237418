"""The canonical columns of a history file and of a labels file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import pyarrow as pa

from rowguard.amounts import MAX_DECIMALS

MAX_TEXT_LENGTH = 64


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


@dataclass(frozen=True, slots=True)
class FileSchema:
    """Columns of a kind of file; `key` is unique among its rows, except where `key_if` is null."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    key_if: str

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of every batch."""
        return pa.schema(
            [
                pa.field(column.name, column.kind.value, nullable=not column.required)
                for column in self.columns
            ]
        )


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
    key_if="transaction_id",
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
    key_if="transaction_id",
)
