"""Log lines as JSON documents: time, event, request; never a value that a client sent."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg

FRAMES = 8


class JsonFormatter(logging.Formatter):
    """One document per line. An exception is logged by type and location: its text may hold a row."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": _iso_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            document |= describe(record.exc_info[1])
        return json.dumps(document, ensure_ascii=True)


class AccessLog:
    """The same documents for requests: without a log record, and with one write for many lines.

    Args:
        log: The logger whose name and level apply.
        flush_interval_s: Longest time that a line is buffered.
    """

    def __init__(self, log: logging.Logger, flush_interval_s: float = 0.05) -> None:
        self._log, self._flush_interval_s = log, flush_interval_s
        self._lines: list[str] = []

    def write(
        self, request_id: str, method: str, route: str, status: int, seconds: float, client: str | None
    ) -> None:
        """Buffer one line; call it within a running event loop. No text may need escapes in JSON."""
        level, name = (logging.WARNING, "warning") if status >= 500 else (logging.INFO, "info")
        if not self._log.isEnabledFor(level):
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(self._flush_interval_s, self.flush)
        tail = "" if client is None else f', "client": "{client}"'
        self._lines.append(
            f'{{"time": "{_iso_time(time.time())}", "level": "{name}", "logger": "{self._log.name}", '
            f'"message": "request", "request_id": "{request_id}", "method": "{method}", "route": "{route}", '
            f'"status": {status}, "ms": {seconds * 1000:.1f}{tail}}}\n'
        )

    def flush(self) -> None:
        """Write the buffered lines."""
        lines = "".join(self._lines)
        self._lines.clear()
        sys.stderr.write(lines)
        sys.stderr.flush()


def _iso_time(timestamp: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, with milliseconds."""
    milliseconds = int(timestamp * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}+00:00"


@lru_cache(maxsize=4)
def _second(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
