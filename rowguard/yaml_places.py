"""Reads YAML files, with lines and columns of their entries for messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from rowguard.errors import RowguardError


def read_yaml(text: str, source: object, error: type[RowguardError], what: str) -> tuple[yaml.Node, Any]:
    """Return the nodes and the values of a YAML mapping.

    Args:
        text: YAML.
        source: Its name, for messages.
        error: Class of the error to raise.
        what: What it must be, such as `mapping with rules`.

    Returns:
        The root node and the values.

    Raises:
        RowguardError: As `error`; it is no YAML, no mapping, or a key is there twice. Names line and column.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
        repeated = find_repeated_key(root)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise error(f"{source}{where}: {problem.problem or 'is not YAML'}") from None
    except RecursionError:
        raise error(f"{source}: an entry contains itself") from None
    except (ValueError, yaml.YAMLError) as problem:
        raise error(f"{source}: cannot be read: {' '.join(str(problem).split())}") from None
    if root is None or not isinstance(document, dict):
        raise error(f"{source}: is no {what}")
    if repeated:
        mark = repeated.start_mark
        raise error(
            f"{source}, line {mark.line + 1}, column {mark.column + 1}: `{repeated.value}` is there twice"
        )
    return root, document


def find_position(root: yaml.Node | None, place: Iterable[str | int]) -> tuple[int, int]:
    """Return where an entry is, or the nearest one around it.

    Args:
        root: As `yaml.compose` returns it.
        place: Keys and positions on the way to the entry.

    Returns:
        Line and column, from 1.
    """
    node, mark = root, root.start_mark if root else None
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, str):
            continue  # a list in place of a mapping, as that of an entity's columns
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    found, mark = value, key.start_mark
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            mark = node.value[part].start_mark
        if found is None:
            break
        node = found
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def find_repeated_key(node: yaml.Node | None) -> yaml.ScalarNode | None:
    """Return a key that its mapping has twice: YAML would take the last one, in silence."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                return key  # type: ignore[no-any-return]
            seen.add(key.value)
            if repeated := find_repeated_key(value):
                return repeated
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            if repeated := find_repeated_key(value):
                return repeated
    return None
