"""SQL text lives in `.sql` files beside the code that runs it; this reads them."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def read_sql(folder: Path, name: str) -> str:
    """The text of `<folder>/<name>.sql`."""
    return (folder / f"{name}.sql").read_text()
