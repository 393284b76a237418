"""The engine's one error. It imports nothing, so that the engine can be used alone."""

from __future__ import annotations


class UnsupportedModelError(ValueError):
    """The model cannot be written as SQL; the message states what and why."""
