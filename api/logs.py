"""Log lines as JSON documents: when, what, which request; never a value that a caller sent."""

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
ENCODE = json.JSONEncoder(ensure_ascii=True).encode


class JsonFormatter(logging.Formatter):
    """One document a line. Of an exception its type and place are shown and not its text: what a database or a
    validator says of a row holds the row."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": _written(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            document |= describe(record.exc_info[1])
        return json.dumps(document, ensure_ascii=True)


class LineLog:
    """The same documents for one message that comes often, such as one a request: no record is made of it, and the
    lines of one turn of the event loop are written together.

    Whether they are written at all stays a matter of the logger's level.
    """

    def __init__(self, log: logging.Logger, message: str) -> None:
        self._log, self._tail = log, f'"logger": {json.dumps(log.name)}, "message": {json.dumps(message)}'
        self._waiting: list[str] = []

    def write(self, level: int, fields: dict[str, Any]) -> None:
        """Within a running event loop only."""
        if not self._log.isEnabledFor(level):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        # The end of one document and the beginning of another make one.
        head = f'{{"time": "{_written(time.time())}", "level": "{_level(level)}", {self._tail}, '
        self._waiting.append(head + ENCODE(fields)[1:] + "\n")

    def _flush(self) -> None:
        lines = "".join(self._waiting)
        self._waiting.clear()
        sys.stderr.write(lines)
        sys.stderr.flush()


def _written(moment: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, with milliseconds."""
    milliseconds = int(moment * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}+00:00"


@lru_cache(maxsize=4)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=16)
def _level(level: int) -> str:
    return logging.getLevelName(level).lower()


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
