"""The life of PgBouncer in front of our own server."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from rowguard.errors import LocalStackError
from rowguard.local import _ports
from rowguard.local._account import Account, let_pass, recorded_place, server_account, workplace
from rowguard.local._cluster import server_environment
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
    write_private,
)
from rowguard.local._logins import set_login
from rowguard.local._pgbouncer_config import (
    ADMIN,
    LOGIN,
    config_text,
    find_pgbouncer,
    one_line,
    pgbouncer_version,
    users_text,
)
from rowguard.local._postgres import DATABASE, OWNER, PostgresServer
from rowguard.local._processes import ProcessRecord, birth, start_detached, stop_group
from rowguard.local._sql import load_sql

_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_PORT_TRIES = 5
# Until then SIGTERM ended it at once; since then it waits for every client to leave.
_PATIENT_SINCE = (1, 23)

logger = logging.getLogger("rowguard.local")


class PgBouncer:
    """PgBouncer for one server: transaction pooling, SCRAM, unprivileged, on a loopback port that it keeps.

    `connect_query` is one SQL statement without comments that every new connection to the server runs first,
    for example to warm a function; it is remembered for later starts. PgBouncer logs its errors and goes on.
    """

    def __init__(
        self,
        directory: Path | str,
        server: PostgresServer,
        *,
        program: Path | None = None,
        database: str = DATABASE,
        log_file: Path | None = None,
        connect_query: str | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.server = server
        self.program = program or find_pgbouncer()
        self.database = database
        self.log_file = log_file or self.directory / "pgbouncer.log"
        self._wanted_connect_query = connect_query

    # -- where and how to reach it

    @property
    def available(self) -> bool:
        """Whether the program was found."""
        return self.program is not None

    @property
    def url(self) -> str | None:
        """The URL of the database through PgBouncer as its owner; None when it does not run."""
        password = read_text(self.server.directory / "password")
        return self.url_for(OWNER, password) if password and self.is_running() else None

    def url_for(self, user: str, password: str) -> str:
        """The URL of the database through PgBouncer for a login.

        Raises:
            LocalStackError: PgBouncer was never started.
        """
        port = _ports.recall(self.directory / "port")
        if port is None:
            raise LocalStackError(f"PgBouncer in {self.directory} was never started")
        return loopback_url(user, password, port, self.database)

    def _record(self) -> ProcessRecord | None:
        return ProcessRecord.load(self.directory / "process")

    def is_running(self) -> bool:
        """Whether its process lives."""
        record = self._record()
        return record is not None and record.runs()

    def _answers(self) -> bool:
        """Whether the owner gets through to the server, which proves every part."""
        url = self.url
        if url is None:
            return False
        try:
            with connect_loopback(url, timeout=5) as pooled:
                pooled.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    # -- life

    def ensure_running(self) -> str | None:
        """Start PgBouncer (and its server) unless it runs; None when the program is not installed.

        Raises:
            LocalStackError: it cannot be started; says why.
        """
        if self.program is None:
            return None
        self.server.ensure_running()
        if not (self._is_current() and self._answers()):
            private_directory(self.directory)
            private_directory(self.log_file.parent)
            with exclusive(self.directory, "PgBouncer"):
                if not (self._is_current() and self._answers()):
                    self._set_up(self.program)
        return self.url

    def _set_up(self, program: Path) -> None:
        if self._wanted_connect_query is not None:
            write_private(self.directory / "connect_query", one_line(self._wanted_connect_query) + "\n")
        self._install_look_up()
        if self.is_running():
            self._write_files(program, _ports.recall(self.directory / "port") or 0)
            if self._reconnect() and self._answers_soon():
                self._note_server_port()
                return
            self._stop_process()
        self._start(program)
        if not self._answers_soon():
            line = telling_line(log_since(self.log_file, 0))
            self._stop_process()
            raise LocalStackError(f"nobody gets through PgBouncer to PostgreSQL: {line}; see {self.log_file}")

    def _is_current(self) -> bool:
        """Whether it was told the server's port of today and the query that is wanted."""
        wanted = self._wanted_connect_query
        if wanted is not None and (read_text(self.directory / "connect_query") or "") != one_line(wanted):
            return False
        record = self._record()
        return record is not None and record.facts.get("server_port") == str(self.server.port)

    def _note_server_port(self) -> None:
        record = self._record()
        if record is not None:
            replace(record, facts={"server_port": str(self.server.port)}).save(self.directory / "process")

    def _install_look_up(self) -> None:
        """The login and the look-up function that PgBouncer asks for passwords with."""
        password = remembered_password(self.directory / "password")
        names = {"role": sql.Identifier(LOGIN), "database": sql.Identifier(self.database)}
        try:
            with self.server.connect(self.database) as connection, connection.transaction():
                set_login(connection, LOGIN, password)
                connection.execute(load_sql("pgbouncer_auth", **names))
        except psycopg.Error as error:
            raise LocalStackError(
                f"PgBouncer's look-up could not be created in the database: {reason_of(error)}"
            ) from error

    def _account(self) -> Account | None:
        return server_account(self.server.data)

    def _write_files(self, program: Path, port: int) -> Path:
        account = self._account()
        let_pass(self.directory, account)
        place = workplace(self.directory, account)
        config, users = place / "pgbouncer.ini", place / "users.txt"
        passwords = {
            LOGIN: remembered_password(self.directory / "password"),
            ADMIN: remembered_password(self.directory / "admin_password"),
        }
        server_port = self.server.port
        if server_port is None:
            raise LocalStackError("PgBouncer needs its PostgreSQL server to run")
        text = config_text(
            database=self.database,
            server_port=server_port,
            port=port,
            users=users,
            version=pgbouncer_version(program),
            connect_query=read_text(self.directory / "connect_query"),
        )
        for path, content in ((config, text), (users, users_text(passwords))):
            write_private(path, content)
            if account is not None:
                os.chown(path, account.uid, account.gid)
        return config

    def _start(self, program: Path) -> None:
        refused: set[int] = set()
        while True:
            port = self._choose_port(refused)
            config = self._write_files(program, port)
            offset = log_size(self.log_file)
            log = open_log(self.log_file)
            try:
                pid = start_detached(
                    [str(program), str(config)],
                    log=log,
                    account=self._account(),
                    environment=server_environment(),
                )
            except OSError as error:
                raise LocalStackError(f"cannot run {program}: {error.strerror}") from error
            finally:
                os.close(log)
            _ports.remember(self.directory / "port", port)
            record = ProcessRecord(pid, birth(pid), {"server_port": str(self.server.port)})
            record.save(self.directory / "process")
            if self._listens_soon(record, port):
                return
            text = log_since(self.log_file, offset)
            self._stop_process()
            if "Address already in use" in text and len(refused) < _PORT_TRIES:
                refused.add(port)
                continue
            raise LocalStackError(f"PgBouncer does not start: {telling_line(text)}; see {self.log_file}")

    def _choose_port(self, refused: set[int]) -> int:
        remembered = _ports.recall(self.directory / "port")
        if remembered is not None and remembered not in refused and _ports.is_free(remembered):
            return remembered
        port = _ports.choose(str(self.directory), avoid=frozenset(refused))
        if remembered is not None:
            logger.warning(
                "port %d is taken by another program; PgBouncer moves to port %d and stays there",
                remembered,
                port,
            )
        return port

    @staticmethod
    def _listens_soon(record: ProcessRecord, port: int) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not record.runs():
                return False
            if _ports.answers(port):
                return record.runs()
            time.sleep(0.03)
        return False

    def _answers_soon(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS / 3
        while not self._answers():
            if time.monotonic() > deadline or not self.is_running():
                return False
            time.sleep(0.1)
        return True

    # -- the admin console

    def reload(self, connect_query: str | None = None) -> None:
        """Take over a changed configuration and exchange every connection to the server, dropping no client.

        With `connect_query` new connections run that statement first from now on; `""` ends that.

        Raises:
            LocalStackError: PgBouncer does not run, or its console refuses.
        """
        if self.program is None or not self.is_running():
            raise LocalStackError("PgBouncer does not run; run: rowguard up")
        with exclusive(self.directory, "PgBouncer"):
            if connect_query is not None:
                self._wanted_connect_query = None
                write_private(self.directory / "connect_query", one_line(connect_query) + "\n")
            self._write_files(self.program, _ports.recall(self.directory / "port") or 0)
            if not self._reconnect():
                raise LocalStackError(f"PgBouncer's console does not answer; see {self.log_file}")

    def reconnect(self) -> None:
        """Have every connection to the server replaced after its transaction, such as after a deployment.

        Raises:
            LocalStackError: PgBouncer does not run, or its console refuses.
        """
        self.reload()

    def _reconnect(self) -> bool:
        password = read_text(self.directory / "admin_password") or ""
        port = _ports.recall(self.directory / "port") or 0
        try:
            with connect_loopback(loopback_url(ADMIN, password, port, "pgbouncer")) as console:
                # The console knows the simple protocol only; psycopg uses it for statements without values.
                for command in ("RELOAD", "RECONNECT"):
                    console.execute(command)
        except psycopg.Error:
            return False
        return True

    # -- the end

    def stop(self) -> bool:
        """Stop PgBouncer; returns whether it ran.

        Raises:
            LocalStackError: another command keeps it locked.
        """
        if self._record() is None:
            return False
        with exclusive(self.directory, "PgBouncer"):
            return self._stop_process()

    def _stop_process(self) -> bool:
        record = self._record()
        if record is None:
            return False
        patient = self.program is not None and pgbouncer_version(self.program) >= _PATIENT_SINCE
        stopped = stop_group(
            record, gentle=signal.SIGQUIT if patient else signal.SIGTERM, seconds=_STOP_SECONDS
        )
        (self.directory / "process").unlink(missing_ok=True)
        return stopped

    def destroy(self) -> None:
        """Stop PgBouncer and delete its directory.

        Raises:
            LocalStackError: another command keeps it locked.
        """
        self.stop()
        place = recorded_place(self.directory)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)
