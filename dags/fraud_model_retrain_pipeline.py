"""Nightly: refresh features → train → gate → deploy → verify → monitor.

Each task calls the function behind the command of the same purpose; nothing is decided here. Whatever is
heavy is imported inside the tasks, because the scheduler reads this file again and again.

What a night can end with:
    a new champion           every task succeeded
    the same model again     gate, deploy and verify are skipped; the champion is that very model already
    a refused candidate      deploy and verify are skipped; gate's result says why, and the champion stays
    an alarm                 monitor is red, whatever the night did before; its one line says what to look at
    a failure                red; an unreachable database is tried again, everything else is not
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

log = logging.getLogger(__name__)

FEATURES = Asset("rowguard_features")
CHAMPION = Asset("rowguard_champion")


def _day(description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", description=description)


@dag(
    dag_id="fraud_model_retrain_pipeline",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a missed night is made good by the next: the window always ends with the newest labels
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=3),
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=1),
    },
    params={
        "from": _day("First day of the training window; empty: as far back as the data go."),
        "days": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Instead of the first day: so many days before the cut-off.",
        ),
        "to": _day("Cut-off: only labels known by then are used; empty: now."),
    },
    tags=["rowguard"],
    doc_md=__doc__,
)
def fraud_model_retrain_pipeline() -> None:
    """The nightly retrain."""

    @task(outlets=[FEATURES])
    def refresh_features() -> dict[str, Any]:
        """`rowguard features`."""
        from rowguard.local import resolve_database_url
        from rowguard.settings import settings
        from sql_scoring.features.build import build_features

        with _retry_only_what_passes():
            built = build_features(resolve_database_url(settings()), settings(), progress=log.info)
        return _result(passed=built.passed, skipped=built.skipped, seconds=round(built.seconds, 1))

    @task
    def train() -> dict[str, Any]:
        """`rowguard train`: fit on the point-in-time training set, register a candidate."""
        from rowguard import operations as pipeline
        from rowguard.local import resolve_database_url
        from rowguard.settings import settings

        params = get_current_context()["params"]
        if params["from"] and params["days"]:
            raise AirflowFailException("give either the first day (from) or the number of days, not both")
        cutoff = _instant(params["to"])
        start = _instant(params["from"])
        if params["days"]:
            start = (cutoff or datetime.now(UTC)) - timedelta(days=params["days"])
        with _retry_only_what_passes():
            trained = pipeline.train(
                resolve_database_url(settings()),
                settings(),
                start=start,
                cutoff=cutoff,
                progress=log.info,
            )
        return _result(
            version=trained.version,
            is_new=trained.is_new,
            is_champion=trained.record.state == "champion",
            rows=trained.record.row_count,
            frauds=trained.record.fraud_count,
            nodes=trained.record.node_count,
            threshold=trained.threshold,
            metrics=trained.evaluation.as_dict(),
        )

    @task
    def gate(trained: dict[str, Any]) -> dict[str, Any]:
        """Whether the candidate may replace the champion, with every figure that was looked at."""
        from rowguard import operations as pipeline
        from rowguard.local import resolve_database_url
        from rowguard.settings import settings

        if trained["is_champion"]:
            raise AirflowSkipException(f"no new model: {trained['version']} is the champion already")
        with _retry_only_what_passes():
            report = pipeline.gate(resolve_database_url(settings()), settings(), trained["version"])
        return _result(
            version=trained["version"],
            passed=report.passed,
            reasons=list(report.reasons),
            figures=dict(report.figures),
        )

    @task(outlets=[CHAMPION])
    def deploy(gated: dict[str, Any]) -> dict[str, Any]:
        """`rowguard deploy`: compared bit for bit in the database, then switched by migration."""
        from rowguard import operations as pipeline
        from rowguard.local import resolve_database_url
        from rowguard.settings import settings

        if not gated["passed"]:
            raise AirflowSkipException(f"{gated['version']} was refused: {'; '.join(gated['reasons'])}")
        with _retry_only_what_passes():
            done = pipeline.deploy(
                resolve_database_url(settings()), settings(), gated["version"], progress=log.info
            )
        return _result(
            champion=done.version,
            previous=done.previous,
            revision=done.revision,
            parity_rows=done.parity.rows if done.parity else None,
            parity_differences=done.parity.differences if done.parity else None,
        )

    @task
    def verify(deployed: dict[str, Any]) -> dict[str, Any]:
        """Whether the database now decides with the model that was deployed."""
        from rowguard import operations as pipeline
        from rowguard.local import resolve_database_url
        from rowguard.settings import settings

        with _retry_only_what_passes():
            report = pipeline.verify(resolve_database_url(settings()), settings())
        result = _result(champion=report.champion, is_ok=report.is_ok, checks=dict(report.checks))
        if not report.is_ok:
            raise AirflowFailException(
                f"{deployed['champion']} was deployed, but a check failed: {report.checks}"
            )
        return result

    @task(trigger_rule="none_failed", retries=0)
    def monitor() -> dict[str, Any]:
        """`rowguard monitor`: also on nights without a new model."""
        from rowguard import operations as pipeline
        from rowguard.local import resolve_database_url
        from rowguard.settings import settings

        report = settings().state_dir / "monitoring" / "report.html"
        with _retry_only_what_passes():
            found = pipeline.monitor(resolve_database_url(settings()), report=report)
        result = _result(
            champion=found.champion,
            challenger=found.challenger,
            metrics=len(found.metrics),
            alarms=[f"{row['metric']} of {row['subject']}" for row in found.alarms],
            report=str(report),
        )
        if found.alarms:
            raise AirflowFailException(found.sentence())
        return result

    candidate: Any = train()  # between tasks a reference to the result, inside them the result
    refresh_features() >> candidate
    gated: Any = gate(candidate)
    deployed: Any = deploy(gated)
    verify(deployed) >> monitor()


@contextmanager
def _retry_only_what_passes() -> Iterator[None]:
    """A database that is away comes back; too few labels or a refused model do not mend by waiting."""
    from rowguard.errors import DatabaseUnavailableError, GateError, RowguardError
    from sql_scoring.engine import UnsupportedModelError

    try:
        yield
    except DatabaseUnavailableError:
        raise
    except GateError as error:
        raise AirflowSkipException(str(error)) from error
    except (RowguardError, UnsupportedModelError) as error:
        raise AirflowFailException(str(error)) from error


def _instant(day: str | None) -> datetime | None:
    return None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC)


def _result(**figures: Any) -> dict[str, Any]:
    """Into the task's log, and as small JSON to the next task; what JSON does not know becomes text."""
    text = json.dumps(figures, default=str)
    log.info("result: %s", text)
    document: dict[str, Any] = json.loads(text)
    return document


fraud_model_retrain_pipeline()
