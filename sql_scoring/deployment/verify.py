"""Checks a deployment: facade, parity, and replay of stored decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.errors import RowguardError
from rowguard.queries import load_queries
from sql_scoring import registry
from sql_scoring.deployment._parity import check_parity
from sql_scoring.engine import boundary_rows
from sql_scoring.scores import compose_difference

QUERIES = load_queries("sql_scoring")
REPLAYED_ROWS = 2_000
PARITY_ROWS = 2_000


@dataclass(frozen=True)
class VerifyReport:
    """Whether the deployed functions are those of the registry and the artifact."""

    champion: str | None
    is_ok: bool
    checks: dict[str, Any]


def verify(url: str, load_model: Callable[[registry.ModelRecord], Any]) -> VerifyReport:
    """Check the deployed models.

    The facade names the champion, its function equals the artifact, and its last decisions replay bit for bit from
    their `feature_values`; shadow scores of a challenger replay as well. A boosted model's decisions
    replay exactly, and their probabilities within `PROBABILITY_ULPS`.

    Args:
        url: Address of the database.
        load_model: Returns the fitted model of a version; a `RowguardError` of it fails the parity check.

    Returns:
        The result and the value of each check.
    """
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        if champion is None:
            return VerifyReport(None, False, {"champion": "none is deployed"})
        record = registry.get_model(connection, champion)
        (facade_version,) = fetch_one(connection, QUERIES["facade_version"])
        replayed, differences = _replay(connection, "replay", record)
        checks: dict[str, Any] = {
            "facade_version": facade_version,
            "replayed_rows": replayed,
            "replay_differences": differences,
        }
        challenger = registry.challenger_version(connection)
        if challenger is not None:
            replayed, shadow_differences = _replay(
                connection, "replay_shadow", registry.get_model(connection, challenger)
            )
            checks |= {
                "challenger": challenger,
                "replayed_shadow_scores": replayed,
                "shadow_score_differences": shadow_differences,
            }
            differences += shadow_differences
        try:
            model = load_model(record)
            rows = boundary_rows(model, PARITY_ROWS, seed=1).astype(np.float64)
            parity = check_parity(connection, record, model, rows)
            checks |= {"parity_rows": parity.rows, "parity_differences": parity.differences}
        except RowguardError as error:
            checks["parity"] = str(error)
    is_ok = facade_version == champion and differences == 0 and checks.get("parity_differences") == 0
    return VerifyReport(champion, is_ok, checks)


def _replay(connection: psycopg.Connection, query: str, record: registry.ModelRecord) -> tuple[int, int]:
    """Replayed rows, and how many of them differ."""
    value = sql.SQL("{}(t.feature_values)").format(registry.qualified(record.function_name))
    stored = sql.SQL("t.shadow_probability" if query == "replay_shadow" else "t.fraud_probability")
    text = sql.SQL(QUERIES[query]).format(differs=compose_difference(record, value, stored))
    rows, differences = fetch_one(connection, text, {"version": record.version, "limit": REPLAYED_ROWS})
    return int(rows), int(differences)
