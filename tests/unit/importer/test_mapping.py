"""Files of other people, read by a mapping file: three whole ones, each rule, and every wrong entry."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rowguard.declaration import declared
from rowguard.operations.importer import (
    HistoryFileError,
    label_file,
    labels_by,
    read_history,
    transaction_file,
)
from tests.unit.importer.conftest import NOW, Write

# As in a database whose keys are text.
LABELS = label_file(declared())
TRANSACTIONS = transaction_file(declared())
TEXT_KEYS = TRANSACTIONS._replace(
    columns=tuple(
        column._replace(type="text") if column.name in ("user_id", "merchant_id") else column
        for column in TRANSACTIONS.columns
    )
)
UUIDS = """\
id,customer,created_at,amount_minor,currency,merchant,state
5f0c6a1e-0000-4000-8000-000000000001,0b4f0b3e-4a5c-4f0e-9d6c-000000000042,2026-01-31T14:03:22Z,1234,EUR,acme,approved
5f0c6a1e-0000-4000-8000-000000000002,0b4f0b3e-4a5c-4f0e-9d6c-000000000042,2026-01-31T14:05:22Z,1234,JPY,acme,approved
5f0c6a1e-0000-4000-8000-000000000003,0b4f0b3e-4a5c-4f0e-9d6c-000000000043,2026-01-31T14:06:22Z,1234,KWD,acme,captured
5f0c6a1e-0000-4000-8000-000000000004,0b4f0b3e-4a5c-4f0e-9d6c-000000000043,2026-01-31T14:07:22Z,999,USD,acme,declined
"""
UUID_MAPPING = """\
columns:
  occurred_at: created_at
  user_id: customer
  amount: {from: amount_minor, scale: minor_units}
  merchant_id: merchant
currency:
  from: currency
  to: EUR
  rates: {JPY: 0.0061, KWD: 2.8, USD: 0.92}
where:
  state: [approved, captured]
"""
CHARGES = (
    "id,customer,created,amount,disputed\nch_1,cus_a,1769868202,4200,true\nch_2,cus_b,1769868203,100,false\n"
)
CHARGE_MAPPING = """\
columns:
  occurred_at: {from: created, epoch: s}
  user_id: customer
  amount: {from: amount, scale: 100}
  is_fraud: disputed
"""
BANK = "Buchungszeit;Kunde;Betrag;Händler;Betrug\r\n31.01.2026 14:03:22;42;1.234,56;Bäcker;ja\r\n01.02.2026 00:00:00;7;5;Müller;nein\r\n"
BANK_MAPPING = """\
file: {encoding: cp1252, delimiter: ";"}
columns:
  occurred_at: {from: Buchungszeit, format: "%d.%m.%Y %H:%M:%S", time_zone: Europe/Berlin}
  user_id: Kunde
  amount: {from: Betrag, decimal: ","}
  merchant_id: Händler
  is_fraud: {from: Betrug, values: {ja: true, nein: false}}
"""


def read(path: Path, mapping: str, schema: Any = TEXT_KEYS) -> tuple[list[dict[str, Any]], Any]:
    file = path.with_name("mapping.yml")
    file.write_text(mapping, encoding="utf-8")
    opened = read_history(path, schema, mapping_file=file, now=NOW)
    return [row for batch in opened for row in batch.to_pylist()], opened


def test_uuids_and_minor_units_in_four_currencies(write_csv: Write) -> None:
    rows, file = read(write_csv(UUIDS), UUID_MAPPING)
    assert [row["amount"] for row in rows] == [Decimal("12.34"), Decimal("7.53"), Decimal("3.46")]
    assert rows[0]["user_id"] == "0b4f0b3e-4a5c-4f0e-9d6c-000000000042"
    assert rows[0]["occurred_at"] == datetime(2026, 1, 31, 14, 3, 22, tzinfo=UTC)
    assert (file.rows_left_out, file.rows_read, file.ignored_columns) == (1, 3, ("id",))


def test_epoch_seconds_and_cents_packed_with_gzip(write_csv: Write) -> None:
    rows, _ = read(write_csv(gzip.compress(CHARGES.encode()), "charges.csv.gz"), CHARGE_MAPPING)
    assert [(row["user_id"], row["amount"], row["is_fraud"]) for row in rows] == [
        ("cus_a", Decimal(42), True),
        ("cus_b", Decimal(1), False),
    ]
    assert rows[0]["occurred_at"] == datetime(2026, 1, 31, 14, 3, 22, tzinfo=UTC)


def test_cp1252_with_decimal_commas_and_local_times(write_csv: Write) -> None:
    rows, _ = read(write_csv(BANK.encode("cp1252")), BANK_MAPPING)
    assert rows[0]["amount"] == Decimal("1234.56") and rows[1]["amount"] == Decimal(5)
    assert rows[0]["occurred_at"] == datetime(2026, 1, 31, 13, 3, 22, tzinfo=UTC)
    assert [row["merchant_id"] for row in rows] == ["Bäcker", "Müller"]
    assert [row["is_fraud"] for row in rows] == [True, False]


def test_utf_16_and_tabs(write_csv: Write) -> None:
    text = "t\tu\ta\n2026-01-01\t1\t5\n"
    mapping = "file: {encoding: utf-16, delimiter: '\t'}\ncolumns: {occurred_at: t, user_id: u, amount: a}\n"
    rows, _ = read(write_csv(text.encode("utf-16")), mapping)
    assert rows[0]["user_id"] == "1" and rows[0]["amount"] == Decimal(5)


BASE = "columns:\n  occurred_at: {from: t%s}\n  user_id: u\n  amount: {from: a%s}\n%s"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("decimal: ','", "1.234.567,5", "1234567.5"),
        ("decimal: ','", "1 234,50", "1234.5"),
        ("decimal: ','", "1.5", "is no number with a decimal comma"),
        ("decimal: ','", "1.23,4", "is no number with a decimal comma"),
        ("decimal: '.'", "1,234.5", "1234.5"),
        ("decimal: '.'", "1'234.5", "1234.5"),
        ("decimal: '.'", "12,34.5", "is no number"),
        ("scale: 1000", "1234", "1.234"),
        ("scale: 100", "12x", "is no number"),
        ("scale: 1000000", "1", "has more than"),
        ("scale: 100", "-5", "is negative"),
        ("scale: 100", "nan", "is missing"),
        ("scale: 100", "", "is missing"),
    ],
)
def test_numbers(write_csv: Write, option: str, value: str, expected: str) -> None:
    path = write_csv(f't;u;a\n2026-01-01;1;"{value}"\n')
    _check(path, BASE % ("", f", {option}", ""), "amount", expected)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("epoch: ms", "1769868202123", "2026-01-31 14:03:22.123000+00:00"),
        ("epoch: ns", "1769868202123456789", "2026-01-31 14:03:22.123456+00:00"),
        ("epoch: s", "1769868202.5", "2026-01-31 14:03:22.500000+00:00"),
        ("epoch: s", "1769868202123", "is no time in s since 1970"),
        ("epoch: s", "soon", "is no time in s since 1970"),
        ("epoch: s", "-1", "is before 1970"),
        ("format: '%d/%m/%Y'", "01/02/2026", "2026-02-01 00:00:00+00:00"),
        ("format: '%d/%m/%Y'", "13/13/2026", "is no time of the form %d/%m/%Y"),
        ("format: '%d.%m.%Y %H:%M %z'", "01.02.2026 01:00 +0100", "2026-02-01 00:00:00+00:00"),
        ("time_zone: America/New_York", "2026-01-31 09:00", "2026-01-31 14:00:00+00:00"),
        ("time_zone: America/New_York", "2026-01-31T09:00:00+01:00", "2026-01-31 08:00:00+00:00"),
        ("time_zone: Europe/Berlin", "2026-03-29 02:30", "does not exist in Europe/Berlin"),
        ("time_zone: Europe/Berlin", "2025-10-26 02:30", "2025-10-26 00:30:00+00:00"),
        ("time_zone: Europe/Berlin", "2030-01-01", "is more than 1 day in the future"),
        ("epoch: s", "NULL", "is missing"),
    ],
)
def test_times(write_csv: Write, option: str, value: str, expected: str) -> None:
    _check(write_csv(f"t;u;a\n{value};1;5\n"), BASE % (f", {option}", "", ""), "occurred_at", expected)


@pytest.mark.parametrize(
    ("currency", "code", "expected"),
    [
        ("currency: {from: c, to: EUR, rates: {USD: 0.5}}", "USD", "5"),
        ("currency: {from: c, to: EUR, rates: {USD: 0.5}}", "usd", "5"),
        ("currency: {from: c, to: EUR}", "CHF", "is in CHF, which has no rate"),
        ("currency: {from: c, to: EUR}", "", "has no currency"),
        ("currency: {from: c, to: EUR}", "€", "has € as its currency"),
        ("currency: {from: c, to: EUR, rate_from: r}", "USD", "20"),
        ("currency: {to: EUR}", "whatever", "10"),
    ],
)
def test_currencies(write_csv: Write, currency: str, code: str, expected: str) -> None:
    _check(write_csv(f"t;u;a;c;r\n2026-01-01;1;10;{code};2\n"), BASE % ("", "", currency), "amount", expected)


def _check(path: Path, mapping: str, column: str, expected: str) -> None:
    if re.match(r"(is|has|does) ", expected):
        with pytest.raises(HistoryFileError) as raised:
            read(path, mapping)
        assert [(p.column, p.rows) for p in raised.value.problems] == [(column, 1)]
        assert expected in raised.value.problems[0].reason
        return
    (row,), _ = read(path, mapping)
    assert str(row[column]) == expected or row[column] == Decimal(expected)


def test_refunds_and_unwanted_rows_are_left_out_with_their_faults(write_csv: Write) -> None:
    path = write_csv("t,u,a,s\n2026-01-01,1,-5,ok\nwrong,2,7,no\n2026-01-02,3,8,ok\n")
    mapping = BASE % ("", ", negative: skip", "where: {s: {not: 'no'}}\n")
    rows, file = read(path, mapping)
    assert [row["user_id"] for row in rows] == ["3"] and file.rows_left_out == 2


def test_problems_are_grouped_by_kind_with_the_lines_of_the_file(write_csv: Write) -> None:
    lines = [f"2026-01-01,{i},{'x' if i % 3 == 0 else i},{'no' if i % 2 else 'ok'}" for i in range(1, 13)]
    path = write_csv("t,u,a,s\n" + "\n".join(lines) + "\n")
    with pytest.raises(HistoryFileError) as raised:
        read(path, BASE % ("", ", scale: 100", "where: {s: ok}\n"))
    (problem,) = raised.value.problems
    assert (problem.rows, problem.lines, problem.value) == (2, (7, 13), "x")


def test_parquet_columns_of_numbers_and_naive_times(write_parquet: Write) -> None:
    path = write_parquet(
        {
            "t": pa.array([datetime(2026, 1, 31, 9)], pa.timestamp("us")),
            "u": pa.array([5], pa.int64()),
            "a": pa.array([123456], pa.int32()),
        }
    )
    (row,), _ = read(path, BASE % (", time_zone: America/New_York", ", scale: 100", ""))
    assert row["occurred_at"] == datetime(2026, 1, 31, 14, tzinfo=UTC)
    assert (row["user_id"], row["amount"]) == ("5", Decimal("1234.56"))


def test_a_float_that_holds_no_cents_is_rejected(write_parquet: Write) -> None:
    path = write_parquet({"t": ["2026-01-01"], "u": [1], "a": pa.array([131072.01], pa.float32())})
    _check(path, BASE % ("", "", "currency: {to: EUR}"), "amount", "is a float that several values share")


def test_labels_that_name_their_transaction_by_the_own_id(write_csv: Write) -> None:
    schema = labels_by(LABELS, "external_id")
    mapping = "columns:\n  external_id: charge\n  is_fraud: {from: reason, values: {fraud: 1, other: 0}}\n"
    rows, _ = read(write_csv("charge,reason\nch_1,fraud\nch_2,other\n"), mapping, schema)
    assert [(row["external_id"], row["user_id"], row["is_fraud"]) for row in rows] == [
        ("ch_1", None, True),
        ("ch_2", None, False),
    ]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("columns: [", "line 1, column 11: "),
        ("columns:\n  amount: a\n  amount: b\n", "line 3, column 3: amount is there twice"),
        ("colums: {}\n", "line 1, column 1: "),
        ("columns:\n  amount:\n    form: a\n", "line 3, column 5: columns.amount.form: "),
        ("columns:\n  price: a\n", "line 2, column 3: cannot map to price; the columns are "),
        ("columns:\n  user_id: {from: u, epoch: s}\n", "line 2, column 22: epoch does not fit user_id"),
        ("columns:\n  occurred_at: {from: t, epoch: m}\n", "line 2, column 26: columns.occurred_at.epoch: "),
        ("columns:\n  occurred_at: {from: t, format: '%d', epoch: s}\n", "either a format or an epoch"),
        ("columns:\n  occurred_at: {from: t, time_zone: Berlin}\n", "'Berlin' is no time zone"),
        ("columns:\n  amount: {from: a, scale: 0}\n", "line 2, column 21: "),
        ("columns:\n  amount: {from: a, scale: minor_units}\n", "minor_units needs an entry `currency`"),
        ("columns:\n  amount: {from: a, decimal: ';'}\n", "line 2, column 21: columns.amount.decimal: "),
        ("file: {encoding: klingon}\ncolumns: {amount: a}\n", "'klingon' is no encoding"),
        ("columns: {user_id: u}\ncurrency: {to: EUR}\n", "a currency needs the column amount"),
        ("columns: {amount: a}\ncurrency: {to: eur}\n", "line 2, column 12: currency.to: "),
        ("columns: {amount: a}\ncurrency: {to: EUR, rates: {USD: 0}}\n", "line 2, column 29: "),
        ("columns: {amount: a, user_id: u}\n", "the column occurred_at is missing"),
        ("columns: {amount: a, user_id: u, occurred_at: x}\n", "column 34: there is no column x in history.csv"),
        ("columns: {amount: a, user_id: u, occurred_at: t}\nwhere: {z: 1}\n", "line 2, column 9: there is no"),
        ("columns: {amount: a, user_id: {from: u, values: {x: y}, decimal: ','}, occurred_at: t}\n", "does not fit"),
        ("columns: {amount: {from: a, values: {x: 1}, scale: 2}, user_id: u}\n", "values and scale exclude"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_one_line_with_its_place(write_csv: Write, mapping: str, message: str) -> None:
    with pytest.raises(HistoryFileError) as raised:
        read(write_csv("t,u,a\n2026-01-01,1,5\n"), mapping)
    text = str(raised.value)
    assert message in text and "\n" not in text and "mapping.yml, line " in text


def test_a_damaged_gzip_is_one_line(write_csv: Write) -> None:
    whole = gzip.compress(("t,u,a\n" + "".join(f"2026-01-01,{i},{i}.5\n" for i in range(90_000))).encode())
    with pytest.raises(HistoryFileError, match="cannot be read|cannot be unpacked"):
        read(write_csv(whole[: len(whole) // 2], "cut.csv.gz"), BASE % ("", "", ""))


DAILY = "currency: {from: c, to: EUR, rates_file: rates.csv}"
RATES = "date,currency,rate\n2026-01-02,USD,0.5\n2026-01-05,USD,0.25\n2026-01-05,gbp,2\n\n"


@pytest.mark.parametrize(
    ("time", "code", "expected"),
    [
        ("2026-01-02 00:00:00", "USD", "5"),
        ("2026-01-04 23:59:59", "usd", "5"),  # a weekend has Friday's
        ("2026-01-05 00:00:00", "USD", "2.5"),
        ("2026-01-05 00:30:00+01:00", "USD", "5"),  # the day is that in UTC
        ("2026-05-01", "GBP", "20"),
        ("2026-01-01", "EUR", "10"),
        ("2026-01-01", "USD", "is in USD, which has no rate to EUR on 2026-01-01 or before"),
        ("2026-01-09", "CHF", "is in CHF, which has no rate to EUR on 2026-01-09 or before"),
    ],
)
def test_rates_by_day(write_csv: Write, time: str, code: str, expected: str) -> None:
    write_csv(RATES, "rates.csv")
    _check(write_csv(f"t;u;a;c\n{time};1;10;{code}\n"), BASE % ("", "", DAILY), "amount", expected)


def test_rates_by_day_follow_the_form_of_the_time(write_csv: Write) -> None:
    write_csv(RATES, "rates.csv")
    path = write_csv("t;u;a;c\n05.01.2026 00:30;1;1000;USD\n")
    mapping = BASE % (", format: '%d.%m.%Y %H:%M', time_zone: Europe/Berlin", ", scale: minor_units", DAILY)
    assert read(path, mapping)[0][0]["amount"] == Decimal(5)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (None, "rates.csv: cannot be read (No such file or directory)"),
        ("day,currency,rate\n", "rates.csv: its first line must be date,currency,rate"),
        (
            "date,currency,rate\n2026-01-02,USD\n",
            "rates.csv, line 2: 2026-01-02,USD is no day, currency and rate",
        ),
        ("date,currency,rate\n2026-01-02,USD,0\n", "line 2: 2026-01-02,USD,0 is no day"),
        ("date,currency,rate\n02.01.2026,USD,1\n", "line 2: 02.01.2026,USD,1 is no day"),
        (
            "date,currency,rate\n2026-01-02,USD,1\n2026-01-02,usd,2\n",
            "line 3: usd has two rates of 2026-01-02",
        ),
        (b"date,currency,rate\n\xff\n", "rates.csv: is not a CSV file in UTF-8"),
    ],
)
def test_a_wrong_file_of_rates_is_one_line(write_csv: Write, rates: str | bytes | None, message: str) -> None:
    if rates is not None:
        write_csv(rates, "rates.csv")
    with pytest.raises(HistoryFileError) as raised:
        read(write_csv("t;u;a;c\n2026-01-01;1;5;USD\n"), BASE % ("", "", DAILY))
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("other", ["rates: {USD: 1}", "rate_from: r"])
def test_rates_have_one_source(write_csv: Write, other: str) -> None:
    currency = f"currency: {{from: c, to: EUR, {other}, rates_file: rates.csv}}"
    with pytest.raises(HistoryFileError, match="one of rates, rate_from and rates_file"):
        read(write_csv("t;u;a;c;r\n2026-01-01;1;5;USD;1\n"), BASE % ("", "", currency))


def test_values_of_personal_columns_are_left_out_of_messages(write_csv: Write) -> None:
    columns = tuple(
        column._replace(is_personal=column.name == "location", length=3) for column in TRANSACTIONS.columns
    )
    path = write_csv("occurred_at,user_id,amount,location\n2026-01-01,1,5,Berlin\n2026-01-01,1,x,DE\n")
    with pytest.raises(HistoryFileError) as raised:
        list(read_history(path, TRANSACTIONS._replace(columns=columns), now=NOW))
    found = {problem.column: problem.value for problem in raised.value.problems}
    assert found == {"location": "(personal data)", "amount": "x"}
    assert "Berlin" not in str(raised.value)
