"""Names that go into the statement: checked before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine._codegen import MAX_IDENTIFIER_BYTES


def check_name(name: str, what: str) -> str:
    """``name`` if PostgreSQL can hold it as an identifier, else UnsupportedModelError."""
    if not isinstance(name, str) or not name.strip():
        raise UnsupportedModelError(f"{what} is empty")
    if "\0" in name:
        raise UnsupportedModelError(f"{what} {name!r} holds a zero byte")
    size = len(name.encode("utf-8", errors="surrogatepass"))
    if size > MAX_IDENTIFIER_BYTES:
        raise UnsupportedModelError(
            f"{what} {name!r} has {size} bytes, PostgreSQL cuts names at {MAX_IDENTIFIER_BYTES}: shorten it"
        )
    return name


def function_name_parts(name: str) -> list[str]:
    """``schema.function`` or ``function`` in its parts. Taken literally: no case folding, no quotes."""
    parts = name.split(".") if isinstance(name, str) else [""]
    if len(parts) > 2:
        raise UnsupportedModelError(f"function name {name!r} has more parts than schema and name")
    return [check_name(part, "a part of the function name") for part in parts]


def check_feature_names(names: Sequence[str], expected: int) -> list[str]:
    """The feature names, one for each column the model was fitted on, all different."""
    if isinstance(names, str):
        raise UnsupportedModelError("feature_names is one string; give a list of names")
    checked = [check_name(name, f"feature name {number}") for number, name in enumerate(names, start=1)]
    if len(checked) != expected:
        raise UnsupportedModelError(
            f"the model was fitted on {expected} features, {len(checked)} feature names were given"
        )
    seen: set[str] = set()
    for name in checked:
        if name in seen:
            raise UnsupportedModelError(f"feature name {name!r} is given twice")
        seen.add(name)
    return checked
