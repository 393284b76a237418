"""Declared columns, entities and references: live, in the training set, and computed in Python the same values."""

from __future__ import annotations

import math
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from rowguard.operations.doctor import diagnose
from sql_scoring.features.build import build_features
from sql_scoring.features.columns import apply_changes, find_changes
from sql_scoring.features.project import load_plan
from tests.db.features.builds import built_hash8, with_features
from tests.fix_database import Workspace, _database, _settings
from tests.user_keys import USER_ID_TYPE, with_key_type

pytestmark = pytest.mark.slow

RICH = Path(__file__).parents[2] / "corpus" / "features" / "rich.yml"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=120)
COLUMNS = (
    "merchant_id", "location", "device_id", "ip", "mcc", "channel", "latitude", "longitude", "card_id", "status", "fee",
    "is_recurring", "card_opened_at",
)  # fmt: skip
Row = dict[str, Any]


@pytest.fixture(scope="session")
def rich_build(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A database of the default list that was brought to the rich one."""
    with _database(server_url, migrated_template.url) as url:
        workspace = with_features(Workspace(url, _settings(url, tmp_path_factory.mktemp("rich_state"))), RICH)
        build_features(url, workspace.settings)
        yield workspace


@pytest.fixture
def rich(server_url: str, rich_build: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    with _database(server_url, rich_build.url) as url:
        yield with_features(Workspace(url, _settings(url, tmp_path / "rich")), RICH)


def _rows(draw: random.Random, count: int) -> list[Row]:
    cards = [uuid.UUID(int=number) for number in range(1, 6)]
    at = START
    rows = []
    for _ in range(count):
        at += timedelta(
            minutes=draw.choice([1, 3, 9, 45, 60 * 5, 60 * 24 * 2]), microseconds=draw.randrange(1, 999)
        )
        rows.append(
            {
                "user_id": draw.randrange(1, 5),
                "amount": Decimal(draw.randrange(1, 99999)) / 100,
                "occurred_at": at,
                "merchant_id": draw.choice([1, 2, 3, None]),
                "location": draw.choice(["DE", "FR", None]),
                "device_id": draw.choice(["a", "b", "c", None]),
                "ip": draw.choice(["10.0.0.1", "2001:db8::1", None]),
                "mcc": draw.choice([5411, 7995, None]),
                "channel": draw.choice(["online", "pos", None]),
                "latitude": draw.choice([48.1, 52.52, None]),
                "longitude": draw.choice([11.6, 13.4, 0.1]),
                "card_id": draw.choice([*cards, None]),
                "status": draw.choice(["approved", "declined"]),
                "fee": draw.choice([Decimal("0.30"), Decimal("1.10"), None]),
                "is_recurring": draw.choice([True, False, None]),
                "card_opened_at": START - timedelta(days=draw.randrange(900)),
            }
        )
    return rows


def _insert(connection: psycopg.Connection[Any], row: Row) -> None:
    values = ", ".join(f"%({name})s" for name in row)
    connection.execute(f"INSERT INTO transactions ({', '.join(row)}) VALUES ({values})".encode(), row)


def _fill_references(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "INSERT INTO users (user_id, home_location, birth_year) VALUES (1, 'DE', 1980), (2, 'FR', NULL)"
    )
    connection.execute(
        "INSERT INTO merchants (merchant_id, merchant_category, merchant_opened_at)"
        " VALUES (1, 'grocery', '2020-01-01Z'), (2, 'travel', NULL)"
    )


def test_live_training_and_python_agree(rich: Workspace) -> None:
    """Each row is read live and with a row scan before it is inserted; then the training set computes it again."""
    draw = random.Random(4)
    rows = _rows(draw, 160)
    live: dict[int, list[Any]] = {}
    with rich.connect() as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM features.feature_definitions ORDER BY position"
            )
        ]
        hash8 = built_hash8(connection)
        _fill_references(connection)
        request = ", ".join(f"%({name})s" for name in ("user_id", "amount", "occurred_at", *COLUMNS))
        read = (
            f"SELECT (features.live_feature_values_{hash8}(r.request)).feature_values,"
            f" features.row_scan_feature_values_{hash8}(r.request)"
            f" FROM (SELECT ROW({request})::scoring.scoring_request AS request) AS r"
        ).encode()
        for number, row in enumerate(rows):
            values, scanned = connection.execute(read, row).fetchone() or ((), ())
            assert values == scanned, [n for n, a, b in zip(names, values, scanned, strict=True) if a != b]
            live[number] = values
            _insert(connection, row)
    build_features(rich.url, rich.settings, full_refresh=True)
    with rich.connect() as connection:
        trained = [
            values
            for (values,) in connection.execute(
                "SELECT feature_values FROM features.training_set ORDER BY occurred_at"
            )
        ]
    assert len(trained) == len(rows)
    differing = {
        name
        for number, values in enumerate(trained)
        for name, one, other in zip(names, values, live[number], strict=True)
        if one != other
    }
    assert differing == set()
    for number, row in enumerate(rows):
        for name, expected in _expected(row, rows[:number]).items():
            assert live[number][names.index(name)] == expected, (number, name)


def test_the_doctor_reads_smoothed_rates(rich: Workspace) -> None:
    """Such a rate is stored as two counts, which the doctor compares as the rate that they are."""
    with rich.connect() as connection:
        connection.execute("SET rowguard.load_history = on")
        for row in _rows(random.Random(9), 60):
            _insert(connection, row | {"is_history": True, "received_at": row["occurred_at"]})
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at)"
            " SELECT user_id, transaction_id, transaction_id % 3 = 0, occurred_at + interval '1 day' FROM transactions"
        )
    build_features(rich.url, rich.settings, full_refresh=True)
    found = {each.name: each for each in diagnose(rich.url).checks}
    assert found["mcc risk"].status == "ok"
    assert found["mcc risk"].details["compared"] == 2
    with rich.connect() as connection:
        table = f"mcc_risk_{built_hash8(connection)}"
        connection.execute(
            sql.SQL("UPDATE features.{} SET mcc_fraud_rate_28d_txns = mcc_fraud_rate_28d_txns + 1").format(
                sql.Identifier(table)
            )
        )
    assert {each.name: each.status for each in diagnose(rich.url).checks}["mcc risk"] == "alarm"


def _expected(row: Row, before: list[Row]) -> dict[str, float | None]:
    """Some features of each kind, from the earlier rows."""

    def within(key: tuple[str, ...], **length: float) -> list[Row]:
        start = row["occurred_at"] - timedelta(**length)
        return [
            other
            for other in before
            if other["occurred_at"] > start and all(other[name] == row[name] for name in key)
        ]

    def only(column: str, value: Callable[[], float | None]) -> float | None:
        return None if row[column] is None else _real(value())

    own = within(("user_id",), days=30)
    device = within(("device_id",), days=30)
    a_week = within(("user_id",), days=7)
    fees = [other["fee"] for other in a_week if other["fee"] is not None]
    previous = [other for other in before if other["user_id"] == row["user_id"]][-1:]
    away = None
    if previous and row["latitude"] is not None and previous[0]["latitude"] is not None:
        north, east = row["latitude"] - previous[0]["latitude"], row["longitude"] - previous[0]["longitude"]
        away = _real(math.sqrt(north**2 + east**2))
    newest = sorted(within(("device_id",), hours=1), key=lambda other: other["occurred_at"])[-3:]
    return {
        "user_txn_count_10m": _real(float(len(within(("user_id",), minutes=10)))),
        "user_amount_max_7d": _real(float(max((other["amount"] for other in a_week), default=math.nan))),
        "user_fee_mean_7d": _real(float(sum(fees)) / len(fees)) if fees else None,
        "user_device_distinct_30d": _real(float(len({other["device_id"] for other in own} - {None}))),
        "user_online_share_30d": (
            _real(sum(other["channel"] == "online" for other in own) / len(own)) if own else None
        ),
        "user_declined_count_1d": _real(
            float(sum(other["status"] == "declined" for other in within(("user_id",), days=1)))
        ),
        "device_txn_count_30d": only("device_id", lambda: float(len(device))),
        "device_users_1d": only(
            "device_id", lambda: float(len({other["user_id"] for other in within(("device_id",), days=1)}))
        ),
        "device_amount_sum_1h": only("device_id", lambda: float(sum(other["amount"] for other in newest))),
        "device_previous_amount": only(
            "device_id", lambda: float(device[-1]["amount"]) if device else None
        ),
        "card_txn_count_1h": only("card_id", lambda: float(len(within(("card_id",), hours=1)))),
        "ip_cards_1h": only(
            "ip", lambda: float(len({other["card_id"] for other in within(("ip",), hours=1)} - {None}))
        ),
        "user_device_count_30d": only("device_id", lambda: float(len(within(("user_id", "device_id"), days=30)))),
        "km_since_previous": away,
    }  # fmt: skip


def _real(value: float | None) -> float | None:
    if value is None or math.isnan(value):
        return None
    return float(str(np.float32(value)))


def test_values_that_are_not_allowed_are_refused_by_name(rich: Workspace) -> None:
    refused = {
        "channel": ("'fax'", "channel is not one of online, pos, atm"),
        "device_id": ("repeat('x', 65)", "device_id has more than 64 characters"),
    }
    with rich.connect("rowguard_app") as connection:
        for column, (value, reason) in refused.items():
            insert = f"INSERT INTO transactions (user_id, amount, {column}) VALUES (1, 1, {value})"
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(insert.encode())
            assert reason in str(refusal.value) and refusal.value.diag.column_name == column


def test_a_column_is_added_kept_and_dropped(rich: Workspace, tmp_path: Path) -> None:
    """An application's INSERT works throughout; a removed column keeps its data until it is told otherwise."""
    path = tmp_path / "features.yml"
    path.write_text(
        RICH.read_text().replace(
            "columns:\n", "columns:\n  country: {type: text, description: Country.}\n", 1
        )
    )
    changed = with_features(rich, path)

    def bring(workspace: Workspace, **options: Any) -> list[str]:
        plan = load_plan(workspace.settings)[1]
        with workspace.connect() as connection:
            changes = find_changes(connection, plan, **options)
        apply_changes(workspace.url, changes)
        return [change.text for change in changes.steps] + [f"keep {name}" for name in changes.kept]

    pay = "INSERT INTO transactions (user_id, amount{}) VALUES (1, 1{})"
    with rich.connect("rowguard_app") as open_session:
        open_session.execute(pay.format("", "").encode())
        assert "add column country text to transactions" in bring(changed)
        assert bring(changed) == []
        open_session.execute(pay.format(", country", ", 'DE'").encode())
        open_session.execute("SELECT count(*) FROM transactions")
        assert bring(rich) == ["keep country"]
        open_session.execute(pay.format(", country", ", 'FR'").encode())
        assert "drop column country of transactions, with its data" in bring(rich, drops_columns=True)
        open_session.execute(pay.format("", "").encode())
        with pytest.raises(psycopg.errors.UndefinedColumn):
            open_session.execute("SELECT country FROM transactions")
    assert bring(rich) == []


def test_a_column_that_a_model_reads_is_not_dropped(scored: Workspace, tmp_path: Path) -> None:
    plan = load_plan(with_features(scored, _without_merchants(tmp_path)).settings)[1]
    with (
        scored.connect() as connection,
        pytest.raises(Exception, match="merchant_id is read by a deployed model"),
    ):
        find_changes(connection, plan, drops_columns=True)


def _without_merchants(folder: Path) -> Path:
    path = folder / "small.yml"
    path.write_text(
        "features:\n  - {name: transaction_amount, expression: amount, description: d}\n"
        "columns:\n  location: {type: text, max_length: 64, description: d}\n"
    )
    return path


def test_another_type_of_a_column_or_key_is_refused(rich: Workspace, tmp_path: Path) -> None:
    key = f"keys: {{user_id: {'text' if USER_ID_TYPE == 'uuid' else 'uuid'}}}"
    for old, new, reason in (
        ("mcc: {type: integer", "mcc: {type: bigint", "column mcc is integer in this database and bigint"),
        (f"keys: {{user_id: {USER_ID_TYPE}}}", key, "user_id is fixed by the first migration"),
    ):
        path = tmp_path / "features.yml"
        path.write_text(with_key_type(RICH.read_text()).replace(old, new))
        plan = load_plan(rich.settings.model_copy(update={"features": path}))[1]
        with rich.connect() as connection, pytest.raises(Exception, match=reason):
            find_changes(connection, plan)


def test_how_often_a_concurrent_row_of_the_same_device_is_not_seen(rich: Workspace) -> None:
    """Sessions of different users pay with one device. No lock serializes them: a decision sees every row that was
    committed when it read, and none that was not. The documentation says how often that is."""
    sessions, payments = 4, 25
    reads: list[tuple[int, int, datetime]] = []
    barrier = threading.Barrier(sessions)
    with rich.connect() as connection:
        hash8 = built_hash8(connection)
    values = "%(user)s, 1, v.at, NULL, NULL, 'shared'" + ", NULL" * (len(COLUMNS) - 3)
    count = (
        "SELECT (SELECT count(*) FROM transactions WHERE device_id = 'shared' AND occurred_at <= v.at),"
        f" (features.live_feature_values_{hash8}(ROW({values})::scoring.scoring_request)).feature_values[16], v.at"
        " FROM (SELECT clock_timestamp() OFFSET 0) AS v (at)"
    ).encode()

    def pay(user: int) -> None:
        with rich.connect() as connection:
            for _ in range(payments):
                barrier.wait(60)
                with connection.transaction():
                    committed, seen, at = connection.execute(count, {"user": user}).fetchone() or (
                        0,
                        0,
                        START,
                    )
                    reads.append((int(committed), int(seen), at))
                    connection.execute(
                        "INSERT INTO transactions (user_id, amount, device_id) VALUES (%s, 1, 'shared')",
                        [user],
                    )

    with ThreadPoolExecutor(sessions) as pool:
        for paying in [pool.submit(pay, user) for user in range(1, sessions + 1)]:
            paying.result()
    with rich.connect() as connection:
        stored = [
            at
            for (at,) in connection.execute("SELECT occurred_at FROM transactions WHERE device_id = 'shared'")
        ]
    assert len(reads) == len(stored) == sessions * payments
    assert all(seen == committed for committed, seen, _ in reads), "one snapshot: what is committed is seen"
    unseen = [sum(other <= at for other in stored) - seen for _, seen, at in reads]
    assert min(unseen) >= 0 and max(unseen) < sessions
    print(f"{sum(map(bool, unseen))} of {len(reads)} reads did not see a concurrent row of the device")
