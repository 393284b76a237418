"""Bring a database to the current schema, features and models."""

from __future__ import annotations

from dataclasses import dataclass

from rowguard.database import connect
from rowguard.progress import Progress, silent
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import deployment as deployments
from sql_scoring.features.build import FeatureBuild, build_features

QUERIES = load_queries("trainer")


@dataclass(frozen=True)
class MigrationResult:
    """What `migrate` did: the dbt run, the number of applied model revisions, and notes on what is left to do."""

    features: FeatureBuild
    model_revisions: int
    notes: tuple[str, ...] = ()


def migrate(url: str, settings: Settings, *, progress: Progress = silent) -> MigrationResult:
    """Schema to head, features built, deployed models restored; safe to repeat."""
    progress("schema")
    deployments.migrate_schema(url, settings.models_dir)
    with connect(url) as connection:  # a revision may have replaced the function that has the lock timeout
        connection.execute(QUERIES["keep_policy"])
    progress("features")
    built = build_features(url, settings, progress=progress)
    progress("models")
    applied = deployments.migrate_models(url, settings.models_dir)
    return MigrationResult(built, applied, deployments.bind_anew(url))
