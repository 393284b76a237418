"""rowguard: fraud scoring inside PostgreSQL."""

__version__ = "0.1.0"
