"""An entity with `serialize: true` is locked as a user is: each decision reads every earlier row of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from sql_scoring.features.columns import apply_changes, find_changes
from sql_scoring.features.project import load_plan
from tests.db.features.builds import with_features
from tests.fix_database import Workspace, _database, _settings
from tests.user_keys import in_json
from tests.waiting import LONG_S

RICH = Path(__file__).parents[2] / "corpus" / "features" / "rich.yml"
DEVICE_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('device ' || 'd', 8245940728973324900))"
INSERT = "INSERT INTO transactions (user_id, amount, device_id, ip) VALUES (%s, 1, %s, %s)"


def _serialized(folder: Path, *entities: str) -> Path:
    text = RICH.read_text()
    for entity in entities:
        column = {"device": "device_id", "ip": "ip"}[entity]
        plain = f"  {entity}: [{column}]\n"
        assert plain in text
        text = text.replace(plain, f"  {entity}: {{columns: [{column}], serialize: true}}\n")
    path = folder / "serialized.yml"
    path.write_text(text)
    return path


def _bring(workspace: Workspace) -> list[str]:
    with workspace.connect() as connection:
        changes = find_changes(connection, load_plan(workspace.settings)[1])
    apply_changes(workspace.url, changes)
    return [change.text for change in changes.steps]


@pytest.fixture
def serialized(server_url: str, migrated_template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A database whose rows of a device wait for each other, then those of an address."""
    with _database(server_url, migrated_template.url) as url:
        plain = Workspace(url, _settings(url, tmp_path))
        workspace = with_features(plain, _serialized(tmp_path, "device", "ip"))
        assert any(step == "serialize rows of entities: device, ip" for step in _bring(workspace))
        with workspace.connect() as connection:
            connection.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 300000)")
        yield workspace


def test_the_option_comes_and_goes_by_the_file(serialized: Workspace, tmp_path: Path) -> None:
    assert _bring(serialized) == []
    only = with_features(serialized, _serialized(tmp_path, "device"))
    assert "serialize rows of entities: device" in _bring(only)
    none = with_features(serialized, RICH)
    assert "serialize rows of entities: none but the user" in _bring(none)
    assert _bring(none) == []
    with none.connect() as holder, none.connect() as other, holder.transaction():
        holder.execute(DEVICE_LOCK)
        other.execute(INSERT, [1, "d", None])  # waits for no lock


def test_a_row_waits_for_its_device_and_other_rows_do_not(serialized: Workspace) -> None:
    with serialized.connect() as holder, serialized.connect() as other:
        other.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 100)")
        with holder.transaction():
            holder.execute(DEVICE_LOCK)
            for user, device in ((1, "another"), (2, None), (3, "d"), (3, "d")):
                other.execute(INSERT, [user, device, None])
        other.execute(INSERT, [3, "d", None])
        caveats = other.execute(
            "SELECT features_caveat FROM transactions ORDER BY received_at, transaction_id"
        ).fetchall()
    assert [caveat for (caveat,) in caveats] == [None, None, "lock_timeout", "lock_timeout", None]


def test_concurrent_rows_of_a_device_are_all_seen(serialized: Workspace) -> None:
    """Sessions of different users pay with one device at the same time: each reads what came before, as many rows as the
    order of arrival says. Without the option some of them are missed."""
    sessions, payments = 4, 25
    barrier = threading.Barrier(sessions)
    seen: list[int] = []
    with serialized.connect() as connection:
        # What a decision would read, on the row itself; the model is of no matter here.
        connection.execute("ALTER TABLE transactions ADD COLUMN device_rows_read bigint")
        connection.execute(
            "CREATE FUNCTION test_read() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.device_rows_read :="
            " (SELECT count(*) FROM transactions WHERE device_id = NEW.device_id); RETURN NEW; END $$"
        )
        # Triggers run in the order of their names: after the one that locks.
        connection.execute(
            "CREATE TRIGGER zz_read BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION test_read()"
        )

    def pay(user: int) -> None:
        with serialized.connect() as connection:
            for _ in range(payments):
                barrier.wait(LONG_S)
                connection.execute(INSERT, [user, "shared", "10.0.0.1"])

    with ThreadPoolExecutor(sessions) as pool:
        for paying in [pool.submit(pay, user) for user in range(1, sessions + 1)]:
            paying.result()
    with serialized.connect() as connection:
        seen = [
            count
            for (count,) in connection.execute(
                "SELECT device_rows_read FROM transactions ORDER BY received_at, transaction_id"
            )
        ]
    assert seen == list(range(sessions * payments))


def test_single_rows_in_any_combination_never_wait_in_a_circle(serialized: Workspace) -> None:
    sessions, payments = 6, 30
    barrier = threading.Barrier(sessions)

    def pay(number: int) -> None:
        with serialized.connect() as connection:
            barrier.wait(LONG_S)
            for turn in range(payments):
                device, address = f"d{(number + turn) % 2}", f"10.0.0.{(number * turn) % 2}"
                connection.execute(INSERT, [turn % 3, device, address])

    with ThreadPoolExecutor(sessions) as pool:
        for paying in [pool.submit(pay, number) for number in range(sessions)]:
            paying.result()
    with serialized.connect() as connection:
        rows = connection.execute("SELECT features_caveat, count(*) FROM transactions GROUP BY 1").fetchall()
        deadlocks = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert rows == [(None, sessions * payments)] and deadlocks == (0,)


def test_transactions_that_cross_are_stored_with_their_caveat(serialized: Workspace) -> None:
    """Several rows in one transaction can cross, as those of users can: the row is stored, and says so."""
    with psycopg.connect(serialized.url) as one, psycopg.connect(serialized.url) as other:
        one.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 200)")
        one.commit()
        one.execute(INSERT, [1, "a", None])
        other.execute(INSERT, [2, "b", None])
        one.execute(INSERT, [1, "b", None])
        other.execute(INSERT, [2, "a", None])
        one.commit()
        other.commit()
        caveats = one.execute(
            "SELECT features_caveat FROM transactions ORDER BY received_at, transaction_id"
        ).fetchall()
    assert [caveat for (caveat,) in caveats] == [None, None, "lock_timeout", "lock_timeout"]


def test_a_batch_of_the_api_leaves_rows_of_a_busy_device_for_later(serialized: Workspace) -> None:
    rows = (
        '[{"user_id": %s, "amount": 1, "device_id": "d"}, {"user_id": %s, "amount": 2, "device_id": "e"},'
        ' {"user_id": %s, "amount": 3}]'
    )
    with serialized.connect() as holder, serialized.connect() as api, holder.transaction():
        holder.execute(DEVICE_LOCK)
        keys = [f'"{in_json({"user_id": number})["user_id"]}"' for number in (1, 2, 3)]
        stored = api.execute(
            "SELECT ordinal FROM scoring.insert_transactions(%s::jsonb, p_waits_for_locks => false)",
            [rows % tuple(keys)],
        ).fetchall()
    assert sorted(ordinal for (ordinal,) in stored) == [1, 2]
