"""A database made by an earlier release comes to the present schema and keeps what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from sql_scoring import registry
from sql_scoring.schema_files import SQL_DIR
from tests.fix_database import Workspace, _database, _settings
from trainer.lifecycle import migrate
from trainer.retrain import rollback

RELEASES = Path(__file__).parent / "releases"
DECISIONS = (
    "SELECT user_id, transaction_id, occurred_at, received_at, amount, merchant_id, location, idempotency_key,"
    " fraud_flag, fraud_probability, model_version, scored_at, feature_values, unscored_reason, is_history"
    " FROM transactions ORDER BY user_id, transaction_id"
)
LABELS = "SELECT * FROM fraud_labels ORDER BY label_id"
MODELS = "SELECT version, state, sql_sha256, threshold FROM model_versions ORDER BY version"


@pytest.fixture(scope="module")
def upgraded(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workspace, dict[str, list[Any]]]]:
    """The database after `rowguard migrate`, and what stood in it before."""
    with _database(server_url) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((SQL_DIR / "roles" / "roles.sql").read_text().encode())
            connection.execute((RELEASES / "release_0_1_0.sql").read_text().encode())
            before = _contents(url)
        workspace = Workspace(url, _settings(url, tmp_path_factory.mktemp("upgraded")))
        migrate(url, workspace.settings)
        yield workspace, before


def test_the_release_is_one(upgraded: tuple[Workspace, dict[str, list[Any]]]) -> None:
    """The fixture holds what an upgrade could lose."""
    _, before = upgraded
    live = [row for row in before["decisions"] if row[10] is not None]
    assert len(live) == 82 and len({row[10] for row in live}) == 2
    assert len(before["decisions"]) > 900 and len(before["labels"]) > 900 and len(before["models"]) == 2


def test_nothing_that_was_stored_or_decided_has_changed(
    upgraded: tuple[Workspace, dict[str, list[Any]]],
) -> None:
    workspace, before = upgraded
    assert _contents(workspace.url) == before


def test_every_decision_of_the_release_replays(upgraded: tuple[Workspace, dict[str, list[Any]]]) -> None:
    workspace, _ = upgraded
    with workspace.connect() as connection:
        for record in registry.list_models(connection):
            function = sql.Identifier(*record.function_name.split("."))
            row = connection.execute(
                sql.SQL(
                    "SELECT count(*), count(*) FILTER (WHERE {}(feature_values) IS DISTINCT FROM fraud_probability)"
                    " FROM transactions WHERE model_version = %s"
                ).format(function),
                [record.version],
            ).fetchone()
            assert row == (41, 0)


def test_the_revision_files_come_back_and_a_second_migration_has_nothing_to_do(
    upgraded: tuple[Workspace, dict[str, list[Any]]],
) -> None:
    workspace, _ = upgraded
    assert len(list(workspace.settings.models_dir.glob("m*.py"))) == 2
    assert migrate(workspace.url, workspace.settings).model_revisions == 0


def test_the_champion_of_the_release_goes_on_deciding(
    upgraded: tuple[Workspace, dict[str, list[Any]]],
) -> None:
    workspace, before = upgraded
    champion = next(version for version, state, *_ in before["models"] if state == "champion")
    with workspace.connect() as connection, connection.transaction(force_rollback=True):
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (5, 10, 7, 'DE')"
            " RETURNING model_version, unscored_reason, fraud_probability BETWEEN 0 AND 1"
        ).fetchone()
        assert row == (champion, None, True)
        asked = connection.execute(
            "SELECT model_version FROM score_transaction(user_id => 5, amount => 10)"
        ).fetchone()
        assert asked == (champion,)


def test_the_way_back_still_leads_to_the_model_before(
    upgraded: tuple[Workspace, dict[str, list[Any]]],
) -> None:
    workspace, before = upgraded
    older = next(version for version, state, *_ in before["models"] if state == "retired")
    assert rollback(workspace.url, workspace.settings).version == older
    with workspace.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (5, 10) RETURNING model_version"
        ).fetchone()
    assert row == (older,)


def _contents(url: str) -> dict[str, list[Any]]:
    queries = {"decisions": DECISIONS, "labels": LABELS, "models": MODELS}
    with psycopg.connect(url) as connection:
        return {name: connection.execute(query.encode()).fetchall() for name, query in queries.items()}
