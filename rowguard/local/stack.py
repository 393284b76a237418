"""The local stack of one state directory: PostgreSQL, PgBouncer, API.

Its functions raise `LocalStackError` if a part does not start or end; the message states which and why.
"""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql
from psycopg.errors import UndefinedObject
from pydantic import SecretStr

from rowguard.database import connect, redact_url
from rowguard.errors import LocalStackError
from rowguard.local.api_process import ApiProcess
from rowguard.local.pgbouncer import PgBouncer
from rowguard.local.postgres import DATABASE, QUERIES, PostgresServer, loopback_url
from rowguard.local.state import component_lock, load_state, save_state
from rowguard.settings import Settings

logger = logging.getLogger("rowguard.local")


@dataclass(frozen=True)
class StackStatus:
    """URLs of the running parts, None for the others; they hold passwords that `redacted()` removes."""

    database_url: str | None
    pooled_url: str | None
    api_url: str | None
    logs: dict[str, Path]

    def redacted(self) -> StackStatus:
        """Return the same status without passwords."""
        database_url = self.database_url and redact_url(self.database_url)
        pooled_url = self.pooled_url and redact_url(self.pooled_url)
        return replace(self, database_url=database_url, pooled_url=pooled_url)


def embedded_server(settings: Settings) -> PostgresServer:
    """Return the embedded server, running or not."""
    state = settings.state_dir.absolute()
    return PostgresServer(state / "postgres", log_file=state / "logs" / "postgres.log")


def embedded_pgbouncer(settings: Settings) -> PgBouncer:
    """Return the PgBouncer in front of the embedded server, running or not."""
    state = settings.state_dir.absolute()
    return PgBouncer(
        state / "pgbouncer",
        embedded_server(settings),
        log_file=state / "logs" / "pgbouncer.log",
        connect_query=QUERIES["warm_connection"].split("\n", 1)[1],
    )


def embedded_api(settings: Settings) -> ApiProcess:
    """Return the API process, running or not."""
    state = settings.state_dir.absolute()
    return ApiProcess(
        state / "api",
        host=settings.api_host,
        port=settings.api_port,
        environment=_environment(settings),
        log_file=state / "logs" / "api.log",
    )


def resolve_database_url(settings: Settings) -> str:
    """Return `DATABASE_URL` if it is set, else the URL of the embedded server, started on demand."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return embedded_server(settings).ensure_running()


def resolve_pooled_url(settings: Settings) -> str | None:
    """Return `POOLED_DATABASE_URL` if it is set, else the URL of our PgBouncer, started on demand.

    It is None for an external database, and if PgBouncer is not installed or does not start.
    """
    if settings.pooled_url is not None:
        return settings.pooled_url.get_secret_value()
    if settings.database_url is not None:
        return None
    resolve_database_url(settings)
    try:
        return embedded_pgbouncer(settings).ensure_running()
    except LocalStackError as error:
        logger.warning("continuing without PgBouncer: %s", error)
        return None


def add_pgbouncer_admin_url(settings: Settings) -> None:
    """Set the console of our PgBouncer in the settings, if the embedded database is used and PgBouncer runs."""
    if settings.pgbouncer_admin_url is None and settings.database_url is None:
        url = embedded_pgbouncer(settings).admin_url
        settings.pgbouncer_admin_url = SecretStr(url) if url else None


def ensure_login(settings: Settings, name: str, member_of: str, *, pooled: bool = True) -> str:
    """Create a login role of the embedded server with a generated password, a member of a group role.

    Args:
        settings: Folder of the embedded server.
        name: Login role.
        member_of: Group role whose rights it gets.
        pooled: Return the address through PgBouncer if it runs.

    Returns:
        The login's URL, through PgBouncer if it is installed and `pooled`.
    """
    if settings.database_url is not None:
        raise LocalStackError(f"the database is external (DATABASE_URL): create the login {name} there")
    resolve_database_url(settings)
    server, pgbouncer = embedded_server(settings), embedded_pgbouncer(settings)
    with component_lock(server.directory), server.connect() as connection:
        logins = load_state(server.directory).get("logins", {})
        password = logins.setdefault(name, secrets.token_urlsafe(24))
        save_state(server.directory, logins=logins)
        # The statement holds SCRAM's verifier, never the password.
        verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
        exists = connection.execute(QUERIES["role_exists"], {"role": name}).fetchone()
        names = {"role": sql.Identifier(name), "member_of": sql.Identifier(member_of)}
        query = sql.SQL(QUERIES["alter_login" if exists else "create_login"])
        connection.execute(query.format(**names, verifier=sql.Literal(verifier.decode())))
        try:
            connection.execute(sql.SQL(QUERIES["grant_membership"]).format(**names))
        except UndefinedObject as error:
            raise LocalStackError(f"the role {member_of} does not exist; run: rowguard migrate") from error
    if pooled and resolve_pooled_url(settings) is not None and pgbouncer.is_running():
        pgbouncer.load_logins()
        return pgbouncer.url_for(name, password)
    return loopback_url(name, password, server.port, DATABASE)


def check_api_port(settings: Settings) -> None:
    """Raise LocalStackError if another program has the port of the API; to be called before anything long."""
    embedded_api(settings).check_port()


def up(settings: Settings, *, api: bool = True) -> StackStatus:
    """Start the parts that do not run yet and wait until they answer."""
    if api:
        check_api_port(settings)
    database_url = resolve_database_url(settings)
    with connect(database_url, autocommit=True):
        pass
    pooled_url = resolve_pooled_url(settings)
    if api:
        embedded_api(settings).ensure_running(database_url, pooled_url)
    return status(settings)


def down(settings: Settings) -> tuple[str, ...]:
    """Stop the running parts, the last started first; return their names. An external database keeps running."""
    parts = (embedded_api(settings), embedded_pgbouncer(settings), embedded_server(settings))
    return tuple(part.name for part in parts if part.stop())


def api_serves(settings: Settings, database_url: str | None) -> bool:
    """Return whether the API process was started for this database."""
    addresses = load_state(embedded_api(settings).directory).get("addresses", [])
    return not addresses or addresses[0] == database_url


def status(settings: Settings) -> StackStatus:
    """Report what runs, without starting anything."""
    server, pgbouncer, api = embedded_server(settings), embedded_pgbouncer(settings), embedded_api(settings)
    database_url = server.url if server.is_running() else None
    pooled_url = pgbouncer.url
    if settings.database_url is not None:
        database_url, pooled_url = settings.database_url.get_secret_value(), None
    if settings.pooled_url is not None:
        pooled_url = settings.pooled_url.get_secret_value()
    api_url = api.url if api.is_running() and api.is_responding() else None
    logs = {"postgres": server.log_file, "pgbouncer": pgbouncer.log_file, "api": api.log_file}
    present = {name: path for name, path in logs.items() if path.exists()}
    return StackStatus(database_url, pooled_url, api_url, present)


def destroy(settings: Settings) -> None:
    """Stop the stack and delete the embedded server with all its data."""
    embedded_api(settings).stop()
    embedded_pgbouncer(settings).destroy()
    embedded_server(settings).destroy()


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which another process reads the same settings."""
    urls = {"DATABASE_URL": settings.database_url, "POOLED_DATABASE_URL": settings.pooled_url}
    environment = {name: value for name, value in os.environ.items() if name not in urls}
    # Nothing rotates this log while the API runs: only failed and slow requests, unless asked for.
    environment.setdefault("ROWGUARD_API_ACCESS_LOG", "problems")
    # The stack is one person's: its API publishes rule sets.
    if settings.database_url is not None:
        environment.setdefault("ROWGUARD_PUBLISH_DATABASE_URL", settings.database_url.get_secret_value())
    return environment | {
        "ROWGUARD_STATE_DIR": str(settings.state_dir.absolute()),
        "ROWGUARD_MODELS_DIR": str(settings.models_dir.absolute()),
        "ROWGUARD_API_HOST": settings.api_host,
        "ROWGUARD_API_PORT": str(settings.api_port),
        **{name: url.get_secret_value() for name, url in urls.items() if url is not None},
    }
