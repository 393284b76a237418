"""Parquet: every type in every column, damaged files, and the public benchmark data if present."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowguard.declaration import declared
from rowguard.operations.archive import ARCHIVE_KEY
from rowguard.operations.importer import HistoryFileError, label_file, read_history
from tests.unit.importer.conftest import NOW, Error, Rows, Write

LABELS = label_file(declared())
WHEN = datetime(2026, 1, 1, 10, 0, 0, 123456)


def column(name: str, values: Any) -> dict[str, Any]:
    count = len(values)
    base: dict[str, Any] = {
        "occurred_at": pa.array([WHEN] * count),
        "user_id": pa.array([1] * count),
        "amount": pa.array([1.5] * count),
    }
    return base | {name: values}


INTEGERS = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
EXTREMES: dict[pa.DataType, list[Any]] = {
    **{kind: [np.iinfo(str(kind)).min, 0, 1, np.iinfo(str(kind)).max] for kind in INTEGERS},
    **{
        kind: [0.0, 1.0, -1.0, 0.5, *(float(edge) for edge in (finfo.max, finfo.tiny)), np.nan, np.inf]
        for kind, finfo in (
            (pa.float16(), np.finfo(np.float16)),
            (pa.float32(), np.finfo(np.float32)),
            (pa.float64(), np.finfo(np.float64)),
        )
    },
    **{
        kind: [
            Decimal(f"{sign * unit}e{-kind.scale}")
            for sign in (1, -1)
            for unit in (0, 1, 10**kind.precision - 1)
        ]
        for kind in (
            *(pa.decimal32(9, scale) for scale in (0, 2, 9)),
            *(pa.decimal64(18, scale) for scale in (0, 4, 18)),
            *(pa.decimal128(38, scale) for scale in (0, 6, 38)),
            *(pa.decimal256(76, scale) for scale in (0, 20, 76)),
        )
    },
    **{
        pa.timestamp(unit, zone): [0, 1, -1, 1_767_261_600, 2**62, -(2**62)]
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Paris", "+05:45", "No/Where")
    },
    pa.date32(): [0, 20_000, 2**31 - 1, -(2**31)],
    pa.date64(): [0, 86_400_000, -86_400_000],
    pa.time32("s"): [0, 86_399],
    pa.time64("us"): [0, 1],
    pa.duration("us"): [0, 1],
    pa.bool_(): [True, False],
    pa.string(): ["", "1", "2026-01-01", "x" * 70, "\0", "NaN"],
    pa.large_string(): ["", "1", "true"],
    pa.string_view(): ["", "1", "true"],
    pa.binary(): [b"", b"1", b"\xff"],
    pa.large_binary(): [b"", b"1", b"\xff"],
    pa.binary_view(): [b"", b"1", b"\xff"],
    pa.binary(2): [b"12", b"\xff\xfe"],
    pa.uuid(): [b"0" * 16],
    pa.null(): [None],
    pa.list_(pa.int64()): [[], [1]],
    pa.struct([("a", pa.int64())]): [{"a": 1}],
    pa.map_(pa.string(), pa.int64()): [[("a", 1)]],
    pa.dictionary(pa.int32(), pa.string()): ["1", "true"],
    pa.dictionary(pa.int8(), pa.int64()): [1, 2],
    pa.month_day_nano_interval(): [(1, 2, 3)],
}


@pytest.mark.parametrize("kind", EXTREMES, ids=str)
@pytest.mark.parametrize(
    "name", ["transaction_id", "occurred_at", "user_id", "amount", "location", "is_fraud", "labelled_at"]
)
def test_every_type_in_every_column_is_read_or_refused_by_row(
    write_parquet: Write, rows_of: Rows, kind: pa.DataType, name: str
) -> None:
    for value in [*EXTREMES[kind], None]:
        values = pa.array([value], kind)
        try:
            path = write_parquet(column(name, values))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            continue  # Parquet has no such type or value
        try:
            (row,) = rows_of(path)
        except HistoryFileError as error:
            assert f"row 1: {name} " in str(error)
        else:
            assert row[name] is None or isinstance(row[name], str | int | Decimal | datetime)
            if type(value) in (int, float, Decimal) and type(row[name]) in (int, Decimal):
                assert abs(row[name] - Decimal(str(value))) < Decimal("1e-9")


@pytest.mark.parametrize(("kind", "limit"), [(pa.float32(), 131_072), (pa.float16(), 16)])
def test_a_narrow_float_gives_its_cents_or_is_refused(
    write_parquet: Write, rows_of: Rows, error_of: Error, kind: pa.DataType, limit: int
) -> None:
    cents = np.unique(np.random.default_rng(1).integers(0, 2 * limit * 100, 4_000))
    if kind == pa.float16():
        cents = cents[cents % 25 == 0]
    values = (cents / 100).astype(kind.to_pandas_dtype())
    below = values[cents < limit * 100]
    rows = rows_of(write_parquet(column("amount", pa.array(below))))
    assert [int(row["amount"] * 100) for row in rows] == cents[: len(below)].tolist()
    (problem,) = error_of(write_parquet(column("amount", pa.array(values)))).problems
    assert "is a float that several values share" in str(problem)
    assert problem.rows == len(values) - len(below)


def test_damaged_files(write_parquet: Write, error_of: Error, tmp_path: Path) -> None:
    path = write_parquet(column("amount", pa.array(np.arange(20_000) / 4)))
    whole = path.read_bytes()
    for name, data in {
        "text.parquet": b"occurred_at,user_id,amount\n",
        "short.parquet": whole[: len(whole) // 2],
        "start.parquet": whole[:8],
        "tail.parquet": whole[:-1],
    }.items():
        (tmp_path / name).write_bytes(data)
        assert str(error_of(tmp_path / name)) == f"{name}: not a Parquet file, or cut short"
    half = len(whole) // 2
    (tmp_path / "holes.parquet").write_bytes(whole[:100] + bytes(half) + whole[half + 100 :])
    assert "damaged after row" in str(error_of(tmp_path / "holes.parquet"))


def test_an_archive_is_read_as_it_was_stored(tmp_path: Path) -> None:
    """Values that a database holds, and that another file would not be trusted with."""
    rows = {
        "user_id": [1, 1],
        "transaction_id": [7, 7],
        "is_fraud": [False, True],
        "labelled_at": pa.array([NOW + timedelta(days=90)] * 2, pa.timestamp("us", "UTC")),
        "source": [" bank ", "NULL"],
        "label_id": [1, 2],
    }
    table = pa.table(rows)
    pq.write_table(table.replace_schema_metadata({ARCHIVE_KEY: b"fraud_labels"}), tmp_path / "labels.parquet")
    (batch,) = read_history(tmp_path / "labels.parquet", LABELS, now=NOW)
    assert batch.to_pylist() == table.drop_columns(["label_id"]).to_pylist()


def test_knows_parquet_by_its_first_bytes(write_parquet: Write, rows_of: Rows, tmp_path: Path) -> None:
    renamed = tmp_path / "history.data"
    write_parquet(column("amount", pa.array([1.0]))).rename(renamed)
    assert len(rows_of(renamed)) == 1


def test_batches_have_the_canonical_schema(write_parquet: Write) -> None:
    opened = read_history(write_parquet(column("amount", pa.array(np.arange(150_000) / 4 // 1))), now=NOW)
    batches = list(opened)
    assert len(batches) == 3
    for batch in batches:
        assert batch.schema == opened.schema
        batch.validate(full=True)
    assert (opened.rows_read, opened.fraction_read) == (150_000, 1.0)


def benchmark_file() -> Path | None:
    named = os.environ.get("ROWGUARD_BENCHMARK_DATA")
    path = Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "data"
    path = path / "handbook_transactions.parquet" if path.is_dir() else path
    return path if path.is_file() else None


@pytest.mark.skipif(benchmark_file() is None, reason="ROWGUARD_BENCHMARK_DATA names no benchmark data")
def test_public_benchmark_data() -> None:
    path = benchmark_file()
    assert path is not None
    began = time.process_time()
    opened = read_history(path)
    read = frauds = 0
    for batch in opened:
        read += int(100 * sum(batch.column("amount").to_pylist()))
        frauds += batch.column("is_fraud").true_count
    assert opened.rows_read == 1_102_483
    assert opened.ignored_columns == ()
    assert frauds / opened.rows_read == pytest.approx(0.008, abs=0.0005)
    # Of processor time it takes two seconds; this only catches a fall off the fast path.
    assert time.process_time() - began < 20
    table = pq.read_table(path, columns=["amount"])
    assert read == sum(int(value) for value in np.rint(table["amount"].to_numpy() * 100).tolist())
