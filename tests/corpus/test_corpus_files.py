"""csv.yaml and parquet.yaml: files for `rowguard import`, and what comes of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpus.conftest import Case, parameters
from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run

pytestmark = pytest.mark.slow

HEADER = "occurred_at,user_id,amount,merchant_id,location,is_fraud"
GOOD = {
    "occurred_at": {"type": "timestamp[us]", "values": ["2026-01-01T00:00:00"]},
    "user_id": {"type": "int64", "values": [1]},
    "amount": {"type": "float64", "values": [5.0]},
}


@pytest.mark.parametrize("case", parameters("csv"))
def test_csv(run: Run, undecided: Workspace, tmp_path: Path, case: Case) -> None:
    if "bytes" in case:
        content = bytes.fromhex(case["bytes"])
    else:
        text = case["text"] if "text" in case else "\n".join([HEADER, *case["rows"]]) + "\n"
        content = text.encode(case.get("encoding", "utf-8"))
    (tmp_path / "file.csv").write_bytes(content)
    _import(run, undecided, "file.csv", case)


@pytest.mark.parametrize("case", parameters("parquet"))
def test_parquet(run: Run, undecided: Workspace, tmp_path: Path, case: Case) -> None:
    path = tmp_path / "file.parquet"
    if "bytes" in case:
        path.write_bytes(bytes.fromhex(case["bytes"]))
    else:
        columns = {
            name: spec
            for name, spec in (GOOD | case.get("columns", {})).items()
            if name not in case.get("drop", [])
        }
        pq.write_table(pa.table({name: _array(**spec) for name, spec in columns.items()}), path)
    _import(run, undecided, "file.parquet", case)


def _import(run: Run, workspace: Workspace, name: str, case: Case) -> None:
    done = run("import", name, "--json", *case.get("options", []), DATABASE_URL=workspace.url)
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE is_history AND fraud_flag IS NULL) FROM transactions"
        ).fetchone()
        connection.execute("TRUNCATE transactions CASCADE")
    if "loads" in case:
        assert done.document()["transactions"] == case["loads"]
        assert row == (case["loads"], case["loads"])
    else:
        assert case["refused"] in done.refusal()
        assert row == (0, 0)


def _array(type: str, values: list[Any]) -> pa.Array:
    if type == "decimal128":
        return pa.array([Decimal(value) for value in values], pa.decimal128(20, 2))
    if type == "dictionary":
        return pa.array(values).dictionary_encode()
    if type == "binary":
        return pa.array([value.encode() for value in values], pa.binary())
    if type.startswith("timestamp"):
        times = [datetime.fromisoformat(value).replace(tzinfo=UTC) for value in values]
        return pa.array(times, pa.timestamp(type[10:-1], "UTC"))
    if type == "date32":
        return pa.array([date.fromisoformat(value) for value in values], pa.date32())
    return pa.array(values, pa.type_for_alias(type))
