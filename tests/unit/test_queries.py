"""Every query that a room uses is in its file, and each of its queries is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rowguard.queries import load_queries

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "api": "api",
    "api.console": "api/console",
    "trainer": "trainer",
    "simulator": "simulator",
    "sql_scoring": "sql_scoring",
    "rowguard.cli": "rowguard/cli",
    "rowguard.local": "rowguard/local",
    "rowguard.operations": "rowguard/operations",
}


@pytest.mark.parametrize("package", ROOMS)
def test_every_query_is_named_and_used(package: str) -> None:
    text = "\n".join(path.read_text() for path in sorted((ROOT / ROOMS[package]).rglob("*.py")))
    queries = load_queries(package)
    asked_for = set(re.findall(r'QUERIES\["(\w+)"\]', text))
    assert asked_for <= queries.keys()
    # A name may be put together: QUERIES[f"lock_{kind}"] names all that begin and end so.
    patterns = [
        re.compile(re.sub(r"\{[^}]*\}", r"\\w+", name)) for name in re.findall(r'f"(\w*\{\w+\}\w*)"', text)
    ]
    used = {name for name in queries if f'"{name}"' in text or any(each.fullmatch(name) for each in patterns)}
    assert used == queries.keys()


def test_a_repeated_name_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "twice"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "queries.sql").write_text("-- name: one\nSELECT 1;\n\n-- name: one\nSELECT 2;\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="twice"):
        load_queries("twice")
