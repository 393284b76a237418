"""`rowguard explain` and `rowguard reasons` on a stored decision."""

from __future__ import annotations

from pathlib import Path

from rowguard.database import fetch_one
from tests.db.lifecycle.models import flag_everything
from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run


def test_a_decision_is_explained_on_the_command_line(scored: Workspace, run: Run, tmp_path: Path) -> None:
    flag_everything(scored)
    with scored.connect() as connection:
        transaction = fetch_one(
            connection,
            "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (7, 4900, 3, 'BR')"
            " RETURNING transaction_id",
        )[0]
    ids, picture = ("7", str(transaction)), tmp_path / "why.svg"
    shown = run("explain", *ids, "--changes", "--svg", str(picture), DATABASE_URL=scored.url)
    assert shown.code == 0, shown.err
    assert "The amount is" in shown.out and "base value" in shown.out and "probability" in shown.out
    assert "passed" in shown.out and shown.err.strip() == f"waterfall: {picture}"
    assert picture.read_text().startswith("<svg ") and "transaction_amount = 4900" in picture.read_text()
    document = run("explain", *ids, "--top", "3", "--json", DATABASE_URL=scored.url).document()
    assert len(document["contributions"]) == 3 and document["is_calibrated"] is False
    filled = run("reasons", "--json", DATABASE_URL=scored.url).document()
    assert filled["explained"] == 1
    built = run("reasons", "--build", document["model_version"], DATABASE_URL=scored.url)
    assert built.code == 0 and "states" in built.out
    assert "user 7 has no transaction 0" in run("explain", "7", "0", DATABASE_URL=scored.url).refusal()
    assert "has no texts in de" in run("explain", *ids, "--language", "de", DATABASE_URL=scored.url).refusal()
