"""Import of history and labels from Parquet and CSV."""

from rowguard.operations.importer.load import LoadResult, load_history, load_labels, load_users
from rowguard.operations.importer.problems import HistoryFileError, RowProblem
from rowguard.operations.importer.reader import HistoryFile, read_history, read_labels

__all__ = [
    "HistoryFile",
    "HistoryFileError",
    "LoadResult",
    "RowProblem",
    "load_history",
    "load_labels",
    "load_users",
    "read_history",
    "read_labels",
]
