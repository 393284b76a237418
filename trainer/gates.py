"""What a candidate must pass before it is deployed: every figure is stored, whatever it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rowguard.database import connect
from rowguard.errors import ParityError
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import registry
from sql_scoring.deployment import ROLLED_BACK, check_parity
from sql_scoring.deployment.temporary_function import measure_latency, parity_rows, trial_function
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_dataset, read_feature_list
from trainer.forest import fraud_probability
from trainer.quality import NotComparableError, compare, read_evaluation_rows

QUERIES = load_queries("trainer")
MIN_LIFT = 3.0  # average precision over the share of frauds, which is what guessing reaches
MIN_SHARE_OF_CHAMPION = 0.8  # less than this is no accident, however few rows there are
PARITY_ROWS = 10_000
ALERT_RATE_FACTOR = (
    10.0  # the newest rows may be flagged this much more, or less, often than those of the evaluation
)
MIN_ROWS_FOR_ALERT_RATE = 1_000
MIN_DISTINCT_SCORES = 10


@dataclass(frozen=True)
class GateReport:
    """Whether the candidate may go live; each reason names a gate that it failed."""

    version: str
    passed: bool
    reasons: list[str]
    figures: dict[str, Any]
    champion: str | None = None


@dataclass
class _Findings:
    reasons: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def refuse_if(self, failed: bool, reason: str) -> None:
        if failed:
            self.reasons.append(reason)


def gate(url: str, settings: Settings, version: str, *, as_challenger: bool = False) -> GateReport:
    """Judge a version and store the report; a refused candidate is marked so in the registry.

    A challenger decides nobody's payment, or only a canary's, and is there to be compared: its quality is not judged
    beforehand, everything else is.
    """
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        built = read_feature_list(connection)
        champion = registry.champion_version(connection)
        standing = registry.get_model(connection, champion) if champion else None
    found = _Findings(figures={"as": "challenger" if as_challenger else "champion", "champion": champion})
    _judge_record(found, record, built.hash, settings)
    if record.feature_hash == built.hash:
        _judge_function(found, url, settings, record)
        _judge_scores(found, url, settings, record)
        if not as_challenger:
            _judge_quality(found, url, settings, record, standing)
    with connect(url) as connection:
        registry.insert_gate_report(
            connection,
            {
                "version": version,
                "champion": champion,
                "is_passed": not found.reasons,
                "is_forced": False,
                "reasons": found.reasons,
                "details": found.figures,
            },
        )
        if found.reasons:
            connection.execute(
                QUERIES["refuse_candidate"],
                {"version": version, "reason": "; ".join(found.reasons)},
            )
    return GateReport(version, not found.reasons, found.reasons, found.figures, champion)


def _judge_record(
    found: _Findings, record: registry.ModelRecord, built_hash: str, settings: Settings
) -> None:
    """What the registry alone tells."""
    megabytes = record.sql_bytes / 1e6
    found.figures |= {
        "feature_hash": record.feature_hash,
        "built_feature_hash": built_hash,
        "nodes": record.node_count,
        "sql_mb": round(megabytes, 3),
        "evaluation_rows": record.metrics["rows"],
        "evaluation_frauds": record.metrics["frauds"],
    }
    # The same data give the same model: without this, the night after a rollback would undo it.
    found.refuse_if(
        record.state == "retired" and (record.state_reason or "").startswith(ROLLED_BACK),
        f"it was taken back ({record.state_reason}); to use it again: rowguard deploy {record.version}",
    )
    found.refuse_if(
        record.feature_hash != built_hash,
        f"feature list {record.feature_hash[:8]} is not the one that is built, {built_hash[:8]}",
    )
    found.refuse_if(
        record.node_count > settings.gate_max_nodes,
        f"{record.node_count:,} nodes are more than {settings.gate_max_nodes:,}",
    )
    found.refuse_if(
        megabytes > settings.gate_max_sql_mb,
        f"{megabytes:.1f} MB of SQL are more than {settings.gate_max_sql_mb:g}",
    )
    found.refuse_if(
        record.metrics["frauds"] < settings.gate_min_frauds,
        f"it was evaluated on {record.metrics['frauds']:,} frauds, fewer than {settings.gate_min_frauds:,}",
    )


def _judge_function(found: _Findings, url: str, settings: Settings, record: registry.ModelRecord) -> None:
    """Parity and latency of the function itself, created for the trial and never committed."""
    forest = load_artifact(artifact_path(settings.state_dir, record.version), record.artifact_sha256)
    rows = parity_rows(url, record, forest, PARITY_ROWS)
    with connect(url) as connection, trial_function(connection, record):
        latency = measure_latency(connection, record.function_name, rows)
        found.figures |= latency
        try:
            parity = check_parity(connection, record.function_name, forest, rows)
            found.figures |= {"parity_rows": parity.rows, "parity_differences": parity.differences}
        except ParityError as error:
            found.figures |= {"parity_rows": len(rows), "parity_differences": None}
            found.reasons.append(str(error))
    for name, budget in (
        ("first_call_ms", settings.gate_max_first_call_ms),
        ("call_ms", settings.gate_max_call_ms),
    ):
        found.refuse_if(
            latency[name] > budget, f"{name} is {latency[name]:.1f}, over the budget of {budget:g}"
        )


def _judge_scores(found: _Findings, url: str, settings: Settings, record: registry.ModelRecord) -> None:
    """Whether the scores of the newest rows, which nobody has labelled yet, look like those of the evaluation."""
    rows = read_dataset(url, record.train_to, record.label_cutoff, record.label_cutoff)
    if not len(rows):
        found.figures["newest_rows"] = 0
        return
    forest = load_artifact(artifact_path(settings.state_dir, record.version), record.artifact_sha256)
    scores = fraud_probability(forest, rows.features)
    distinct, rate = len(np.unique(scores)), float((scores >= record.threshold).mean())
    expected = float(record.metrics["alert_rate"])
    found.figures |= {
        "newest_rows": len(rows),
        "newest_distinct_scores": distinct,
        "newest_alert_rate": round(rate, 6),
        "evaluation_alert_rate": round(expected, 6),
        "newest_score_quantiles": [round(float(q), 6) for q in np.quantile(scores, (0.5, 0.9, 0.99, 1.0))],
    }
    found.refuse_if(
        distinct < min(MIN_DISTINCT_SCORES, len(rows)),
        f"{len(rows):,} newest rows have only {distinct} different scores",
    )
    found.refuse_if(
        len(rows) >= MIN_ROWS_FOR_ALERT_RATE
        and not expected / ALERT_RATE_FACTOR <= rate <= expected * ALERT_RATE_FACTOR,
        f"it flags {rate:.2%} of the newest rows, but flagged {expected:.2%} of those it was evaluated on",
    )


def _judge_quality(
    found: _Findings,
    url: str,
    settings: Settings,
    record: registry.ModelRecord,
    standing: registry.ModelRecord | None,
) -> None:
    """Better than guessing, and not worse than the champion on the same rows."""
    precision = float(record.metrics["average_precision"])
    guessing = record.metrics["frauds"] / record.metrics["rows"]
    found.figures |= {"average_precision": precision, "guessing": guessing}
    found.refuse_if(
        precision < MIN_LIFT * guessing,
        f"average precision {precision:.4f} is under {MIN_LIFT:g} times guessing ({guessing:.4f})",
    )
    if standing is None or standing.version == record.version:
        return
    try:
        compared = compare(
            settings.state_dir, record, standing, read_evaluation_rows(url, record), settings.alert_budget
        )
    except NotComparableError as error:
        # Then the figures of each one's own evaluation must do; windows differ, so only a wide gap counts.
        theirs = float(standing.metrics["average_precision"])
        found.figures |= {"compared_by": f"own evaluations: {error}", "champion_average_precision": theirs}
        found.refuse_if(
            precision < MIN_SHARE_OF_CHAMPION * theirs,
            f"average precision {precision:.4f} is under {MIN_SHARE_OF_CHAMPION:.0%} "
            f"of the champion's ({theirs:.4f})",
        )
        return
    measures = {
        "average precision": compared.average_precision,
        "recall at the alert budget": compared.recall_at_budget,
    }
    found.figures |= {
        "compared_by": compared.basis,
        "compared_rows": compared.rows,
        "compared_frauds": compared.frauds,
        **{name.replace(" ", "_"): value.as_dict() for name, value in measures.items()},
    }
    found.figures["champion_average_precision"] = compared.average_precision.champion
    found.figures["average_precision_on_evaluation"] = precision
    for name, value in measures.items():
        shown = f"{name} {value.candidate:.4f}, the champion's {value.champion:.4f} on the same rows"
        found.refuse_if(
            value.is_credibly_worse,
            f"{shown}: worse by any resample that counts ({value.low:+.4f} to {value.high:+.4f})",
        )
        found.refuse_if(
            not value.is_credibly_worse and value.candidate < MIN_SHARE_OF_CHAMPION * value.champion,
            f"{shown}: under {MIN_SHARE_OF_CHAMPION:.0%} of it",
        )
