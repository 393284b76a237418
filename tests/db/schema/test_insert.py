"""What an application sees when it INSERTs."""

from __future__ import annotations

import psycopg
import pytest

from tests.fix_database import Workspace
from tests.user_keys import user

INSERT = """
INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
VALUES (42, 450.75, 7, 'DE', now(), %s)
RETURNING transaction_id, fraud_flag, fraud_probability, model_version
"""


def test_before_any_model_inserts_work_and_stay_unscored(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        row = connection.execute(INSERT, ["order-991"]).fetchone()
        assert row is not None and row[0] >= 1 and row[1:] == (None, None, None)
        stored = connection.execute(
            "SELECT scored_at, feature_values, unscored_reason FROM transactions"
        ).fetchone()
    assert stored == (None, None, None)


def test_a_deployed_model_decides_on_the_same_row(scored: Workspace) -> None:
    with scored.connect() as connection:
        row = connection.execute(INSERT, ["order-991"]).fetchone()
        champion = connection.execute(
            "SELECT version FROM model_versions WHERE state = 'champion'"
        ).fetchone()
        stored = connection.execute(
            "SELECT cardinality(feature_values), scored_at >= occurred_at, unscored_reason"
            " FROM transactions WHERE idempotency_key = 'order-991'"
        ).fetchone()
        features = connection.execute("SELECT count(*) FROM features.feature_definitions").fetchone()
    assert row is not None and champion is not None and features is not None
    assert row[1] in ("FRAUD", "LEGITIMATE") and 0 <= row[2] <= 1 and row[3] == champion[0]
    assert stored == (features[0], True, None)


def test_insert_and_score_transaction_give_the_same_bits(scored: Workspace) -> None:
    with scored.connect() as connection:
        for number in range(1, 40):
            question = {
                "user": user(number),
                "amount": f"{number * 13.37:.2f}",
                "at": "2026-11-20 12:00:00+00",
            }
            asked = connection.execute(
                "SELECT fraud_probability, flag, model_version, prediction, probability FROM score_transaction("
                "user_id => %(user)s, amount => %(amount)s::numeric, merchant_id => 3, location => 'FR',"
                " occurred_at => %(at)s)",
                question,
            ).fetchone()
            got = connection.execute(
                "INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)"
                " VALUES (%(user)s, %(amount)s, 3, 'FR', %(at)s)"
                " RETURNING fraud_probability, fraud_flag, model_version",
                question,
            ).fetchone()
            assert asked is not None and got is not None
            assert asked[:3] == got
            is_fraud = asked[1] == "FRAUD"
            assert asked[3] == int(is_fraud)
            assert asked[4] == (asked[0] if is_fraud else 1 - asked[0])


def test_application_roles_cannot_pass_the_trigger_by_as_history(migrated: Workspace) -> None:
    forged = (
        "INSERT INTO transactions (user_id, amount, occurred_at, received_at, fraud_flag, user_txns_before, is_history)"
        " VALUES (1, 1, now(), now(), 'LEGITIMATE', 7, %s)"
    )
    with migrated.connect("rowguard_app") as connection, migrated.connect() as owner:
        for setting in ("on", "off"):
            connection.execute("SELECT set_config('rowguard.load_history', %s, false)", [setting])
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only the owner"):
                connection.execute(forged, [True])
            connection.execute(forged, [False])
        rows = owner.execute(
            "SELECT is_history, fraud_flag, user_txns_before FROM transactions ORDER BY 3"
        ).fetchall()
        assert rows == [(False, None, 0), (False, None, 1)]


def test_the_owners_rows_of_the_past_are_not_decided_again(migrated: Workspace) -> None:
    """History without the setting, and rows of a backup; a decision alone is dropped, as everybody's is."""
    with migrated.connect() as owner:
        for columns, value in (("is_history", "true"), ("received_at", "now() - interval '1 day'")):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
                owner.execute(
                    f"INSERT INTO transactions (user_id, amount, {columns}) VALUES (1, 1, {value})".encode()
                )
            assert caught.value.diag.column_name == columns
            assert caught.value.diag.message_hint
        row = owner.execute(
            "INSERT INTO transactions (user_id, amount, fraud_flag, scored_at, is_control) VALUES (1, 1, 'FRAUD',"
            " now(), true) RETURNING fraud_flag, scored_at, is_control"
        ).fetchone()
        assert row == (None, None, False)
        owner.execute("ALTER TABLE transactions DISABLE TRIGGER USER")
        row = owner.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at, received_at, fraud_flag)"
            " VALUES (1, 1, '2026-01-01', '2026-01-01', 'FRAUD') RETURNING fraud_flag, user_txns_before"
        ).fetchone()
        assert row == ("FRAUD", None)


def test_the_owners_session_does_not_lend_its_rights_to_the_inserting_role(migrated: Workspace) -> None:
    """A function of an application's in a session of the owner's, as an index's expression is for ANALYZE."""
    with migrated.connect() as connection:
        connection.execute(
            "CREATE FUNCTION public.forge() RETURNS void LANGUAGE sql SECURITY DEFINER SET rowguard.load_history = 'on'"
            " AS $$ INSERT INTO public.transactions (user_id, amount, occurred_at, received_at, is_history)"
            " VALUES (1, 1, now(), now(), true) $$"
        )
        connection.execute("GRANT CREATE ON SCHEMA public TO rowguard_app")
        connection.execute("ALTER FUNCTION public.forge() OWNER TO rowguard_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only the owner"):
            connection.execute("SELECT public.forge()")


def test_loaded_history_keeps_what_it_brings_along(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute("SET rowguard.load_history = 'on'")
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at, received_at, is_history, fraud_flag, shadow_version)"
            " VALUES (1, 1, now(), now(), true, 'FRAUD', 'rf_x') RETURNING is_history, fraud_flag, shadow_version"
        ).fetchone()
    assert row == (True, "FRAUD", "rf_x")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("amount", "1, -0.01", "amount is not between 0 and 1e12"),
        ("amount", "1, 'NaN'", "amount is not between 0 and 1e12"),
        ("amount", "1, 'Infinity'", "amount is not between 0 and 1e12"),
        ("amount", "1, 1e12", "is not between 0 and 1e12"),
        ("amount", "1, 0.00001", "with at most 4 decimals"),
        ("amount", "1, NULL", 'null value in column "amount"'),
        ("user_id", "NULL, 1", 'null value in column "user_id"'),
        ("occurred_at", "1, 1, now() + interval '25 hours'", "more than a day in the future"),
        ("occurred_at", "1, 1, 'infinity'", "more than a day in the future"),
        ("occurred_at", "1, 1, '1969-12-31'", "is before 1970"),
        ("occurred_at", "1, 1, '-infinity'", "is before 1970"),
        ("location", "1, 1, repeat('x', 65)", "has more than 64 characters"),
        ("idempotency_key", "1, 1, ''", "does not have 1 to 255 characters"),
    ],
)
@pytest.mark.parametrize("role", [None, "rowguard_app", "rowguard_api"])
def test_bad_input_names_its_column_and_stores_nothing(
    scored_template: Workspace, column: str, values: str, message: str, role: str | None
) -> None:
    names = ["user_id", "amount"] + ([column] if column not in ("user_id", "amount") else [])
    with scored_template.connect(role) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(f"INSERT INTO transactions ({', '.join(names)}) VALUES ({values})".encode())
    assert message in str(caught.value.diag.message_primary)
    assert caught.value.diag.column_name == column


@pytest.mark.parametrize("amount", ["-1", "1e12", "0.00001"])
def test_the_rule_for_amounts_holds_for_history_and_updates_too(migrated: Workspace, amount: str) -> None:
    with migrated.connect() as owner:
        owner.execute("INSERT INTO transactions (user_id, amount) VALUES (1, 1)")
        owner.execute("SET rowguard.load_history = 'on'")
        for statement in (
            "INSERT INTO transactions (user_id, amount, occurred_at, received_at, is_history)"
            f" VALUES (1, {amount}, now(), now(), true)",
            f"UPDATE transactions SET amount = {amount}",
        ):
            with pytest.raises(psycopg.errors.CheckViolation) as caught:
                owner.execute(statement.encode())
            assert caught.value.diag.column_name == "amount"


def test_unknown_users_are_scored_with_an_unknown_home(scored: Workspace) -> None:
    with scored.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount, location) VALUES (999999999, 5, 'DE')"
            " RETURNING fraud_flag, feature_values"
        ).fetchone()
        names = connection.execute(
            "SELECT name FROM features.feature_definitions ORDER BY position"
        ).fetchall()
    assert row is not None and row[0] is not None
    values = dict(zip([name for (name,) in names], row[1], strict=True))
    assert values["user_location_match"] is None
    assert values["user_txn_count_7d"] == 0
    assert values["user_amount_mean_30d"] is None


def test_a_key_can_be_used_once_per_user(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute(INSERT, ["once"])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(INSERT, ["once"])
        connection.execute(
            "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (43, 1, 'once')"
        )
        assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (2,)


def test_rows_of_one_statement_see_those_before_them(scored: Workspace) -> None:
    assert _hour_counts(scored, "SELECT 777001, 1 FROM generate_series(1, 5)") == [0, 1, 2, 3, 4]


def test_a_row_is_stored_with_its_reason_when_scoring_fails(scored: Workspace) -> None:
    with scored.connect() as connection:
        version = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
        assert version is not None
        connection.execute(f"DROP FUNCTION scoring.{version[0]}".encode())
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 1) RETURNING fraud_flag, unscored_reason"
        ).fetchone()
    assert row is not None and row[0] is None
    assert row[1].startswith("42883: function scoring.")


def test_score_transaction_needs_a_model(migrated: Workspace) -> None:
    with migrated.connect("rowguard_app") as connection:
        for call in (
            "score_features(450.75, 1.5, 12, true)",
            f"score_transaction(user_id => '{user(1)}', amount => 2)",
        ):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no model is deployed yet"):
                connection.execute(f"SELECT * FROM {call}".encode())


def test_score_transaction_rejects_what_no_transaction_can_be(scored_template: Workspace) -> None:
    with scored_template.connect("rowguard_app") as connection:
        for column, arguments, message in (
            ("user_id", "user_id => NULL, amount => 1", "user_id and amount are required"),
            ("amount", f"user_id => '{user(1)}', amount => NULL", "user_id and amount are required"),
            ("amount", f"user_id => '{user(1)}', amount => -1", "amount is not between"),
            (
                "location",
                f"user_id => '{user(1)}', amount => 1, location => repeat('x', 65)",
                "has more than 64 characters",
            ),
            (
                "occurred_at",
                f"user_id => '{user(1)}', amount => 1, occurred_at => 'infinity'",
                "more than a day in the future",
            ),
        ):
            with pytest.raises((psycopg.DataError, psycopg.IntegrityError), match=message) as caught:
                connection.execute(f"SELECT * FROM score_transaction({arguments})".encode())
            assert caught.value.diag.column_name == column


def test_a_changed_home_counts_from_then_on(scored: Workspace) -> None:
    ask = "SELECT feature_values[%s] FROM transactions WHERE user_id = 777003 ORDER BY received_at"
    with scored.connect() as connection:
        position = connection.execute(
            "SELECT position FROM features.feature_definitions WHERE name = 'user_location_match'"
        ).fetchone()
        assert position is not None
        insert = "INSERT INTO transactions (user_id, amount, location) VALUES (777003, 1, 'DE')"
        connection.execute(insert)
        connection.execute("INSERT INTO users (user_id, home_location) VALUES (777003, 'DE')")
        connection.execute(insert)
        connection.execute("UPDATE users SET home_location = 'FR' WHERE user_id = 777003")
        connection.execute(insert)
        assert [value for (value,) in connection.execute(ask, [position[0]])] == [None, 1, 0]


def _hour_counts(workspace: Workspace, select: str | None, user: int = 777001) -> list[float]:
    with workspace.connect() as connection:
        if select:
            connection.execute(f"INSERT INTO transactions (user_id, amount) {select}".encode())
        rows = connection.execute(
            "SELECT feature_values[(SELECT position FROM features.feature_definitions"
            " WHERE name = 'user_txn_count_1h')] FROM transactions WHERE user_id = %s ORDER BY received_at",
            [user],
        ).fetchall()
    return [value for (value,) in rows]


def test_one_statement_may_insert_rows_of_very_many_users(migrated: Workspace) -> None:
    """One lock a user would fill the server's lock table and fail the statement."""
    with migrated.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount) SELECT g, 1 FROM generate_series(1, 40000) AS g"
        )
        assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (40_000,)
