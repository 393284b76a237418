"""The project's words: none of the phrases that docs/glossary.md replaces is left in code, comments or pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "api", "benchmarks", "dags", "dbt", "deploy", "docs", "migrations", "requirements", "rowguard", "simulator",
    "sql_scoring", "tests", "tools", "trainer", ".",
)  # fmt: skip
SUFFIXES = {".py", ".sql", ".yml", ".yaml", ".md", ".toml", ".mako", ".j2", ".sh", ".txt", ".ini", ".conf"}
GENERATED = {"target", "logs", "__pycache__", "golden", "corpus"}
# These two name the phrases.
EXCEPTIONS = {Path(__file__).resolve(), ROOT / "tests" / "unit" / "test_docs.py"}
WORDS = re.compile(
    r"""(?<![a-z]) (
        reckon(s|ed|ing)? | anew | felt_\w+ | second[ _]opinions? | lets?[ _]through | letting[ _]through
        | made[ ]up[ ]for | mend(s|ed|ing)? | turned[ _]away | from[ _]nothing | whoever | under[ ]way
        | judge[ds]? | judging | answers | stands | stood | hears | somebody | (?<!["'`])nobody(?!["'`]) | beside | besides
        | of[ ](its|their)[ ]own | undecided | unreplayable | untotalled | refuse_candidate | on_failure
        | champion[ ]before | to[ ]the[ ]last[ ]bit | by[ ]themselves | once[ ]more | labelled(?!_at) | cancelled
    ) (?![a-z])""",
    re.VERBOSE | re.IGNORECASE,
)


def files(room: str) -> list[Path]:
    """Text files of a room; of the root only those directly in it."""
    paths = (ROOT / room).glob("*" if room == "." else "**/*")
    return sorted(
        path
        for path in paths
        if path.is_file()
        and path.suffix in SUFFIXES
        and path not in EXCEPTIONS
        and "migrations/models" not in path.as_posix()
        and not GENERATED & set(path.relative_to(ROOT).parts[:-1])
    )


@pytest.mark.parametrize("room", ROOMS)
def test_words(room: str) -> None:
    replaced = [
        f"{path.relative_to(ROOT)}:{number}: {match.group(0)}"
        for path in files(room)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in WORDS.finditer(line)
    ]
    assert not replaced
