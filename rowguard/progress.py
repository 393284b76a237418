"""The one way in which long work reports what it does: a function that is called with each step's name."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(step: str) -> None:
    """Report nothing."""
