"""Hourly: a few live transactions for the local stack, inserted one by one as an application would.

Paused until somebody wants it: made-up transactions have no business in a database with real ones.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

log = logging.getLogger(__name__)


@dag(
    dag_id="simulate_transactions",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=30),
    },
    params={
        "count": Param(100, type="integer", minimum=1, maximum=10_000, description="How many."),
        "fraud_share": Param(0.05, type="number", minimum=0, maximum=0.5, description="Share of frauds."),
        "users": Param(2_000, type="integer", minimum=1, description="As in the history's simulation."),
        "merchants": Param(1_000, type="integer", minimum=100, description="As in the history's simulation."),
        "seed": Param(1, type="integer", minimum=0, description="As in the history's simulation."),
    },
    tags=["rowguard"],
    doc_md=__doc__,
)
def simulate_transactions() -> None:
    """The hourly trickle."""

    @task
    def insert() -> dict[str, Any]:
        """`rowguard simulate --live`."""
        from rowguard.database import connect
        from rowguard.settings import settings
        from simulator import SimulationConfig, live_transactions
        from simulator.live import insert_live

        params = get_current_context()["params"]
        # The config's end is this hour, so each hour continues the same world where the last one stopped.
        config = SimulationConfig(users=params["users"], merchants=params["merchants"], seed=params["seed"])
        stream = live_transactions(config, fraud_rate=params["fraud_share"], count=params["count"])
        with connect(settings().require_database_url(), autocommit=True) as connection:
            summary = insert_live(connection, stream, keep_decisions=False)
        result = {
            "rows": summary.rows,
            "true_positives": summary.true_positives,
            "false_negatives": summary.false_negatives,
            "false_positives": summary.false_positives,
            "unscored": summary.unscored,
            "precision": summary.precision,
            "recall": summary.recall,
            "seconds": round(summary.seconds, 2),
        }
        log.info("result: %s", result)
        return result

    insert()


simulate_transactions()
