"""ROWGUARD_SCHEMA: a database whose application already has tables `users` and `transactions` in `public`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowguard.settings import settings
from tests.db.api.conftest import serving
from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run, runner

pytestmark = pytest.mark.slow

FOREIGN = """
CREATE TABLE public.users (id uuid PRIMARY KEY);
CREATE TABLE public.transactions (id uuid PRIMARY KEY, note text);
INSERT INTO public.transactions VALUES (gen_random_uuid(), 'not ours')
"""
INSERT = (
    "INSERT INTO transactions (user_id, amount, location) VALUES (42, 450.75, 'DE')"
    " RETURNING fraud_probability, model_version"
)
SCORE = "SELECT fraud_probability FROM score_transaction(user_id => 43, amount => 450.75, location => 'DE')"
# What rowguard made in `public`, and what of it the application had.
PUBLIC_OBJECTS = """
SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind <> 'i'
UNION ALL SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace
UNION ALL SELECT t.typname FROM pg_type AS t
WHERE t.typnamespace = 'public'::regnamespace AND t.typtype <> 'c' AND t.typelem = 0
ORDER BY 1
"""


def test_rowguard_shares_a_database_with_tables_of_the_same_names(
    run: Run, empty_workspace: Workspace, tmp_path: Path
) -> None:
    with empty_workspace.connect() as connection:
        connection.execute(FOREIGN)
    place = {"DATABASE_URL": empty_workspace.url}
    refusal = run("migrate", **place).err.splitlines()[-1]
    assert "public.transactions, public.users" in refusal and "set ROWGUARD_SCHEMA to" in refusal

    ours = place | {"ROWGUARD_SCHEMA": "user"}  # a reserved word, which needs quotes
    run("migrate", "--json", **ours).document()
    assert "features built already" in run("migrate", **ours).out
    elsewhere = "rowguard: rowguard is in schema user of this database; set ROWGUARD_SCHEMA=user"
    for command in ("models", "migrate", "doctor"):
        assert run(command, **place).err.splitlines()[-1] == elsewhere

    simulated = run(
        "simulate",
        "--users",
        "250",
        "--days",
        "45",
        "--fraud-rate",
        "0.03",
        "--mix-into-real-data",
        "--json",
        **ours,
    ).document()
    (tmp_path / "more.csv").write_text("occurred_at,user_id,amount,is_fraud\n2026-01-01,1,5.00,0\n")
    assert run("import", "more.csv", "--json", **ours).document()["transactions"] == 1
    run("features", "--json", **ours).document()
    version = run("train", "--json", **ours).document()["version"]
    run("deploy", version, "--force", "--json", **ours).document()

    with empty_workspace.connect() as connection:
        connection.execute('SET search_path = "user", public')
        assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (
            simulated["transactions"] + 1,
        )
        (score,) = connection.execute(SCORE).fetchone() or (None,)
        for role in ("rowguard_app", "rowguard_api"):
            connection.execute(f"SET ROLE {role}".encode())
            probability, decided_by = connection.execute(INSERT).fetchone() or (None, None)
            assert 0 <= probability <= 1 and decided_by == version
        connection.execute("RESET ROLE")
        connection.execute("INSERT INTO users (user_id, home_location) VALUES (42, 'DE')")
        homes = "SELECT user_id, home_location FROM scoring.users_history"
        assert connection.execute(homes).fetchall() == [(42, "DE")]
        assert connection.execute(PUBLIC_OBJECTS).fetchall() == [("transactions",), ("users",)]
        assert connection.execute("SELECT count(*) FROM public.transactions").fetchone() == (1,)
    _check_http(empty_workspace.url, tmp_path, score)
    for command in ("doctor", "unscored", "models", "status"):
        run(command, "--json", **ours).document()
    run("archive", "--keep", "9000d", "--json", **ours).document()
    run("simulate", "--live", "--count", "3", "--mix-into-real-data", "--json", **ours).document()
    counted = runner(tmp_path, **ours)("psql", "-Atc", "SELECT count(*) > 1 FROM transactions")
    assert counted.out.split() == ["t"], counted.err


def _check_http(url: str, folder: Path, score: float | None) -> None:
    body = {"user_id": 43, "amount": 450.75, "location": "DE"}
    with serving(url, folder, schema="user") as api:
        assert api.client.post("/predict", json=body).json()["fraud_probability"] == score
        assert api.client.post("/transactions", json=body).status_code == 201


@pytest.mark.parametrize("name", ["Fraud", "a b", "scoring", "pg_own", "", 'x"y', "a" * 64])
def test_a_name_that_cannot_be_used_is_one_clear_line(run: Run, name: str) -> None:
    assert run("models", ROWGUARD_SCHEMA=name).refusal().startswith("ROWGUARD_SCHEMA ")


def test_queries_name_the_schema_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from rowguard.queries import in_own_schema

    text = "GRANT USAGE ON SCHEMA public TO a; REVOKE ALL ON public.users FROM public;"
    assert in_own_schema(text) == text
    monkeypatch.setenv("ROWGUARD_SCHEMA", "fraud")
    settings.cache_clear()
    try:
        assert in_own_schema(text) == (
            'GRANT USAGE ON SCHEMA "fraud" TO a; REVOKE ALL ON "fraud".users FROM public;'
        )
    finally:
        settings.cache_clear()
