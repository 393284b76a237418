"""The one way in which long work reports what it does: a function that is called with each step's name."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(step: str) -> None:
    """Report nothing."""


def prefixed(progress: Progress, prefix: str) -> Progress:
    """Return a progress function that puts `prefix` before each step."""
    return lambda step: progress(prefix + step)
