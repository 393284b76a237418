"""An expression that PostgreSQL rejects is named with its place before anything of the database changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowguard.errors import FeatureBuildError
from rowguard.resources import dbt_project
from sql_scoring.features.build import build_features
from tests.db.features.builds import with_features
from tests.fix_database import Workspace

COLUMN = "columns:\n  kind: {type: text, description: d}\n"
WRONG = {
    "where: amount, entity: user, aggregate: count, window: 7d": "boolean",
    'where: "kind > 5", entity: user, aggregate: count, window: 7d': "operator does not exist",
    'expression: "extract(hour FROM occurred_at)"': "name zones: AT TIME ZONE 'UTC'",
    'expression: "kind * 2"': "operator does not exist",
}


@pytest.mark.parametrize(("entry", "reason"), WRONG.items())
def test_a_wrong_expression_changes_nothing(
    migrated: Workspace, tmp_path: Path, entry: str, reason: str
) -> None:
    path = tmp_path / "features.yml"
    shipped = (dbt_project() / "features.yml").read_text()
    path.write_text(shipped.replace("columns:\n", COLUMN, 1) + f"  - {{name: x, {entry}, description: d}}\n")
    with pytest.raises(
        FeatureBuildError, match=rf"^{path}, line \d+, column \d+, feature `x`: .*({reason})"
    ) as refusal:
        build_features(migrated.url, with_features(migrated, path).settings)
    assert "\n" not in str(refusal.value)
    with migrated.connect() as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'public.transactions'::regclass"
            )
        ]
    assert "amount" in names and "kind" not in names
