"""Load the named queries of a room.

Each room keeps its SQL in one `queries.sql`: a line `-- name: some_query`, a line that says what it does, the
statement. Schema objects and templates have separate files under `sql_scoring`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


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
    queries = {name: text.strip().removesuffix(";") for name, text in zip(names, texts, strict=True)}
    # The text ships with the program, which is what psycopg means by a literal string.
    return MappingProxyType(cast("dict[str, LiteralString]", queries))
