"""Writing small files, and reading them whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowguard.operations.importer import HistoryFileError, read_history

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Write = Callable[..., Path]
Rows = Callable[..., list[dict[str, Any]]]
Error = Callable[..., HistoryFileError]


@pytest.fixture
def write_csv(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "history.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def write_parquet(tmp_path: Path) -> Write:
    def write(columns: Mapping[str, Any]) -> Path:
        path = tmp_path / "history.parquet"
        pq.write_table(pa.table(dict(columns)), path)
        return path

    return write


@pytest.fixture(scope="session")
def rows_of() -> Rows:
    """Every row of a file of transactions."""

    def read(path: Path, **parameters: Any) -> list[dict[str, Any]]:
        return [row for batch in read_history(path, now=NOW, **parameters) for row in batch.to_pylist()]

    return read


@pytest.fixture(scope="session")
def error_of() -> Error:
    """The error that reading a file ends with, wherever it is raised; always one line."""

    def read(path: Path, **parameters: Any) -> HistoryFileError:
        with pytest.raises(HistoryFileError) as raised:
            list(read_history(path, now=NOW, **parameters))
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 500
        return raised.value

    return read
