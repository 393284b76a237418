"""The SQL that feature lists render to, against golden files: `make golden` writes them again."""

from __future__ import annotations

from pathlib import Path

import pglast
import pytest

from rowguard.declaration import Declaration, Feature
from rowguard.resources import dbt_project
from sql_scoring.features.listing import load_declaration
from sql_scoring.features.plan import Plan
from sql_scoring.features.render_dbt import feature_hash, render_files
from sql_scoring.schema_files import BUILD_ORDER, read_schema_file

GOLDEN = Path(__file__).parent / "golden_features"
LISTS = {
    "default": dbt_project() / "features.yml",
    "rich": Path(__file__).parents[1] / "corpus" / "features" / "rich.yml",
}
SHOWN = (
    "functions/live_feature_values.sql",
    "functions/row_scan_feature_values.sql",
    "models/marts/training_features.sql",
    "models/marts/merchant_risk.sql",
)


def render(name: str) -> str:
    """Return the files of a list that say how values are computed, as one text."""
    files = render_files(Plan(load_declaration(LISTS[name]), 7))
    return "".join(f"-- {path}\n{files[path]}\n" for path in SHOWN)


def regenerate() -> None:
    """Write the golden files."""
    for name in LISTS:
        (GOLDEN / f"{name}.sql").write_text(render(name))


@pytest.mark.parametrize("name", LISTS)
def test_the_text_is_the_golden_one(name: str) -> None:
    """A change of it changes the hash, so features are built and models trained again: it needs a reason."""
    assert render(name) == (GOLDEN / f"{name}.sql").read_text()


def test_the_hash_follows_what_changes_a_value() -> None:
    declaration = load_declaration(LISTS["default"])

    def hash_of(features: list[Feature], delay: int = 7) -> str:
        return feature_hash(Plan(declaration.model_copy(update={"features": features}), delay))

    first, *others = declaration.features
    known = {hash_of([first, *others])}
    assert hash_of([first.model_copy(update={"description": "other words"}), *others]) in known
    for changed in (
        [*others, first],
        others,
        [first.model_copy(update={"name": "sum"}), *others],
        [first.model_copy(update={"expression": "amount::double precision * 2"}), *others],
    ):
        assert hash_of(changed) not in known
    assert hash_of([first, *others], delay=8) not in known


@pytest.mark.parametrize("key", ["bigint", "uuid", "text"])
@pytest.mark.parametrize("name", [*LISTS, "none"])
def test_every_schema_file_is_sql_for_any_declaration(name: str, key: str) -> None:
    declaration = load_declaration(LISTS[name if name in LISTS else "default"])
    changes: dict[str, object] = {"keys": declaration.keys.model_copy(update={"user_id": key})}
    if name == "none":
        changes |= {"columns": {}, "references": {}}
    filled: Declaration = declaration.model_copy(update=changes)
    for file in BUILD_ORDER:
        text = read_schema_file(file, filled)
        pglast.parse_sql(text)
        assert "/* for each" not in text and "key type" not in text
