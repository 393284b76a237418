"""Reads UBJSON, the format of XGBoost's ``.ubj`` files: big-endian, with typed arrays."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from sql_scoring.engine.errors import UnsupportedModelError

_NUMBERS = {"i": "b", "U": "B", "I": "h", "l": "i", "L": "q", "d": "f", "D": "d"}
_CONSTANTS = {"Z": None, "T": True, "F": False}
_MAX_DEPTH = 64


def read_ubjson(data: bytes) -> Any:
    """Read a document; raises UnsupportedModelError when it is cut off or not UBJSON."""
    try:
        return _Reader(data).value()
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError, RecursionError):
        raise UnsupportedModelError("the file is cut off or is not UBJSON: save the model again") from None


class _Reader:
    """The position in a document."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self, kind: str = "", depth: int = 0) -> Any:
        kind = kind or self._marker()
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _NUMBERS:
            return self._number(kind)
        if kind in "SC":
            return self._text(1 if kind == "C" else None)
        if kind == "[":
            return self._array(depth)
        if kind == "{":
            return self._object(depth)
        raise ValueError(kind)

    def _array(self, depth: int) -> Any:
        kind, count = self._header()
        if kind in _NUMBERS and count is not None:
            dtype = np.dtype(_NUMBERS[kind]).newbyteorder(">")
            return np.frombuffer(self._take(count * dtype.itemsize), dtype).tolist()
        items: list[Any] = []
        while self._continues("]", count, len(items)):
            items.append(self.value(kind, depth + 1))
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        members: dict[str, Any] = {}
        read = 0
        while self._continues("}", count, read):
            name = self._text(None)
            members[name] = self.value(kind, depth + 1)
            read += 1
        return members

    def _header(self) -> tuple[str, int | None]:
        kind, count = "", None
        if self._peek() == "$":
            self._at += 1
            kind = self._marker()
        if self._peek() == "#":
            self._at += 1
            count = int(self._number(self._marker()))
        return kind, count

    def _continues(self, end: str, count: int | None, read: int) -> bool:
        if count is not None:
            return read < count
        if self._peek() != end:
            return True
        self._at += 1
        return False

    def _text(self, size: int | None) -> str:
        return self._take(int(self._number(self._marker())) if size is None else size).decode()

    def _number(self, kind: str) -> float:
        code = ">" + _NUMBERS[kind]
        (number,) = struct.unpack(code, self._take(struct.calcsize(code)))
        return number  # type: ignore[no-any-return]

    def _marker(self) -> str:
        return self._take(1).decode("ascii")

    def _peek(self) -> str:
        return chr(self._data[self._at])

    def _take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if size < 0 or len(part) < size:
            raise ValueError("cut off")
        self._at += size
        return part
