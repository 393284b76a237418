"""failure-policy and unscored, the two commands around the failure policy."""

from __future__ import annotations

from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run, run  # noqa: F401
from tests.user_keys import in_json


def test_policy_shows_and_changes(run: Run, migrated: Workspace) -> None:  # noqa: F811
    def policy(*words: str) -> dict[str, object]:
        document = run("failure-policy", *words, "--json", DATABASE_URL=migrated.url).document()
        assert isinstance(document, dict)
        return document

    shown = policy()
    assert (shown["failure_mode"], shown["lock_timeout_ms"]) == ("fail-open", 1000)
    changed = policy("fail-closed", "--lock-timeout-ms", "250")
    assert (changed["failure_mode"], changed["lock_timeout_ms"]) == ("fail-closed", 250)
    assert policy("fail-open")["lock_timeout_ms"] == 250
    with migrated.connect() as connection:
        row = connection.execute(
            "SELECT proconfig FROM pg_proc WHERE oid = 'scoring.score_on_insert'::regproc"
        ).fetchone()
    assert row is not None and "lock_timeout=250ms" in row[0]


def test_unscored_lists_and_counts_with_reasons(run: Run, scored: Workspace) -> None:  # noqa: F811
    def unscored(*words: str) -> dict[str, object]:
        document = run("unscored", *words, "--json", DATABASE_URL=scored.url).document()
        assert isinstance(document, dict)
        return document

    assert unscored() == {"unscored": 0, "reasons": [], "transactions": []}
    with scored.connect() as connection:
        row = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
        assert row is not None
        connection.execute(f"DROP FUNCTION scoring.{row[0]}(real[])".encode())
        connection.execute("INSERT INTO transactions (user_id, amount) VALUES (1, 1), (2, 2), (3, 3)")
    found = unscored("--limit", "2")
    assert found["unscored"] == 3
    reasons = found["reasons"]
    assert isinstance(reasons, list) and len(reasons) == 1
    reason = reasons[0]
    assert reason["transactions"] == 3 and reason["reason"].startswith("42883: function scoring.rf_")
    listed = [row["user_id"] for row in found["transactions"]]  # type: ignore[attr-defined]
    assert listed == [in_json({"user_id": number})["user_id"] for number in (3, 2)]
