"""The life of one PostgreSQL server of our own: started when needed, stopped, and repaired in between."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from rowguard.errors import LocalStackError
from rowguard.local import _cluster, _ports
from rowguard.local._account import Account, let_pass, recorded_place, run_as, server_account, workplace
from rowguard.local._binaries import find_postgres_binaries, reachable_binaries
from rowguard.local._connections import connect_loopback, loopback_url, reason_of
from rowguard.local._files import (
    exclusive,
    log_since,
    log_size,
    open_log,
    private_directory,
    read_text,
    remembered_password,
    telling_line,
)
from rowguard.local._postmaster import clear_stale_pid_file, find_postmaster, stop_postmaster
from rowguard.local._scram import scram_verifier
from rowguard.local._sql import load_sql

OWNER = "rowguard"
DATABASE = "rowguard"
_MAINTENANCE = "postgres"
_START_SECONDS = 120
_PORT_TRIES = 5
_ORPHANS_SECONDS = 20.0

logger = logging.getLogger("rowguard.local")


class PostgresServer:
    """One server and its directory: `data/`, `password`, `port`, `lock` and, unless named, `server.log`.

    Owner of everything is the superuser `rowguard`; there is a database `rowguard`. The server listens on
    loopback TCP only and asks for the generated password (SCRAM). Started by root it runs as `postgres` or
    `nobody`; if those cannot reach `directory`, data and programs live elsewhere and `place` says where.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        binaries: Path | None = None,
        port: int | None = None,
        durable: bool = True,
        log_file: Path | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.log_file = log_file or self.directory / "server.log"
        self._given_binaries = binaries
        self._given_port = port
        self._durable = durable
        self._place: Path | None = None

    # -- where and how to reach it

    @property
    def data(self) -> Path:
        """The data directory."""
        if self._place is None:
            return (recorded_place(self.directory) or self.directory) / "data"
        return self._place / "data"

    @property
    def port(self) -> int | None:
        """The port it listens on, or would try first; None before the first start."""
        postmaster = find_postmaster(self.data)
        return postmaster.port if postmaster else self._given_port or _ports.recall(self.directory / "port")

    @property
    def url(self) -> str:
        """The URL of the database `rowguard`, password included.

        Raises:
            LocalStackError: the server was never started.
        """
        return self.url_for(DATABASE)

    def url_for(self, database: str) -> str:
        """The URL of a database of this server, password included.

        Raises:
            LocalStackError: the server was never started.
        """
        return self.url_for_login(OWNER, read_text(self.directory / "password"), database)

    def url_for_login(self, user: str, password: str | None, database: str = DATABASE) -> str:
        """The URL of a database of this server for a login.

        Raises:
            LocalStackError: the server was never started.
        """
        port = self.port
        if port is None or password is None:
            raise LocalStackError(f"the PostgreSQL server in {self.directory} was never started")
        return loopback_url(user, password, port, database)

    def connect(self, database: str = DATABASE, *, timeout: int = 10) -> psycopg.Connection:
        """A direct autocommit connection as the owner, whatever the caller's PG* variables say.

        Raises:
            psycopg.OperationalError: the server does not answer.
            LocalStackError: the server was never started.
        """
        return connect_loopback(self.url_for(database), timeout=timeout)

    # -- state

    def is_running(self) -> bool:
        """Whether the server's process lives (it may still be starting up)."""
        return find_postmaster(self.data) is not None

    def _answers(self) -> bool:
        """Whether the server takes connections with the password that we have.

        Raises:
            LocalStackError: it refuses the password.
        """
        try:
            self.connect(_MAINTENANCE).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise LocalStackError(
                    f"the PostgreSQL server in {self.directory} refuses the password in "
                    f"{self.directory / 'password'}; run: rowguard down, remove that file, run: rowguard up"
                ) from error
            return "too many clients" in str(error) or "remaining connection slots" in str(error)
        return True

    # -- life

    def ensure_running(self) -> str:
        """Start the server unless it runs, and return the URL of its database `rowguard`.

        Safe to call from several processes at once. Whatever a kill or a restart of the machine left behind
        is cleared away.

        Raises:
            LocalStackError: it cannot be started; says why and what to do.
        """
        if find_postmaster(self.data) is None or not self._has_database():
            self._prepare_directory()
            with exclusive(self.directory, "PostgreSQL"):
                if not self._await_running():
                    self._start()
                self._ensure_database()
        return self.url

    def _has_database(self) -> bool:
        try:
            self.connect().close()
        except (psycopg.OperationalError, LocalStackError):
            return False
        return True

    def _ensure_database(self) -> None:
        try:
            with self.connect(_MAINTENANCE) as connection:
                found = connection.execute(load_sql("database_exists"), {"name": DATABASE}).fetchone()
            if found is None:
                self.create_database(DATABASE)
        except psycopg.Error as error:
            raise LocalStackError(
                f"PostgreSQL in {self.data} runs, but its database {DATABASE} cannot be reached: "
                f"{reason_of(error)}"
            ) from error

    def _await_running(self) -> bool:
        """Whether a server that is there already became ready; one that is going down is waited out."""
        deadline = time.monotonic() + _START_SECONDS
        while find_postmaster(self.data) is not None:
            if read_text(self.directory / "password") is None:
                raise LocalStackError(
                    f"the password file {self.directory / 'password'} of the running PostgreSQL is gone; "
                    "run: rowguard down, then: rowguard up (a new password is then set)"
                )
            if self._answers():
                return True
            if time.monotonic() > deadline:
                raise LocalStackError(
                    f"PostgreSQL in {self.data} has not become ready in {_START_SECONDS} s: "
                    f"{telling_line(log_since(self.log_file, 0))}; see {self.log_file}"
                )
            time.sleep(0.1)
        return False

    def _prepare_directory(self) -> None:
        private_directory(self.directory)
        private_directory(self.log_file.parent)

    def _account(self) -> Account | None:
        return server_account(self.data, self.directory)

    def _start(self) -> None:
        account = self._account()
        let_pass(self.directory, account)
        self._place = workplace(self.directory, account)
        found = self._given_binaries or find_postgres_binaries()
        binaries = reachable_binaries(found, account, self._place)
        if _cluster.is_initialised(self.data):
            _cluster.check_version(self.data, binaries)
            self._check_owner()
        else:
            self._initialise(binaries, account)
        clear_stale_pid_file(self.data)
        self._replace_lost_password(binaries, account)
        self._start_on_some_port(binaries, account)

    def _check_owner(self) -> None:
        status = self.data.stat()
        if os.geteuid() not in (0, status.st_uid):
            raise LocalStackError(
                f"the data directory {self.data} belongs to another user: run rowguard as that user, "
                f"or remove {self.directory} as that user to begin with an empty database"
            )
        if status.st_mode & 0o077:  # as after copying a checkout; PostgreSQL would refuse
            self.data.chmod(0o700)

    def _initialise(self, binaries: Path, account: Account | None) -> None:
        aside = _cluster.set_aside(self.data)
        if aside is not None:
            logger.warning("%s was no complete data directory; it is now %s", self.data, aside)
        password = remembered_password(self.directory / "password")
        _cluster.initialise(self.data, binaries=binaries, account=account, user=OWNER, password=password)

    def _replace_lost_password(self, binaries: Path, account: Account | None) -> None:
        path = self.directory / "password"
        if read_text(path) is None:
            verifier = scram_verifier(remembered_password(path))
            _cluster.reset_password(
                self.data, binaries=binaries, account=account, user=OWNER, verifier=verifier
            )
            logger.warning("the password file %s was lost; a new password is set", path)

    def _start_on_some_port(self, binaries: Path, account: Account | None) -> None:
        refused: set[int] = set()
        orphans_deadline = time.monotonic() + _ORPHANS_SECONDS
        while True:
            port = self._choose_port(refused)
            _cluster.write_config(self.data, port=port, durable=self._durable, account=account)
            offset = log_size(self.log_file)
            if self._run_pg_ctl(binaries, account):
                _ports.remember(self.directory / "port", port)
                return
            log = log_since(self.log_file, offset)
            if "Address already in use" in log and len(refused) < _PORT_TRIES and self._given_port is None:
                refused.add(port)  # taken between our look and the start
            elif "pre-existing shared memory" in log and time.monotonic() < orphans_deadline:
                time.sleep(0.5)  # sessions of a killed server are still ending
            elif find_postmaster(self.data) is not None:
                raise LocalStackError(
                    f"PostgreSQL in {self.data} is still recovering after {_START_SECONDS} s: "
                    f"{telling_line(log)}; try again later, see {self.log_file}"
                )
            else:
                raise LocalStackError(
                    f"PostgreSQL in {self.data} does not start: {telling_line(log)}; see {self.log_file}"
                )

    def _choose_port(self, refused: set[int]) -> int:
        wanted = self._given_port or _ports.recall(self.directory / "port")
        if wanted is not None and wanted not in refused and _ports.is_free(wanted):
            return wanted
        if self._given_port is not None:
            raise LocalStackError(
                f"port {self._given_port} on {_ports.LOOPBACK} is taken by another program; "
                "end that program or choose another port for PostgreSQL"
            )
        port = _ports.choose(str(self.directory), avoid=frozenset(refused))
        if wanted is not None:
            logger.warning(
                "port %d is taken by another program; PostgreSQL moves to port %d and stays there",
                wanted,
                port,
            )
        return port

    def _run_pg_ctl(self, binaries: Path, account: Account | None) -> bool:
        log = open_log(self.log_file)
        try:
            # The server inherits the log. A pipe instead would keep our reader waiting as long as it runs.
            started = subprocess.run(
                [binaries / "pg_ctl", "start", "-D", self.data, "-w", "-t", str(_START_SECONDS), "-s"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                cwd="/",
                env=_cluster.server_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is not meant for the server
                **run_as(account),
            )
        except OSError as error:
            raise LocalStackError(f"cannot run {binaries / 'pg_ctl'}: {error.strerror}") from error
        finally:
            os.close(log)
        return started.returncode == 0

    def stop(self) -> bool:
        """Stop the server, ending its sessions; returns whether it ran.

        Raises:
            LocalStackError: it does not end.
        """
        return self._stop()

    def _stop(self, *, for_good: bool = False) -> bool:
        if find_postmaster(self.data) is None:
            return False
        with exclusive(self.directory, "PostgreSQL"):
            return stop_postmaster(self.data, self.log_file, for_good=for_good)

    def destroy(self) -> None:
        """Stop the server and delete its directory with everything in it.

        Raises:
            LocalStackError: it does not end.
        """
        self._stop(for_good=True)
        place = recorded_place(self.directory)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._place = None

    # -- databases

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` when one is named, and return its URL.

        Raises:
            psycopg.Error: the name is taken, or somebody is connected to the template.
        """
        database = sql.Identifier(name)
        if template is None:
            statement = load_sql("create_database", database=database)
        else:
            statement = load_sql("clone_database", database=database, template=sql.Identifier(template))
        with self.connect(_MAINTENANCE) as connection:
            connection.execute(statement)
        return self.url_for(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, ending its sessions.

        Raises:
            psycopg.Error: the server does not answer.
        """
        with self.connect(_MAINTENANCE) as connection:
            connection.execute(load_sql("drop_database", database=sql.Identifier(name)))
