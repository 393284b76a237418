"""How bad rows are reported, and columns that are not the right ones. Single values are in tests/corpus."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowguard.declaration import declared
from rowguard.operations.importer import HistoryFileError, label_file, read_history, reference_file
from tests.unit.importer.conftest import NOW, Error, Rows, Write

LABELS = label_file(declared())
USERS = reference_file(declared(), "users")
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


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text(st.characters(codec="utf-8"), max_size=30)))
def test_no_text_escapes_as_another_error(write_csv: Write, rows_of: Rows, values: dict[str, str]) -> None:
    quoted = {name: '"' + value.replace('"', '""') + '"' for name, value in values.items()}
    try:
        rows_of(write_csv(csv_with(**quoted)))
    except HistoryFileError as error:
        assert "\n" not in str(error)


def test_problems_are_grouped_by_kind_with_count_lines_and_example(write_csv: Write, error_of: Error) -> None:
    rows = [
        csv_with(transaction_id=str(number), amount=f"-{number}" if number % 2 else "1").removeprefix(HEADER)
        for number in range(101)
    ]
    error = error_of(
        write_csv(HEADER + csv_with(user_id="x", is_fraud="?").removeprefix(HEADER) + "".join(rows))
    )
    assert error.bad_rows == 51
    assert [tuple(problem) for problem in error.problems] == [
        ("user_id", "is not a whole number", 1, (2,), "x"),
        ("is_fraud", "is neither true nor false", 1, (2,), "?"),
        ("amount", "is negative", 50, (4, 6, 8, 10, 12), "-1"),
    ]
    assert "51 of 102 rows cannot be loaded, nothing was loaded; line 2: user_id" in str(error)
    assert "(and 50 more)" in str(error)


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
    assert [tuple(problem) for problem in error.problems] == [
        ("transaction_id", "repeats an earlier one of the same user", 3, (7, 8, 9), "4, as in line 3")
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


def test_labels_and_profiles(write_csv: Write, rows_of: Rows) -> None:
    path = write_csv(
        "user_id,transaction_id,is_fraud,labelled_at,source\n"
        "1,7,0,2026-01-08,timeout\n1,7,1,2026-02-01,chargeback\n2,7,yes,,\n"
    )
    assert [(row["user_id"], row["is_fraud"], row["source"]) for row in rows_of(path, schema=LABELS)] == [
        (1, False, "timeout"),
        (1, True, "chargeback"),
        (2, True, None),
    ]
    path = write_csv("user_id,home_location\n1,DE\n2,FR\n")
    assert rows_of(path, schema=USERS)[1] == {"user_id": 2, "home_location": "FR"}


@pytest.mark.parametrize(
    ("schema", "rows", "reason"),
    [
        (LABELS, "1,,1", "transaction_id is missing"),
        (LABELS, "1,7,", "is_fraud is missing"),
        (LABELS, ",7,1", "user_id is missing"),
        (LABELS, "1,7,perhaps", "is_fraud is neither true nor false: perhaps"),
        (LABELS, "1,5,1\n1,5,0", "transaction_id repeats an earlier one of the same user: 5, as in line 2"),
        (USERS, "1,", "home_location is missing"),
        (USERS, "1,DE\n1,FR", "user_id repeats an earlier one of the same user: 1, as in line 2"),
    ],
)
def test_bad_labels_and_profiles(
    write_csv: Write, error_of: Error, schema: Any, rows: str, reason: str
) -> None:
    header = ",".join(column.name for column in schema.columns if column.is_required)
    error = error_of(write_csv(f"{header}\n{rows}\n"), schema=schema)
    assert [str(problem) for problem in error.problems] == [reason]
