"""What is checked after a deploy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from rowguard.database import connect
from rowguard.errors import RowguardError
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import registry
from sql_scoring.deployment import check_parity
from sql_scoring.engine import boundary_rows
from trainer.artifact import artifact_path, load_artifact

QUERIES = load_queries("sql_scoring")
REPLAYED_ROWS = 2_000
PARITY_ROWS = 2_000


@dataclass(frozen=True)
class VerifyReport:
    """Whether what is deployed is what it should be."""

    champion: str | None
    is_ok: bool
    checks: dict[str, Any]


def verify(url: str, settings: Settings) -> VerifyReport:
    """Check the deployed champion: the facade names it, its function still equals the artifact, and the last
    decided rows replay bit for bit from their feature_values; a challenger's second opinions replay as well."""
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        if champion is None:
            return VerifyReport(None, False, {"champion": "none is deployed"})
        record = registry.get_model(connection, champion)
        row = connection.execute(QUERIES["facade_version"]).fetchone()
        assert row is not None
        replayed, differences = _replay(connection, "replay", record)
        checks: dict[str, Any] = {
            "facade_version": row[0],
            "replayed_rows": replayed,
            "replay_differences": differences,
        }
        challenger = registry.challenger_version(connection)
        if challenger is not None:
            trial = registry.get_model(connection, challenger)
            replayed, more = _replay(connection, "replay_shadow", trial)
            checks |= {
                "challenger": challenger,
                "replayed_second_opinions": replayed,
                "second_opinion_differences": more,
            }
            differences += more
        try:
            forest = load_artifact(artifact_path(settings.state_dir, champion), record.artifact_sha256)
            rows = boundary_rows(forest, PARITY_ROWS, seed=1).astype(np.float64)
            parity = check_parity(connection, record.function_name, forest, rows)
            checks |= {"parity_rows": parity.rows, "parity_differences": parity.differences}
        except RowguardError as error:
            checks["parity"] = str(error)
    is_ok = row[0] == champion and differences == 0 and checks.get("parity_differences") == 0
    return VerifyReport(champion, is_ok, checks)


def _replay(connection: psycopg.Connection, query: str, record: registry.ModelRecord) -> tuple[int, int]:
    """Rows scored again, and how many of them gave anything else."""
    text = QUERIES[query].replace("{function_name}", record.function_name)
    row = connection.execute(text.encode(), {"version": record.version, "limit": REPLAYED_ROWS}).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
