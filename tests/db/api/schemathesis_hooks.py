"""What the OpenAPI document cannot say: which instants are not in the future, and which transaction there is.

Loaded by schemathesis (SCHEMATHESIS_HOOKS). Only values that are valid by the document are exchanged.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    body = case.body
    items = body.get("items") if isinstance(body, dict) else None
    for one in items if isinstance(items, list) else [body]:
        if isinstance(one, dict):
            _make_possible(one)


RULE = {"name": "large_amount", "when": "amount > 5", "action": "review", "reason_code": "r", "reason": "r"}


def _make_possible(body: dict[str, Any]) -> None:
    # Conditions and columns are texts whose meaning the document cannot say.
    if isinstance(body.get("document"), dict):
        body["document"] = {"rules": [RULE]}
        if _is_text(body.get("rule"), 64):
            body["rule"] = RULE["name"]
    if "column" in body and re.fullmatch(r"[a-z][a-z0-9_]{0,62}", str(body["column"])):
        body["column"] = "location"
    if body.get("name") in ("model_score", "unscored", "rule_failed", "control_group", "outcome_failed"):
        body["name"] = "possible"
    for name in ("occurred_at", "labelled_at"):
        if name in body and not _is_possible(body[name]):
            body[name] = "2026-11-01T12:00:00Z"
    user, transaction = body.get("user_id"), body.get("transaction_id")
    if type(user) is int and type(transaction) is int and abs(transaction) < 2**62 and user % 2:
        known = os.environ["KNOWN_TRANSACTION"].split(",")
        body["user_id"], body["transaction_id"] = int(known[0]), int(known[1])


def _is_text(value: Any, length: int) -> bool:
    return isinstance(value, str) and len(value) <= length and value.isprintable()


def _is_possible(value: Any) -> bool:
    """Leaves alone what is no instant with a zone: that is for the server to refuse."""
    try:
        instant = datetime.fromisoformat(value)
        return instant.tzinfo is None or EARLIEST <= instant <= datetime.now(UTC) + timedelta(hours=1)
    except (TypeError, ValueError):
        return True
    except OverflowError:
        return False
