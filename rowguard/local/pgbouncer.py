"""PgBouncer in front of our own server: transaction pooling on a loopback port."""

from __future__ import annotations

import shutil
import signal
from importlib.resources import files
from pathlib import Path

import psycopg

from rowguard.errors import LocalStackError
from rowguard.local.account import give_to_server, run_as_server, server_folder
from rowguard.local.postgres import (
    DATABASE,
    OWNER,
    PostgresServer,
    connect_loopback,
    loopback_url,
    server_environment,
)
from rowguard.local.processes import BackgroundProcess
from rowguard.local.programs import find_pgbouncer
from rowguard.local.state import choose_port, component_lock, load_state, save_state, write_private


class PgBouncer(BackgroundProcess):
    """PgBouncer for one server, its owner and the logins that `ensure_login` made.

    `connect_query` is a statement without comments that each new server connection runs first.
    """

    name = "PgBouncer"
    stop_signal = signal.SIGINT  # ends when the running transactions have; SIGTERM may wait for clients

    def __init__(
        self,
        directory: Path | str,
        server: PostgresServer,
        *,
        log_file: Path | None = None,
        connect_query: str = "",
    ) -> None:
        super().__init__(directory, log_file)
        self.server = server
        self.program = find_pgbouncer()
        self._connect_query = " ".join(connect_query.split()).rstrip(";")

    @property
    def url(self) -> str | None:
        """The owner's URL of the database through PgBouncer, None if it does not run."""
        return self.url_for(OWNER, self.server.password) if self.is_running() else None

    @property
    def admin_url(self) -> str | None:
        """The URL of the admin console, None if PgBouncer does not run."""
        return self.url_for(OWNER, self.server.password, "pgbouncer") if self.is_running() else None

    def url_for(self, user: str, password: str, database: str = DATABASE) -> str:
        """Return the URL of a database through PgBouncer for a login."""
        return loopback_url(user, password, load_state(self.directory)["port"], database)

    def is_responding(self) -> bool:
        """Return whether the owner reaches the server, which proves every part."""
        try:
            with connect_loopback(self.url or "", timeout_s=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def ensure_running(self) -> str | None:
        """Start PgBouncer and its server unless they run; return `url`, None if the program is not installed."""
        if self.program is None:
            return None
        self.server.ensure_running()
        with component_lock(self.directory):
            if not (self.is_running() and self._write_files() and self.is_responding()):
                self._end()
                save_state(self.directory, port=choose_port(self.directory))
                self._write_files()
                command = [str(self.program), str(server_folder(self.directory) / "pgbouncer.ini")]
                self._launch(command, {}, env=server_environment(), **run_as_server())
        return self.url

    def load_logins(self) -> None:
        """Read the logins of the server again; others cannot connect."""
        with component_lock(self.directory):
            self._write_files()
            try:
                # The console knows the simple protocol only; psycopg uses it for statements without parameters.
                with connect_loopback(self.admin_url or "") as console:
                    console.execute("RELOAD")
            except psycopg.Error as error:
                raise LocalStackError(f"PgBouncer's console does not answer: {error}") from error

    def destroy(self) -> None:
        """Stop PgBouncer and delete its directory."""
        self.stop()
        for path in (server_folder(self.directory), self.directory):
            shutil.rmtree(path, ignore_errors=True)

    def _write_files(self) -> bool:
        """Write configuration and users; return whether the configuration was the same before."""
        folder, state = server_folder(self.directory), load_state(self.directory)
        folder.mkdir(parents=True, exist_ok=True)
        config, users = folder / "pgbouncer.ini", folder / "users.txt"
        query = self._connect_query.replace("'", "''")
        query = f" connect_query='{query}'" if query else ""
        template = files("rowguard.local").joinpath("pgbouncer.ini").read_text(encoding="utf-8")
        server_port, port = self.server.port, state["port"]
        text = template.format(server_port=server_port, port=port, connect_query=query, users=users)
        is_same = config.exists() and config.read_text(encoding="utf-8") == text
        passwords = {OWNER: self.server.password} | load_state(self.server.directory).get("logins", {})
        write_private(users, "".join(f'"{name}" "{password}"\n' for name, password in passwords.items()))
        write_private(config, text)
        give_to_server(config, users)
        return is_same
