"""Features at the moment of the INSERT, in the training set, and computed again: the same values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rowguard.database import fetch_one
from rowguard.errors import FeatureBuildError
from rowguard.operations.importer import load_history
from simulator import SimulationConfig, live_transactions, simulate
from simulator.live import insert_live
from sql_scoring.features.build import build_features
from sql_scoring.features.dbt import FeatureBuild, run_dbt
from tests.db.features.builds import (
    SHIPPED,
    CompiledSql,
    call_dbt,
    extend_feature_list,
    refresh,
    with_features,
)
from tests.fix_database import Workspace
from tests.user_keys import USER_ID_TYPE, user
from trainer.retrain import retrain

CONFIG = SimulationConfig(
    users=300, merchants=120, days=45, seed=5, fraud_rate=0.02, user_id_type=USER_ID_TYPE
)
RECOMPUTED = """
SELECT count(*), count(*) FILTER (WHERE f.live_values IS DISTINCT FROM f.recomputed_values)
FROM features.monitoring_recomputed_features AS f
"""
TRAINED = """
SELECT count(*), count(*) FILTER (WHERE t.feature_values IS DISTINCT FROM f.feature_values)
FROM transactions AS t
JOIN features.training_set AS f USING (user_id, transaction_id)
WHERE t.model_version IS NOT NULL
"""


def test_live_features_equal_those_computed_again(scored: Workspace, default_sql: CompiledSql) -> None:
    """Ordinary rows, rows with a past event time, ties, bursts, rows that arrive out of order, history loaded later."""
    with scored.connect() as connection:
        insert_live(connection, live_transactions(CONFIG, count=400, fraud_rate=0.2))
        late = datetime.now(UTC) - timedelta(days=3)
        insert_live(
            connection,
            live_transactions(CONFIG, count=400, fraud_rate=0.2, start=late),
            set_occurred_at=True,
        )
        tie = "INSERT INTO transactions (user_id, amount, occurred_at) VALUES (5, %s, now() - interval '9 days')"
        for amount in ("1.10", "2.20", "3.30"):
            connection.execute(tie, [amount])
        connection.execute("UPDATE users SET home_location = 'JP' WHERE user_id <= 100")
        insert_live(connection, live_transactions(CONFIG, count=200, fraud_rate=0.2))
        refresh(connection, default_sql, "monitoring_recomputed_features", "training_features")
        assert connection.execute(RECOMPUTED).fetchone() == (1003, 0)
        assert connection.execute(TRAINED).fetchone() == (1003, 0)
    world = simulate(SimulationConfig(users=300, merchants=120, days=3, seed=6, user_id_type=USER_ID_TYPE))
    columns = ["scenario", "merchant_id"]  # at a merchant it would have been known to rollups
    load_history(
        scored.url,
        world.transactions.drop_columns(columns).to_batches(),
        label_delay=timedelta(days=7),
        source="simulator",
    )
    with scored.connect() as connection:
        refresh(connection, default_sql, "monitoring_recomputed_features")
        assert connection.execute(RECOMPUTED).fetchone() == (1003, 0)


def test_a_live_row_is_trained_on_what_the_model_saw(scored: Workspace, default_sql: CompiledSql) -> None:
    """Log and wait, while the row names a model of the built list. Otherwise its features are computed."""
    with scored.connect() as connection:
        connection.execute("INSERT INTO transactions (user_id, amount) VALUES (5, 10)")
        connection.execute("UPDATE transactions SET feature_values[1] = 99 WHERE model_version IS NOT NULL")
        read = (
            "SELECT f.feature_values[1] FROM features.training_set AS f"
            " JOIN transactions AS t USING (user_id, transaction_id) WHERE NOT t.is_history"
        )
        refresh(connection, default_sql, "training_features")
        assert connection.execute(read).fetchall() == [(99,)]
        connection.execute("UPDATE scoring.models SET feature_hash = repeat('0', 32)")
        refresh(connection, default_sql, "training_features")
        assert connection.execute(read).fetchall() == [(10,)]


HOME_CHANGES = [
    "UPDATE users SET home_location = 'JP' WHERE user_id = 5",
    "DELETE FROM users WHERE user_id = 5",
    "INSERT INTO users (user_id, home_location) VALUES (900001, 'JP')",
]


@pytest.mark.parametrize("change", HOME_CHANGES)
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_training_reads_the_home_that_the_trigger_read(
    scored: Workspace, default_sql: CompiledSql, change: str, ending: str
) -> None:
    """Before a change of the home, in its own transaction, while it is open, and after it has ended. Its time
    is that of the statement; what others read changes with the commit."""
    pay = (
        "INSERT INTO transactions (user_id, amount, location) SELECT u, 10, l FROM (VALUES ('JP'), (%s)) AS v (l),"
        " unnest('{5,900001}'::bigint[]) AS u RETURNING home_location"
    )
    with scored.connect() as owner, scored.connect() as other:
        home = fetch_one(owner, "SELECT home_location FROM users WHERE user_id = 5")[0]
        before = other.execute(pay, [home]).fetchall()
        owner.execute("BEGIN")
        owner.execute(change.encode())
        during = other.execute(pay, [home]).fetchall()
        owner.execute("SELECT pg_sleep(0.01)")
        inside = [] if ending == "ROLLBACK" else owner.execute(pay, [home]).fetchall()
        owner.execute(ending.encode())
        after = other.execute(pay, [home]).fetchall()
        assert set(before) == set(during) == {(home,), (None,)}
        assert ending == "ROLLBACK" or set(inside) == set(after)
        assert (set(after) == set(before)) is (ending == "ROLLBACK")
        # Recomputed for the doctor, and for a training set whose list is not the model's.
        refresh(owner, default_sql, "monitoring_recomputed_features")
        assert owner.execute(RECOMPUTED).fetchone() == (len(before + during + inside + after), 0)
        owner.execute("UPDATE scoring.models SET feature_hash = repeat('0', 32)")
        refresh(owner, default_sql, "training_features")
        assert owner.execute(TRAINED).fetchone() == (len(before + during + inside + after), 0)


def test_the_first_row_of_a_user_states_the_home_as_well(scored: Workspace, migrated: Workspace) -> None:
    """It has no last row, so another statement reads the home. What a client brings is dropped, also without a model."""
    pay = (
        "INSERT INTO transactions (user_id, amount, home_location) VALUES (%(user)s, 10, 'XX')"
        " RETURNING home_location"
    )
    for workspace, users in ((scored, {900002: "FR", 900003: None}), (migrated, {900002: None})):
        with workspace.connect() as connection:
            connection.execute("INSERT INTO users (user_id, home_location) VALUES (900002, 'FR')")
            for user, home in users.items():
                for _ in range(2):
                    assert fetch_one(connection, pay, {"user": user}) == (home,)


def test_leakage_and_gaps_are_found(scored: Workspace, default_sql: CompiledSql) -> None:
    """The data tests, on a training set whose counts are off, and on one that lacks rows."""
    with scored.connect() as connection:
        table = connection.execute(
            "SELECT 'features.training_features_' || left(feature_hash, 8) FROM features.feature_definitions"
        ).fetchone()
        position = connection.execute(
            "SELECT position FROM features.feature_definitions WHERE name = 'user_txn_count_7d'"
        ).fetchone()
        assert table is not None and position is not None
        for test, change in (
            ("no_future_leakage", f"UPDATE {table[0]} SET feature_values[{position[0]}] = 99"),
            ("training_set_is_complete", f"DELETE FROM {table[0]} WHERE user_id = 5"),
        ):
            query = default_sql[test].encode()
            assert connection.execute(query).fetchall() == []
            with connection.transaction(force_rollback=True):
                connection.execute(change.encode())
                assert connection.execute(query).fetchall() != []


@pytest.mark.slow
def test_a_feature_that_fails_on_rows_names_its_cause_in_one_line(scored: Workspace, tmp_path: Path) -> None:
    entry = '- {name: broken, expression: "amount / (merchant_id - merchant_id)", description: "d"}\n'
    with pytest.raises(FeatureBuildError) as refusal:
        build_features(scored.url, with_features(scored, extend_feature_list(entry, tmp_path)).settings)
    message = str(refusal.value)
    assert "training_features: division by zero" in message and "\n" not in message and "macro" not in message


@pytest.mark.slow
def test_the_label_delay_is_one_setting(migrated: Workspace) -> None:
    """Another one is another list: the deployed model keeps its own until the next is trained."""
    delays = "SELECT array_agg(DISTINCT delay_days), max(feature_hash) FROM features.feature_definitions"
    mature = "SELECT pg_get_viewdef('features.monitoring_transactions'::regclass)"
    with migrated.connect() as connection:
        built = fetch_one(connection, delays)
        build_features(migrated.url, migrated.settings.model_copy(update={"label_delay_days": 10}))
        rebuilt = fetch_one(connection, delays)
        assert (built[0], rebuilt[0]) == ([7, None], [10, None]) and built[1] != rebuilt[1]
        assert "'10 days'::interval" in fetch_one(connection, mature)[0]


@pytest.mark.slow
def test_a_failing_build_names_its_reason(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount) SELECT g, 10 FROM generate_series(1, 101) AS g"
        )
        # No role may; the owner can, and the data test sees it.
        connection.execute("UPDATE transactions SET feature_values[1] = 11 WHERE model_version IS NOT NULL")
    with pytest.raises(FeatureBuildError, match="live_features_match_recomputed: Got 101 results"):
        build_features(scored.url, scored.settings)


def test_features_that_are_missing_in_every_row_are_warnings(
    scored: Workspace,
    default_sql: CompiledSql,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of a history without homes and merchants; not of one without rows."""
    monkeypatch.setattr("sql_scoring.features.build.run_dbt", lambda *_, **__: FeatureBuild(1, 0, 0, 1.0))
    assert build_features(scored.url, scored.settings).warnings == ()
    with scored.connect() as connection:
        connection.execute("DELETE FROM scoring.users_history")
        connection.execute("UPDATE transactions SET merchant_id = NULL")
        refresh(connection, default_sql, "merchant_risk", "training_features")
        warnings = build_features(scored.url, scored.settings).warnings
        assert warnings == tuple(
            f"feature `{name}` is missing in every row of the training set"
            for name in (
                *(f"merchant_fraud_rate_{days}d" for days in (1, 3, 7, 14, 21, 28)),
                "user_location_match",
            )
        )
        assert [record.message for record in caplog.records] == list(warnings)
        connection.execute("DELETE FROM transactions")
        refresh(connection, default_sql, "training_features")
    assert build_features(scored.url, scored.settings).warnings == ()


def test_the_velocity_view_shows_the_same_counts(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount) SELECT 777, 2 FROM generate_series(1, 3)"
        )
        row = connection.execute(
            "SELECT user_txn_count_1h, user_amount_mean_30d, user_amount_stddev_7d"
            " FROM features.user_velocity WHERE user_id = 777"
        ).fetchone()
    assert row == (3, 2, 0)


def test_the_trigger_reads_single_rows_of_indexes(scored: Workspace) -> None:
    """The plan of the live function itself: every read of transactions is an index scan under a LIMIT, or the look for
    rows without totals; none walks over a window."""
    with scored.connect() as connection:
        connection.execute("VACUUM ANALYZE transactions")
        row = connection.execute(
            "SELECT prosrc FROM pg_proc WHERE oid = to_regproc('features.live_feature_values_'"
            " || (SELECT left(feature_hash, 8) FROM features.feature_definitions LIMIT 1))"
        ).fetchone()
        assert row is not None
        query = row[0][row[0].index("SELECT") : row[0].index("INTO")]
        values = {
            "user_id": f"'{user(5)}'::{USER_ID_TYPE}",
            "amount": "10::numeric",
            "merchant_id": "7::bigint",
            "location": "'DE'::text",
            "occurred_at": "now()",
        }
        for name, value in values.items():
            query = query.replace(f"p_request.{name}", value)
        plan = connection.execute(("EXPLAIN (ANALYZE, FORMAT JSON) " + query).encode()).fetchone()
        elsewhere = connection.execute(
            "SELECT prosrc FROM pg_proc WHERE oid = to_regproc('features.user_location_minutes_since_'"
            " || (SELECT left(feature_hash, 8) FROM features.feature_definitions LIMIT 1))"
        ).fetchone()
        assert elsewhere is not None
        query = elsewhere[0][elsewhere[0].index("SELECT") : elsewhere[0].rindex(")")]
        for name, value in {**values, "window": "interval '30 days'"}.items():
            query = query.replace(f"p_{name}", value)
        look = connection.execute(("EXPLAIN (ANALYZE, FORMAT JSON) " + query).encode()).fetchone()
    assert plan is not None
    assert look is not None
    reads = list(_reads(plan[0][0]["Plan"], under_limit=False))
    assert {index for index, _, _ in reads} == {
        "transactions_user_totals_idx", "transactions_totals_pending_idx"
    }  # fmt: skip
    reads += _reads(look[0][0]["Plan"], under_limit=False)
    assert reads[-1][0].startswith("transactions_entity_user_location_")
    assert all(limited or index == "transactions_totals_pending_idx" for index, limited, _ in reads)
    assert all(rows <= 1 for _, _, rows in reads)


def _reads(node: dict[str, Any], *, under_limit: bool) -> Iterator[tuple[str, bool, float]]:
    """Index, whether it is below a LIMIT, and rows per loop of each scan of transactions."""
    if node.get("Relation Name") == "transactions":
        yield node.get("Index Name", node["Node Type"]), under_limit, node["Actual Rows"]
    for child in node.get("Plans", []):
        yield from _reads(child, under_limit=node["Node Type"] == "Limit")


@pytest.mark.slow
def test_the_unit_tests_of_the_dbt_project_pass(migrated: Workspace) -> None:
    """The nightly build leaves them out."""
    assert run_dbt(["test", "--select", "test_type:unit"], migrated.url, migrated.settings).passed == 1


@pytest.mark.slow
def test_every_column_is_documented(migrated_template: Workspace, tmp_path: Path) -> None:
    """dbt's catalog and manifest, compared: no column of a model without a description."""
    target = tmp_path / "target"
    call_dbt(migrated_template, target, "docs", "generate")
    manifest = json.loads((target / "manifest.json").read_text())
    catalog = json.loads((target / "catalog.json").read_text())
    with migrated_template.connect() as connection:
        features = {name for (name,) in connection.execute("SELECT name FROM features.feature_definitions")}
    undocumented = [
        f"{node}.{column}"
        for node, entry in catalog["nodes"].items()
        for column in entry["columns"]
        if not manifest["nodes"][node]["columns"].get(column, {}).get("description")
        and column not in features  # described in the list, and by comments in the database
    ]
    assert catalog["nodes"] and undocumented == []


def test_a_label_entered_with_an_earlier_date_is_told_apart(
    scored: Workspace, default_sql: CompiledSql
) -> None:
    """Rows that were decided before it did not include it: rollup skew, of which the build only warns."""
    with scored.connect() as connection:
        merchant = connection.execute(
            "SELECT merchant_id FROM transactions WHERE occurred_at < now() - interval '12 days'"
            " GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        ).fetchone()
        assert merchant is not None
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id) VALUES (5, 10, %s)", merchant
        )
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT user_id, transaction_id, true, now() - interval '2 days' FROM transactions"
            " WHERE merchant_id = %s AND occurred_at BETWEEN now() - interval '20 days' AND now() - interval '9 days'",
            merchant,
        )
        refresh(connection, default_sql, "merchant_risk", "monitoring_recomputed_features")
        assert (
            connection.execute(default_sql["live_rollup_features_match_recomputed"].encode()).fetchall() != []
        )
        assert connection.execute(default_sql["live_features_match_recomputed"].encode()).fetchall() == []


@pytest.mark.slow
def test_a_feature_can_be_added_in_the_middle_of_the_list(scored: Workspace, tmp_path: Path) -> None:
    """The model keeps its own list until the next is trained on the new one."""
    path = tmp_path / "features.yml"
    known = "  - {name: user_txn_count_7d,"
    added = (
        "  - {name: user_txn_count_6h, entity: user, aggregate: count, window: 6h,"
        ' description: "Transactions of the user in the last 6 hours.", reason: {theme: frequency, label: Payments,'
        " high: Many, low: Few, missing: Unknown}}\n"
    )
    path.write_text(SHIPPED.read_text().replace(known, added + known))
    scored = with_features(scored, path)
    build_features(scored.url, scored.settings)
    insert = "INSERT INTO transactions (user_id, amount) VALUES (5, 10) RETURNING cardinality(feature_values)"
    with scored.connect() as connection:
        before = connection.execute(insert).fetchone()
        view = connection.execute("SELECT user_txn_count_6h FROM features.user_velocity LIMIT 1").fetchone()
    assert before is not None
    assert view is not None
    retrain(scored.url, scored.settings)
    with scored.connect() as connection:
        assert connection.execute(insert).fetchone() == (before[0] + 1,)
