"""Checks of the stored rows that must hold after any fault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from benchmarks.chaos.load import Acknowledged
from benchmarks.chaos.stack import ChaosStack
from rowguard.queries import load_queries
from sql_scoring.deployment.migrate import migrate
from sql_scoring.features.build import build_features
from tests.oracle.velocity_oracle import Recomputed, recompute
from trainer.retrain import verify

QUERIES = load_queries("benchmarks.chaos")


@dataclass(frozen=True)
class RowChecks:
    """Counts after one fault; everything but `stored` and `with_reason` must be 0."""

    stored: int
    lost: int
    duplicated: int
    changed: int
    without_decision_or_reason: int
    with_reason: int
    not_reproducible: int

    @property
    def is_right(self) -> bool:
        return not (
            self.lost
            or self.duplicated
            or self.changed
            or self.without_decision_or_reason
            or self.not_reproducible
        )


def check_rows(stack: ChaosStack, run: str, acknowledged: list[Acknowledged]) -> RowChecks:
    """Compare what clients received with what is stored, and replay every decision.

    Args:
        stack: The stack under test.
        run: Prefix of the idempotency keys of the run.
        acknowledged: Payments with the response that their client received.
    """
    with stack.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(QUERIES["create_acknowledged"])
        with cursor.copy("COPY acknowledged FROM STDIN") as copy:
            for response in acknowledged:
                copy.write_row(
                    (
                        response.payment.user_id,
                        response.payment.key,
                        response.transaction_id,
                        response.fraud_probability,
                        response.model_version,
                        response.unscored_reason,
                    )
                )
        counts = cursor.execute(QUERIES["compare_with_stored"], {"run": f"{run}-"}).fetchone()
        reasons = cursor.execute(QUERIES["count_unscored"], {"run": f"{run}-"}).fetchone()
        assert counts is not None and reasons is not None
        return RowChecks(**counts, **reasons, not_reproducible=count_not_reproducible(connection))


def count_not_reproducible(connection: psycopg.Connection) -> int:
    """Count decisions of the whole table that their model version does not return again, bit for bit."""
    wrong = 0
    for version, function_name in connection.execute(QUERIES["list_scoring_versions"]).fetchall():
        function = sql.Identifier(*function_name.split("."))
        query = sql.SQL(QUERIES["count_not_reproducible"]).format(function=function)
        row = connection.execute(query, {"version": version}).fetchone()
        assert row is not None
        wrong += row[0]
    return wrong


@dataclass(frozen=True)
class Velocity:
    """Scored rows compared with the training set, and with values recomputed in Python from the raw rows."""

    compared: int
    differ: int
    labels_stale: int
    recomputed: Recomputed


def check_velocity(stack: ChaosStack, since: datetime | None) -> Velocity:
    """Compare live velocity values with the training set, and recompute them without any SQL of the product.

    The training set follows arrival. Rows that differ from it only because of a row stored without the lock are
    not counted when the oracle accepts them; their derived features are then not compared.

    Args:
        stack: The stack under test.
        since: Recompute rows that arrived from this time on; None for all.
    """
    build_features(stack.url, stack.settings)
    with stack.connect() as connection:
        row = connection.execute(QUERIES["compare_velocity"]).fetchone()
        assert row is not None
        compared, differing_rows, missing, labels_stale = row
        recomputed = recompute(connection, since=since)
        differing = {(user, number) for user, number in differing_rows} - recomputed.near_open_rows
        if differing and since is not None:  # of an earlier fault
            differing -= recompute(connection).near_open_rows
    return Velocity(compared, missing + len(differing), labels_stale, recomputed)


def is_healthy(stack: ChaosStack) -> bool:
    """Whether the champion verifies and a migration has nothing to restore."""
    done = migrate(stack.url, stack.settings)
    return done.model_revisions == 0 and verify(stack.url, stack.settings).is_ok
