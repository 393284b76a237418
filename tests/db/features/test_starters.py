"""The starter sets in a database: migrated, inserted into, and read live as the training set has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rowguard.database import fetch_one
from rowguard.resources import dbt_project
from rowguard.settings import Settings
from sql_scoring.deployment.migrate import migrate
from sql_scoring.features.build import build_features
from tests.db.features.builds import built_hash8
from tests.fix_database import Workspace

pytestmark = pytest.mark.slow

ROWS: dict[str, list[dict[str, Any]]] = {
    "cards": [
        {"user_id": "c_1", "amount": 10 + 100 * turn, "merchant": f"shop {turn % 2}", "category": "grocery",
         "customer_lat": 48.1, "customer_long": 11.5, "merch_lat": 48.1 + turn, "merch_long": 11.6,
         "birth_date": "1980-02-03T00:00:00Z"}
        for turn in range(5)
    ],
    "transfers": [
        {"user_id": f"acc_{turn % 2}", "amount": 10 * (turn + 1), "payee_account": "mule", "payee_country": "DE",
         "channel": "app", "device_id": "d", "balance_before": 1000}
        for turn in range(5)
    ],
}  # fmt: skip
# Values of the last of these rows.
EXPECTED = {
    "cards": {"transaction_amount": 410, "user_txn_count_1d": 4, "user_previous_amount": 310},
    "transfers": {
        "transaction_amount": 50, "payee_txn_count_1d": 4, "payee_payer_distinct_1d": 2, "payee_amount_sum_1d": 100,
        "edge_txn_count_90d": 2, "user_payee_distinct_1d": 1, "device_user_distinct_7d": 2, "is_online": 1,
    },
}  # fmt: skip


def _with_starter(workspace: Workspace, name: str) -> tuple[Workspace, Settings]:
    path: Path = dbt_project() / "starters" / f"{name}.yml"
    settings = workspace.settings.model_copy(update={"features": path})
    return Workspace(workspace.url, settings), settings


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_read_live_as_the_training_set_has_them(empty_workspace: Workspace, name: str) -> None:
    workspace, settings = _with_starter(empty_workspace, name)
    migrate(workspace.url, settings)
    *earlier, last = ROWS[name]
    names = list(last)
    with workspace.connect() as connection:
        insert = f"INSERT INTO transactions ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
        for row in earlier:
            connection.execute(insert.encode(), list(row.values()))
        unlocked = connection.execute(
            "SELECT count(*) FROM transactions WHERE features_caveat IS NOT NULL"
        ).fetchone()
        columns = fetch_one(
            connection,
            "SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute AS a"
            " WHERE a.attrelid = 'scoring.scoring_request'::regclass AND a.attnum > 0",
        )[0]
        values = [last.get(column) for column in columns]
        values[columns.index("occurred_at")] = fetch_one(connection, "SELECT clock_timestamp()")[0]
        read_live = (
            f"SELECT (features.live_feature_values_{built_hash8(connection)}(ROW("
            f"{', '.join(['%s'] * len(columns))})::scoring.scoring_request)).feature_values"
        )
        live = (connection.execute(read_live.encode(), values).fetchone() or ((),))[0]
        listed = [
            row[0]
            for row in connection.execute("SELECT name FROM features.feature_definitions ORDER BY position")
        ]
        assert unlocked == (0,)
        read = dict(zip(listed, live, strict=True))
        assert {feature: read[feature] for feature in EXPECTED[name]} == EXPECTED[name]
        connection.execute(insert.encode(), list(last.values()))
    build_features(workspace.url, settings)
    with workspace.connect() as connection:
        trained = fetch_one(
            connection,
            "SELECT feature_values FROM features.training_set ORDER BY occurred_at DESC LIMIT 1",
        )[0]
    counted = dict(zip(listed, trained, strict=True))
    assert {feature: counted[feature] for feature in EXPECTED[name]} == EXPECTED[name]
