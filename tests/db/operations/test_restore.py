"""docs/how-to/restore.md, run to the letter by an owner who is no superuser and may not create roles."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rowguard.local import find_postgres_binaries
from rowguard.settings import PROJECT_ROOT
from tests.db.lifecycle.models import insert_rows
from tests.db.schema.prepared import address, prepared_database
from tests.fix_database import PATIENT_GATES, Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed"),
]
PAGE = (PROJECT_ROOT / "docs" / "how-to" / "restore.md").read_text()
OWNER, LOGIN, DATABASE = "restore_owner", "restore_api_login", "restored"
DECISION = (
    "INSERT INTO transactions (user_id, amount) VALUES (7, 12.5) RETURNING model_version, unscored_reason"
)


@pytest.fixture
def restored(server_url: str) -> Iterator[str]:
    """An empty database, and its roles, by the script for a DBA; the address is the owner's."""
    with prepared_database(server_url, OWNER, LOGIN, DATABASE) as url:
        yield url


def run(folder: Path, block: str, url: str, workspace: Workspace) -> None:
    binaries = [str(find_postgres_binaries()), str(PROJECT_ROOT / ".venv" / "bin"), os.environ["PATH"]]
    environment = {
        **os.environ,
        **PATIENT_GATES,
        "PATH": ":".join(binaries),
        "DATABASE_URL": url,
        "ROWGUARD_STATE_DIR": str(workspace.settings.state_dir),
        "ROWGUARD_MODELS_DIR": str(folder / "models"),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", block], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_restores_every_row_as_it_was(scored: Workspace, restored: str, tmp_path: Path) -> None:
    insert_rows(scored, 300)
    back_up, *restore = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    (checksums,) = re.findall(r"^```sql\n(SET timezone.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "checksums.sql").write_text(checksums)
    run(tmp_path, back_up, scored.url, scored)
    for block in restore:
        run(tmp_path, block, restored, scored)
    before = (tmp_path / "before.txt").read_text()
    assert before == (tmp_path / "after.txt").read_text() and before.count("|") == 12 and "||" not in before
    with psycopg.connect(restored) as connection:
        row = connection.execute(DECISION).fetchone()
    assert row is not None and row[0] is not None and row[1] is None
    # The API has a separate login, which cannot do what the owner can.
    with psycopg.connect(address(restored, LOGIN, DATABASE), autocommit=True) as connection:
        row = connection.execute(DECISION).fetchone()
        assert row is not None and row[0] is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM scoring.models")


def test_rows_loaded_past_the_triggers_keep_their_decisions(scored: Workspace, migrated: Workspace) -> None:
    """The second recipe of the page; and what happens without it."""
    insert_rows(scored, 100)
    columns = sql.SQL("COPY (SELECT * FROM transactions ORDER BY 1, 2) TO STDOUT")
    with scored.connect() as here, here.cursor().copy(columns) as copy:
        rows = b"".join(bytes(part) for part in copy)
    (recipe,) = re.findall(r"^```sql\n(BEGIN;.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    before, after = recipe.split("-- load here, in this transaction\n")
    load = sql.SQL("COPY transactions FROM STDIN")
    with migrated.connect() as there:
        with (
            pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="this row brings"),
            there.cursor().copy(load) as copy,
        ):
            copy.write(rows)
        assert there.execute("SELECT count(*) FROM transactions").fetchone() == (0,)
        there.execute(before.encode())
        with there.cursor().copy(load) as copy:
            copy.write(rows)
        there.execute(after.encode())
        with there.cursor().copy(columns) as copy:
            assert b"".join(bytes(part) for part in copy) == rows
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
            there.execute("INSERT INTO transactions (user_id, amount, received_at) VALUES (1, 1, now())")
    assert "docs/how-to/restore.md" in str(caught.value.diag.message_hint)
