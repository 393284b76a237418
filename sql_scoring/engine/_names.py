"""Names that go into the statement, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sql_scoring.engine._codegen import MAX_IDENTIFIER_BYTES
from sql_scoring.engine.errors import UnsupportedModelError


def function_name_parts(name: str) -> list[str]:
    """Split ``schema.function`` or ``function``. Taken literally: no case folding, no quotes."""
    parts = name.split(".") if isinstance(name, str) else [""]
    if len(parts) > 2:
        raise UnsupportedModelError(f"function name {name!r} has more parts than schema and name")
    return [_check_identifier(part, "a part of the function name") for part in parts]


def check_feature_names(model: Any, names: Sequence[str]) -> list[str]:
    """Check one name per column that ``model`` was fitted on; raises UnsupportedModelError.

    Names that differ from ``model.feature_names_in_`` are allowed; a name of the fit must be in its position.
    """
    if isinstance(names, str):
        raise UnsupportedModelError("feature_names is one string; give a list of names")
    checked = [
        _check_identifier(name, f"feature name {number}") for number, name in enumerate(names, start=1)
    ]
    expected = int(model.n_features_in_)
    if len(checked) != expected:
        raise UnsupportedModelError(
            f"the model was fitted on {expected} features, {len(checked)} feature names were given"
        )
    seen: set[str] = set()
    for name in checked:
        if name in seen:
            raise UnsupportedModelError(f"feature name {name!r} is given twice")
        if re.fullmatch(r"\$[0-9]+", name):
            raise UnsupportedModelError(f"feature name {name!r} is PostgreSQL's own name of an argument")
        seen.add(name)
    _check_order(checked, list(getattr(model, "feature_names_in_", [])))
    return checked


def _check_order(names: list[str], fitted: list[str]) -> None:
    positions = {name: number for number, name in enumerate(fitted, start=1)}
    for number, name in enumerate(names, start=1):
        if positions.get(name, number) != number:
            raise UnsupportedModelError(
                f"feature name {number} is {name!r}, which the model was fitted on as feature {positions[name]}: "
                "give the names in the order of feature_names_in_"
            )


def _check_identifier(name: str, what: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise UnsupportedModelError(f"{what} is empty")
    if "\0" in name:
        raise UnsupportedModelError(f"{what} {name!r} holds a zero byte")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise UnsupportedModelError(f"{what} {name!r} is not valid Unicode") from None
    if size > MAX_IDENTIFIER_BYTES:
        raise UnsupportedModelError(
            f"{what} {name!r} has {size} bytes, PostgreSQL cuts names at {MAX_IDENTIFIER_BYTES}: shorten it"
        )
    return name
