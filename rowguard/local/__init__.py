"""The local stack: PostgreSQL, PgBouncer and the API as processes of this checkout."""

from rowguard.local._api import ApiProcess
from rowguard.local._binaries import find_postgres_binaries
from rowguard.local._pgbouncer import PgBouncer
from rowguard.local._pgbouncer_config import find_pgbouncer
from rowguard.local._postgres import PostgresServer
from rowguard.local._stack import (
    StackStatus,
    destroy,
    down,
    embedded_pgbouncer,
    embedded_server,
    ensure_login,
    resolve_database_url,
    resolve_pooled_url,
    status,
    up,
)
from rowguard.local._temporary import temporary_server

__all__ = [
    "ApiProcess",
    "PgBouncer",
    "PostgresServer",
    "StackStatus",
    "destroy",
    "down",
    "embedded_pgbouncer",
    "embedded_server",
    "ensure_login",
    "find_pgbouncer",
    "find_postgres_binaries",
    "resolve_database_url",
    "resolve_pooled_url",
    "status",
    "temporary_server",
    "up",
]
