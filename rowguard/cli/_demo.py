"""demo (what `make demo` runs)."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo() -> None:
    """The whole way on the embedded server: history, features, model, live transactions, one HTTP call."""
