"""After a deployment: pooled connections are replaced, and each new one warms up before its first client."""

from __future__ import annotations

import logging

import psycopg

from rowguard.settings import Settings

logger = logging.getLogger("rowguard")
_TIMEOUT_S = 5


def renew_pooled_connections(settings: Settings) -> bool:
    """Have PgBouncer replace its connections to the server, each after its transaction.

    An error is only logged: the deployment is committed, and clients meet one cold call per connection.

    Args:
        settings: `pgbouncer_admin_url` names the pool's admin console.

    Returns:
        Whether PgBouncer was told to.
    """
    if settings.pgbouncer_admin_url is None:
        return False
    try:
        # The console knows the simple protocol only; psycopg uses it for statements without values.
        with psycopg.connect(
            settings.pgbouncer_admin_url.get_secret_value(), autocommit=True, connect_timeout=_TIMEOUT_S
        ) as console:
            console.execute("RECONNECT")
    except psycopg.Error as error:
        logger.warning("the pool keeps its connections; each meets the new model cold: %s", error)
        return False
    return True
