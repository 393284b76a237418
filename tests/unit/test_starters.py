"""The starter sets: each is accepted, and has a page that gives a reason for each feature."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rowguard.resources import PROJECT_ROOT, dbt_project
from sql_scoring.features.listing import load_declaration

STARTERS = sorted((dbt_project() / "starters").glob("*.yml"))


def _named(page: str) -> set[str]:
    """Return the names of a page; `_7d` continues the name before it with another end."""
    names: set[str] = set()
    previous = ""
    for name in re.findall(r"`(\w+…?)`", page):
        if name.startswith("_"):
            parts = previous.split("_")
            names |= {"_".join(parts[:count]) + name for count in range(1, len(parts))}
        else:
            previous = name
            names.add(name)
    return names


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.stem)
def test_each_feature_has_its_reasons(path: Path) -> None:
    declaration = load_declaration(path)
    page = (PROJECT_ROOT / "docs" / "explanation" / f"starter-{path.stem}.md").read_text()
    names = _named(page)
    prefixes = tuple(name[:-1] for name in names if name.endswith("…"))
    ratios = "derived of them" in page
    for feature in declaration.features:
        is_ratio = ratios and feature.name.startswith("amount_")
        assert feature.name in names or feature.name.startswith(prefixes or ("-",)) or is_ratio, feature.name
        assert feature.reason is not None, feature.name


def test_both_kinds_of_payments_have_one() -> None:
    assert [path.stem for path in STARTERS] == ["cards", "transfers"]
