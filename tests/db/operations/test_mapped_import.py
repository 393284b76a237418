"""Files of other systems by a mapping file: into the database, with labels by the team's own id."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run
from tests.stack.cli.conftest import run as run  # the fixture

BANK = "Zeit;Kunde;Betrag;Währung;Händler;Land;Betrug;Status\r\n" + "".join(
    f"31.01.2026 14:{n:02}:22;{n % 5};1.234,{n:02};{'EUR' if n % 2 else 'USD'};{n % 3};DE;"
    f"{'ja' if n % 9 == 0 else 'nein'};{'storno' if n == 7 else 'gebucht'}\r\n"
    for n in range(40)
)
MAPPING = """\
file: {encoding: cp1252}
columns:
  occurred_at: {from: Zeit, format: "%d.%m.%Y %H:%M:%S", time_zone: Europe/Berlin}
  user_id: Kunde
  amount: {from: Betrag, decimal: ","}
  merchant_id: Händler
  location: Land
  is_fraud: {from: Betrug, values: {ja: true, nein: false}}
currency: {from: Währung, to: EUR, rates: {USD: 0.5}}
where: {Status: {not: storno}}
"""
STORED = """
SELECT count(*), min(t.occurred_at AT TIME ZONE 'UTC')::text, sum(t.amount)::text, count(l.user_id),
    count(*) FILTER (WHERE l.is_fraud)
FROM transactions AS t LEFT JOIN fraud_labels AS l USING (user_id, transaction_id)
"""


def write(folder: Path, name: str, text: str | bytes) -> str:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder / name)


@pytest.fixture
def place(migrated: Workspace) -> dict[str, str]:
    return {"DATABASE_URL": migrated.url}


def test_a_bank_file_is_loaded_from_a_file_a_pipe_and_a_query(
    run: Run, migrated: Workspace, place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = write(tmp_path, "bank.yml", MAPPING)
    packed = gzip.compress(BANK.encode("cp1252"))
    euros = sum(1234 + n / 100 if n % 2 else (1234 + n / 100) / 2 for n in range(40) if n != 7)
    seen = []
    for source in ("file", "pipe"):
        file = write(tmp_path, "bank.csv.gz", packed)
        if source == "pipe":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed)))
        report = run(
            "import", "-" if source == "pipe" else file, "--mapping", mapping, "--json", **place
        ).document()
        assert (report["transactions"], report["labels"], report["frauds"]) == (39, 39, 5)
        assert report["left_out"] == 1 and report["ignored_columns"] == []
        with migrated.connect() as connection:
            seen.append(connection.execute(STORED).fetchone())
            connection.execute("DELETE FROM transactions")
    assert seen[0] == seen[1] == (39, "2026-01-31 13:00:22", f"{euros:.2f}", 39, 5)
    _query(run, migrated, place, tmp_path)


def _query(run: Run, migrated: Workspace, place: dict[str, str], tmp_path: Path) -> None:
    with migrated.connect() as connection:
        connection.execute("CREATE TABLE legacy (paid bigint, who bigint, cents bigint)")
        connection.execute("INSERT INTO legacy VALUES (1769868202, 42, 1250)")
    text = "columns: {occurred_at: {from: paid, epoch: s}, user_id: who, amount: {from: cents, scale: 100}}\n"
    mapping = write(tmp_path, "legacy.yml", text)
    report = run("import", "--query", "TABLE legacy", "--mapping", mapping, "--json", **place).document()
    assert report["transactions"] == 1
    with migrated.connect() as connection:
        row = connection.execute("SELECT user_id, amount::text, occurred_at FROM transactions").fetchone()
    assert row and row[:2] == (42, "12.50") and row[2].timestamp() == 1769868202


def test_labels_find_their_transaction_by_the_own_id(
    run: Run, migrated: Workspace, place: dict[str, str], tmp_path: Path
) -> None:
    with migrated.connect() as connection:
        for user, key in ((1, "ch_1"), (2, "ch_2"), (3, "ch_2")):
            connection.execute(
                "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (%s, 5, %s)", (user, key)
            )
    text = (
        "columns: {idempotency_key: charge, is_fraud: {from: reason, values: {fraud: true, other: false}}}\n"
    )
    arguments = ("--labels", "--join", "idempotency_key", "--mapping", write(tmp_path, "labels.yml", text))

    file = write(tmp_path, "labels.csv", "charge,reason\nch_1,fraud\nch_9,fraud\nch_8,other\n")
    refusal = run("import", file, *arguments, **place).err.splitlines()[-1]
    assert "2 labels of unknown transactions: idempotency_key ch_8; nothing was loaded" in refusal
    file = write(tmp_path, "labels.csv", "charge,reason\nch_2,fraud\n")
    refusal = run("import", file, *arguments, **place).err.splitlines()[-1]
    assert "1 labels that fit several transactions: idempotency_key ch_2" in refusal
    file = write(tmp_path, "labels.csv", "charge,reason\nch_1,fraud\n")
    assert run("import", file, *arguments, "--json", **place).document()["frauds"] == 1

    write(tmp_path, "labels.yml", text.replace("{idem", "{user_id: who, idem"))
    file = write(tmp_path, "labels.csv", "charge,reason,who\nch_2,other,3\n")
    assert run("import", file, *arguments, "--json", **place).document()["labels"] == 1
    with migrated.connect() as connection:
        labels = connection.execute(
            "SELECT user_id, t.idempotency_key, l.is_fraud FROM fraud_labels AS l"
            " JOIN transactions AS t USING (user_id, transaction_id) ORDER BY user_id"
        ).fetchall()
    assert labels == [(1, "ch_1", True), (3, "ch_2", False)]
    history = write(tmp_path, "history.csv", "occurred_at,user_id,amount,external_id\n2026-01-01,5,3,ch_7\n")
    assert run("import", history, "--json", **place).document()["transactions"] == 1
    own = write(tmp_path, "more.csv", "external_id,is_fraud\nch_7,true\n")
    assert (
        run("import", own, "--labels", "--join", "external_id", "--json", **place).document()["frauds"] == 1
    )
    assert "already stored" in run("import", history, **place).err
    (tmp_path / "labels.yml").write_text(text.replace("idempotency_key", "order_no"))
    arguments = ("--labels", "--join", "order_no", "--mapping", str(tmp_path / "labels.yml"))
    refusal = run("import", file, *arguments, **place).err.splitlines()[-1]
    assert "transactions have no column order_no" in refusal


def test_inspect_proposes_what_import_takes(
    run: Run, migrated: Workspace, place: dict[str, str], tmp_path: Path
) -> None:
    file = write(tmp_path, "export.csv", "when,customer_id,amount\n2026-01-31 10:00,7,5.25\n")
    report = run("inspect", file, "--json", **place).document()
    assert report["unplaced"] == {} and report["mapping"]["columns"]["amount"] == "amount"
    shown = run("inspect", file, "--write", str(tmp_path / "out"), **place)
    assert shown.code == 0 and "# --- " in shown.out and "time_zone" in shown.out
    mapping = str(tmp_path / "out" / "mapping.yml")
    assert run("import", file, "--mapping", mapping, "--json", **place).document()["transactions"] == 1
    assert "exists; name another folder" in run("inspect", file, "--write", str(tmp_path / "out")).refusal()


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "x.csv", "--mapping", "m.yml", "--map", "a=b"),
        ("import", "x.csv", "--join", "external_id"),
    ],
)
def test_options_that_exclude_each_other_are_a_usage_error(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2
