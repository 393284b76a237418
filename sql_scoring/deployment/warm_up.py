"""After a deploy: pooled connections are replaced, and a new one warms itself before a client gets it."""

from __future__ import annotations

import logging

import psycopg

from rowguard.errors import LocalStackError
from rowguard.local import embedded_pgbouncer
from rowguard.settings import Settings

logger = logging.getLogger("rowguard")
_TIMEOUT_S = 5


def renew_pooled_connections(settings: Settings) -> bool:
    """Have PgBouncer replace its connections to the server, each after its transaction; whether it was told.

    It is the pool whose admin console the setting names, else that of the local stack where that runs. What goes
    wrong is a warning: the deploy stands, and clients pay one first call a connection.
    """
    try:
        if settings.pgbouncer_admin_url is not None:
            # The console knows the simple protocol only; psycopg uses it for statements without values.
            with psycopg.connect(
                settings.pgbouncer_admin_url.get_secret_value(), autocommit=True, connect_timeout=_TIMEOUT_S
            ) as console:
                console.execute("RECONNECT")
            return True
        if settings.database_url is not None:
            return False
        pool = embedded_pgbouncer(settings)
        if not pool.is_running():
            return False
        pool.reconnect()
    except (psycopg.Error, LocalStackError) as error:
        logger.warning("the pool keeps its connections; each meets the new model cold: %s", error)
        return False
    return True
