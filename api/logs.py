"""Log lines as JSON documents: when, what, which request; never a value that a caller sent."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import psycopg

FRAMES = 8


class JsonFormatter(logging.Formatter):
    """One document a line. Of an exception its type and place are shown and not its text: what a database or a
    validator says of a row holds the row."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            document |= describe(record.exc_info[1])
        return json.dumps(document, ensure_ascii=True)


def describe(error: BaseException) -> dict[str, Any]:
    """Type and place of an error."""
    place = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    found: dict[str, Any] = {"error": type(error).__name__, "where": place[-FRAMES:]}
    if isinstance(error, psycopg.Error) and error.sqlstate:
        found["sqlstate"] = error.sqlstate
    return found


def log_config() -> dict[str, Any]:
    """For `logging.config.dictConfig`; uvicorn applies it in every worker."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "api.logs.JsonFormatter"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"rowguard": {"level": "INFO"}, "uvicorn": {"level": "WARNING"}},
    }
