"""Schema revision 0009 is taken back and applied again, the deployed models with it: INSERTs are decided as before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from rowguard.settings import PROJECT_ROOT
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.features.build import build_features
from tests.db.features.builds import built_hash8, lengthen_feature_list
from tests.db.lifecycle.models import champion_of, train_small
from tests.fix_database import Workspace
from trainer.lifecycle import migrate
from trainer.retrain import deploy

SCHEMA = PROJECT_ROOT / "migrations" / "schema"
ADDED = "\n- {name: user_txn_count_5d, entity: user, measure: transaction, aggregate: count, window: 5d, description: Five days}\n"


def test_one_migration_makes_it_as_it_was(scored: Workspace) -> None:
    champion = champion_of(scored)
    before = _facade(scored)
    _take_back(scored)
    done = migrate(scored.url, scored.settings)
    assert (done.model_revisions, done.notes) == (1, ())
    assert _facade(scored) == before
    assert _insert(scored) == (champion, None)


def test_a_model_of_a_list_that_is_not_built_any_more_goes_on_deciding(
    scored: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its function for the trigger is dropped, and no build brings it back."""
    champion = champion_of(scored)
    with scored.connect() as connection:
        gone = f"features.insert_feature_values_{built_hash8(connection)}"
    lengthen_feature_list(ADDED.lstrip(), tmp_path, monkeypatch)
    build_features(scored.url, scored.settings)
    _take_back(scored)
    done = migrate(scored.url, scored.settings)
    assert done.notes == (
        f"{gone} is not built any more: INSERTs are decided by way of scoring.score_candidate, more slowly, "
        "until the next deploy or rollback",
    )
    assert _insert(scored) == (champion, None)
    # It stays so, and is said once.
    assert migrate(scored.url, scored.settings).notes == ()


def test_what_cannot_be_decided_is_said(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("DROP SCHEMA features CASCADE")
        connection.execute("UPDATE scoring.models SET feature_hash = 'ffffffff' || substr(feature_hash, 9)")
        for name in ("decide_insert", "score_candidate"):
            row = connection.execute(
                "SELECT pg_get_functiondef(to_regproc(%s))", [f"scoring.{name}"]
            ).fetchone()
            assert row is not None
            connection.execute(row[0].replace("feature_values_", "feature_values_ffffffff").encode())
    (note,) = migrate(scored.url, scored.settings).notes
    assert note.startswith("INSERTs stay without a decision: what is deployed calls features.insert_feature")
    assert note.endswith("which is not built here; run: rowguard retrain")
    assert _insert(scored)[0] is None


def test_alembic_alone_says_that_features_are_missing(scored: Workspace, tmp_path: Path) -> None:
    """It builds none."""
    _take_back(scored)
    ini = tmp_path / "alembic.ini"
    folders = f"{PROJECT_ROOT}/migrations/schema:{scored.settings.models_dir}"
    text = (
        (PROJECT_ROOT / "alembic.ini")
        .read_text()
        .replace("%(here)s/migrations/schema:%(here)s/migrations/models", folders)
    )
    assert folders in text
    ini.write_text(text.replace("%(here)s", str(PROJECT_ROOT)))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("alembic")), "-c", str(ini), "upgrade", "heads"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "DATABASE_URL": scored.url},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith(
        "INSERTs stay without a decision: what is deployed calls features.insert_feature_values_"
    )
    assert line.endswith("which is not built here; run: rowguard migrate")
    assert migrate(scored.url, scored.settings).notes == ()
    assert _insert(scored)[0] is not None


def test_a_challenger_of_an_earlier_release_goes_on_being_asked(scored: Workspace) -> None:
    """Its second opinion is that release's text, which did not know of loaded rows."""
    champion, second = champion_of(scored), train_small(scored, 1)
    deploy(scored.url, scored.settings, second, role="challenger", force=True)
    with scored.connect() as connection:
        row = connection.execute("SELECT pg_get_functiondef('scoring.shadow_on_insert'::regproc)").fetchone()
        assert row is not None
        knows_loaded = "BEGIN\n    IF NEW.shadow_version <> '' THEN\n        RETURN NEW; -- loaded, with what was said then\n    END IF;\n"
        assert knows_loaded in row[0]
        connection.execute((SCHEMA / "0009_one_read.downgrade.sql").read_bytes())
        connection.execute(row[0].replace(knows_loaded, "BEGIN\n    NEW.is_let_through := false;\n").encode())
        assert _asked(connection) == (champion, second, True)
        connection.execute((SCHEMA / "0009_one_read.upgrade.sql").read_bytes())
        assert _asked(connection) == (champion, second, True)
        connection.execute("SET rowguard.load_history = 'on'")
        loaded = connection.execute(
            "INSERT INTO transactions (user_id, amount, occurred_at, received_at, is_history, shadow_version, shadow_probability,"
            " shadow_feature_values) SELECT 5, 10, now(), now(), true, 'another', 0.5, t.feature_values FROM transactions AS t"
            " WHERE t.feature_values IS NOT NULL LIMIT 1 RETURNING shadow_version, shadow_probability, model_version"
        ).fetchone()
        assert loaded == ("another", 0.5, None)


def _asked(connection: psycopg.Connection) -> tuple[str, str, bool]:
    row = connection.execute(
        "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (5, 10, 7, 'DE')"
        " RETURNING model_version, shadow_version, shadow_probability IS NOT NULL"
    ).fetchone()
    assert row is not None
    return row


def _take_back(workspace: Workspace) -> None:
    with migrations.transaction(workspace.url) as connection:
        migrations.downgrade(connection, "schema@0008", [workspace.settings.models_dir])
    assert champion_of(workspace) is None


def _facade(workspace: Workspace) -> str:
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT prosrc FROM pg_proc WHERE oid = 'scoring.decide_insert'::regproc"
        ).fetchone()
    assert row is not None
    return str(row[0])


def _insert(workspace: Workspace) -> tuple[str | None, str | None]:
    with workspace.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (5, 10, 7, 'DE')"
            " RETURNING model_version, unscored_reason"
        ).fetchone()
    assert row is not None
    return row[0], row[1]
