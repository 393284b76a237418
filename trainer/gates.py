"""The gates that a candidate must pass before deployment. Every value is stored, passed or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rowguard.database import connect
from rowguard.errors import ParityError, RegistryError
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import registry
from sql_scoring.deployment import ROLLED_BACK, check_parity
from sql_scoring.deployment.temporary_function import measure_latency, parity_rows, trial_function
from trainer.artifact import load_model
from trainer.dataset import read_dataset, read_feature_list
from trainer.forest import predict_fraud_probability
from trainer.quality import compare_with_champion, read_evaluation_rows

QUERIES = load_queries("trainer")
MIN_LIFT = 3.0  # of average precision over the prevalence, which random scores reach
MIN_FRACTION_OF_CHAMPION = 0.8  # below this a difference is no accident, however few rows there are
PARITY_ROWS = 10_000
ALERT_RATE_FACTOR = 10.0  # largest change of the alert rate from the evaluation to the newest rows
MIN_ROWS_FOR_ALERT_RATE = 1_000
MIN_DISTINCT_SCORES = 10


@dataclass
class GateReport:
    """Result of the gates; each reason names a failed gate, `details` holds every value."""

    version: str
    champion: str | None
    reasons: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not self.reasons

    def fail_if(self, failed: bool, reason: str) -> None:
        """Record a failed gate."""
        if failed:
            self.reasons.append(reason)

    def as_row(self, *, is_forced: bool = False) -> dict[str, Any]:
        """Return the report as the registry stores it."""
        return {
            "version": self.version,
            "champion": self.champion,
            "is_passed": self.passed,
            "is_forced": is_forced,
            "reasons": self.reasons,
            "details": self.details,
        }


def evaluate_gates(url: str, settings: Settings, version: str, *, as_challenger: bool = False) -> GateReport:
    """Evaluate a version, store the report, and mark a rejected candidate in the registry.

    Args:
        url: Address of the database.
        settings: Thresholds of the gates, and the folder of artifacts.
        version: A registered version.
        as_challenger: Skip the quality gates: a challenger is deployed to be compared.

    Returns:
        The report.
    """
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        built = read_feature_list(connection)
        champion = registry.champion_version(connection)
        champion_record = registry.get_model(connection, champion) if champion else None
    report = GateReport(version, champion)
    report.details |= {"as": "challenger" if as_challenger else "champion", "champion": champion}
    _check_record(report, record, built.hash, settings)
    if record.feature_hash == built.hash:
        _check_function(report, url, settings, record)
        _check_scores(report, url, settings, record)
        if not as_challenger:
            _check_quality(report, url, settings, record, champion_record)
    with connect(url) as connection:
        registry.insert_gate_report(connection, report.as_row())
        if not report.passed:
            connection.execute(
                QUERIES["reject_candidate"], {"version": version, "reason": "; ".join(report.reasons)}
            )
    return report


def _check_record(
    report: GateReport, record: registry.ModelRecord, built_hash: str, settings: Settings
) -> None:
    """Check what the registry holds."""
    megabytes = record.sql_bytes / 1e6
    frauds = record.metrics["frauds"]
    report.details |= {
        "feature_hash": record.feature_hash,
        "built_feature_hash": built_hash,
        "nodes": record.node_count,
        "sql_mb": round(megabytes, 3),
        "evaluation_rows": record.metrics["rows"],
        "evaluation_frauds": frauds,
    }
    # The same data give the same model: without this, the nightly run would undo a rollback.
    report.fail_if(
        record.state == "retired" and (record.state_reason or "").startswith(ROLLED_BACK),
        f"it was rolled back ({record.state_reason}); to use it again: rowguard deploy {record.version}",
    )
    report.fail_if(
        record.feature_hash != built_hash,
        f"feature list {record.feature_hash[:8]} is not the built one, {built_hash[:8]}",
    )
    report.fail_if(
        record.node_count > settings.gate_max_nodes,
        f"{record.node_count:,} nodes are more than {settings.gate_max_nodes:,}",
    )
    report.fail_if(
        megabytes > settings.gate_max_sql_mb,
        f"{megabytes:.1f} MB of SQL are more than {settings.gate_max_sql_mb:g}",
    )
    report.fail_if(
        frauds < settings.gate_min_frauds,
        f"it was evaluated on {frauds:,} frauds, fewer than {settings.gate_min_frauds:,}",
    )


def _check_function(report: GateReport, url: str, settings: Settings, record: registry.ModelRecord) -> None:
    """Check parity and latency of the function in a transaction that is rolled back."""
    forest = load_model(settings.state_dir, record)
    rows = parity_rows(url, record, forest, PARITY_ROWS)
    with connect(url) as connection, trial_function(connection, record):
        latency = measure_latency(connection, record.function_name, rows)
        report.details |= {**latency, "parity_rows": len(rows), "parity_differences": None}
        try:
            parity = check_parity(connection, record, forest, rows)
            report.details |= {"parity_rows": parity.rows, "parity_differences": parity.differences}
        except ParityError as error:
            report.reasons.append(str(error))
    limits = {"first_call_ms": settings.gate_max_first_call_ms, "call_ms": settings.gate_max_call_ms}
    for name, limit in limits.items():
        report.fail_if(latency[name] > limit, f"{name} is {latency[name]:.1f}, more than {limit:g}")


def _check_scores(report: GateReport, url: str, settings: Settings, record: registry.ModelRecord) -> None:
    """Check that the scores of the newest, still unlabeled rows resemble those of the evaluation."""
    rows = read_dataset(url, record.train_to, record.label_cutoff, record.label_cutoff)
    report.details["newest_rows"] = len(rows)
    if not len(rows):
        return
    forest = load_model(settings.state_dir, record)
    scores = predict_fraud_probability(forest, rows.features)
    distinct, rate = len(np.unique(scores)), float((scores >= record.threshold).mean())
    expected = float(record.metrics["alert_rate"])
    report.details |= {
        "newest_distinct_scores": distinct,
        "newest_alert_rate": round(rate, 6),
        "evaluation_alert_rate": round(expected, 6),
        "newest_score_quantiles": [round(float(q), 6) for q in np.quantile(scores, (0.5, 0.9, 0.99, 1.0))],
    }
    report.fail_if(
        distinct < min(MIN_DISTINCT_SCORES, len(rows)),
        f"{len(rows):,} newest rows have only {distinct} different scores",
    )
    report.fail_if(
        len(rows) >= MIN_ROWS_FOR_ALERT_RATE
        and not expected / ALERT_RATE_FACTOR <= rate <= expected * ALERT_RATE_FACTOR,
        f"its alert rate is {rate:.2%} on the newest rows, but was {expected:.2%} in the evaluation",
    )


def _check_quality(
    report: GateReport,
    url: str,
    settings: Settings,
    record: registry.ModelRecord,
    champion: registry.ModelRecord | None,
) -> None:
    """Check that it ranks better than random scores, and not worse than the champion on the same rows."""
    precision = float(record.metrics["average_precision"])
    prevalence = record.metrics["frauds"] / record.metrics["rows"]
    report.details |= {"average_precision": precision, "prevalence": prevalence}
    report.fail_if(
        precision < MIN_LIFT * prevalence,
        f"average precision {precision:.4f} is under {MIN_LIFT:g} times the prevalence ({prevalence:.4f})",
    )
    if champion is None or champion.version == record.version:
        return
    try:
        comparison = compare_with_champion(
            settings.state_dir, record, champion, read_evaluation_rows(url, record), settings.alert_budget
        )
    except RegistryError as error:
        # Only the two separate evaluations are left; their windows differ, so only a wide gap counts.
        other = float(champion.metrics["average_precision"])
        report.details |= {"compared_by": f"own evaluations: {error}", "champion_average_precision": other}
        report.fail_if(
            precision < MIN_FRACTION_OF_CHAMPION * other,
            f"average precision {precision:.4f} is under {MIN_FRACTION_OF_CHAMPION:.0%} "
            f"of the champion's ({other:.4f})",
        )
        return
    precision_of, recall = comparison.average_precision, comparison.recall_at_budget
    report.details |= {
        "compared_by": comparison.basis,
        "compared_rows": comparison.rows,
        "compared_frauds": comparison.frauds,
        "average_precision": precision_of.as_dict(),
        "recall_at_the_alert_budget": recall.as_dict(),
        "champion_average_precision": precision_of.champion,
        "average_precision_on_evaluation": precision,
    }
    texts = {
        f"it finds {recall.candidate:.1%} of {comparison.frauds:,} frauds among {comparison.rows:,} later rows "
        f"within the alert budget, the champion {recall.champion:.1%}": recall,
        f"it ranks frauds lower, average precision {precision_of.candidate:.4f}, "
        f"the champion's {precision_of.champion:.4f} on the same rows": precision_of,
    }
    for text, value in texts.items():
        report.fail_if(
            value.is_significantly_worse,
            f"{text}: more than the draw of rows and seed explains "
            f"(95 % interval of the difference {value.low:+.4f} to {value.high:+.4f})",
        )
        report.fail_if(
            not value.is_significantly_worse and value.candidate < MIN_FRACTION_OF_CHAMPION * value.champion,
            f"{text}: under {MIN_FRACTION_OF_CHAMPION:.0%} of it",
        )
