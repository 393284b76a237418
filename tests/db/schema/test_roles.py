"""The authorisation matrix of the database: every role on every action; and what the roles may not be tricked into."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_database import Workspace

ROLES = ("rowguard_app", "rowguard_api", "rowguard_trainer", "rowguard_readonly", "stranger")
APP, API, TRAINER, READONLY = ROLES[:4]
READERS = {TRAINER, READONLY}
MODEL = "FUNCTION scoring.decide_transaction(scoring.scoring_request)"

# Action, statement, and the only roles that may. The owner may all of it.
ACTIONS: list[tuple[str, str, set[str]]] = [
    ("insert a transaction", "INSERT INTO transactions (user_id, amount) VALUES (1, 1)", {APP, API}),
    (
        "insert and read the decision",
        "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (1, 1, 'k') RETURNING transaction_id,"
        " fraud_flag, fraud_probability, model_version",
        {APP, API},
    ),
    (
        "read own columns",
        "SELECT transaction_id, amount, fraud_flag, model_version FROM transactions",
        {APP, API, *READERS},
    ),
    ("read what the model saw", "SELECT feature_values FROM transactions", {APP, API, *READERS}),
    ("read every column", "SELECT * FROM transactions", {APP, *READERS}),
    ("choose an id", "INSERT INTO transactions (user_id, transaction_id, amount) VALUES (1, 1, 1)", {API}),
    ("name a decision in an insert", "INSERT INTO transactions (user_id, amount, fraud_flag) VALUES (1, 1, 'X')", {APP}),
    ("change a decision", "UPDATE transactions SET fraud_flag = 'LEGITIMATE'", set()),
    ("change an amount", "UPDATE transactions SET amount = 1", set()),
    (
        "change a decision on conflict",
        "INSERT INTO transactions (user_id, transaction_id, amount) VALUES (1, 1, 1)"
        " ON CONFLICT (user_id, transaction_id) DO UPDATE SET fraud_flag = 'LEGITIMATE'",
        set(),
    ),
    ("delete transactions", "DELETE FROM transactions", set()),
    ("truncate transactions", "TRUNCATE transactions CASCADE", set()),
    (
        "load history",
        "SELECT set_config('rowguard.load_history', 'on', false); INSERT INTO transactions (user_id, amount,"
        " occurred_at, received_at, is_history, fraud_flag) VALUES (1, 1, now(), now(), true, 'LEGITIMATE')",
        set(),
    ),
    ("switch the trigger off", "ALTER TABLE transactions DISABLE TRIGGER score_on_insert", set()),
    ("switch all triggers off", "SET session_replication_role = replica", set()),
    ("drop the trigger", "DROP TRIGGER score_on_insert ON transactions", set()),
    (
        "add a trigger",
        "CREATE TRIGGER later BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION scoring.score_on_insert()",
        set(),
    ),
    ("score four features", "SELECT score_features(1, 1, 1, true)", {APP, API, TRAINER}),
    ("score a transaction", "SELECT score_transaction(user_id => 1, amount => 1)", {APP, API, TRAINER}),
    ("read the text of the model", "SELECT prosrc FROM pg_proc WHERE proname LIKE 'rf%'", set(ROLES)),
    ("call the model past the facade", "SELECT scoring.decide_transaction(NULL)", set()),
    ("replace the model", f"CREATE OR REPLACE {MODEL.split('(')[0]}() RETURNS int LANGUAGE sql AS 'SELECT 1'", set()),
    ("rename the model", f"ALTER {MODEL} RENAME TO mine", set()),
    ("drop the model", f"DROP {MODEL}", set()),
    ("replace the facade", "ALTER FUNCTION public.score_transaction(bigint, numeric, bigint, text, timestamptz)"
     " RENAME TO mine", set()),
    ("change the registry", "UPDATE scoring.models SET state = 'champion'", set()),
    ("register a model", "INSERT INTO scoring.models (version) VALUES ('mine')", set()),
    ("forge the registry's history", "INSERT INTO scoring.model_state_changes (version) VALUES ('mine')", set()),
    ("put a rule set in force", "SELECT scoring.set_rule_set(0)", set()),
    ("forge a rule set", "INSERT INTO scoring.rule_set_revisions (revision) VALUES ('mine')", set()),
    ("read rules", "SELECT * FROM scoring.rules, scoring.lists, scoring.list_entries", {API, *READERS}),
    ("empty a list", "DELETE FROM scoring.list_entries", set()),
    ("change an outcome", "UPDATE transactions SET outcome = 'approve'", set()),
    ("forge a revision", "INSERT INTO scoring.model_revisions (revision) VALUES ('mine')", set()),
    ("read the registry", "SELECT version, threshold FROM model_versions", {APP, API, *READERS}),
    ("read the registry's table", "SELECT version FROM scoring.models", READERS),
    ("read what deployed", "SELECT * FROM scoring.model_revisions", READERS),
    ("read the homes' history", "SELECT * FROM scoring.users_history", set()),
    ("label", "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud) SELECT user_id, transaction_id, true"
     " FROM transactions LIMIT 1", {API, TRAINER}),
    ("read labels", "SELECT * FROM fraud_labels", {API, *READERS}),
    ("change a label", "UPDATE fraud_labels SET is_fraud = false", set()),
    ("delete labels", "DELETE FROM fraud_labels", set()),
    ("read cases", "SELECT * FROM scoring.review_cases", {API, *READERS}),
    ("change a case", "UPDATE scoring.review_cases SET state = 'decided'", set()),
    ("claim a case", "SELECT scoring.claim_review_case('me')", {API}),
    ("open cases", "SELECT scoring.open_review_cases()", {API}),
    ("record an event", "SELECT scoring.record_audit('me', 'test', 'nothing')", {API}),
    ("read the audit trail", "SELECT * FROM scoring.audit_events", {API, *READERS}),
    ("forge the audit trail", "INSERT INTO scoring.audit_events (actor, action, subject) VALUES ('a', 'b', 'c')", set()),
    ("score a row again", "SELECT scoring.replay_decision(user_id, transaction_id) FROM transactions"
     " WHERE model_version IS NOT NULL LIMIT 1", {API}),
    ("read users", "SELECT * FROM users", {APP, *READERS}),
    ("add a user", "INSERT INTO users (user_id, home_location) VALUES (-5, 'DE')", {APP}),
    ("change a home", "UPDATE users SET home_location = 'DE' WHERE user_id = 1", {APP}),
    ("change whose home it is", "UPDATE users SET user_id = 5 WHERE user_id = 1", set()),
    ("delete a user", "DELETE FROM users WHERE user_id = 1", set()),
    ("read the training set", "SELECT count(*) FROM features.feature_definitions", READERS),
    ("change the features", "DELETE FROM features.feature_definitions", set()),
    ("set the sequence back", "SELECT setval('transactions_transaction_id_seq', 1)", set()),
    ("make a table in public", "CREATE TABLE public.mine (a integer)", set()),
    ("make a function in scoring", "CREATE FUNCTION scoring.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", set()),
    ("make a schema", "CREATE SCHEMA mine", set()),
    ("become the owner", "SET ROLE rowguard_owner_of_test", set()),
    ("read the server's passwords", "SELECT rolpassword FROM pg_authid", set()),
    ("read a file of the server", "SELECT pg_read_file('postgresql.conf')", set()),
    ("run a program", "COPY transactions (user_id) FROM PROGRAM 'true'", set()),
]  # fmt: skip


@pytest.fixture(scope="module")
def database(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A clone, with a role that is in no group."""
    from tests.fix_database import _database, _settings

    with _database(server_url, scored_template.url) as url:
        workspace = Workspace(url, _settings(url, tmp_path_factory.mktemp("roles")))
        with workspace.connect() as connection:
            connection.execute("CREATE ROLE stranger NOLOGIN; CREATE ROLE rowguard_owner_of_test NOLOGIN")
        try:
            yield workspace
        finally:
            with workspace.connect() as connection:
                connection.execute("DROP ROLE stranger; DROP ROLE rowguard_owner_of_test")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("action", "statement", "allowed"), ACTIONS, ids=[action for action, *_ in ACTIONS])
def test_matrix(database: Workspace, role: str, action: str, statement: str, allowed: set[str]) -> None:
    # As a login would come: a session whose own role is the superuser could set itself back.
    with database.connect() as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {role}".encode())
        with connection.transaction(force_rollback=True):
            if role in allowed:
                connection.execute(statement.encode())
                return
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(statement.encode())
    # Missing rights, however they are noticed.
    assert caught.value.sqlstate == "42501", (caught.value.sqlstate, str(caught.value))


@pytest.mark.parametrize(
    ("action", "statement"),
    [(action, statement) for action, statement, allowed in ACTIONS if allowed],
    ids=[action for action, _, allowed in ACTIONS if allowed],
)
def test_every_allowed_statement_runs_as_owner(database: Workspace, action: str, statement: str) -> None:
    """A rejection in the matrix is then one of rights, not of an invalid statement."""
    with database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(statement.encode())


@pytest.mark.parametrize("way", ["INSERT", "COPY"])
def test_decisions_cannot_be_forged(database: Workspace, way: str) -> None:
    with database.connect("rowguard_app") as connection:
        if way == "INSERT":
            row = connection.execute(
                "INSERT INTO transactions (user_id, amount, is_history, received_at, scored_at, fraud_flag,"
                " fraud_probability, model_version, feature_values, unscored_reason)"
                " VALUES (81, 5, false, 'epoch', 'epoch', 'MINE', -1, 'mine', '{1}', 'mine')"
                " RETURNING transaction_id"
            ).fetchone()
            assert row is not None
        else:
            with connection.cursor().copy(
                "COPY transactions (user_id, amount, fraud_flag, fraud_probability, model_version, is_history)"
                " FROM STDIN"
            ) as copy:
                copy.write_row((81, 5, "MINE", -1, "mine", False))
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT fraud_flag, fraud_probability, model_version, is_history, feature_values, unscored_reason,"
            " received_at > now() - interval '1 minute', scored_at = received_at"
            " FROM transactions WHERE user_id = 81 ORDER BY received_at DESC LIMIT 1"
        ).fetchall()
    (flag, probability, version, is_history, values, reason, is_fresh, is_scored) = rows[0]
    assert flag in ("FRAUD", "LEGITIMATE") and 0 <= probability <= 1 and version != "mine"
    assert is_history is False and len(values) > 1 and reason is None and is_fresh and is_scored


def test_definer_functions_cannot_be_led_astray(database: Workspace) -> None:
    """A caller's temporary objects and search_path come before nothing in functions that run with more rights."""
    with database.connect("rowguard_app") as connection:
        connection.execute("CREATE TEMPORARY TABLE transactions (user_id bigint, amount numeric)")
        connection.execute(
            "CREATE FUNCTION pg_temp.min_scale(numeric) RETURNS integer LANGUAGE sql AS 'SELECT 99'"
        )
        connection.execute("SET search_path = pg_temp, public")
        row = connection.execute("SELECT * FROM score_transaction(user_id => 1, amount => 1.5)").fetchone()
        stored = connection.execute(
            "INSERT INTO public.transactions (user_id, amount) VALUES (1, 1.5) RETURNING fraud_flag"
        ).fetchone()
    assert row is not None and stored is not None and stored[0] is not None


def test_definer_functions_are_few_and_pinned(database: Workspace) -> None:
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT p.proname, p.proconfig, has_function_privilege('stranger', p.oid, 'EXECUTE')"
            " FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace"
            " WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
    # Review each new one before it is named here.
    assert {name for name, _, _ in rows} == {
        "score_on_insert", "score_transaction", "score_features", "record_reference_change", "record_model_state",
        "invalidate_totals_on_delete", "invalidate_totals_on_update", "warm_scoring", "base_value",
        "explain_features", "explain_transaction", "explain_transactions", "explanation", "explain_score_features",
        "explain_score_transaction", "passing_changes", "set_alert_reasons", "create_list", "add_list_entries",
        "remove_list_entries", "add_rule_exception", "end_rule_exception", "record_audit", "open_review_cases",
        "claim_review_case", "release_review_case", "decide_review_cases", "reopen_review_case", "replay_decision",
    }  # fmt: skip
    for name, config, is_public in rows:
        # The trigger waits a bounded time for locks; nothing else is set.
        assert config[0] == "search_path=pg_catalog, pg_temp", name
        assert all(setting.startswith("lock_timeout=") for setting in config[1:]), name
        assert not is_public, name


def test_public_has_nothing(database: Workspace) -> None:
    with database.connect() as connection:
        schemas = connection.execute(
            "SELECT n, has_schema_privilege('stranger', n, p) FROM unnest(ARRAY['public', 'scoring', 'features']) AS n,"
            " unnest(ARRAY['CREATE', 'USAGE']) AS p WHERE has_schema_privilege('stranger', n, p)"
            " AND (n, p) <> ('public', 'USAGE')"
        ).fetchall()
        tables = connection.execute(
            "SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('public', 'scoring', 'features') AND c.relkind IN ('r', 'v', 'm', 'S', 'p')"
            " AND c.relacl IS NOT NULL AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0)"
        ).fetchall()
    assert schemas == [] and tables == []
