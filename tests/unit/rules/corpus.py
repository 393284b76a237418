"""Conditions of tests/corpus/rules, one a line; lines that start with `# ` are comments."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "rules"


def read_conditions(name: str) -> list[str]:
    """Return the conditions of a file."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("# ")]
