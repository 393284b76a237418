"""Login roles of the embedded server, with generated passwords that are kept beside it."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from psycopg import sql

from rowguard.errors import LocalStackError
from rowguard.local._connections import reason_of
from rowguard.local._files import private_directory, remembered_password
from rowguard.local._postgres import OWNER, PostgresServer
from rowguard.local._scram import is_verifier_of, scram_verifier
from rowguard.local._sql import load_sql

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RESERVED = re.compile(rf"({OWNER}|postgres|pgbouncer|pg_.*)")


def check_login_name(name: str) -> None:
    """Refuse what is no plain role name or belongs to the stack itself; the name also becomes a file's.

    Raises:
        LocalStackError: the name is not allowed.
    """
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise LocalStackError(
            f"{name!r} cannot be the name of a login: use a-z, 0-9 and _, and no reserved name"
        )


def login_password(server: PostgresServer, directory: Path, name: str, member_of: str) -> str:
    """Make sure that the login is there, is valid, has the remembered password and is in the group.

    Raises:
        LocalStackError: the name is not allowed, the group is missing, or the server refuses.
    """
    check_login_name(name)
    private_directory(directory)
    password = remembered_password(directory / name)
    try:
        with server.connect() as connection, connection.transaction():
            set_login(connection, name, password)
            in_group = connection.execute(
                load_sql("membership"), {"role": name, "member_of": member_of}
            ).fetchone()
            if in_group is None:
                raise LocalStackError(f"the role {member_of} does not exist yet; run: rowguard migrate")
            if not in_group[0]:
                names = {"role": sql.Identifier(name), "member_of": sql.Identifier(member_of)}
                connection.execute(load_sql("grant_membership", **names))
    except psycopg.Error as error:
        raise LocalStackError(f"the login {name} could not be set up: {reason_of(error)}") from error
    return password


def set_login(connection: psycopg.Connection, name: str, password: str) -> None:
    """Create the login or give it this password.

    One that is right already is left alone: a new verifier of the same password would cut PgBouncer's
    connected clients off, as it logs in to the server with what they proved against the old one.

    Raises:
        psycopg.Error: the server refuses.
    """
    state = connection.execute(load_sql("login_state"), {"role": name}).fetchone()
    if state is not None:
        can_login, verifier, is_expired = state
        if can_login and not is_expired and is_verifier_of(verifier, password):
            return
    parts = {"role": sql.Identifier(name), "verifier": sql.Literal(scram_verifier(password))}
    connection.execute(load_sql("create_login" if state is None else "alter_login", **parts))
