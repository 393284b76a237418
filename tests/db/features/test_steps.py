"""Sums over days that are kept up to date step by step, against a reckoning in Python and against a build from nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sql_scoring.features.build import run_dbt
from tests.db.features.builds import built_hash8, lengthen_feature_list, load_rows, training
from tests.fix_database import Workspace

MODELS = ["--select", "merchant_risk", "user_risk", "training_features", "training_set"]
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
# name -> entity, measure, aggregate, window, delay: two delays, counts, shares, amounts; frauds alone for users.
ROLLED = {
    "m_count_1d": ("merchant", "label", "count", 1, 2),
    "m_share_3d": ("merchant", "label", "fraud_share", 3, 2),
    "m_frauds_5d": ("merchant", "label", "fraud_count", 5, 2),
    "m_share_2d": ("merchant", "label", "fraud_share", 2, 0),
    "m_mean_4d": ("merchant", "amount", "mean", 4, 1),
    "m_sum_4d": ("merchant", "amount", "sum", 4, 1),
    "u_frauds_4d": ("user", "label", "fraud_count", 4, 2),
}
Event = tuple[int, date, date, float, list[tuple[date, bool]]]  # entity, day, known from, amount, findings


@pytest.fixture
def with_list(migrated: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A database whose feature list has the features above beside the default ones."""
    lines = "".join(
        f"- {{name: {name}, entity: {entity}, measure: {measure}, aggregate: {aggregate}, window: {days}d,"
        f" delay: {delay}d, description: d}}\n"
        for name, (entity, measure, aggregate, days, delay) in ROLLED.items()
    )
    lengthen_feature_list(lines, tmp_path, monkeypatch)
    run_dbt(["run"], migrated.url, migrated.settings)
    return migrated


def test_steps_of_many_builds_are_those_of_one(with_list: Workspace) -> None:
    """Live and late rows, loads, findings of any date given and withdrawn, rows changed and deleted, retention."""
    draw = random.Random(int(os.environ.get("ROWGUARD_TEST_SEED", "3")))
    _load(with_list, draw, 150)
    for number in range(int(os.environ.get("ROWGUARD_TEST_ROUNDS", "4"))):
        with with_list.connect() as connection:
            for act in draw.sample(ACTS, 4) if number else ACTS:
                act(connection, draw)
        if number % 2:
            _load(with_list, draw, 30)
        run_dbt(["run", *MODELS], with_list.url, with_list.settings)
        for entity in ("merchant", "user"):
            assert _stored(with_list, entity) == _reckoned(with_list, entity), f"round {number}, {entity}"
    kept = {entity: _steps(with_list, entity) for entity in ("merchant", "user")}
    kept_training = training(with_list)
    run_dbt(["run", "--full-refresh", *MODELS], with_list.url, with_list.settings)
    assert kept == {entity: _steps(with_list, entity) for entity in ("merchant", "user")}
    assert kept_training == training(with_list)


def test_a_build_that_fails_midway_is_made_up_for(with_list: Workspace) -> None:
    """Steps without the sums that they were made of are made anew; the training set follows."""
    draw = random.Random(1)
    _load(with_list, draw, 60)
    run_dbt(["run", *MODELS], with_list.url, with_list.settings)
    with with_list.connect() as connection:
        hash8 = built_hash8(connection)
        connection.execute(f"DROP TABLE features.merchant_days_{hash8}")
        connection.execute(f"UPDATE features.merchant_risk_{hash8} SET m_frauds_5d = 99")
        _withdraw(connection, draw)
    # The steps are built, and the run ends before the training set.
    run_dbt(["run", "--select", "merchant_risk", "user_risk"], with_list.url, with_list.settings)
    assert _stored(with_list, "merchant") == _reckoned(with_list, "merchant")
    run_dbt(["run", *MODELS], with_list.url, with_list.settings)
    kept_training = training(with_list)
    run_dbt(["run", "--full-refresh", *MODELS], with_list.url, with_list.settings)
    assert kept_training == training(with_list)


def test_a_build_without_news_changes_nothing(with_list: Workspace) -> None:
    """Not a row of the steps is written again."""
    _load(with_list, random.Random(2), 60)
    run_dbt(["run", *MODELS], with_list.url, with_list.settings)
    with with_list.connect() as connection:
        written = (
            f"SELECT xmin::text, count(*) FROM features.merchant_risk_{built_hash8(connection)} GROUP BY 1"
        )
        before = connection.execute(written).fetchall()
        run_dbt(["run", *MODELS], with_list.url, with_list.settings)
        assert connection.execute(written).fetchall() == before
        assert before


def _load(workspace: Workspace, draw: random.Random, count: int) -> None:
    rows = [
        {
            "occurred_at": TODAY - timedelta(hours=draw.randrange(12, 24 * 16)),
            "user_id": draw.randrange(1, 7),
            "merchant_id": draw.choice([1, 2, 3, 4, None]),
            "amount": f"{draw.randrange(1, 5000)}.25",
            "is_fraud": draw.random() < 0.3,
        }
        for _ in range(count)
    ]
    load_rows(workspace, draw, rows)


def _insert(connection: psycopg.Connection, draw: random.Random) -> None:
    """Live rows, some of them late by days."""
    for _ in range(6):
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, occurred_at) VALUES (%s, %s, %s, %s)",
            [
                draw.randrange(1, 7),
                draw.randrange(1, 100),
                draw.choice([1, 2, 3, 9]),
                draw.choice([None, datetime.now(UTC) - timedelta(hours=draw.randrange(200))]),
            ],
        )


def _find(connection: psycopg.Connection, draw: random.Random) -> None:
    """Findings of any date, also of frauds that were found before."""
    for user, transaction in _some(connection, draw, 5):
        connection.execute(
            "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud, labelled_at) VALUES (%s, %s, %s, %s)",
            [
                user,
                transaction,
                draw.random() < 0.6,
                datetime.now(UTC) - timedelta(hours=draw.randrange(300)),
            ],
        )


def _withdraw(connection: psycopg.Connection, draw: random.Random) -> None:
    """Findings that the owner takes back altogether."""
    connection.execute(
        "DELETE FROM fraud_labels WHERE label_id IN (SELECT label_id FROM fraud_labels WHERE is_fraud"
        " ORDER BY hashint8extended(label_id, %s) LIMIT 3)",
        [draw.randrange(1000)],
    )


def _delete(connection: psycopg.Connection, draw: random.Random) -> None:
    for user, transaction in _some(connection, draw, 4):
        connection.execute(
            "DELETE FROM transactions WHERE user_id = %s AND transaction_id = %s", [user, transaction]
        )


def _retire(connection: psycopg.Connection, draw: random.Random) -> None:
    """What retention does: the oldest rows go."""
    connection.execute("DELETE FROM transactions WHERE occurred_at < %s", [TODAY - timedelta(days=15)])


def _move(connection: psycopg.Connection, draw: random.Random) -> None:
    """Rows of another merchant: those of merchant 4 were 3's all along."""
    connection.execute("UPDATE transactions SET merchant_id = 3 WHERE merchant_id = 4 AND user_id < 3")


ACTS = [_insert, _find, _withdraw, _delete, _retire, _move]


def _some(connection: psycopg.Connection, draw: random.Random, count: int) -> list[tuple[int, int]]:
    return connection.execute(
        "SELECT user_id, transaction_id FROM transactions ORDER BY hashint8extended(transaction_id, %s) LIMIT %s",
        [draw.randrange(1000), count],
    ).fetchall()


def _steps(workspace: Workspace, entity: str) -> list[tuple[Any, ...]]:
    names = ", ".join(name for name, feature in ROLLED.items() if feature[0] == entity)
    with workspace.connect() as connection:
        return connection.execute(
            f"SELECT {entity}_id, from_day, {names} FROM features.{entity}_risk_{built_hash8(connection)} ORDER BY 1, 2"
        ).fetchall()


def _days() -> Iterator[date]:
    for number in range(-20, 15):
        yield TODAY.date() + timedelta(days=number)


def _stored(workspace: Workspace, entity: str) -> dict[tuple[int, date], tuple[float | None, ...]]:
    """What a transaction of each day reads."""
    features = [feature for feature in ROLLED.values() if feature[0] == entity]
    nothing = tuple(None if feature[2] in ("mean", "fraud_share") else 0.0 for feature in features)
    steps = _steps(workspace, entity)
    found = {}
    for one in range(1, 10):
        for day in _days():
            past = [values for who, start, *values in steps if who == one and start <= day]
            found[one, day] = tuple(past[-1]) if past else nothing
    return found


def _reckoned(workspace: Workspace, entity: str) -> dict[tuple[int, date], tuple[float | None, ...]]:
    """The same from transactions and labels, day by day."""
    events = _events(workspace, entity)
    found = {}
    for one in range(1, 10):
        mine = [event for event in events if event[0] == one]
        for day in _days():
            values = [_value(mine, day, *feature[2:]) for feature in ROLLED.values() if feature[0] == entity]
            found[one, day] = tuple(values)
    return found


def _value(events: list[Event], day: date, aggregate: str, days: int, delay: int) -> float | None:
    end = day - timedelta(days=delay)
    seen = [event for event in events if end - timedelta(days=days) <= event[1] < end and event[2] < day]
    if aggregate in ("sum", "mean"):
        total = sum(event[3] for event in seen)
        return _real(total) if aggregate == "sum" else _real(total / len(seen)) if seen else None
    frauds = 0
    for event in seen:
        known = [is_fraud for known_on, is_fraud in event[4] if known_on < day]
        frauds += bool(known and known[-1])
    if aggregate == "count":
        return float(len(seen))
    if aggregate == "fraud_count":
        return float(frauds)
    return _real(frauds / len(seen)) if seen else None


def _real(value: float) -> float:
    import numpy as np

    return float(str(np.float32(value)))


def _events(workspace: Workspace, entity: str) -> list[Event]:
    with workspace.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        rows = connection.execute(
            f"SELECT t.{entity}_id, t.occurred_at::date, (CASE WHEN t.is_history THEN t.occurred_at"
            "   ELSE t.received_at END)::date, t.amount::float8,"
            " coalesce(array_agg(l.labelled_at::date ORDER BY l.labelled_at, l.label_id)"
            "   FILTER (WHERE l.label_id IS NOT NULL), '{}'),"
            " coalesce(array_agg(l.is_fraud ORDER BY l.labelled_at, l.label_id)"
            "   FILTER (WHERE l.label_id IS NOT NULL), '{}')"
            " FROM transactions AS t LEFT JOIN fraud_labels AS l USING (user_id, transaction_id)"
            f" WHERE t.{entity}_id IS NOT NULL GROUP BY t.user_id, t.transaction_id"
        ).fetchall()
    return [
        (who, day, known, amount, list(zip(found_on, frauds, strict=True)))
        for who, day, known, amount, found_on, frauds in rows
    ]
