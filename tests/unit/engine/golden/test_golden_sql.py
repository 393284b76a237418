"""The golden files are what the transpiler writes; ``tests/unit/engine/golden/regenerate.py`` updates them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CURRENT: dict[str, str] = runpy.run_path(str(HERE / "regenerate.py"))["texts"]()


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_golden_file_is_current(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == CURRENT[name]


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in HERE.glob("*.sql")} == set(CURRENT)
