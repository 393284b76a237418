"""Nothing executable comes from the database: who owns it, or made its dump, is not the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowguard.errors import RegistryError
from sql_scoring import registry
from sql_scoring.deployment import restore_missing_files
from tests.db.lifecycle.models import change_model, train_small
from tests.fix_database import Workspace
from trainer.retrain import deploy

ANY_TEXT = """
    ALTER TABLE scoring.models DROP CONSTRAINT models_version_form;
    ALTER TABLE scoring.model_revisions DROP CONSTRAINT model_revisions_kind_known;
"""
FORGED = {
    "path in the version": ("UPDATE scoring.models SET version = '../../evil'", "a version that rowguard never"),
    "code in the version": (
        "UPDATE scoring.models SET version = $$x'; import os; os.system('true') #$$",
        "a version that rowguard never writes",
    ),
    "path in the kind": ("UPDATE scoring.model_revisions SET kind = '../../evil'", "a kind that rowguard never"),
    "code in the id": (
        "UPDATE scoring.model_revisions SET revision = $$m0001'); import os$$", "a revision that rowguard never",
    ),
    "code in the feature list": (
        "UPDATE scoring.models SET feature_hash = $$0(NULL); DROP TABLE users; --$$", "a feature_hash that rowguard",
    ),
    "another id": ("UPDATE scoring.model_revisions SET revision = 'm0001_' || repeat('0', 12)", "not as it was deployed"),
    "another parent": ("UPDATE scoring.model_revisions SET schema_revision = '0002'", "not as it was deployed"),
    "another note": ("UPDATE scoring.model_revisions SET note = $$'; DROP TABLE users; --$$", "not as it was deployed"),
    "a lost model": ("DELETE FROM scoring.models", "not as it was deployed"),
    "another hash": ("UPDATE scoring.models SET sql_sha256 = repeat('0', 64)", "not as it was deployed"),
    "another body": (
        "UPDATE scoring.models SET sql_text = replace(sql_text, 'RETURN', 'RETURN 1 +')", "is not the one that was trained",
    ),
    "another threshold": ("UPDATE scoring.models SET threshold = 1", "is not the one that was trained"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_changed_row_is_rejected_and_writes_no_file(scored: Workspace, tmp_path: Path, what: str) -> None:
    statement, message = FORGED[what]
    with scored.connect() as connection:
        connection.execute((ANY_TEXT + statement).encode())
    folder = tmp_path / "restored" / "models"
    with pytest.raises(RegistryError, match=message) as caught:
        restore_missing_files(scored.url, folder)
    assert "\n" not in str(caught.value)
    assert [
        path for path in tmp_path.rglob("*") if path.is_file() and path.is_relative_to(folder.parent)
    ] == []


@pytest.mark.parametrize(
    "code", ["PERFORM pg_read_file('x');", "EXECUTE 'DROP TABLE users';", "/* ' */ PERFORM 1; -- '\n"]
)
def test_code_with_a_matching_hash_is_never_created(scored: Workspace, code: str) -> None:
    candidate = train_small(scored, 1)
    with scored.connect() as connection:
        text = registry.get_model(connection, candidate).function_text()
    assert text.count("  RETURN") == 1
    with pytest.raises(RegistryError, match="is not the one that was trained"):
        change_model(scored, candidate, sql_text=text.replace("  RETURN", f"  {code}\n  RETURN"))
        deploy(scored.url, scored.settings, candidate, force=True)


def test_a_folder_that_disagrees_with_the_database_is_named(scored: Workspace) -> None:
    (file,) = scored.settings.models_dir.glob("*.py")
    file.write_text(file.read_text().replace("m0001_", "m0001_0"))
    with pytest.raises(RegistryError, match=f"{file.name} is of another database"):
        restore_missing_files(scored.url, scored.settings.models_dir)
