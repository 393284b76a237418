"""Log lines as JSON documents: time, event, request; never a value that a client sent."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import psycopg

FRAMES = 8


class JsonFormatter(logging.Formatter):
    """One document per line. An exception is logged by type and location: its text may hold a row."""

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
    """Return type and location of an error, without its text."""
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    fields: dict[str, Any] = {"error": type(error).__name__, "where": frames[-FRAMES:]}
    if isinstance(error, psycopg.Error) and error.sqlstate:
        fields["sqlstate"] = error.sqlstate
    return fields


def log_config() -> dict[str, Any]:
    """Return the `logging.config.dictConfig` that uvicorn applies in every worker."""
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
