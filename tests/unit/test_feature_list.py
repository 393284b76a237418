"""What features.yml may hold, and the place of each refusal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from rowguard.declaration import BASE_COLUMNS, json_schema_text
from rowguard.errors import ExplanationError, FeatureBuildError
from rowguard.resources import dbt_project
from rowguard.settings import PROJECT_ROOT
from sql_scoring.explain.reasons import load_catalogs
from sql_scoring.features.listing import RESERVED, TAKEN_TABLES, load_declaration
from sql_scoring.schema_files import BUILD_ORDER, read_schema_file

SHIPPED = dbt_project() / "features.yml"
COLUMN = "device_id: {type: text, description: d}"
REJECTED = {
    "{name: x, entity: shop, aggregate: count, window: 1d, description: d}": "`entity`: no entity `shop` is declared",
    "{name: x, entity: user, aggregate: median, of: amount, window: 1d, description: d}": "`aggregate`: input should be",
    "{name: x, entity: user, aggregate: sum, of: amount, window: 1 week, description: d}": "`window`: a number and m, h or d",
    "{name: x, entity: user, aggregate: count, window: 400d, description: d}": "is not between a minute and a year",
    "{name: x, entity: user, aggregate: sum, window: 1d, description: d}": "`of`: sum needs the column",
    "{name: x, entity: user, aggregate: sum, of: location, window: 1d, description: d}": "sum needs a number, `location` is text",
    "{name: x, entity: user, aggregate: sum, of: price, window: 1d, description: d}": "no column `price` is declared",
    "{name: x, entity: user, aggregate: count, of: amount, window: 1d, description: d}": "count measures no column",
    "{name: x, entity: user, aggregate: previous, of: location, window: 1d, description: d}": "previous needs a number",
    "{name: x, entity: user, aggregate: share, window: 1d, description: d}": "share needs the condition",
    "{name: x, entity: user, aggregate: count, window: 1d, smoothing: 5, description: d}": "only a fraud_rate is smoothed",
    "{name: x, entity: merchant, aggregate: sum, of: amount, window: 1h, delay: 1d, description: d}": "whole days",
    "{name: x, entity: merchant, aggregate: sum, of: amount, window: 1d, delay: 1h, description: d}": "`delay`: whole days",
    "{name: x, entity: merchant, aggregate: max, of: amount, window: 1d, delay: 1d, description: d}": "it is count, sum or mean",
    "{name: x, entity: merchant, aggregate: fraud_rate, window: 7d, delay: 7d, description: d}": "ROWGUARD_LABEL_DELAY_DAYS",
    "{name: x, entity: merchant, aggregate: fraud_rate, window: 7d, at_most: 9, description: d}": "need no bound",
    "{name: x, entity: user, of: amount, window: 1d, description: d}": "needs aggregate, or an expression",
    "{name: x, expression: amount, window: 1d, description: d}": "so window must be left out",
    "{name: Big, expression: amount, description: d}": "`name`: lowercase letters",
    f"{{name: {'x' * 64}, expression: amount, description: d}}": "at most 63",
    "{name: amount, expression: amount, description: d}": "the name is taken",
    "{name: user_txn_count_7d, expression: amount, description: d}": "the name is taken",
    "{name: loop, expression: amount, description: d}": "a reserved word of SQL",
    "{name: scored_at, expression: amount, description: d}": "the name is taken",
    "{name: x, expression: amount}": "`description`: field required",
    "{name: x, expression: amount, description: '{{ x }}'}": "`description`: text without the marks",
    "{name: x, expression: amount, color: red, description: d}": "`color`: is not known here",
    "{name: x, expression: 'amount) LIMIT (1', description: d}": "is not one expression",
    "{name: x, expression: '(amount) + (amount)) + (1', description: d}": "is not one expression",
    "{name: x, expression: amont * 2, description: d}": "`expression`: names `amont`, which is not declared",
    "{name: x, expression: amount *, description: d}": "`expression`: is not SQL: syntax error",
    "{name: x, expression: (SELECT 1), description: d}": "`expression`: reads a table",
    "{name: x, expression: random(), description: d}": "calls random()",
    "{name: x, expression: max(amount), description: d}": "calls max()",
    "{name: x, expression: previous.price, description: d}": "no column `price` is declared",
    "{name: x, entity: user, aggregate: count, window: 1d, where: amount > now(), description: d}": "`where`: calls now()",
    "{name: x, entity: user, aggregate: count, window: 1d, where: home_location = 'DE', description: d}": (
        "`where`: names `home_location`"
    ),
    "nonsense": "input should be a valid dictionary",
}
REJECTED_PARTS = {
    ("columns:\n", "  amount: {type: bigint, description: d}\n"): "the name is rowguard's",
    ("columns:\n", "  order: {type: bigint, description: d}\n"): "`order` is a reserved word of SQL",
    ("columns:\n", "  age: {type: bigint, max_length: 5, description: d}\n"): "only text has a length",
    ("columns:\n", "  kind: {type: text, allowed: [a, 1], description: d}\n"): "1 is not of type text",
    ("columns:\n", "  day: {type: timestamptz, allowed: [a], description: d}\n"): "cannot be listed",
    ("columns:\n", "  ip: {type: money, description: d}\n"): "`type`: input should be",
    ("columns:\n", "  location: {type: text, description: d}\n"): "`location` is there twice",
    ("columns:\n", "  xmin: {type: text, description: d}\n"): "the name is rowguard's",
    ("columns:\n", "  model_dump: {type: text, description: d}\n"): "the name is rowguard's",
    ("entities:\n", "  shop: [shop_id]\n"): "no column `shop_id` is declared",
    ("entities:\n", f"  {'e' * 42}: [merchant_id]\n"): "the name is longer than 40 characters",
    ("columns:\n", f"  {'c' * 58}: {{type: text, description: d}}\n"): "the name is longer than 57 characters",
    ("entities:\n", "  overall: [merchant_id]\n"): "`overall` is there without being declared",
    ("entities:\n", "  user: [user_id]\n"): "`user` is there without being declared",
    ("entities:\n", "  pair: [user_id, user_id]\n"): "`user_id` is there twice",
    ("references:\n", "  labels: {key: merchant_id, description: d, columns: {x: {type: text, description: d}}}\n"): (
        "the name is rowguard's"
    ),
    ("references:\n", "  shops: {key: shop_id, description: d, columns: {x: {type: text, description: d}}}\n"): (
        "no column `shop_id` is declared"
    ),
    ("references:\n", "  shops: {key: merchant_id, description: d, columns: {location: {type: text, description: d}}}\n"): (
        "the name is taken"
    ),
    ("user_id: bigint", "user_id: serial"): "`user_id`: input should be",
}  # fmt: skip


def test_the_shipped_file_is_accepted_and_its_schema_is_current() -> None:
    declaration = load_declaration(SHIPPED)
    assert list(declaration.columns) == ["merchant_id", "location"] and len(declaration.features) == 19
    assert (SHIPPED.parent / "features.schema.json").read_text() == json_schema_text()
    assert json.loads(json_schema_text())["properties"].keys() == {
        "keys", "columns", "entities", "references", "features"
    }  # fmt: skip


@pytest.mark.parametrize(("entry", "reason"), REJECTED.items())
def test_an_entry_that_cannot_be_rendered_is_named_with_its_place(
    tmp_path: Path, entry: str, reason: str
) -> None:
    path = tmp_path / "features.yml"
    path.write_text(SHIPPED.read_text() + f"  - {entry}\n")
    with pytest.raises(FeatureBuildError) as refusal:
        load_declaration(path)
    message = str(refusal.value)
    assert reason in message and "\n" not in message
    assert message.startswith(f"{path}, line {SHIPPED.read_text().count(chr(10)) + 1}, column ")
    assert ", feature `" in message


@pytest.mark.parametrize(("change", "reason"), REJECTED_PARTS.items())
def test_a_wrong_column_entity_or_reference_is_named_with_its_place(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    path = tmp_path / "features.yml"
    section, text = change
    new = section + text if section.endswith("\n") else text
    path.write_text(SHIPPED.read_text().replace(section, new, 1))
    with pytest.raises(FeatureBuildError) as refusal:
        load_declaration(path)
    message = str(refusal.value)
    assert reason in message and "\n" not in message and ", line " in message and ", column " in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("features: [", "line 1, column 12: "),
        ("- x", "is no mapping"),
        ("columns: &a {x: *a}", "an entry contains itself"),
        ("features: []\n", "`features`: list should have at least 1 item"),
        ("{}", "`features`: field required"),
    ],
)
def test_a_file_that_is_no_feature_list_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "features.yml"
    path.write_text(text)
    with pytest.raises(FeatureBuildError) as refusal:
        load_declaration(path)
    assert reason in str(refusal.value) and "\n" not in str(refusal.value)


def test_no_declared_name_can_clash_with_what_a_row_has() -> None:
    """Every column of transactions and every field of a decision is reserved, and every relation of the same schema."""
    created = [read_schema_file(f"{name}.sql") for name in ("tables/transactions", "types/decision")]
    names = {name for text in created for name in re.findall(r"^    ([a-z_]+) [a-z]", text, re.MULTILINE)}
    assert len(names) >= 30
    assert names - RESERVED - BASE_COLUMNS.keys() == set()
    relations = {
        name
        for file in BUILD_ORDER
        for name in re.findall(r"^CREATE (?:TABLE|VIEW) public\.(\w+)", read_schema_file(file), re.MULTILINE)
    }
    assert "unscored_transactions" in relations and relations <= TAKEN_TABLES


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FeatureBuildError, match=r"nowhere\.yml: cannot be read: "):
        load_declaration(tmp_path / "nowhere.yml")


@pytest.mark.parametrize("page", ["add-a-column", "add-a-feature"])
def test_the_examples_of_the_how_tos_are_whole(tmp_path: Path, page: str) -> None:
    """Each example, added to the shipped list, is accepted and has the words that training asks for."""
    text = (PROJECT_ROOT / "docs" / "how-to" / f"{page}.md").read_text()
    examples = [
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    assert len(examples) == 3
    columns = {
        "device_id": "text", "mcc": "integer", "latitude": "double precision", "longitude": "double precision"
    }  # fmt: skip
    for example in examples:
        parts = {"features": example} if isinstance(example, list) else example
        document = yaml.safe_load(SHIPPED.read_text())
        document["columns"] |= {name: {"type": kind, "description": "d"} for name, kind in columns.items()}
        for section, value in parts.items():
            document[section] = (
                document[section] + value if section == "features" else document[section] | value
            )
        path = tmp_path / "features.yml"
        path.write_text(yaml.safe_dump(document))
        declared = {each.name: each.reason for each in load_declaration(path).features if each.reason}
        names = [each.name for each in load_declaration(path).features]
        assert load_catalogs(names, declared=declared)["en"]["features"].keys() == set(names)


def test_a_feature_without_words_is_named() -> None:
    with pytest.raises(
        ExplanationError, match="it lacks x; give theme, label, .* or as `reason` of the feature"
    ):
        load_catalogs(["x"])
