"""The containers' log-ins and PgBouncer, by the very scripts and files that the images hold."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from rowguard.local import find_pgbouncer
from rowguard.settings import PROJECT_ROOT
from tests.fix_database import Workspace
from tests.ports import free_port

pytestmark = pytest.mark.slow

DOCKER = PROJECT_ROOT / "deploy" / "images"
PASSWORDS = {"API_DB_PASSWORD": "a1b2c3", "APP_DB_PASSWORD": "d4e5f6", "PGBOUNCER_PASSWORD": 'seven"eight'}
LOGINS = ["rowguard_api_service", "rowguard_app_service", "pgbouncer"]


def environment(workspace: Workspace, **passwords: str) -> dict[str, str]:
    theirs = {name: value for name, value in os.environ.items() if name not in PASSWORDS}
    return {**theirs, "DATABASE_URL": workspace.url, **passwords}


def set_logins(workspace: Workspace, **passwords: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DOCKER / "logins.py"],
        env=environment(workspace, **passwords),
        capture_output=True,
        text=True,
        timeout=300,
    )


def verifiers(workspace: Workspace) -> dict[str, str]:
    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY (%s)", (LOGINS,)
        ).fetchall()
    return dict(rows)


@pytest.fixture
def with_logins(migrated: Workspace) -> Iterator[Workspace]:
    """A database with the log-ins; roles belong to the whole server, so they are dropped again."""
    done = set_logins(migrated, **PASSWORDS)
    assert done.returncode == 0, done.stderr
    yield migrated
    with migrated.connect() as connection:
        connection.execute("DROP SCHEMA pgbouncer CASCADE")
        for login in LOGINS:
            connection.execute(f"DROP OWNED BY {login}".encode())
            connection.execute(f"DROP ROLE {login}".encode())


def test_repeating_changes_nothing(with_logins: Workspace) -> None:
    before = verifiers(with_logins)
    assert sorted(before) == sorted(LOGINS)
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in before.values())
    assert set_logins(with_logins, **PASSWORDS).returncode == 0
    assert verifiers(with_logins) == before


def test_a_new_password_is_set_alone(with_logins: Workspace) -> None:
    before = verifiers(with_logins)
    assert set_logins(with_logins, **PASSWORDS | {"APP_DB_PASSWORD": "new"}).returncode == 0
    after = verifiers(with_logins)
    assert [name for name in LOGINS if after[name] != before[name]] == ["rowguard_app_service"]


def test_a_missing_password_is_one_line(migrated: Workspace) -> None:
    done = set_logins(migrated, API_DB_PASSWORD="a", APP_DB_PASSWORD="b")
    assert done.returncode == 1
    assert done.stderr == "logins: PGBOUNCER_PASSWORD is not set\n"
    assert verifiers(migrated) == {}


def test_a_database_that_is_away_is_one_line(migrated: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, DOCKER / "logins.py"],
        env=environment(migrated, **PASSWORDS) | {"DATABASE_URL": "postgresql://user@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("logins: no connection to ")
    assert done.stderr.count("\n") == 1


class Pool:
    """PgBouncer as the container starts it, in front of a test's database."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, database: str, folder: Path) -> None:
        self.process, self.port, self.database, self.folder = process, port, database, folder

    def connect(self, user: str, password: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=self.database,
            user=user,
            password=password,
            prepare_threshold=None,
            connect_timeout=60,
            autocommit=True,
        )

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                self.connect("pgbouncer", PASSWORDS["PGBOUNCER_PASSWORD"]).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.1)


@pytest.fixture
def pool(with_logins: Workspace) -> Iterator[Pool]:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed")
    server = urlsplit(with_logins.url)
    database = server.path[1:]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rowguard-pool-") as name:
        folder = Path(name)
        text = (DOCKER / "pgbouncer" / "pgbouncer.ini").read_text()
        for pattern, instead in (
            (r"^rowguard = .*$", f"{database} = host=127.0.0.1 port={server.port} dbname={database}"),
            (r"^listen_addr = .*$", "listen_addr = 127.0.0.1"),
            (r"^listen_port = .*$", f"listen_port = {port}"),
            (r"^auth_file = .*$", f"auth_file = {folder / 'users.txt'}"),
        ):
            text, changes = re.subn(pattern, instead, text, flags=re.MULTILINE)
            assert changes == 1, pattern
        (folder / "pgbouncer.ini").write_text(text)
        # PgBouncer refuses to run as root, and the entry point may not be readable for others in a checkout.
        script = folder / "entrypoint.sh"
        script.write_bytes((DOCKER / "pgbouncer" / "entrypoint.sh").read_bytes())
        script.chmod(0o755)
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [script, folder / "pgbouncer.ini", folder / "users.txt"],
                env={
                    "PATH": f"{program.parent}:/usr/bin:/bin",
                    "PGBOUNCER_PASSWORD": PASSWORDS["PGBOUNCER_PASSWORD"],
                },
                stdout=log,
                stderr=log,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        try:
            found = Pool(process, port, database, folder)
            found.wait()
            yield found
        finally:
            process.terminate()
            process.wait(timeout=120)


def test_applications_insert_through_the_pool(pool: Pool) -> None:
    with pool.connect("rowguard_app_service", PASSWORDS["APP_DB_PASSWORD"]) as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 9.99) RETURNING transaction_id"
        ).fetchone()
    assert row is not None


def test_a_wrong_password_is_refused(pool: Pool) -> None:
    with pytest.raises(psycopg.OperationalError, match="auth"):
        pool.connect("rowguard_app_service", PASSWORDS["API_DB_PASSWORD"])


def test_password_file_is_private(pool: Pool) -> None:
    assert (pool.folder / "users.txt").stat().st_mode & 0o777 == 0o600


def test_applications_cannot_ask_for_passwords(pool: Pool) -> None:
    with (
        pool.connect("rowguard_app_service", PASSWORDS["APP_DB_PASSWORD"]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT * FROM pgbouncer.get_auth('rowguard')")


@pytest.mark.parametrize(("password", "code"), [(PASSWORDS["PGBOUNCER_PASSWORD"], 0), ("wrong", 2)])
def test_health_check(pool: Pool, password: str, code: int, tmp_path: Path) -> None:
    if not Path("/usr/bin/psql").exists():
        pytest.skip("psql is not installed")
    script = (DOCKER / "pgbouncer" / "healthcheck.sh").read_text()
    (tmp_path / "check.sh").write_text(script.replace("dbname=rowguard", f"dbname={pool.database}"))
    done = subprocess.run(
        ["sh", tmp_path / "check.sh", str(pool.port)],
        env={"PATH": "/usr/bin:/bin", "PGBOUNCER_PASSWORD": password},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
