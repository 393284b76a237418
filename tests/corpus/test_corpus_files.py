"""csv.yaml and parquet.yaml: files for `rowguard import`, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowguard.operations.importer import HistoryFileError, read_history
from tests.corpus.conftest import Case, parameters

HEADER = "occurred_at,user_id,amount,merchant_id,location,is_fraud"
GOOD = {
    "occurred_at": {"type": "timestamp[us]", "values": ["2026-01-01T00:00:00"]},
    "user_id": {"type": "int64", "values": [1]},
    "amount": {"type": "float64", "values": [5.0]},
}


@pytest.mark.parametrize("case", parameters("csv"))
def test_csv(tmp_path: Path, case: Case) -> None:
    if "bytes" in case:
        content = bytes.fromhex(case["bytes"])
    else:
        text = case["text"] if "text" in case else "\n".join([HEADER, *case["rows"]]) + "\n"
        content = text.encode(case.get("encoding", "utf-8"))
    (tmp_path / "file.csv").write_bytes(content)
    _check(tmp_path / "file.csv", case)


@pytest.mark.parametrize("case", parameters("parquet"))
def test_parquet(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "file.parquet"
    if "bytes" in case:
        path.write_bytes(bytes.fromhex(case["bytes"]))
    else:
        columns = GOOD | case.get("columns", {})
        pq.write_table(
            pa.table(
                {name: _array(**spec) for name, spec in columns.items() if name not in case.get("drop", [])}
            ),
            path,
        )
    _check(path, case)


def _check(path: Path, case: Case) -> None:
    try:
        rows = [row for batch in read_history(path, **case.get("options", {})) for row in batch.to_pylist()]
    except HistoryFileError as error:
        assert case.get("refused", "it loads") in str(error)
        assert str(error).startswith(f"{path.name}: ")
        assert "\n" not in str(error)
    else:
        assert len(rows) == case.get("loads", "it is refused")
        for name, value in case.get("first", {}).items():
            assert _plain(rows[0][name]) == value


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, datetime | Decimal) else value


def _array(type: str, values: list[Any]) -> pa.Array:
    makers: dict[str, Callable[[], pa.Array]] = {
        "dictionary": lambda: pa.array(values).dictionary_encode(),
        "binary": lambda: pa.array([value.encode() for value in values], pa.binary()),
        "latin-1": lambda: pa.array([value.encode("latin-1") for value in values]).view(pa.string()),
        "date32": lambda: pa.array([date.fromisoformat(value) for value in values], pa.date32()),
    }
    if type in makers:
        return makers[type]()
    if type.startswith("decimal"):
        name, digits, scale = type.replace(")", "").replace("(", ",").split(",")
        return pa.array([Decimal(value) for value in values], getattr(pa, name)(int(digits), int(scale)))
    if type.startswith("timestamp"):
        unit, _, zone = type[len("timestamp[") : -1].partition(",")
        if values and not isinstance(values[0], str):
            return pa.array(values, pa.timestamp(unit, zone or None))
        times = [datetime.fromisoformat(value).replace(tzinfo=UTC) for value in values]
        return pa.array(times, pa.timestamp(unit, zone or "UTC"))
    return pa.array(values, pa.type_for_alias(type))
