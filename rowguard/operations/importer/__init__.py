"""Import of history, labels and reference tables from Parquet and CSV."""

from rowguard.operations.importer.columns import label_file, labels_by, reference_file, transaction_file
from rowguard.operations.importer.load import (
    LoadResult,
    export_query,
    load_history,
    load_labels,
    load_reference,
)
from rowguard.operations.importer.problems import HistoryFileError, RowProblem
from rowguard.operations.importer.reader import HistoryFile, read_history

__all__ = [
    "HistoryFile",
    "HistoryFileError",
    "LoadResult",
    "RowProblem",
    "export_query",
    "label_file",
    "labels_by",
    "load_history",
    "load_labels",
    "load_reference",
    "read_history",
    "reference_file",
    "transaction_file",
]
