"""The whole local stack of a checkout: PostgreSQL, PgBouncer where its program is found, the API."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from rowguard.database import connect, redact_url
from rowguard.errors import LocalStackError, RowguardError
from rowguard.local._account import let_pass, server_account
from rowguard.local._api import SERVE, ApiProcess
from rowguard.local._files import private_directory
from rowguard.local._logins import check_login_name, login_password
from rowguard.local._pgbouncer import PgBouncer
from rowguard.local._postgres import PostgresServer
from rowguard.local._sql import load_sql
from rowguard.settings import Settings

_OWN_NAME = ".rowguard"

logger = logging.getLogger("rowguard.local")


@dataclass(frozen=True)
class StackStatus:
    """What runs now, and where. URLs hold passwords; `redacted()` is for people's eyes."""

    database_url: str | None
    pooled_url: str | None
    api_url: str | None
    is_external: bool
    """The database is somebody else's: named by DATABASE_URL, never started or stopped by us."""
    postgres_version: str | None
    data_bytes: int | None
    logs: dict[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def redacted(self) -> StackStatus:
        """The same without passwords."""
        return replace(
            self,
            database_url=self.database_url and redact_url(self.database_url),
            pooled_url=self.pooled_url and redact_url(self.pooled_url),
        )


def _external_url(settings: Settings) -> str | None:
    return settings.database_url.get_secret_value() if settings.database_url else None


def _state_dir(settings: Settings) -> Path:
    return settings.state_dir.absolute()


def _prepare_state_dir(settings: Settings) -> None:
    """Make the state directory private (0700). For root the server's account may walk through it (0710).

    A directory that was there before and has another name may hold other people's things: left as it is.
    """
    path = _state_dir(settings)
    is_ours = not path.exists() or path.name == _OWN_NAME
    private_directory(path)
    if not is_ours or path.stat().st_uid != os.geteuid():
        return
    account = server_account(path / "postgres" / "data", path)
    if account is not None:
        let_pass(path, account)
    elif path.stat().st_mode & 0o077:
        path.chmod(0o700)


def embedded_server(settings: Settings) -> PostgresServer:
    """The embedded server of the checkout, started or not."""
    state = _state_dir(settings)
    return PostgresServer(state / "postgres", log_file=state / "logs" / "postgres.log")


def embedded_pgbouncer(settings: Settings) -> PgBouncer:
    """PgBouncer of the checkout, started or not.

    Raises:
        LocalStackError: ROWGUARD_PGBOUNCER_BIN names no program.
    """
    state = _state_dir(settings)
    return PgBouncer(
        state / "pgbouncer",
        embedded_server(settings),
        log_file=state / "logs" / "pgbouncer.log",
        connect_query=load_sql("warm_connection").as_string(None),
    )


def _api(settings: Settings, command: Sequence[str] = SERVE) -> ApiProcess:
    state = _state_dir(settings)
    return ApiProcess(
        state / "api",
        host=settings.api_host,
        port=settings.api_port,
        command=command,
        environment=_environment(settings),
        log_file=state / "logs" / "api.log",
    )


def _environment(settings: Settings) -> dict[str, str]:
    """The environment in which another process of ours reads these same settings."""
    theirs = {
        "ROWGUARD_STATE_DIR": str(_state_dir(settings)),
        "ROWGUARD_MODELS_DIR": str(settings.models_dir.absolute()),
        "ROWGUARD_API_HOST": settings.api_host,
        "ROWGUARD_API_PORT": str(settings.api_port),
    }
    urls = {"DATABASE_URL": settings.database_url, "POOLED_DATABASE_URL": settings.pooled_url}
    # A log that nobody rotates while the API runs: only what went wrong, unless asked for.
    theirs["ROWGUARD_API_ACCESS_LOG"] = os.environ.get("ROWGUARD_API_ACCESS_LOG", "problems")
    theirs |= {name: url.get_secret_value() for name, url in urls.items() if url is not None}
    return {name: value for name, value in os.environ.items() if name not in urls} | theirs


def resolve_database_url(settings: Settings) -> str:
    """`DATABASE_URL` if it is set, else the embedded server's, which is started when it does not run.

    Raises:
        LocalStackError: the embedded server cannot be started.
    """
    external = _external_url(settings)
    if external is not None:
        return external
    _prepare_state_dir(settings)
    return embedded_server(settings).ensure_running()


def resolve_pooled_url(settings: Settings) -> str | None:
    """`POOLED_DATABASE_URL` if it is set, else our PgBouncer before the embedded server, started on demand.

    None when there is no pool: an external database without that variable, PgBouncer not installed, or one
    that does not start (a warning says why); the direct address then serves.

    Raises:
        LocalStackError: the embedded server cannot be started.
    """
    if settings.pooled_url is not None:
        return settings.pooled_url.get_secret_value()
    if _external_url(settings) is not None:
        return None
    resolve_database_url(settings)
    try:
        return embedded_pgbouncer(settings).ensure_running()
    except LocalStackError as error:
        logger.warning("going on without PgBouncer: %s", error)
        return None


def ensure_login(settings: Settings, name: str, member_of: str) -> str:
    """The URL, pooled where there is a pool, of a login of the embedded server; made when it is missing.

    Its password is generated and kept; it is a member of the group role `member_of`, which must exist.

    Raises:
        LocalStackError: the name is not allowed, the group is missing, the database is external, or the
            server cannot be started.
    """
    check_login_name(name)
    if _external_url(settings) is not None:
        raise LocalStackError(
            f"the database is external (DATABASE_URL): create the login {name} there yourself, "
            f"as a member of {member_of}"
        )
    resolve_database_url(settings)
    server = embedded_server(settings)
    password = login_password(server, _state_dir(settings) / "logins", name, member_of)
    if settings.pooled_url is None and resolve_pooled_url(settings) is not None:
        return embedded_pgbouncer(settings).url_for(name, password)
    return server.url_for_login(name, password)


def up(settings: Settings, *, api: bool = True, api_command: Sequence[str] = SERVE) -> StackStatus:
    """Start what does not run yet, wait until all of it answers, and tell where it is.

    Raises:
        LocalStackError: a part cannot be started; says which, why and what to do.
        DatabaseUnavailableError: the external database does not answer.
        SettingsError: DATABASE_URL is malformed.
    """
    _prepare_state_dir(settings)
    if api:
        _api(settings, api_command).refuse_taken_port()
    database_url = resolve_database_url(settings)
    with connect(database_url, autocommit=True):
        pass
    pooled_url = resolve_pooled_url(settings)
    if api:
        _api(settings, api_command).ensure_running(database_url, pooled_url)
    return status(settings)


def down(settings: Settings) -> tuple[str, ...]:
    """Stop what runs of the stack, last started first, and return the names of what was stopped.

    An external database is never stopped.

    Raises:
        LocalStackError: a part does not end.
    """
    parts = {
        "API": _api(settings).stop,
        "PgBouncer": embedded_pgbouncer(settings).stop,
        "PostgreSQL": embedded_server(settings).stop,
    }
    return tuple(name for name, stop in parts.items() if stop())


def status(settings: Settings) -> StackStatus:
    """What runs, without starting anything.

    Raises:
        LocalStackError: the state directory belongs to another user.
    """
    notes: list[str] = []
    external = _external_url(settings)
    server = embedded_server(settings)
    database_url = external or _running_url(server, notes)
    version, size = _describe(database_url, notes) if database_url else (None, None)
    if external:
        notes.insert(0, "the database is external (DATABASE_URL): rowguard neither starts nor stops it")
        if server.is_running():
            notes.append("the embedded PostgreSQL runs too, unused; rowguard down stops it")
    if settings.pooled_url is not None:
        pooled_url: str | None = settings.pooled_url.get_secret_value()
    elif external:
        pooled_url = None
    else:
        pgbouncer = embedded_pgbouncer(settings)
        pooled_url = pgbouncer.url if database_url else None
        if not pgbouncer.available:
            notes.append("PgBouncer is not installed; connections are direct")
    api = _api(settings)
    api_url = api.url if api.is_running() and api.answers() else None
    logs = {
        "postgres": server.log_file,
        "pgbouncer": server.log_file.with_name("pgbouncer.log"),
        "api": api.log_file,
    }
    return StackStatus(
        database_url=database_url,
        pooled_url=pooled_url,
        api_url=api_url,
        is_external=external is not None,
        postgres_version=version,
        data_bytes=size,
        logs={name: path for name, path in logs.items() if path.exists()},
        notes=tuple(notes),
    )


def _running_url(server: PostgresServer, notes: list[str]) -> str | None:
    try:
        return server.url if server.is_running() else None
    except LocalStackError as error:
        notes.append(f"PostgreSQL runs, but its password or port is not known: {error}")
        return None


def _describe(database_url: str, notes: list[str]) -> tuple[str | None, int | None]:
    """Version and size; None each, and a note, when the server does not answer."""
    try:
        with connect(database_url, autocommit=True) as connection:
            row = connection.execute(load_sql("describe_server")).fetchone()
    except (RowguardError, psycopg.Error) as error:
        notes.append(str(error).splitlines()[0])
        return None, None
    return (str(row[0]), int(row[1])) if row else (None, None)


def destroy(settings: Settings) -> None:
    """Stop the stack and delete the embedded server with all its data, wherever that is.

    Raises:
        LocalStackError: a part does not end.
    """
    _api(settings).stop()
    embedded_pgbouncer(settings).destroy()
    embedded_server(settings).destroy()
    for name in ("api", "logins"):
        shutil.rmtree(_state_dir(settings) / name, ignore_errors=True)
