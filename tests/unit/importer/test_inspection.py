"""What inspect proposes for three strangers' files, which import then takes, and what it cannot place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from rowguard.operations.importer import HistoryFileError, transaction_file
from rowguard.operations.importer.inspection import inspect_file, render
from sql_scoring.features.listing import load_declaration
from tests.unit.importer.conftest import Write
from tests.unit.importer.test_mapping import BANK, CHARGES, TEXT_KEYS, UUIDS, read


def loaded(path: Path, **changes: Any) -> list[dict[str, Any]]:
    """Rows of a file by the proposed mapping, without the columns that the schema lacks."""
    found = inspect_file(path)
    known = {column.name for column in TEXT_KEYS.columns}
    found.mapping["columns"] = {
        ours: rule for ours, rule in found.mapping["columns"].items() if ours in known
    }
    for name, value in changes.items():
        found.mapping[name] |= value
    rows, _ = read(path, render(found)["mapping.yml"], TEXT_KEYS)
    return rows


def test_uuids_minor_units_and_a_status(write_csv: Write) -> None:
    path = write_csv(UUIDS)
    found = inspect_file(path)
    assert found.mapping["columns"] == {
        "occurred_at": "created_at",
        "user_id": "customer",
        "amount": {"from": "amount_minor", "scale": "minor_units"},
        "merchant_id": "merchant",
        "external_id": "id",
        "status": "state",
    }
    assert found.mapping["where"] == {"state": ["approved", "captured"]}
    assert set(found.mapping["currency"]["rates"]) | {found.mapping["currency"]["to"]} == {
        "EUR", "JPY", "KWD", "USD",
    }  # fmt: skip
    assert found.features["keys"] == {"user_id": "uuid"}
    assert not found.unplaced and not found.missing
    rates = dict.fromkeys(("EUR", "JPY", "KWD", "USD"), 1)
    assert len(loaded(path, currency={"rates": rates})) == 3


def test_the_rates_that_only_people_know_must_be_filled_in(write_csv: Write) -> None:
    with pytest.raises(HistoryFileError, match=r"line \d+, column \d+: currency.rates"):
        loaded(write_csv(UUIDS))


def test_epoch_seconds_in_a_packed_file(write_csv: Write) -> None:
    path = write_csv(gzip.compress(CHARGES.encode()), "charges.csv.gz")
    found = inspect_file(path)
    assert found.mapping["columns"]["occurred_at"] == {"from": "created", "epoch": "s"}
    assert found.mapping["columns"]["is_fraud"] == "disputed"
    assert found.features["keys"] == {"user_id": "text"}
    assert any("scale: 100" in note for note in found.notes)
    assert [row["user_id"] for row in loaded(path)] == ["cus_a", "cus_b"]


def test_words_of_another_language_and_encoding(write_csv: Write) -> None:
    path = write_csv(BANK.encode("cp1252"))
    found = inspect_file(path)
    columns = found.mapping["columns"]
    assert found.mapping["file"] == {"encoding": "cp1252"}
    assert columns["occurred_at"]["format"] == "%d.%m.%Y %H:%M:%S" and columns["amount"]["decimal"] == ","
    assert columns["is_fraud"]["values"] == {"ja": "true", "nein": "false"}
    assert any("time_zone" in note for note in found.notes)
    assert [row["merchant_id"] for row in loaded(path)] == ["Bäcker", "Müller"]


def test_what_it_cannot_place_and_what_is_missing(write_csv: Write) -> None:
    path = write_csv("when,who,amount,nothing,colour\n01/02/2026,7,-5.5,,red\n03/04/2026,8,6,,blue\n")
    found = inspect_file(path)
    assert found.mapping["columns"]["occurred_at"]["format"] == "%d/%m/%Y"
    assert any("%m/%d/%Y" in note for note in found.notes), "two readings"
    assert any("refunds" in note for note in found.notes)
    assert found.missing == ["user_id"]
    assert set(found.unplaced) == {"who", "nothing", "colour"}
    text = render(found)["mapping.yml"]
    assert "# not placed: colour holds text (red, blue)" in text and "# user_id is missing" in text


def test_devices_cards_and_addresses_become_columns_entities_and_features(write_csv: Write) -> None:
    header = "created_at,customer_id,amount,device_id,ip,card,mcc,lat,lon\n"
    path = write_csv(header + "2026-01-01T00:00:00Z,1,1.5,d,1.2.3.4,c,5411,48.1,11.5\n")
    features = inspect_file(path).features
    assert features["entities"] == {"device": ["device_id"], "ip": ["ip"], "card": ["card"], "mcc": ["mcc"]}
    assert features["columns"]["latitude"]["type"] == "double precision"
    assert features["columns"]["device_id"]["personal"] is True
    names = [feature["name"] for feature in features["features"]]
    assert all(feature["reason"]["missing"] for feature in features["features"]), (
        "a model is explained by them"
    )
    assert "device_txn_count_10m" in names and "mcc_fraud_rate_28d" in names and len(set(names)) == len(names)


def test_a_file_of_cards_with_coordinates(write_csv: Write) -> None:
    """No column is called a user; coordinates and a date of birth become declared columns."""
    header = "trans_num,trans_time,card,amount_cents,category,home_lat,home_long,dob,state,note,is_fraud\n"
    rows = "".join(
        f"n{n},2026-01-01 00:00:{n:02},c_{n % 3},{n}99,grocery,48.1{n},-11.5,1980-02-03,S{n},text {n},{n % 2}\n"
        for n in range(25)
    )
    path = write_csv(header + rows)
    found = inspect_file(path)
    assert found.missing == [] and set(found.unplaced) == {"state", "note"}
    columns = found.mapping["columns"]
    assert (
        columns["occurred_at"] == {"from": "trans_time", "time_zone": "UTC"} and columns["user_id"] == "card"
    )
    assert columns["home_lat"] == "home_lat" and columns["dob"]["from"] == "dob"
    declared = found.features["columns"]
    assert {name: declared[name]["type"] for name in ("home_lat", "home_long", "dob")} == {
        "home_lat": "double precision", "home_long": "double precision", "dob": "timestamptz",
    }  # fmt: skip
    assert declared["dob"]["personal"] is True and found.features["keys"] == {"user_id": "text"}
    assert any("card is taken" in note for note in found.notes)
    features = path.with_name("features.yml")
    features.write_text(render(found)["features.yml"])
    schema = transaction_file(load_declaration(features))
    assert len(read(path, render(found)["mapping.yml"], schema)[0]) == 25


@pytest.mark.parametrize("text", ["", "a,b\n"])
def test_a_file_without_rows_is_one_line(write_csv: Write, text: str) -> None:
    with pytest.raises(HistoryFileError):
        inspect_file(write_csv(text))
