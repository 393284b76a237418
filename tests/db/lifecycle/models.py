"""Small models for tests of a model's life."""

from __future__ import annotations

from dataclasses import replace

from sql_scoring import registry
from tests.fix_database import Workspace
from trainer.forest import ForestParameters
from trainer.training import train

SMALL = ForestParameters(n_estimators=5, max_leaf_nodes=8)


def train_small(workspace: Workspace, seed: int, parameters: ForestParameters = SMALL) -> str:
    """A registered candidate, probably worse than the champion of the template."""
    return train(workspace.url, workspace.settings, parameters=replace(parameters, random_state=seed)).version


def champion_of(workspace: Workspace) -> str | None:
    with workspace.connect() as connection:
        return registry.champion_version(connection)


def change_model(workspace: Workspace, version: str, *, sql_text: str = "", threshold: float = -1) -> None:
    """Change a candidate as if it had been trained so: with the hash of the registry."""
    with workspace.connect() as connection:
        record = registry.get_model(connection, version)
        text = sql_text or record.function_text()
        cutoff = threshold if threshold >= 0 else record.threshold
        connection.execute(
            "UPDATE scoring.models SET sql_text = %s, threshold = %s, sql_sha256 = %s WHERE version = %s",
            [text, cutoff, registry.function_sha256(version, text, cutoff), version],
        )


def insert_rows(workspace: Workspace, count: int = 400) -> None:
    """Live rows of many users, some of them odd."""
    with workspace.connect() as connection:
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location)"
            " SELECT 1 + g %% 300, 5 + (g * 37) %% 900, g %% 50, (ARRAY['DE', 'FR', NULL])[1 + g %% 3]"
            " FROM generate_series(1, %s) AS g",
            [count],
        )


def flag_everything(workspace: Workspace) -> None:
    """Make every row an alert: the facade with a threshold of 0."""
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT pg_get_functiondef('scoring.decide_transaction'::regproc)"
        ).fetchone()
        assert row is not None
        lowered = row[0].replace("fraud_probability >= ", "fraud_probability >= 0 * ")
        assert lowered != row[0]
        connection.execute(lowered.encode())
