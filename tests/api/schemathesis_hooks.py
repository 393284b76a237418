"""What the OpenAPI document cannot say: which instants are not in the future, and which transaction there is.

Loaded by schemathesis (SCHEMATHESIS_HOOKS). Only values that are valid by the document are exchanged.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    for one in (
        body.get("items", []) if isinstance(body, dict) and isinstance(body.get("items"), list) else [body]
    ):
        if isinstance(one, dict):
            _make_possible(one)
    return body


def _make_possible(body: dict[str, Any]) -> None:
    for name in ("occurred_at", "labelled_at"):
        if name in body and not _is_possible(body[name]):
            body[name] = "2026-11-01T12:00:00Z"
    for name in ("user_id", "merchant_id", "transaction_id"):
        value = body.get(name)
        # The document's bounds are floating-point numbers, which end a little beyond the integers'.
        if type(value) is int and abs(value) >= 2**63 and abs(float(value)) == 2.0**63:
            body[name] = max(-(2**63), min(2**63 - 1, value))
    user, transaction = body.get("user_id"), body.get("transaction_id")
    if type(user) is int and type(transaction) is int and abs(transaction) < 2**62 and user % 2:
        known = os.environ["KNOWN_TRANSACTION"].split(",")
        body["user_id"], body["transaction_id"] = int(known[0]), int(known[1])


def _is_possible(value: Any) -> bool:
    """Leaves alone what is no instant with a zone: that is for the server to refuse."""
    try:
        instant = datetime.fromisoformat(value)
        return instant.tzinfo is None or EARLIEST <= instant <= datetime.now(UTC) + timedelta(hours=1)
    except (TypeError, ValueError):
        return True
    except OverflowError:
        return False
