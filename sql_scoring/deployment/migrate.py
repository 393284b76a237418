"""Brings a database to its head: the schema, the features, the deployed models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rowguard.database import connect
from rowguard.declaration import features_file
from rowguard.errors import SchemaError
from rowguard.progress import Progress, silent
from rowguard.queries import load_queries
from rowguard.settings import Settings
from rowguard.settings import settings as process_settings
from sql_scoring import registry
from sql_scoring.deployment import migrations
from sql_scoring.deployment.revision_files import restore_missing_files
from sql_scoring.features.build import FeatureBuild, build_features, is_built
from sql_scoring.features.listing import load_declaration
from sql_scoring.jobs import lock_job
from sql_scoring.schema_files import schema_objects

QUERIES = load_queries("sql_scoring")


@dataclass(frozen=True)
class MigrationResult:
    """The feature build, how many model revisions were applied, and notes on what is left to do.

    `features` is None when the built features are those of this dbt project already.
    """

    features: FeatureBuild | None
    model_revisions: int
    notes: tuple[str, ...] = ()


def migrate(url: str, settings: Settings, *, progress: Progress = silent) -> MigrationResult:
    """Bring schema, features and deployed models to their heads; safe to repeat.

    Args:
        url: Address of the database, for a direct connection.
        settings: Where models and state are.
        progress: Called with the name of each step.

    Returns:
        What was built and applied.
    """
    progress("schema")
    migrate_schema(url, settings.models_dir, settings)
    with connect(url) as connection:
        connection.execute(QUERIES["reapply_failure_policy"])
    features = None
    if not is_built(url, settings):
        progress("building features")
        features = build_features(url, settings, progress=progress)
    progress("models")
    applied = migrate_models(url, settings.models_dir)
    with connect(url) as connection:
        missing = registry.missing_feature_functions(connection)
    return MigrationResult(features, applied, missing_function_notes(missing, "rowguard retrain"))


def migrate_schema(url: str, models_dir: Path, used_settings: Settings | None = None) -> None:
    """Bring the schema to its head. Missing model files are restored, as Alembic must know every applied revision.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the model revisions.
        used_settings: Name features.yml, whose columns the first revision creates; None is the process's.

    Raises:
        SchemaError: Another application's objects have names that rowguard needs; names them.
    """
    restore_missing_files(url, models_dir)
    declaration = load_declaration(features_file(used_settings or process_settings()))
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        if not registry.has_schema(driver):
            rows = driver.execute(QUERIES["existing_objects"], {"names": schema_objects(declaration)})
            if foreign := [name for (name,) in rows]:
                is_internal = all(name.startswith("scoring.") for name in foreign)
                advice = "rename them" if is_internal else "set ROWGUARD_SCHEMA to the name of a new schema"
                raise SchemaError(
                    f"another application has {', '.join(foreign)} in this database, and rowguard needs the names; "
                    f"{advice}, or give rowguard a separate database"
                )
        migrations.upgrade(connection, "schema@head", [models_dir], declaration)


def migrate_models(url: str, models_dir: Path) -> int:
    """Apply the model revisions of the folder that the database lacks.

    Returns:
        How many were applied.
    """
    restore_missing_files(url, models_dir)
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        lock_job(driver, "deploy")
        before = len(registry.applied_revisions(driver))
        migrations.upgrade(connection, "heads", [models_dir])
        return len(registry.applied_revisions(driver)) - before


def missing_function_notes(missing: Mapping[str, list[str]], command: str) -> tuple[str, ...]:
    """Return at most one line on missing feature functions and the command that builds them.

    Args:
        missing: As `registry.missing_feature_functions` returns them.
        command: The command line that repairs it.
    """
    called = sorted({name for names in missing.values() for name in names})
    if not called:
        return ()
    effect = "INSERTs stay unscored" if "decide_transaction" in missing else "not everything is scored"
    return (
        f"{effect}: the deployed models call {', '.join(called)}, which is not built here; run: {command}",
    )
