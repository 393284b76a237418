"""Log lines as JSON documents: time, event, request; never a value that a client sent."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

import psycopg

FRAMES = 8
FLUSH_INTERVAL_S = 0.05


class JsonFormatter(logging.Formatter):
    """One document per line. An exception is logged by type and location: its text may hold a row."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            fields = fields | describe(record.exc_info[1])
        return _render(record.created, record.levelname, record.name, record.getMessage(), fields)


class AccessLog:
    """The same documents for requests, without log records and with one write for many: a fifth of their cost.

    Args:
        log: The logger whose name and level apply.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lines: list[str] = []

    def write(self, level: int, fields: dict[str, Any]) -> None:
        """Buffer one line; call it within a running event loop."""
        if not self._log.isEnabledFor(level):
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL_S, self.flush)
        self._lines.append(
            _render(time.time(), logging.getLevelName(level), self._log.name, "request", fields)
        )

    def flush(self) -> None:
        """Write the buffered lines."""
        if self._lines:
            sys.stderr.write("\n".join(self._lines) + "\n")
            self._lines.clear()


def _render(timestamp: float, level: str, logger: str, message: str, fields: dict[str, Any]) -> str:
    time_text = datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
    document = {"time": time_text, "level": level.lower(), "logger": logger, "message": message, **fields}
    return json.dumps(document)


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
