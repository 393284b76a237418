"""Rule sets published and rolled back while clients insert: no INSERT fails, no row mixes sets, every outcome replays."""

from __future__ import annotations

import random
import threading
import time

import psycopg
import pytest

from rowguard.errors import RuleError
from rowguard.operations.lists import add_entries, create_list, remove_entries
from sql_scoring.deployment.rule_sets import publish_rule_set, roll_back_rule_set
from tests.db.rules.test_publish import rule, rule_set
from tests.fix_database import Workspace

pytestmark = pytest.mark.slow
CLIENTS, CHANGES = 4, 20


def test_publish_and_roll_back_under_load(scored: Workspace) -> None:
    """Every set has one rule that matches every row, whose code is its version: another code would be a mixed row."""
    create_list(scored.url, "blocked", "user_id", "block")
    stop = threading.Event()
    failures: list[str] = []
    counts = [0] * CLIENTS

    def insert(client: int) -> None:
        source = random.Random(client)
        with psycopg.connect(scored.url, autocommit=True) as connection:
            while not stop.is_set():
                try:
                    connection.execute(
                        "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (%s, %s, 7, 'DE')",
                        [source.randint(1, 300), source.randint(1, 900)],
                    )
                    counts[client] += 1
                except psycopg.Error as error:
                    failures.append(str(error))

    threads = [threading.Thread(target=insert, args=[client]) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        for change in range(1, CHANGES + 1):
            if change % 4 == 0:
                roll_back_rule_set(
                    scored.url, scored.settings, to=random.Random(change).randint(1, change // 2)
                )
            else:
                rules = [
                    rule(f"every_{change}", "amount > 0", reason_code=f"v{_next(scored)}", action="review")
                ]
                publish_rule_set(scored.url, scored.settings, rule_set(*rules, thresholds={}))
            key = [{"key": str(change)}]
            add_entries(scored.url, "blocked", key) if change % 2 else remove_entries(
                scored.url, "blocked", ["1"]
            )
            time.sleep(0.2)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    with scored.connect() as connection:
        rows, versions, mixed, lost = connection.execute(
            "SELECT count(*), count(DISTINCT rule_set_version), count(*) FILTER (WHERE outcome = 'review'"
            " AND outcome_reasons <> ARRAY['v' || rule_set_version]), count(*) FILTER (WHERE outcome IS NULL)"
            " FROM transactions WHERE NOT is_history"
        ).fetchone()  # type: ignore[misc]
        differing = connection.execute("SELECT count(*) FROM scoring.outcome_differences").fetchone()
    assert rows == sum(counts) and rows > 200
    assert versions >= 10
    assert (mixed, lost, differing) == (0, 0, (0,))


def test_two_publications_at_once_take_turns(migrated: Workspace) -> None:
    """The second one, which was edited from the same version, is rejected; nothing of it is kept."""
    messages: list[str] = []

    def publish(name: str) -> None:
        try:
            publish_rule_set(migrated.url, migrated.settings, rule_set(rule(name, "amount > 1")), based_on=0)
            messages.append("published")
        except RuleError as error:
            messages.append(str(error))

    threads = [threading.Thread(target=publish, args=[f"rule_{number}"]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(message.partition(" was put")[0] for message in messages) == ["published", "rule set 1"]
    with migrated.connect() as connection:
        assert connection.execute("SELECT count(*) FROM scoring.rule_sets").fetchone() == (1,)


def _next(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute("SELECT coalesce(max(version), 0) + 1 FROM scoring.rule_sets").fetchone()
    assert row is not None
    return int(row[0])
