"""The second reckoning of velocity agrees with the trigger, and notices when a value is another."""

from __future__ import annotations

from chaos.recompute import recompute
from tests.fix_database import Workspace

INSERT = (
    "INSERT INTO transactions (user_id, amount, location, occurred_at)"
    " SELECT 901, amount, location, now() - minutes * interval '1 minute'"
    " FROM (VALUES (10.5, 'DE', 3000), (7.25, 'FR', 600), (19.99, NULL, 20), (3.0001, 'DE', 45), (8, 'FR', 1))"
    " AS v (amount, location, minutes)"
)


def test_it_agrees_with_the_trigger_and_notices_a_changed_value(scored: Workspace) -> None:
    with scored.connect() as connection:
        for _ in range(3):
            connection.execute(INSERT)
        found = recompute(connection, limit=15)
        assert (found.rows >= 15, found.wrong) == (True, 0)
        connection.execute(
            "UPDATE transactions SET feature_values[3] = feature_values[3] + 1"
            " WHERE user_id = 901 AND amount = 8 AND location = 'FR'"
        )
        found = recompute(connection, limit=15)
        assert found.wrong == 3
        assert "user 901" in found.examples[0]
