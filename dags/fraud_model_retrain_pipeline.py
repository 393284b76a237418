"""Nightly: refresh features → train → gate → deploy → verify → monitor.

Each task calls the function of the command of the same purpose. DATABASE_URL names the database. Heavy imports are
inside the tasks, because the scheduler reads this file repeatedly.

How a run can end:
    a new champion           every task succeeded
    the same model again     gate, deploy and verify are skipped; the champion is that very model already
    a rejected candidate     deploy and verify are skipped; gate's result holds the reasons, the champion is unchanged
    an alarm                 monitor fails with one line
    a failure                only an unreachable database is retried
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


def _day(description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", description=description)


@dag(
    dag_id="fraud_model_retrain_pipeline",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # the next run makes up for a missed one: its window ends with the newest labels
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
        "from": _day("First day of the training window; empty: 60 days before its end."),
        "days": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Instead of the first day: days before the label cutoff.",
        ),
        "to": _day("Label cutoff; empty: now."),
    },
    tags=["rowguard"],
    doc_md=__doc__,
)
def fraud_model_retrain_pipeline() -> None:
    """The nightly retrain."""

    @task(outlets=[Asset("rowguard_features")])
    def refresh_features() -> dict[str, Any]:
        """`rowguard features`."""
        from sql_scoring.features.build import build_features

        with _target() as (url, settings):
            build = build_features(url, settings, progress=log.info)
        return _result(passed=build.passed, skipped=build.skipped, seconds=round(build.seconds, 1))

    @task
    def train() -> dict[str, Any]:
        """`rowguard train`."""
        from trainer.training import train

        params = get_current_context()["params"]
        if params["from"] and params["days"]:
            raise AirflowFailException("give either the first day (from) or the number of days, not both")
        cutoff, start = _midnight(params["to"]), _midnight(params["from"])
        if params["days"]:
            start = (cutoff or datetime.now(UTC)) - timedelta(days=params["days"])
        with _target() as (url, settings):
            result = train(url, settings, start=start, cutoff=cutoff, progress=log.info)
        return _result(**result.as_document(), is_champion=result.record.state == "champion")

    @task
    def gate(trained: dict[str, Any]) -> dict[str, Any]:
        """Evaluate the gates: may the candidate replace the champion?"""
        from trainer.gates import evaluate_gates

        if trained["is_champion"]:
            raise AirflowSkipException(f"no new model: {trained['version']} is the champion already")
        with _target() as (url, settings):
            report = evaluate_gates(url, settings, trained["version"])
        return _result(
            version=report.version, passed=report.passed, reasons=report.reasons, details=report.details
        )

    @task(outlets=[Asset("rowguard_champion")])
    def deploy(gated: dict[str, Any]) -> dict[str, Any]:
        """`rowguard deploy`."""
        from trainer.retrain import deploy

        if not gated["passed"]:
            raise AirflowSkipException(f"{gated['version']} was rejected: {'; '.join(gated['reasons'])}")
        with _target() as (url, settings):
            deployment = deploy(url, settings, gated["version"], progress=log.info)
        return _result(**deployment.as_document())

    @task
    def verify(deployed: dict[str, Any]) -> dict[str, Any]:
        """Check that the database decides with the deployed model."""
        from trainer.retrain import verify

        with _target() as (url, settings):
            report = verify(url, settings)
        result = _result(champion=report.champion, is_ok=report.is_ok, checks=report.checks)
        if not report.is_ok:
            raise AirflowFailException(
                f"{deployed['champion']} is deployed, but a check failed: {report.checks}"
            )
        return result

    @task(trigger_rule="none_failed", retries=0)
    def monitor() -> dict[str, Any]:
        """`rowguard monitor`: also without a new model."""
        from rowguard.operations.monitor import monitor

        with _target() as (url, settings):
            path = settings.state_dir / "monitoring" / "report.html"
            report = monitor(url, report=path)
        result = _result(
            champion=report.champion,
            challenger=report.challenger,
            metrics=len(report.metrics),
            alarms=[f"{row['metric']} of {row['subject']}" for row in report.alarms],
            report=path,
        )
        if report.alarms:
            raise AirflowFailException(report.sentence())
        return result

    candidate: Any = train()  # between tasks a reference to the result, inside them the result
    refresh_features() >> candidate
    deployed: Any = deploy(gate(candidate))
    verify(deployed) >> monitor()


@contextmanager
def _target() -> Iterator[tuple[str, Any]]:
    """Give the address and the settings; let Airflow retry only what can pass by waiting."""
    from rowguard.errors import DatabaseUnavailableError, GateError, RowguardError
    from rowguard.settings import require_database_url, settings
    from sql_scoring import UnsupportedModelError

    try:
        yield require_database_url(settings()), settings()
    except DatabaseUnavailableError:
        raise
    except GateError as error:
        raise AirflowSkipException(str(error)) from error
    except (RowguardError, UnsupportedModelError) as error:
        raise AirflowFailException(str(error)) from error


def _midnight(day: str | None) -> datetime | None:
    return None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC)


def _result(**values: Any) -> dict[str, Any]:
    """Log the result and return it as JSON; other types become text."""
    text = json.dumps(values, default=str)
    log.info("result: %s", text)
    document: dict[str, Any] = json.loads(text)
    return document


fraud_model_retrain_pipeline()
