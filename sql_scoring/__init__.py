"""Forest to SQL, and its life in the database."""

from sql_scoring.transpile import transpile

__all__ = ["transpile"]
