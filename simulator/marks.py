"""Live rows with the mark of simulated ones: each gets a label of the source `simulator`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

from rowguard.database import connect, fetch_one
from rowguard.declaration import declared
from rowguard.queries import load_queries
from rowguard.slots import fill_slots
from simulator._config import SimulationConfig
from simulator._stream import live_transactions
from simulator.live import LiveDecision, LiveSummary, insert_live

QUERIES = load_queries("simulator")
SOURCE = "simulator"
MAX_SKIPPED_ROWS = 100_000


def insert_marked(
    url: str,
    config: SimulationConfig,
    fraud_rate: float,
    count: int,
    *,
    label_delay: timedelta,
    application_url: str | None = None,
    rate: float | None = None,
    on_row: Callable[[], None] = lambda: None,
) -> LiveSummary:
    """Insert live transactions, as an application does, and label them with the truth, also when interrupted.

    Args:
        url: Address of the database, of a role that may label.
        config: The world, and the end of its history.
        fraud_rate: Fraction of frauds.
        count: Number of transactions; those that were inserted before are left out.
        label_delay: Time after which the labels are known.
        application_url: Address that the rows are inserted through, by default `url`.
        rate: Mean rows per second; None for full speed.
        on_row: Called after each row.

    Returns:
        The decisions.
    """
    with connect(url) as connection:
        stored = fetch_one(connection, QUERIES["count_live_rows"])[0] % MAX_SKIPPED_ROWS
    stream = live_transactions(config, fraud_rate=fraud_rate, count=stored + count)
    decisions: list[LiveDecision] = []

    def collect(decision: LiveDecision) -> None:
        decisions.append(decision)
        on_row()

    try:
        with connect(application_url or url, autocommit=True) as connection:
            # Through PgBouncer a prepared statement may be in another server connection.
            connection.prepare_threshold = None
            return insert_live(connection, islice(stream, stored, None), rate=rate, on_row=collect)
    finally:
        if decisions:
            with connect(url) as connection:
                values: dict[str, Any] = {"label_delay": label_delay, "source": SOURCE}
                values["user_ids"] = [each.transaction.user_id for each in decisions]
                values["transaction_ids"] = [each.transaction_id for each in decisions]
                values["is_fraud"] = [each.transaction.is_fraud for each in decisions]
                connection.execute(fill_slots(QUERIES["mark_live_rows"], declared()).encode(), values)
