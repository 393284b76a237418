"""Import of history, labels and profiles from Parquet and CSV."""

from rowguard.operations.importer.columns import LABELS, TRANSACTIONS, USERS, labels_by
from rowguard.operations.importer.load import LoadResult, export_query, load_history, load_labels, load_users
from rowguard.operations.importer.problems import HistoryFileError, RowProblem
from rowguard.operations.importer.reader import HistoryFile, read_history

__all__ = [
    "LABELS",
    "TRANSACTIONS",
    "USERS",
    "HistoryFile",
    "HistoryFileError",
    "LoadResult",
    "RowProblem",
    "export_query",
    "labels_by",
    "load_history",
    "load_labels",
    "load_users",
    "read_history",
]
