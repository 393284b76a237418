"""Forest to SQL, and its life in the database."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sql_scoring.engine import UnsupportedModelError, transpile

__all__ = ["UnsupportedModelError", "transpile"]


def __getattr__(name: str) -> Any:
    """Load the engine on demand: commands that read the registry start without scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sql_scoring import engine

    return getattr(engine, name)
