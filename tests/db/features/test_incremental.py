"""What an incremental run covers, against a full refresh; and what needs the variable, as marts.yml states."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from rowguard.operations.archive import archive_transactions
from tests.db.features.builds import CompiledSql, assert_matches_full_refresh, build, built_hash8
from tests.db.features.random_rows import NOW, insert, label, load
from tests.fix_database import Workspace


@pytest.mark.slow
def test_incremental_runs_equal_a_full_refresh(extended: Workspace, extended_sql: CompiledSql) -> None:
    """Live and late rows, labels given and withdrawn, an import into the past; what is older by the variable; and
    retention, after which no old row is written again."""
    draw = random.Random(int(os.environ.get("ROWGUARD_TEST_SEED", "3")))
    load(extended, draw, 250, days=80)
    build(extended)
    with extended.connect() as connection:
        insert(connection, draw, late_hours=60)
        label(connection, draw, past_hours=60)
    load(extended, draw, 20, days=80)
    build(extended)
    assert_matches_full_refresh(extended, extended_sql)

    with extended.connect() as connection:
        connection.execute(
            "INSERT INTO users (user_id, home_location) SELECT g, 'DE' FROM generate_series(1, 6) AS g"
        )
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT user_id, transaction_id, true, now() - interval '20 days' FROM transactions"
            " WHERE occurred_at < now() - interval '21 days'"
        )
    build(extended, rebuild_from=str(NOW.date() - timedelta(days=85)))
    assert_matches_full_refresh(extended, extended_sql)

    with extended.connect() as connection:
        insert(connection, draw, late_hours=60)
    archived = archive_transactions(
        extended.url, extended.settings.state_dir / "archive", keep_days=70, label_delay_days=7
    )
    assert archived.transactions > 0
    before = _written(extended, archived.complete_from)
    build(extended)
    assert_matches_full_refresh(extended, extended_sql, since=archived.complete_from.date())
    assert before and before == _written(extended, archived.complete_from)


def _written(workspace: Workspace, since: datetime) -> list[tuple[Any, ...]]:
    """Which transaction wrote each row of the training set that is older than the lookback."""
    with workspace.connect() as connection:
        return connection.execute(
            f"SELECT user_id, transaction_id, xmin::text FROM features.training_features_{built_hash8(connection)}"
            " WHERE occurred_at >= %s AND occurred_at < now() - interval '5 days' ORDER BY 1, 2".encode(),
            [since],
        ).fetchall()
