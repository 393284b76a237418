"""Import of history and labels from Parquet and CSV."""

from rowguard.operations.importer._errors import HistoryFileError, RowProblem
from rowguard.operations.importer._load import LoadResult, load_history, load_labels, load_users
from rowguard.operations.importer._reader import FileFormat, HistoryFile, read_history, read_labels

__all__ = [
    "FileFormat",
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
