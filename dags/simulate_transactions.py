"""Hourly: a few live transactions for a demonstration, one INSERT each. Paused by default."""

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
        "count": Param(100, type="integer", minimum=1, maximum=10_000, description="Transactions per run."),
        "fraud_rate": Param(0.05, type="number", minimum=0, maximum=0.5, description="Fraction of frauds."),
        "users": Param(2_000, type="integer", minimum=1, description="As in the simulated history."),
        "merchants": Param(1_000, type="integer", minimum=100, description="As in the simulated history."),
        "mix_into_real_data": Param(False, type="boolean", description="Also next to real transactions."),
        "seed": Param(1, type="integer", minimum=0, description="As in the simulated history."),
    },
    tags=["rowguard"],
    doc_md=__doc__,
)
def simulate_transactions() -> None:
    """The hourly stream."""

    @task
    def insert() -> dict[str, Any]:
        """`rowguard simulate --live`."""
        from rowguard.database import connect
        from rowguard.operations.simulated_rows import require_only_simulated_rows
        from rowguard.settings import require_database_url, settings
        from simulator import SimulationConfig
        from simulator.marks import insert_marked

        params = get_current_context()["params"]
        # The config ends this hour, so each run continues the same world.
        config = SimulationConfig(users=params["users"], merchants=params["merchants"], seed=params["seed"])
        url, delay = require_database_url(settings()), timedelta(days=settings().label_delay_days)
        if not params["mix_into_real_data"]:
            with connect(url) as connection:
                require_only_simulated_rows(connection, is_external=False)
        summary = insert_marked(url, config, params["fraud_rate"], params["count"], label_delay=delay)
        result = summary.metrics()
        log.info("result: %s", result)
        return result

    insert()


simulate_transactions()
