"""Parquet: the types that tools write, damaged files, and the the public benchmark data if present."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowguard.operations.importer import HistoryFileError, read_history

Write = Callable[..., Path]
Rows = Callable[..., list[dict[str, Any]]]
Error = Callable[..., HistoryFileError]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WHEN = datetime(2026, 1, 1, 10, 0, 0, 123456)
FUTURE = "is more than 1 day in the future"


def column(name: str, values: Any) -> dict[str, Any]:
    count = len(values)
    base: dict[str, Any] = {
        "occurred_at": pa.array([WHEN] * count),
        "user_id": pa.array([1] * count),
        "amount": pa.array([1.5] * count),
    }
    return base | {name: values}


AMOUNTS = [Decimal("57.16"), Decimal("0.01"), Decimal("12345.67")]
FLAGS = [True, False, None]
IDS = pa.array(["5", "100", None])
INTEGERS = (pa.int8(), pa.int32(), pa.uint16(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(9, 0))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        *(
            ("occurred_at", values, [WHEN.replace(tzinfo=UTC)])
            for values in (
                pa.array([WHEN], pa.timestamp("us")),
                pa.array([WHEN], pa.timestamp("us", tz="UTC")),
                pa.array([WHEN.replace(tzinfo=UTC)], pa.timestamp("us", tz="America/New_York")),
                pa.array([np.datetime64("2026-01-01T10:00:00.123456789")], pa.timestamp("ns")),
                pa.array(["2026-01-01T10:00:00.123456"]),
                pa.array(["2026-01-01 10:00:00.123456789Z"], pa.large_string()),
                pa.array(["2026-01-01 10:00:00.123456 Z"]),
                pa.array(["2026-01-01 12:00:00.123456 +0200"]),
                pa.array(["2026-01-01T05:00:00.123456-05"]).dictionary_encode(),
                pa.array([b"2026-01-01T10:00:00.123456"]),
            )
        ),
        ("occurred_at", pa.array([date(2026, 1, 1)]), [datetime(2026, 1, 1, tzinfo=UTC)]),
        ("occurred_at", pa.array([1], pa.timestamp("s")), [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)]),
        *(("merchant_id", IDS.cast(kind), [5, 100, None]) for kind in (*INTEGERS, pa.string())),
        ("merchant_id", pa.array([5.0, float("nan"), None]), [5, None, None]),
        ("merchant_id", pa.array(["5.0", "12.", "-3.00", ""]), [5, 12, -3, None]),
        *(
            ("amount", pa.array(AMOUNTS, kind), AMOUNTS)
            for kind in (pa.decimal128(9, 2), pa.decimal128(20, 6), pa.decimal256(40, 4))
        ),
        *(("amount", pa.array(map(float, AMOUNTS), kind), AMOUNTS) for kind in (pa.float32(), pa.float64())),
        ("amount", pa.array(map(str, AMOUNTS)), AMOUNTS),
        ("amount", pa.array([0, 7, 999_999_999_999]), [0, 7, 999_999_999_999]),
        ("is_fraud", pa.array([True, False, None]), FLAGS),
        ("is_fraud", pa.array([1, 0, None], pa.int8()), FLAGS),
        ("is_fraud", pa.array([1.0, 0.0, float("nan")]), FLAGS),
        ("is_fraud", pa.array(["TRUE", "no", " "]), FLAGS),
        ("is_fraud", pa.array(["t", "0", None]), FLAGS),
        ("location", pa.nulls(1), [None]),
    ],
)
def test_types(write_parquet: Write, rows_of: Rows, name: str, values: pa.Array, expected: list[Any]) -> None:
    assert [row[name] for row in rows_of(write_parquet(column(name, values)))] == expected


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("occurred_at", pa.array([1_700_000_000]), "the column occurred_at holds int64, not times"),
        ("user_id", pa.array([True]), "the column user_id holds bool, not whole numbers"),
        ("amount", pa.array([[1.0]]), "the column amount holds list"),
        ("location", pa.array([1.5]), "the column location holds double, not text"),
        ("is_fraud", pa.array([WHEN]), "the column is_fraud holds timestamp"),
    ],
)
def test_types_that_do_not_fit(
    write_parquet: Write, error_of: Error, name: str, values: pa.Array, message: str
) -> None:
    assert message in str(error_of(write_parquet(column(name, values))))


def test_rows_are_named(write_parquet: Write, error_of: Error) -> None:
    error = error_of(write_parquet(column("amount", pa.array([1.0, -2.0, float("nan")]))))
    assert [(problem.line, str(problem)) for problem in error.problems] == [
        (2, "amount is negative: -2.0"),
        (3, "amount is not finite: nan"),
    ]
    assert error.unit == "row"
    assert "2 of 3 rows cannot be loaded, nothing was loaded" in str(error)
    assert str(error).endswith("; row 2: amount is negative: -2.0 (and 1 more)")


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        (
            "occurred_at",
            pa.array([-1_500], pa.timestamp("ns")),
            "is before 1970: 1969-12-31 23:59:59.9999985",
        ),
        ("occurred_at", pa.array([2**62], pa.timestamp("ns", tz="Europe/Paris")), f"{FUTURE}: 2116"),
        ("occurred_at", pa.array([2**60], pa.timestamp("ms")), FUTURE),
        ("occurred_at", pa.array([2**50], pa.timestamp("ms")), FUTURE),
        ("occurred_at", pa.array(["soon"]).dictionary_encode(), "is not an ISO 8601 time: soon"),
        ("occurred_at", pa.array([None], pa.timestamp("us")), "is missing"),
        ("user_id", pa.array([2**63], pa.uint64()), "does not fit into 64 bits: 9223372036854775808"),
        ("user_id", pa.array([2.0**60]), "is not a whole number"),
        ("user_id", pa.array([2.0**53]), "is not a whole number"),
        ("user_id", pa.array([1.5]), "is not a whole number: 1.5"),
        ("user_id", pa.array([float("inf")]), "is not a whole number: inf"),
        ("user_id", pa.array([Decimal("1.50")]), "is not a whole number: 1.50"),
        ("user_id", pa.array([Decimal(2**64)]), "does not fit into 64 bits"),
        ("amount", pa.array([Decimal("1.23456")]), "has more than 4 decimals: 1.23456"),
        ("amount", pa.array([Decimal("-1.234")]), "is negative: -1.234"),
        ("amount", pa.array([Decimal(10**30)]), "is not below 1,000,000,000,000"),
        ("amount", pa.array([10**12]), "is not below 1,000,000,000,000"),
        ("amount", pa.array([1e12]), "is not below 1,000,000,000,000"),
        ("amount", pa.array([1.00005]), "has more than 4 decimals: 1.00005"),
        ("amount", pa.array([-1], pa.int8()), "is negative: -1"),
        ("location", pa.array([b"K\xf6ln"]).view(pa.string()), "is not UTF-8 text: K\\xf6ln"),
    ],
)
def test_bad_values(write_parquet: Write, error_of: Error, name: str, values: pa.Array, shown: str) -> None:
    assert str(error_of(write_parquet(column(name, values))).problems[0]).startswith(f"{name} {shown}")


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
    (tmp_path / "none.parquet").write_bytes(b"")
    assert str(error_of(tmp_path / "none.parquet")) == "none.parquet: the file is empty"


def test_no_rows(write_parquet: Write, error_of: Error) -> None:
    assert "there are no rows" in str(error_of(write_parquet(column("amount", pa.array([], pa.float64())))))


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
    amounts = frauds = 0
    for batch in opened:
        amounts += int(sum(batch.column("amount").slice(0, 100).to_pylist()) > 0)
        frauds += batch.column("is_fraud").true_count
    assert opened.rows_read == 1_102_483
    assert opened.ignored_columns == ()
    assert amounts == 17
    assert frauds / opened.rows_read == pytest.approx(0.008, abs=0.0005)
    # Of processor time it takes one second; this only catches a fall off the fast path.
    assert time.process_time() - began < 20
    table = pq.read_table(path, columns=["amount"])
    total = sum(int(value) for value in np.rint(table["amount"].to_numpy() * 100).tolist())
    read = sum(int(value * 100) for batch in opened for value in [sum(batch.column("amount").to_pylist())])
    assert read == total
