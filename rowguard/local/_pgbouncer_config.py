"""What PgBouncer is told: its program, its version, the text of its two files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local._ports import LOOPBACK

OVERRIDE = "ROWGUARD_PGBOUNCER_BIN"
LOGIN = "pgbouncer"
ADMIN = "rowguard_admin"
_MORE_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/homebrew/sbin")
_PREPARED_SINCE = (1, 21)


def find_pgbouncer() -> Path | None:
    """PgBouncer's program, None when it is not installed.

    `ROWGUARD_PGBOUNCER_BIN` names another; empty means to do without.

    Raises:
        LocalStackError: the variable names no program.
    """
    override = os.environ.get(OVERRIDE)
    if override is not None:
        if override and not os.access(override, os.X_OK):
            raise LocalStackError(f"{OVERRIDE} is {override}, which is no program")
        return Path(override) if override else None
    # Programs like this one live where an ordinary user's PATH often does not lead.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_PLACES))
    found = shutil.which("pgbouncer", path=path)
    return Path(found) if found else None


@lru_cache
def pgbouncer_version(program: Path) -> tuple[int, int]:
    """Such as (1, 18).

    Raises:
        LocalStackError: the program does not run or is none.
    """
    try:
        shown = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise LocalStackError(f"{program} does not run: {error}") from error
    found = re.search(r"PgBouncer (?:version )?(\d+)\.(\d+)", shown)
    if not found:
        raise LocalStackError(f"{program} does not say that it is PgBouncer: {shown.strip()}")
    return int(found[1]), int(found[2])


def _quoted(value: str) -> str:
    """A value inside a connection string of the configuration file."""
    return "'" + value.replace("'", "''") + "'"


def one_line(statement: str) -> str:
    """A statement for the configuration file, which is read by lines.

    Raises:
        LocalStackError: it holds a comment, which would swallow the rest of the line.
    """
    if "--" in statement:
        raise LocalStackError("the query for new pooled connections must not hold a comment")
    return " ".join(statement.split()).rstrip("; ")


def config_text(
    *,
    database: str,
    server_port: int,
    port: int,
    users: Path,
    version: tuple[int, int],
    connect_query: str | None = None,
) -> str:
    """The configuration: transaction pooling on loopback, passwords asked from the database.

    Raises:
        LocalStackError: the query for new connections holds a comment.
    """
    target = f"host={LOOPBACK} port={server_port} dbname={_quoted(database)}"
    if connect_query:
        target += f" connect_query={_quoted(one_line(connect_query))}"
    settings = {
        "listen_addr": LOOPBACK,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": users,
        "auth_user": LOGIN,
        "auth_query": "SELECT username, password FROM pgbouncer.get_auth($1)",
        "admin_users": ADMIN,
        "pool_mode": "transaction",
        "default_pool_size": 20,
        "max_client_conn": 500,
        # Drivers send it and nothing here depends on it. Whatever else a client asks for at log-in and cannot
        # get in transaction pooling is refused, not dropped.
        "ignore_startup_parameters": "extra_float_digits",
        # After a restart of the server clients should not be turned away for the default of 15 s.
        "server_login_retry": 1,
        "server_tls_sslmode": "disable",
        "client_tls_sslmode": "disable",
        "log_connections": 0,
        "log_disconnections": 0,
        "stats_period": 3600,
    }
    if version >= _PREPARED_SINCE:
        settings["max_prepared_statements"] = 200
    lines = [f"{name} = {value}" for name, value in settings.items()]
    head = [";; Written by rowguard at every start.", "[databases]", f"{database} = {target}", ""]
    return "\n".join([*head, "[pgbouncer]", *lines, ""])


def users_text(passwords: dict[str, str]) -> str:
    """The file of logins that PgBouncer knows without asking."""
    return "".join(f'"{name}" "{password}"\n' for name, password in passwords.items())
