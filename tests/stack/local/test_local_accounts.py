"""The server's account: another one for root, the caller's own for everybody else."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from rowguard.errors import LocalStackError
from rowguard.local import PostgresServer, find_postgres_binaries
from rowguard.local._account import recorded_place
from rowguard.settings import PROJECT_ROOT

MakeServer = Callable[..., PostgresServer]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")


def answers(server: PostgresServer) -> bool:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


@as_root
def test_root_runs_the_server_as_somebody_else(make_server: MakeServer) -> None:
    server = make_server()
    server.ensure_running()
    assert server.data.parent == server.directory
    assert server.data.stat().st_uid != 0
    status = server.directory.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o710)


@as_root
def test_data_live_elsewhere_when_the_account_cannot_reach_the_checkout(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "state" / "pg", durable=False)
    try:
        server.ensure_running()
        place = recorded_place(server.directory)
        assert place is not None and server.data == place / "data"
        assert not (server.directory / "data").exists()
        assert stat.S_IMODE(place.stat().st_mode) == 0o710
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        server.stop()
        again = PostgresServer(server.directory, durable=False)
        again.ensure_running()
        assert again.data == server.data and answers(again)
    finally:
        server.destroy()
    assert not place.exists()


@as_root
def test_programs_are_copied_once_when_the_account_cannot_reach_them(folder: Path) -> None:
    found = find_postgres_binaries()
    if found.parent.name != "pginstall":
        pytest.skip("the programs do not come from a wheel")
    package = found.parent.parent
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package / "pginstall", closed / package.name / "pginstall", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, closed / libraries.name, symlinks=True)
    server = PostgresServer(
        folder / "pg", binaries=closed / package.name / "pginstall" / "bin", durable=False
    )
    try:
        server.ensure_running()
        [copy] = (server.directory / "binaries").iterdir()
        before = copy.stat().st_ctime_ns
        assert server.stop()
        server.ensure_running()
        assert [path.stat().st_ctime_ns for path in (server.directory / "binaries").iterdir()] == [before]
        assert answers(server)
        assert copy.stat().st_uid == 0
    finally:
        server.destroy()


@as_root
def test_installed_programs_that_the_account_cannot_reach(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(find_postgres_binaries(), closed / "bin")
    server = PostgresServer(folder / "pg", binaries=closed / "bin", durable=False)
    try:
        with pytest.raises(LocalStackError, match="cannot be run by the user that PostgreSQL runs as"):
            server.ensure_running()
    finally:
        server.destroy()


def _interpreter_for(uid: int) -> str | None:
    """A Python of our version that another user can run."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            subprocess.run([candidate, "-c", ""], user=uid, cwd="/", check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


_LIFE = """
import sys
from rowguard.local import destroy, down, status, up
from rowguard.settings import Settings
from pathlib import Path
import psycopg

settings = Settings(state_dir=Path(sys.argv[1]) / ".rowguard")
first = up(settings, api=False)
with psycopg.connect(first.pooled_url or first.database_url) as connection:
    connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
print(oct(settings.state_dir.stat().st_mode & 0o777))
print(*down(settings))
second = up(settings, api=False)
with psycopg.connect(second.database_url) as connection:
    kept = connection.execute("SELECT count(*) FROM kept").fetchone()[0]
print(kept, first.database_url == second.database_url)
destroy(settings)
print(status(settings).database_url)
"""


def _run_as_nobody(code: str, argument: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python code as an ordinary user would, with this checkout and its packages."""
    nobody = pwd.getpwnam("nobody")
    python = _interpreter_for(nobody.pw_uid)
    if python is None:
        pytest.skip("no Python here that another user can run")
    packages = [str(PROJECT_ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {
        "PATH": "/usr/bin:/bin",  # without sbin, as ordinary users have it
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if chosen := os.environ.get("ROWGUARD_POSTGRES_BIN"):
        environment["ROWGUARD_POSTGRES_BIN"] = chosen
    return subprocess.run(
        [python, "-c", code, str(argument)],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@as_root
def test_whole_life_as_an_ordinary_user(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    finished = _run_as_nobody(_LIFE, home)
    assert finished.returncode == 0, finished.stderr
    mode, stopped, data, gone = finished.stdout.splitlines()
    assert mode == "0o700"
    assert stopped in ("PgBouncer PostgreSQL", "PostgreSQL")
    assert data == "1 True"
    assert gone == "None"


@as_root
def test_what_belongs_to_somebody_else_is_said(server: PostgresServer) -> None:
    server.ensure_running()
    server.stop()
    finished = _run_as_nobody(
        "import sys\nfrom rowguard.local import PostgresServer\nPostgresServer(sys.argv[1]).ensure_running()",
        server.directory,
    )
    last = finished.stderr.strip().splitlines()[-1]
    assert "LocalStackError" in last and str(server.directory) in last
    assert "Permission denied" in last or "another user" in last


@as_root
def test_root_looks_after_what_an_ordinary_user_set_up(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    start = (
        "import sys\nfrom rowguard.local import PostgresServer\n"
        "print(PostgresServer(sys.argv[1], durable=False).ensure_running())"
    )
    first = _run_as_nobody(start, home / "pg")
    assert first.returncode == 0, first.stderr
    server = PostgresServer(home / "pg", durable=False)
    try:
        assert server.stop()
        server.ensure_running()
        server.stop()
        (server.directory / "port").unlink()
        server.ensure_running()  # root writes files that the user must be able to read
        assert server.stop()
        again = _run_as_nobody(start, home / "pg")
        assert again.returncode == 0, again.stderr
        assert again.stdout.strip() == server.url
    finally:
        server.destroy()
