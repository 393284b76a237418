"""Catalogs of words: the shipped one is complete, and an incomplete one is rejected by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rowguard.declaration import Reason
from rowguard.errors import ExplanationError
from rowguard.resources import dbt_project
from sql_scoring.explain.reasons import load_catalogs

REASON = {"theme": "amount", "label": "A", "unit": "", "high": "h", "low": "l", "missing": "m"}
CATALOG = {
    "version": 3,
    "texts": {
        "base": "average of %s",
        "usual": "%1$s %2$s",
        "unusual": "%1$s %2$s %3$s %4$s",
        "combination": "%s",
    },
    "themes": {"amount": "Amount", "unused": "Unused"},
    "features": {"a": REASON, "b": REASON},
}


def _write(folder: Path, language: str = "en", **changes: Any) -> None:
    (folder / f"reasons.{language}.yml").write_text(yaml.safe_dump({**CATALOG, **changes}))


def test_the_shipped_catalog_covers_the_shipped_list() -> None:
    shipped = yaml.safe_load((dbt_project() / "features.yml").read_text())
    names = [feature["name"] for feature in shipped["features"]]
    catalog = load_catalogs(names)["en"]
    assert list(catalog["features"]) == names
    assert 4 <= len(catalog["themes"]) <= 7


def test_only_the_words_of_the_list_travel(tmp_path: Path) -> None:
    _write(tmp_path)
    _write(tmp_path, "de", version=4)
    catalogs = load_catalogs(["a"], tmp_path)
    assert list(catalogs) == ["de", "en"]
    assert list(catalogs["en"]["features"]) == ["a"] and list(catalogs["en"]["themes"]) == ["amount"]
    assert catalogs["en"]["version"].startswith("en-3-") and catalogs["de"]["version"].startswith("de-4-")


def test_another_phrase_is_another_version(tmp_path: Path) -> None:
    _write(tmp_path)
    before = load_catalogs(["a"], tmp_path)["en"]["version"]
    _write(tmp_path, features={"a": {**REASON, "high": "higher"}})
    assert load_catalogs(["a"], tmp_path)["en"]["version"] != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": {"b": REASON}},
            "`features`: it lacks a; give theme, label, unit, high, low and missing",
        ),
        (
            {"features": {"a": {**REASON, "missing": ""}}},
            "`features.a.missing`: string should have at least 1",
        ),
        ({"features": {"a": {**REASON, "theme": "other"}}}, "`features.a.theme`: there is no theme 'other'"),
        (
            {"features": {"a": {name: REASON[name] for name in REASON if name != "low"}}},
            "`features.a.low`: field req",
        ),
        ({"texts": {**CATALOG["texts"], "base": "average"}}, "`texts.base`: it takes %s for 1 value"),  # type: ignore[dict-item]
        ({"texts": {**CATALOG["texts"], "usual": "%s is 5 %"}}, "`texts.usual`: it takes %s for 2"),  # type: ignore[dict-item]
        ({"version": "x"}, "`version`: input should be a valid integer"),
        ({"phrases": {}}, "`phrases`: extra inputs are not permitted"),
    ],
)
def test_an_incomplete_catalog_is_rejected(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    _write(tmp_path, **changes)
    with pytest.raises(ExplanationError, match=r"reasons\.en\.yml") as raised:
        load_catalogs(["a"], tmp_path)
    assert message in str(raised.value)


def test_an_untranslated_language_is_rejected(tmp_path: Path) -> None:
    _write(tmp_path)
    _write(tmp_path, "de", features={"b": REASON})
    with pytest.raises(ExplanationError, match=r"reasons\.de\.yml: `features`: it lacks a"):
        load_catalogs(["a"], tmp_path)


def test_files_that_are_no_catalogs(tmp_path: Path) -> None:
    with pytest.raises(ExplanationError, match=r"reasons\.en\.yml is missing"):
        load_catalogs(["a"], tmp_path)
    (tmp_path / "reasons.en.yml").write_text("a: [")
    with pytest.raises(ExplanationError, match="no catalog"):
        load_catalogs(["a"], tmp_path)
    (tmp_path / "reasons.en.yml").unlink()
    (tmp_path / "reasons.english.yml").write_text("")
    with pytest.raises(ExplanationError, match=r"the name is not reasons\.<language>\.yml"):
        load_catalogs(["a"], tmp_path)


def test_words_of_the_feature_file_come_first(tmp_path: Path) -> None:
    """A feature of a team's list brings its words; another language has them where its file lacks them."""
    _write(tmp_path)
    _write(tmp_path, "de", features={"a": REASON | {"label": "Betrag"}})
    own = Reason(theme="device_use", label="Device", high="Many", low="Few", missing="None")
    catalogs = load_catalogs(["a", "b"], tmp_path, {"b": own})
    assert catalogs["en"]["features"]["b"]["label"] == catalogs["de"]["features"]["b"]["label"] == "Device"
    assert catalogs["de"]["features"]["a"]["label"] == "Betrag"
    assert catalogs["en"]["themes"]["device_use"] == "Device use"
