"""One PostgreSQL server of our own: initialized, started on demand, stopped."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowguard.errors import LocalStackError
from rowguard.local.account import give_to_server, reachable_programs, run_as_server, server_folder
from rowguard.local.processes import find_process
from rowguard.local.programs import find_postgres_binaries
from rowguard.local.state import (
    LOOPBACK,
    choose_port,
    component_lock,
    error_line,
    load_state,
    open_log,
    save_state,
    write_private,
)
from rowguard.queries import load_queries

OWNER = "rowguard"
DATABASE = "rowguard"
QUERIES = load_queries("rowguard.local")
_START_TIMEOUT_S = 120
_TIMEOUT = ("-t", str(_START_TIMEOUT_S))  # of pg_ctl
_START_TRIES = 6
_LOST_ACCESS = (
    "the password of PostgreSQL is lost; end its process and delete {} to start with an empty database"
)
_NOT_DURABLE = (
    "-F -c synchronous_commit=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0"
)


def loopback_url(user: str, password: str, port: int, database: str) -> str:
    """Return the URL of a server on loopback.

    Args:
        user: Login role.
        password: Its password, any characters.
        port: Port of the server.
        database: Name of the database.
    """
    return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{port}/{quote(database, safe='')}"


def connect_loopback(url: str, *, timeout_s: int = 10) -> psycopg.Connection:
    """Open an autocommit connection that ignores the caller's PG* variables."""
    fixed = {"hostaddr": LOOPBACK, "sslmode": "disable", "gssencmode": "disable", "options": ""}
    return psycopg.connect(make_conninfo(url, **fixed, connect_timeout=timeout_s), autocommit=True)


def server_environment() -> dict[str, str]:
    """Return the environment for PostgreSQL's programs: no PG* variables, English messages."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


class PostgresServer:
    """A server and its directory, with the superuser `rowguard`, its password and the database `rowguard`.

    It listens on loopback TCP only.
    """

    name = "PostgreSQL"

    def __init__(self, directory: Path | str, *, durable: bool = True, log_file: Path | None = None) -> None:
        self.directory = Path(directory).absolute()
        self.log_file = log_file or self.directory / "server.log"
        self._durable = durable

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(load_state(self.directory).get("data") or self.directory / "data")

    @property
    def process(self) -> psutil.Process | None:
        """The server's process, None if it does not run; it may still be starting."""
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
            process = find_process(pid)
            # After a restart of the machine another program may have the number.
            return process if process is not None and str(self.data) in process.cmdline() else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None

    def is_running(self) -> bool:
        """Return whether the server's process runs."""
        return self.process is not None

    @property
    def password(self) -> str:
        """The owner's password."""
        return str(load_state(self.directory).get("password"))

    @property
    def port(self) -> int:
        """The port; LocalStackError before the first start."""
        port = load_state(self.directory).get("port")
        if port is None:
            raise LocalStackError(f"the PostgreSQL server in {self.directory} was never started")
        return int(port)

    @property
    def url(self) -> str:
        """The owner's URL of the database `rowguard`."""
        return self.url_for(DATABASE)

    def url_for(self, database: str) -> str:
        """Return the owner's URL of a database."""
        return loopback_url(OWNER, self.password, self.port, database)

    def connect(self, database: str = DATABASE) -> psycopg.Connection:
        """Open a direct autocommit connection as the owner."""
        return connect_loopback(self.url_for(database))

    def ensure_running(self) -> str:
        """Start the server unless it runs, and return `url`; concurrent calls take turns."""
        if not self._accepts_connections():
            with component_lock(self.directory):
                if not self._accepts_connections():
                    self._start()
        return self.url

    def stop(self, mode: str = "fast") -> bool:
        """Stop the server as `pg_ctl` does in this mode; return whether it ran."""
        if not self.is_running():
            return False
        with component_lock(self.directory):
            programs = reachable_programs(find_postgres_binaries())
            finished = _run([programs / "pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-s", *_TIMEOUT])
            if self.is_running():
                raise LocalStackError(f"PostgreSQL does not end: {error_line(finished.stderr)}")
        return True

    def destroy(self) -> None:
        """Stop the server and delete its directory with all data."""
        self.stop("immediate")
        for path in (self.data, self.directory):
            shutil.rmtree(path, ignore_errors=True)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of a template that has no sessions, and return its URL."""
        names = {"database": sql.Identifier(name), "template": sql.Identifier(template)}
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL(QUERIES["create_database"]).format(**names))
        return self.url_for(name)

    def _accepts_connections(self) -> bool:
        """Return whether the server takes connections; wait while it starts, stops or recovers."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.is_running():
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise LocalStackError(_LOST_ACCESS.format(self.directory)) from error
                if time.monotonic() > deadline:
                    raise LocalStackError(f"PostgreSQL is not ready: {error}; see {self.log_file}") from error
                time.sleep(0.1)
            else:
                return True
        return False

    def _start(self) -> None:
        programs = reachable_programs(find_postgres_binaries())
        is_new = not (self.data / "PG_VERSION").exists()
        if is_new:
            self._initialize(programs)
        elif "password" not in load_state(self.directory):
            raise LocalStackError(_LOST_ACCESS.format(self.directory))
        # Left by a killed server, whose number may belong to a zombie or another program now.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for attempt in range(_START_TRIES):
            log = self._try_start(programs, choose_port(self.directory))
            if log is None:
                break
            # The port was taken a moment ago, or sessions of a killed server are still ending.
            if "Address already in use" not in log and "pre-existing shared memory" not in log:
                raise LocalStackError(f"PostgreSQL does not start: {error_line(log)}; see {self.log_file}")
            time.sleep(attempt)
        if is_new:
            self.create_database(DATABASE)

    def _try_start(self, programs: Path, port: int) -> str | None:
        """Start the server on a port; return None, or the log of the failure."""
        options = f"-p {port} {_memory_options()} {'' if self._durable else _NOT_DURABLE}"
        log = open_log(self.log_file)
        try:
            # The server inherits the log. It must not inherit a pipe: its reader would wait for the server's end.
            command = [programs / "pg_ctl", "start", "-D", self.data, "-o", options, "-w", "-s", *_TIMEOUT]
            finished = _run(command, log)
        finally:
            os.close(log)
        if finished.returncode == 0:
            save_state(self.directory, port=port)
            return None
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def _initialize(self, programs: Path) -> None:
        """Make the data directory, which gets its name when initdb is done."""
        folder = server_folder(self.directory)
        folder.mkdir(parents=True, exist_ok=True)
        data, partial, password_file = folder / "data", folder / "data.partial", folder / "initdb-password"
        for path in (data, partial):  # without PG_VERSION nothing was ever stored
            shutil.rmtree(path, ignore_errors=True)
        partial.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        write_private(password_file, password + "\n")
        give_to_server(partial, password_file)
        locale = ["--locale=C.UTF-8"]
        if "--builtin-locale" in _run([programs / "initdb", "--help"]).stdout:
            # Built into the server, so Linux and macOS sort alike.
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [
            programs / "initdb",
            f"--pgdata={partial}",
            f"--pwfile={password_file}",
            f"--username={OWNER}",
        ]
        finished = _run([*command, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", *locale])
        password_file.unlink()
        if finished.returncode != 0:
            raise LocalStackError(f"initdb fails in {folder}: {error_line(finished.stderr)}")
        with (partial / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.write(files("rowguard.local").joinpath("postgresql.conf").read_text(encoding="utf-8"))
        save_state(self.directory, data=str(data), password=password)
        partial.rename(data)


def _run(command: list[Any], output: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run a program as the servers' account; Ctrl-C in the terminal must not reach what it starts."""
    options: dict[str, Any] = {"env": server_environment(), "start_new_session": True, **run_as_server()}
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
    return subprocess.run(command, text=True, check=False, **streams, **options)


def _memory_options() -> str:
    shared_buffers_mb = min(1024, max(128, psutil.virtual_memory().total // (8 << 20)))
    # Docker's 64 MB of shared memory are too small for parallel queries.
    is_small = Path("/dev/shm").exists() and shutil.disk_usage("/dev/shm").total < 512 << 20
    kind = "mmap" if is_small else "posix"
    return f"-c shared_buffers={shared_buffers_mb}MB -c dynamic_shared_memory_type={kind}"
