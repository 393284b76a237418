"""Forest to SQL, and its life in the database."""

from sql_scoring.engine import transpile

__all__ = ["transpile"]
