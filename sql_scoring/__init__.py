"""Forest to SQL, and its life in the database."""

from sql_scoring.engine import UnsupportedModelError, transpile

__all__ = ["UnsupportedModelError", "transpile"]
