"""Every kind of bad value, named by line and reason; and columns that are not the right ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowguard.errors import ImportFileError
from rowguard.operations.importer import HistoryFileError, read_history, read_labels

Write = Callable[..., Path]
Rows = Callable[..., list[dict[str, Any]]]
Error = Callable[..., HistoryFileError]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = "transaction_id,occurred_at,user_id,merchant_id,amount,location,is_fraud\n"
GOOD = {
    "transaction_id": "1",
    "occurred_at": "2026-01-01",
    "user_id": "1",
    "merchant_id": "1",
    "amount": "1.00",
    "location": "DE",
    "is_fraud": "0",
}


def csv_with(**values: str) -> str:
    return HEADER + ",".join((GOOD | values).values()) + "\n"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("occurred_at", "", "is missing"),
        ("occurred_at", "yesterday", "is not an ISO 8601 time"),
        ("occurred_at", "01/02/2026", "is not an ISO 8601 time"),
        ("occurred_at", "2026-02-30", "is not an ISO 8601 time"),
        ("occurred_at", "2025-02-29 10:00:00Z", "is not an ISO 8601 time"),
        ("occurred_at", "2026-01-01 24:00:00", "is not an ISO 8601 time"),
        ("occurred_at", "2026-01-01T10", "is not an ISO 8601 time"),
        ("occurred_at", "1767225600", "is not an ISO 8601 time"),
        ("occurred_at", "1969-12-31 23:59:59.999999", "is before 1970"),
        ("occurred_at", "0001-01-01", "is before 1970"),
        ("occurred_at", "2026-06-02 00:00:00.000001", "is more than 1 day in the future"),
        ("occurred_at", "9999-12-31", "is more than 1 day in the future"),
        ("user_id", "", "is missing"),
        ("user_id", "   ", "is missing"),
        ("user_id", "alice", "is not a whole number"),
        ("user_id", "1.5", "is not a whole number"),
        ("user_id", "0x10", "is not a whole number"),
        ("user_id", "1e3", "is not a whole number"),
        ("user_id", "9223372036854775808", "does not fit into 64 bits"),
        ("user_id", "-9223372036854775809", "does not fit into 64 bits"),
        ("user_id", "9" * 5_000, "does not fit into 64 bits"),
        ("merchant_id", "x", "is not a whole number"),
        ("transaction_id", "x", "is not a whole number"),
        ("amount", "", "is missing"),
        ("amount", "free", "is not a number"),
        ("amount", "1 000", "is not a number"),
        ("amount", '"1,50"', "is not a number"),
        ("amount", "€5", "is not a number"),
        ("amount", "1e999999", "is not a number"),
        ("amount", "-0.01", "is negative"),
        ("amount", "-1e3", "is negative"),
        ("amount", "NaN", "is not finite"),
        ("amount", "Infinity", "is not finite"),
        ("amount", "-inf", "is not finite"),
        ("amount", "1.00005", "has more than 4 decimals"),
        ("amount", "0.30000000000000004", "has more than 4 decimals"),
        ("amount", "1000000000000", "is not below 1,000,000,000,000"),
        ("amount", "1e12", "is not below 1,000,000,000,000"),
        ("amount", "9" * 30, "is not below 1,000,000,000,000"),
        ("location", "x" * 65, "is longer than 64 characters"),
        ("location", "D\0E", "holds a NUL character"),
        ("is_fraud", "maybe", "is neither true nor false"),
        ("is_fraud", "2", "is neither true nor false"),
    ],
)
def test_bad_values(write_csv: Write, error_of: Error, column: str, value: str, reason: str) -> None:
    good = csv_with(transaction_id="5")
    error = error_of(write_csv(good + csv_with(**{column: value}).removeprefix(HEADER)))
    assert isinstance(error, ImportFileError)
    (problem,) = error.problems
    assert (problem.line, problem.column, problem.reason) == (3, column, reason)
    assert error.bad_rows == 1
    assert error.reasons == {f"{column} {reason}": 1}
    assert f"line 3: {column} {reason}" in str(error)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text(st.characters(codec="utf-8"), max_size=30)))
def test_no_text_escapes_as_another_error(write_csv: Write, rows_of: Rows, values: dict[str, str]) -> None:
    quoted = {name: '"' + value.replace('"', '""') + '"' for name, value in values.items()}
    try:
        rows_of(write_csv(csv_with(**quoted)))
    except HistoryFileError as error:
        assert "\n" not in str(error)


def test_all_bad_rows_are_counted_and_the_first_shown(write_csv: Write, error_of: Error) -> None:
    rows = [
        csv_with(transaction_id=str(number), amount="-1" if number % 2 else "1").removeprefix(HEADER)
        for number in range(101)
    ]
    error = error_of(write_csv(HEADER + "".join(rows)))
    assert error.bad_rows == 50
    assert [problem.line for problem in error.problems] == list(range(3, 43, 2))
    assert "(and 49 more)" in str(error)


def test_several_faults_in_one_row_are_one_bad_row(write_csv: Write, error_of: Error) -> None:
    error = error_of(write_csv(csv_with(amount="-1", user_id="x", is_fraud="?")))
    assert error.bad_rows == 1
    assert [problem.column for problem in error.problems] == ["user_id", "amount", "is_fraud"]


def test_no_batch_comes_after_a_bad_row(write_csv: Write) -> None:
    batches = []
    with pytest.raises(HistoryFileError):
        for batch in read_history(write_csv(csv_with(amount="-1"))):
            batches.append(batch)
    assert batches == []


def test_repeated_transaction_ids(write_csv: Write, error_of: Error) -> None:
    pairs = [("5", "1"), ("4", "1"), ("5", "2"), ("", "1"), ("", "1"), ("4", "1"), ("5", "1"), ("5", "1")]
    rows = [csv_with(transaction_id=one, user_id=user).removeprefix(HEADER) for one, user in pairs]
    error = error_of(write_csv(HEADER + "".join(rows)))
    assert [(problem.line, problem.reason, problem.value) for problem in error.problems] == [
        (7, "repeats the one of line 3 for the same user", "4"),
        (8, "repeats the one of line 2 for the same user", "5"),
        (9, "repeats the one of line 8 for the same user", "5"),
    ]
    assert error.bad_rows == 3


@pytest.mark.parametrize(
    ("names", "parameters", "message"),
    [
        ("occurred_at,user_id", {}, "the column amount is missing; the file's columns are occurred_at, u"),
        ("TX_TIME,user_id,amount", {}, "(name it with --map occurred_at=COLUMN)"),
        ("occurred_at,user_id,amount,note,x", {}, "unknown columns note, x; map them with --map or skip"),
        ("occurred_at,user_id,amount,amount", {}, "the column amount is repeated"),
        ("a,user_id", {"column_mapping": {"occurred_at": "b"}}, "there is no column b for occurred_at"),
        ("a,user_id", {"column_mapping": {"when": "a"}}, "cannot map to when; the columns to map to are"),
        (
            "a,user_id,amount",
            {"column_mapping": {"occurred_at": "a", "location": "a"}},
            "the column a is mapped twice",
        ),
        (",".join(f"c{n}" for n in range(40)), {}, "c10, c11 and 28 more"),
    ],
)
def test_columns(
    write_csv: Write, error_of: Error, names: str, parameters: dict[str, Any], message: str
) -> None:
    assert message in str(error_of(write_csv(names + "\n"), **parameters))


def test_mapping_and_ignoring(write_csv: Write, rows_of: Rows, error_of: Error) -> None:
    path = write_csv("TX_TIME,user_id,TX_AMOUNT,amount,note\n2026-01-01,1,2,3,x\n")
    mapping = {"occurred_at": "TX_TIME", "amount": "TX_AMOUNT"}
    opened = read_history(path, column_mapping=mapping, ignore_unknown=True, now=NOW)
    assert opened.column_mapping == {"occurred_at": "TX_TIME", "user_id": "user_id", "amount": "TX_AMOUNT"}
    assert opened.ignored_columns == ("amount", "note")
    (row,) = rows_of(path, column_mapping=mapping, ignore_unknown=True)
    assert row["amount"] == 2
    assert "unknown columns amount, note" in str(error_of(path, column_mapping=mapping))


def test_labels(write_csv: Write) -> None:
    path = write_csv(
        "user_id,transaction_id,is_fraud,labelled_at,source\n"
        "1,7,0,2026-01-08,timeout\n1,7,1,2026-02-01,chargeback\n2,7,yes,,\n"
    )
    rows = [row for batch in read_labels(path, now=NOW) for row in batch.to_pylist()]
    assert [(row["user_id"], row["is_fraud"], row["source"]) for row in rows] == [
        (1, False, "timeout"),
        (1, True, "chargeback"),
        (2, True, None),
    ]
    names = ["user_id", "transaction_id", "is_fraud", "labelled_at", "source"]
    assert read_labels(path).schema.names == names


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,,1", "transaction_id is missing"),
        ("1,7,", "is_fraud is missing"),
        (",7,1", "user_id is missing"),
        ("1,7,perhaps", "is_fraud is neither true nor false: perhaps"),
        ("1,5,1\n1,5,0", "transaction_id repeats the one of line 2 for the same user: 5"),
    ],
)
def test_bad_labels(write_csv: Write, error_of: Error, row: str, reason: str) -> None:
    error = error_of(write_csv(f"user_id,transaction_id,is_fraud\n{row}\n"), read_labels)
    assert [str(problem) for problem in error.problems] == [reason]
