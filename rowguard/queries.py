"""Load the named queries of a room.

Each room keeps its SQL in one `queries.sql`: a line `-- name: some_query`, a line that says what it does, the
statement. Schema objects and templates have separate files under `sql_scoring`.

All of them write `public` for the schema that callers see; its name is a setting, and is put in when a text is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import LiteralString

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_SCHEMA = re.compile(r"\bpublic(?=\.)|(?<=SCHEMA |EXISTS )public\b")


def in_own_schema(text: str) -> str:
    """Return SQL that names the schema `public` with the schema of the settings instead."""
    from rowguard.settings import settings  # loads pydantic, which `--help` can do without

    name = settings().schema_name  # checked there: letters, digits and _
    return text if name == "public" else _SCHEMA.sub(f'"{name}"', text)


class _Queries(Mapping[str, LiteralString]):
    """Statements by name. Modules load them at import, so the settings are read with the first statement."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, name: str) -> LiteralString:
        # The text ships with the program, which is what psycopg means by a literal string.
        return in_own_schema(self._texts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


@cache
def load_queries(package: str) -> Mapping[str, LiteralString]:
    """Read a package's `queries.sql`.

    Args:
        package: Dotted name of the room, such as `"trainer"`.

    Returns:
        The statements by name, without their trailing semicolon.

    Raises:
        ValueError: Two queries have the same name.
    """
    parts = _NAME.split(files(package).joinpath("queries.sql").read_text(encoding="utf-8"))
    names, texts = parts[1::2], parts[2::2]
    if len(set(names)) < len(names):
        raise ValueError(f"{package}/queries.sql names a query twice")
    return _Queries({name: text.strip().removesuffix(";") for name, text in zip(names, texts, strict=True)})
