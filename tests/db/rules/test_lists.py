"""Lists: their order, keys of every kind, expiry, history, CSV; outcomes replay whatever lists are now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from rowguard.errors import ListError
from rowguard.operations.lists import (
    add_entries,
    create_list,
    export_csv,
    import_csv,
    list_lists,
    remove_entries,
)
from tests.db.rules.test_publish import differences, insert, publish, rule
from tests.fix_database import Workspace


def test_allow_comes_before_block_before_rules_before_review(migrated: Workspace) -> None:
    url = migrated.url
    for name, column, kind in (
        ("friends", "user_id", "allow"), ("blocked", "merchant_id", "block"), ("unusual", "location", "review"),
        ("watched", "location", "other"),
    ):  # fmt: skip
        create_list(url, name, column, kind)
    add_entries(url, "friends", [{"key": "1"}])
    add_entries(url, "blocked", [{"key": "7"}])
    add_entries(url, "unusual", [{"key": "XX"}])
    add_entries(url, "watched", [{"key": "XX"}])
    # Without a rule set lists decide as well.
    assert insert(migrated)[:3] == ("approve", ["friends"], 0)
    assert insert(migrated, user=2)[:3] == ("decline", ["blocked"], 0)
    assert insert(migrated, user=2, merchant=8)[:3] == ("approve", None, 0)
    publish(
        migrated, rule("partner", "amount = 5", action="approve"), rule("seen", "list.watched AND amount = 6")
    )
    assert insert(migrated, 6, user=2, location="XX", merchant=8)[:3] == ("decline", ["seen"], 1)
    assert insert(migrated, 5, user=2, location="XX", merchant=8)[:3] == ("approve", ["partner"], 1)
    assert insert(migrated, 4, user=2, location="XX", merchant=8)[:3] == ("review", ["unusual"], 1)
    assert insert(migrated, 5, user=2, location="XX")[:3] == ("decline", ["blocked"], 1)
    assert insert(migrated, 6, user=1, location="XX")[:3] == ("approve", ["friends"], 1)
    assert differences(migrated) == []
    # User 7 is not merchant 7, and NULL is on no list.
    assert insert(migrated, user=7, merchant=None, location=None)[:3] == ("approve", None, 1)


def test_outcomes_replay_after_lists_changed(migrated: Workspace) -> None:
    create_list(migrated.url, "blocked", "merchant_id", "block")
    assert insert(migrated)[0] == "approve"
    add_entries(migrated.url, "blocked", [{"key": "7", "reason": "ticket"}])
    assert insert(migrated)[0] == "decline"
    remove_entries(migrated.url, "blocked", ["7"])
    assert insert(migrated)[0] == "approve"
    assert differences(migrated) == []
    with migrated.connect() as connection:
        rows = connection.execute(
            "SELECT outcome FROM public.transactions ORDER BY transaction_id"
        ).fetchall()
        connection.execute("DELETE FROM scoring.list_entries")
    assert rows == [("approve",), ("decline",), ("approve",)]
    assert differences(migrated) == []


def test_entries_expire(migrated: Workspace) -> None:
    create_list(migrated.url, "blocked", "user_id", "block")
    now = datetime.now(UTC)
    add_entries(
        migrated.url, "blocked", [{"key": "1", "expires_at": (now - timedelta(seconds=1)).isoformat()}]
    )
    assert insert(migrated)[0] == "approve"
    add_entries(migrated.url, "blocked", [{"key": "1", "expires_at": (now + timedelta(hours=1)).isoformat()}])
    assert insert(migrated)[0] == "decline"
    assert differences(migrated) == []


def test_an_entry_is_replaced_and_its_history_stays(migrated: Workspace) -> None:
    create_list(migrated.url, "blocked", "user_id", "block")
    assert add_entries(migrated.url, "blocked", [{"key": "1"}, {"key": "01"}, {"key": " 2"}]) == 2
    assert add_entries(migrated.url, "blocked", [{"key": "1"}]) == 0
    assert add_entries(migrated.url, "blocked", [{"key": "1", "reason": "now known"}]) == 1
    assert remove_entries(migrated.url, "blocked", ["1", "3"]) == 1
    parts: list[bytes] = []
    assert export_csv(migrated.url, "blocked", parts.append) == 1
    assert b"".join(parts) == b"key,expires_at,reason\n2,,\n"
    assert export_csv(migrated.url, "blocked", parts.append, with_history=True) == 3
    (row,) = list_lists(migrated.url)
    assert (row["name"], row["column_name"], row["kind"], row["entries"]) == (
        "blocked",
        "user_id",
        "block",
        1,
    )


def test_csv_round_trip(migrated: Workspace, tmp_path: Path) -> None:
    create_list(migrated.url, "places", "location", "review")
    create_list(migrated.url, "copied", "location", "review")
    file = tmp_path / "places.csv"
    file.write_text(
        'key,reason,expires_at\n"a,b",x,\n"q""uote",,2099-01-01\nZürich,"two, words",2099-01-01T00:00:00+02:00\n'
    )
    assert import_csv(migrated.url, "places", file).written == 3
    assert import_csv(migrated.url, "places", file).written == 0
    exported = tmp_path / "exported.csv"
    with exported.open("wb") as stream:
        export_csv(migrated.url, "places", stream.write)
    assert import_csv(migrated.url, "copied", exported).written == 3
    again: list[bytes] = []
    export_csv(migrated.url, "copied", again.append)
    assert b"".join(again) == exported.read_bytes()
    assert insert(migrated, location="a,b")[:2] == ("review", ["places", "copied"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header must be key"),
        ("name\n1\n", "line 1: the header must be key"),
        ("key,color\n1,red\n", "color is not known here"),
        ("key\n1\nseven\n", "line 3: a key of list blocked is no value of column user_id"),
        ("key\n1\n99999999999999999999\n", "line 3: a key of list blocked is no value"),
        ("key\n1\n\n2\n3,4\n", "line 5: has another number of values"),
        ("key,reason\n1\n", "line 2: has another number of values"),
        ('key\n""\n', "line 2: the key does not have 1 to 256"),
        ("key,expires_at\n1,tomorrow\n", "line 2: expires_at 'tomorrow' is no time"),
        ('key\n"1\n', "unexpected end of data"),
        ("key,reason\n1," + "x" * 501 + "\n", "line 2: the reason has more than 500"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(
    migrated: Workspace, tmp_path: Path, text: str, message: str
) -> None:
    create_list(migrated.url, "blocked", "user_id", "block")
    file = tmp_path / "list.csv"
    file.write_text(text)
    with pytest.raises(ListError, match=message) as error:
        import_csv(migrated.url, "blocked", file)
    assert "\n" not in str(error.value)
    assert list_lists(migrated.url)[0]["entries"] == 0


def test_files_that_are_no_text(migrated: Workspace, tmp_path: Path) -> None:
    create_list(migrated.url, "blocked", "user_id", "block")
    (tmp_path / "binary.csv").write_bytes(b"key\n\xff\xfe\n")
    for name, message in (
        ("binary.csv", "is not UTF-8 text"),
        ("missing.csv", "cannot be read: No such file"),
    ):
        with pytest.raises(ListError, match=message):
            import_csv(migrated.url, "blocked", tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("blocked", "user_id", "block"), "there is a list blocked already"),
        (("Blocked", "user_id", "block"), "the name of a list is lowercase letters"),
        (("a" * 21, "user_id", "block"), "the name of a list is lowercase letters"),
        (("unscored", "user_id", "block"), "is a reason of rowguard's"),
        (("other", "card", "block"), "no column card is declared"),
        (("other", "amount", "block"), "column amount is numeric: keys are"),
        (("other", "user_id", "deny"), "the kind of a list is"),
        (("x'; DROP TABLE users; --", "user_id", "block"), "the name of a list is lowercase letters"),
        (("other", "user_id; DROP TABLE users", "block"), "no column user_id; DROP TABLE users is declared"),
    ],
)
def test_wrong_lists_are_rejected(migrated: Workspace, arguments: tuple[str, str, str], message: str) -> None:
    create_list(migrated.url, "blocked", "user_id", "block")
    with pytest.raises(ListError, match=message):
        create_list(migrated.url, *arguments)


def test_text_of_any_kind_is_only_text(migrated: Workspace) -> None:
    create_list(migrated.url, "places", "location", "review", "<script>alert(1)</script>")
    key = "'); DROP TABLE users; -- <b>"
    add_entries(migrated.url, "places", [{"key": key, "reason": key}])
    assert insert(migrated, location=key)[0] == "review"
    with pytest.raises(ListError, match="has control characters"):
        add_entries(migrated.url, "places", [{"key": "a\nb"}])
    with pytest.raises(ListError, match="there is no list nowhere"):
        remove_entries(migrated.url, "nowhere", ["1"])


def test_the_api_changes_lists_by_functions_only(migrated: Workspace) -> None:
    with migrated.connect("rowguard_api") as connection:
        connection.execute("SELECT scoring.create_list('blocked', 'user_id', 'block', '', 'ana')")
        connection.execute("""SELECT scoring.add_list_entries('blocked', '[{"key": "1"}]', 'ana')""")
        assert connection.execute("SELECT added_by FROM scoring.list_entries").fetchone() == ("ana",)
        for statement in (
            "DELETE FROM scoring.list_entries", "UPDATE scoring.lists SET kind = 'allow'",
            "INSERT INTO scoring.rule_sets (version) VALUES (1)", "SELECT scoring.set_rule_set(0)",
            "UPDATE scoring.settings SET rule_set_version = 0",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    assert insert(migrated)[0] == "decline"
