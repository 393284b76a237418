"""What a candidate must pass before it is deployed, and what is checked after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rowguard.database import connect
from rowguard.errors import RowguardError
from rowguard.settings import Settings
from rowguard.sql_files import read_sql
from sql_scoring import registry
from sql_scoring.deploy import ROLLED_BACK, check_parity
from sql_scoring.transpile import boundary_rows
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_feature_list

SQL = Path(__file__).parent / "sql"
MIN_LIFT = 3.0  # average precision over the share of frauds, which is what guessing reaches
MIN_SHARE_OF_CHAMPION = 0.8  # evaluation windows differ from night to night; less than this is no accident
MAX_NODES = 50_000
REPLAYED_ROWS = 2_000
PARITY_ROWS = 2_000


@dataclass(frozen=True)
class GateReport:
    """Whether the candidate may go live; each reason names a gate that it failed."""

    version: str
    passed: bool
    reasons: list[str]
    figures: dict[str, Any]


@dataclass(frozen=True)
class VerifyReport:
    """Whether what is deployed is what it should be."""

    champion: str | None
    is_ok: bool
    checks: dict[str, Any]


def gate(url: str, settings: Settings, version: str) -> GateReport:
    """Judge a candidate by its stored figures; a refused one is marked so in the registry.

    Parity is not judged here: the deploy itself compares the function with scikit-learn before it commits.
    """
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        built = read_feature_list(connection)
        champion = registry.champion_version(connection)
        standing = registry.get_model(connection, champion) if champion else None
        precision = float(record.metrics["average_precision"])
        guessing = record.metrics["frauds"] / record.metrics["rows"]
        figures = {
            "average_precision": precision,
            "guessing": guessing,
            "champion": champion,
            "champion_average_precision": float(standing.metrics["average_precision"]) if standing else None,
            "nodes": record.node_count,
            "feature_hash": record.feature_hash,
        }
        reasons = []
        if record.state == "retired" and (record.state_reason or "").startswith(ROLLED_BACK):
            # The same data give the same model: without this, the night after a rollback would undo it.
            reasons.append(
                f"it was taken back ({record.state_reason}); to use it again: rowguard deploy {version}"
            )
        if record.feature_hash != built.hash:
            reasons.append(
                f"feature list {record.feature_hash[:8]} is not the one that is built, {built.hash[:8]}"
            )
        if record.node_count > MAX_NODES:
            reasons.append(f"{record.node_count:,} nodes are more than {MAX_NODES:,}")
        if precision < MIN_LIFT * guessing:
            reasons.append(
                f"average precision {precision:.4f} is under {MIN_LIFT:g} times guessing ({guessing:.4f})"
            )
        if standing and precision < MIN_SHARE_OF_CHAMPION * standing.metrics["average_precision"]:
            reasons.append(
                f"average precision {precision:.4f} is under {MIN_SHARE_OF_CHAMPION:.0%} of the champion's "
                f"({standing.metrics['average_precision']:.4f})"
            )
        if reasons:
            connection.execute(
                read_sql(SQL, "refuse_candidate").encode(), {"version": version, "reason": "; ".join(reasons)}
            )
    return GateReport(version, not reasons, reasons, figures)


def verify(url: str, settings: Settings) -> VerifyReport:
    """Check the deployed champion: the facade names it, its function still equals the artifact, and the last
    decided rows replay bit for bit from their feature_values."""
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        if champion is None:
            return VerifyReport(None, False, {"champion": "none is deployed"})
        record = registry.get_model(connection, champion)
        row = connection.execute(read_sql(SQL, "facade_version").encode()).fetchone()
        replay = connection.execute(
            read_sql(SQL, "replay").replace("{function_name}", record.function_name).encode(),
            {"version": champion, "limit": REPLAYED_ROWS},
        ).fetchone()
        assert row is not None and replay is not None
        checks: dict[str, Any] = {
            "facade_version": row[0],
            "replayed_rows": replay[0],
            "replay_differences": replay[1],
        }
        try:
            forest = load_artifact(artifact_path(settings.state_dir, champion), record.artifact_sha256)
            rows = boundary_rows(forest, PARITY_ROWS, seed=1).astype(np.float64)
            parity = check_parity(connection, record.function_name, forest, rows)
            checks |= {"parity_rows": parity.rows, "parity_differences": parity.differences}
        except RowguardError as error:
            checks["parity"] = str(error)
    is_ok = row[0] == champion and replay[1] == 0 and checks.get("parity_differences") == 0
    return VerifyReport(champion, is_ok, checks)
