"""A longer feature list, built once a session, and the project's SQL, compiled once a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sql_scoring.features.columns import apply_changes, find_changes
from sql_scoring.features.project import load_plan
from tests.db.features.builds import CompiledSql, call_dbt, extend_feature_list, read_compiled, with_features
from tests.fix_database import Workspace, _database, _settings

# name -> measure, aggregate, window, delay: counts, rates and amounts, of two delays.
ROLLUPS = {
    "m_count_1d": ("", "count", 1, 7),
    "m_rate_3d": ("label", "fraud_rate", 3, 7),
    "m_frauds_5d": ("label", "fraud_count", 5, 7),
    "m_rate_2d": ("label", "fraud_rate", 2, 7),
    "m_mean_4d": ("amount", "mean", 4, 1),
    "m_sum_4d": ("amount", "sum", 4, 1),
}
RECENCIES = """
- {name: here_7d, entity: user_location, aggregate: minutes_since_last, window: 7d, description: "d"}
- {name: there_1h, entity: user_merchant, aggregate: minutes_since_last, window: 1h, description: "d"}
- {name: there_30d, entity: user_merchant, aggregate: minutes_since_last, window: 30d, description: "d"}
- {name: here_or_there, expression: "coalesce(here_7d, there_30d) * 60 + coalesce(here_7d, 0)", description: "d"}
""".lstrip()


@pytest.fixture(scope="session")
def extended_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = "".join(
        f"- {{name: {name}, entity: merchant, aggregate: {aggregate}, window: {days}d,"
        f"{f' of: {measure},' if measure == 'amount' else ''}"
        f"{'' if measure == 'label' else f' delay: {delay}d,'} description: d}}\n"
        for name, (measure, aggregate, days, delay) in ROLLUPS.items()
    )
    path = extend_feature_list(lines + RECENCIES, tmp_path_factory.mktemp("extended"))
    path.write_text(
        path.read_text().replace("entities:\n", "entities:\n  user_merchant: [user_id, merchant_id]\n")
    )
    return path


@pytest.fixture(scope="session")
def extended_build(
    server_url: str,
    migrated_template: Workspace,
    extended_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Workspace, CompiledSql]]:
    """The first build of a list compiles the SQL of a full refresh."""
    target = tmp_path_factory.mktemp("extended_target")
    with _database(server_url, migrated_template.url) as url:
        workspace = with_features(
            Workspace(url, _settings(url, tmp_path_factory.mktemp("extended_state"))), extended_file
        )
        with workspace.connect() as connection:
            changes = find_changes(connection, load_plan(workspace.settings)[1])
        apply_changes(url, changes)
        no_tests = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        call_dbt(workspace, target, "build", *no_tests)
        yield workspace, read_compiled(workspace, target)


@pytest.fixture
def extended(
    server_url: str,
    extended_build: tuple[Workspace, CompiledSql],
    extended_file: Path,
    tmp_path: Path,
) -> Iterator[Workspace]:
    """A clone whose feature list has the features above after the default ones; there is no model."""
    with _database(server_url, extended_build[0].url) as url:
        yield with_features(Workspace(url, _settings(url, tmp_path / "extended")), extended_file)


@pytest.fixture(scope="session")
def extended_sql(extended_build: tuple[Workspace, CompiledSql]) -> CompiledSql:
    return extended_build[1]


@pytest.fixture(scope="session")
def default_sql(migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory) -> CompiledSql:
    target = tmp_path_factory.mktemp("default_sql")
    call_dbt(migrated_template, target, "compile", "--full-refresh")
    return read_compiled(migrated_template, target)
