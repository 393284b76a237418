"""Lines and columns of the entries of a YAML file, for messages."""

from __future__ import annotations

from collections.abc import Iterable

import yaml


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
