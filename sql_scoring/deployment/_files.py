"""Schema and model migrations of a database, and the files that the models branch needs."""

from __future__ import annotations

from pathlib import Path

from sql_scoring import registry
from sql_scoring.deployment import _migrations as migrations


def migrate_schema(url: str, models_dir: Path) -> None:
    """Schema to its head. Alembic must know every revision that the database has, so lost model files come back."""
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        migrations.upgrade(connection, "schema@head", [models_dir])


def migrate_models(url: str, models_dir: Path) -> int:
    """Apply the model revisions of the folder that the database lacks; answers how many.

    Files that the database has and the folder lost are written again first.
    """
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        migrations.lock(connection)
        before = len(registry.applied_revisions(migrations.driver(connection)))
        migrations.upgrade(connection, "heads", [models_dir])
        return len(registry.applied_revisions(migrations.driver(connection))) - before


def restore_lost_files(url: str, models_dir: Path) -> list[str]:
    """Write revision files again that the registry has and the folder does not; answers their names."""
    restored = []
    models_dir.mkdir(parents=True, exist_ok=True)
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        if not registry.exists(driver):
            return []
        for revision in registry.applied_revisions(driver):
            if any(not (models_dir / name).exists() for name in revision.files):
                migrations.write_files(models_dir, revision.files)
                restored.append(next(name for name in revision.files if name.endswith(".py")))
    return restored
