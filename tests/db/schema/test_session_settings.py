"""Every parameter of the server that any session may set, with each useful value: none changes or removes a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.fix_database import Workspace

INSERT = (
    "INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at)"
    " VALUES (%s, 431.07, 5, 'place 9', '2026-11-30 03:07:00+00')"
    " RETURNING fraud_flag, fraud_probability, feature_values, model_version, features_caveat"
)
SCORE = (
    "SELECT flag, fraud_probability, model_version FROM public.score_transaction("
    "user_id => %s, amount => 431.07, merchant_id => 5, location => 'place 9', occurred_at => '2026-11-30 03:07:00+00')"
)
# Texts that some parameter of no fixed set of values takes, and that would mean something elsewhere.
TEXTS = ("", "on", "C", "public, pg_catalog", "view", "foreign-table, view", "UTC", "Asia/Kathmandu", "SQL, DMY", "all",
         "repeatable", "1ms", "4MB")  # fmt: skip
# What a session that reads only, or wants older snapshots, asks for. It gets an error, or its row says so.
EXPECTED_CAVEAT = {
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_isolation", "repeatable read"),
}
# Errors by which an INSERT ends under a session's own limit, instead of being stored without a decision.
LIMITS = {
    "25006",  # read-only
    "57014",  # statement_timeout
    "54001",  # max_stack_depth
    "25P04",  # transaction_timeout
    "53400",  # temp_file_limit
}


def values_of(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, str]]:
    rows = connection.execute(
        "SELECT name, vartype, enumvals, min_val, max_val, boot_val FROM pg_settings WHERE context = 'user' ORDER BY name"
    ).fetchall()
    assert len(rows) > 120
    for name, kind, choices, least, most, default in rows:
        if kind == "bool":
            values = ["on", "off"]
        elif kind == "enum":
            values = choices
        elif kind == "string":
            values = list(TEXTS)
        else:
            values = [least, most, default, "1"]
        for value in dict.fromkeys(str(value) for value in values if value is not None):
            yield name, value


@pytest.mark.slow
def test_no_setting_of_a_session_changes_or_removes_a_decision(scored: Workspace) -> None:
    with scored.connect("rowguard_app") as connection:
        expected = connection.cursor(binary=True).execute(INSERT, [100_000]).fetchone()
        expected_score = connection.cursor(binary=True).execute(SCORE, [99_999]).fetchone()
    assert expected is not None and expected[0] is not None and expected_score is not None
    tried = rejected = 0
    with scored.connect() as owner:
        choices = list(values_of(owner))
    for number, (name, value) in enumerate(choices):
        with scored.connect("rowguard_app") as connection:
            try:
                connection.execute("SELECT set_config(%s, %s, false)", [name, value])
            except psycopg.Error:
                rejected += 1
                continue
            try:
                # In binary form, as extra_float_digits rounds texts.
                cursor = connection.cursor(binary=True)
                found = cursor.execute(INSERT, [100_001 + number]).fetchone()
                score = cursor.execute(SCORE, [99_999]).fetchone()
            except psycopg.Error as error:
                assert error.sqlstate in LIMITS, (name, value, error.sqlstate, str(error))
                continue
        tried += 1
        if (name, value) in EXPECTED_CAVEAT:
            assert found == (*expected[:4], "old_snapshot"), (name, value)
        else:
            assert found == expected, (name, value, found)
        assert score == expected_score, (name, value)
    assert tried > 350, (tried, rejected)


@pytest.mark.parametrize("value", ["view", "view, foreign-table"])
def test_a_role_that_may_not_read_views_is_decided(scored: Workspace, value: str) -> None:
    with scored.connect("rowguard_app") as connection:
        connection.execute("SELECT set_config('restrict_nonsystem_relation_kind', %s, false)", [value])
        row = connection.execute(INSERT, [100_000]).fetchone()
        assert row is not None and row[0] is not None
