"""CSV as a whole: separators, encodings, line numbers, ragged and empty files."""

from __future__ import annotations

import csv
import io
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowguard.operations.importer import files, read_history
from tests.unit.importer.conftest import Error, Rows, Write

HEADER = "occurred_at,user_id,amount,location\n"
ROW = "2026-01-01 10:00:00,1,2.50,DE\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_line_ends_and_byte_order_mark(
    write_csv: Write, rows_of: Rows, delimiter: str, end: str, mark: bytes
) -> None:
    text = (HEADER + ROW + ROW).replace(",", delimiter).replace("\n", end)
    assert len(rows_of(write_csv(mark + text.encode()))) == 2


def test_no_line_end_at_the_end_and_blank_lines(write_csv: Write, rows_of: Rows) -> None:
    assert len(rows_of(write_csv(HEADER + "\n" + ROW + "\n,,,\n" + ROW.strip()))) == 2


def test_names_may_have_blanks_around_them(write_csv: Write, rows_of: Rows) -> None:
    assert len(rows_of(write_csv(HEADER.replace(",", " , ") + ROW))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"\n", "the first line is empty"),
        (b"\xef\xbb\xbf", "the first line is empty"),
        (HEADER.encode(), "there are no rows in it"),
        (HEADER.strip().encode(), "there are no rows in it"),
        (HEADER.encode() + b"\n\n,,,\n", "there are no rows in it"),
        ((HEADER + ROW).encode("utf-16"), "not text in UTF-8"),
        ((HEADER.replace("location", "orté")).encode("latin-1"), "line 1 is not UTF-8 text"),
        (
            (HEADER + ROW * 3 + "2026-01-01,1,2,Köln\n").encode("latin-1"),
            "line 5: location is not UTF-8 text: K\\xf6ln",
        ),
        (
            HEADER.encode() + "2026-01-01,1,Köln\n".encode("latin-1"),
            "line 2: has 3 fields, but the header names 4: 2026-01-01,1,K\\xf6ln",
        ),
        (HEADER.encode() + b"2026-01-01,1,2,K\xc3", "line 2: location is not UTF-8 text: K\\xc3"),
        (b'occurred_at,"user_id,amount\n', "line 1: a quote is opened and not closed"),
        (b"occurred_at,user_id,,amount\n", "column 3 has no name"),
        (b'"' + b"x" * 140_000, "line 1: a field is longer than 131,072 characters; is a quote opened"),
        (b"\x1f\x8b\x08\x00", "damaged; it cannot be unpacked"),
        (b"PK\x03\x04", "is compressed with zip; unpack it first"),
    ],
)
def test_refuses_files(write_csv: Write, error_of: Error, text: bytes, message: str) -> None:
    error = error_of(write_csv(text))
    assert message in str(error)
    assert str(error).startswith("history.csv: ")


def test_missing_file_and_directory(error_of: Error, tmp_path: Path) -> None:
    assert "there is no such file" in str(error_of(tmp_path / "absent.csv"))
    assert "is a directory" in str(error_of(tmp_path))
    assert "cannot be read" in str(error_of(tmp_path / ("x" * 300)))


def test_ragged_lines_are_named(write_csv: Write, error_of: Error) -> None:
    error = error_of(write_csv(HEADER + ROW + "2026-01-01,1\n" + ROW + "2026-01-01,1,2,DE,extra,more\n"))
    assert [(problem.lines, problem.reason) for problem in error.problems] == [
        ((3,), "has 2 fields, but the header names 4"),
        ((5,), "has 6 fields, but the header names 4"),
    ]
    assert error.bad_rows == 2
    assert "2 of 4 rows cannot be loaded, nothing was loaded; line 3: has 2 fields" in str(error)


def test_only_ragged_lines(write_csv: Write, error_of: Error) -> None:
    assert [problem.lines for problem in error_of(write_csv(HEADER + "1\n2\n")).problems] == [(2, 3)]


def test_a_quote_that_is_never_closed(write_csv: Write, error_of: Error) -> None:
    start = HEADER + ROW + '2026-01-01,1,2,"DE\n'
    (problem,) = error_of(write_csv(start + ROW * 200)).problems
    assert (problem.lines, problem.reason) == ((3,), "a quote is opened and not closed")
    # After too long a field the rest of the file is read again.
    long, negative = error_of(write_csv(start + ROW * 9_000 + ROW.replace("2.50", "-1"))).problems
    assert (long.lines, negative.reason) == ((3,), "is negative")


@settings(max_examples=40)
@given(seed=st.integers(0, 10**9), block=st.integers(1, 40))
def test_line_numbers_are_those_of_an_editor(
    write_csv: Write, rows_of: Rows, error_of: Error, monkeypatch: pytest.MonkeyPatch, seed: int, block: int
) -> None:
    """Bad amounts and ragged lines among blank lines and quoted line breaks, at any block size."""
    rng = random.Random(seed)
    text, line, expected = HEADER.replace("location", "note"), 2, []
    for _ in range(rng.randint(1, 60)):
        kind = rng.choice(["good", "broken text", "blank", "ragged", "ragged text", "bad"])
        row = {
            "good": ROW,
            "broken text": '2026-01-01,1,2.50,"a\n\nb"\n',
            "blank": "\n",
            "ragged": "1,2\n",
            "ragged text": '1,"2\n3"\n',
            "bad": '2026-01-01,1,-1,"a\nb"\n',
        }[kind]
        if kind in ("ragged", "ragged text", "bad"):
            expected.append(line)
        text += row
        line += row.count("\n")
    monkeypatch.setattr(files, "CSV_BATCH_ROWS", block)
    path = write_csv(text)
    if expected:
        error = error_of(path, ignore_unknown=True)
        assert min(problem.lines[0] for problem in error.problems) == expected[0]
        assert {line for problem in error.problems for line in problem.lines} <= set(expected)
        assert error.bad_rows == len(expected)
    elif ROW in text or "broken" in text or "a\n\nb" in text:
        assert rows_of(path, ignore_unknown=True)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1970, 1, 2), datetime(2026, 5, 1)),
            st.integers(-(2**63), 2**63 - 1),
            st.decimals(0, Decimal("999999999999.9999"), places=4),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=64).map(
                str.strip
            ),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_whatever_is_written_is_read(
    write_csv: Write, rows_of: Rows, rows: list[tuple[datetime, int, Decimal, str]]
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(["occurred_at", "user_id", "amount", "location"])
    writer.writerows([(row[0].isoformat(), *row[1:]) for row in rows])
    found = rows_of(write_csv(buffer.getvalue()))
    assert [(row["occurred_at"].replace(tzinfo=None), row["user_id"], row["amount"]) for row in found] == [
        row[:3] for row in rows
    ]
    assert [row["location"] or "" for row in found] == [row[3] for row in rows]


def test_can_be_read_again_and_tells_how_far_it_is(write_csv: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CSV_BATCH_ROWS", 10)
    opened = read_history(write_csv(HEADER + ROW * 100))
    assert (opened.rows_read, opened.fraction_read) == (0, 0.0)
    fractions = [opened.fraction_read for _ in opened]
    assert len(fractions) > 5
    assert fractions == sorted(fractions)
    assert opened.fraction_read == 1.0
    assert opened.rows_read == 100
    assert sum(batch.num_rows for batch in opened) == 100
