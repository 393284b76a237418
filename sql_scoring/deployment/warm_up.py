"""After a deployment: PgBouncer replaces its server connections, and each new one warms itself up."""

from __future__ import annotations

import logging

import psycopg

from rowguard.settings import Settings

logger = logging.getLogger("rowguard")
_TIMEOUT_S = 5


def renew_pooled_connections(settings: Settings) -> bool:
    """Have PgBouncer replace each server connection after its transaction.

    An error is a warning only: the deployment is done, and clients pay one cold call per connection.

    Args:
        settings: `pgbouncer_admin_url` names the admin console.

    Returns:
        Whether PgBouncer accepted the command.
    """
    if settings.pgbouncer_admin_url is None:
        return False
    try:
        # The console knows the simple protocol only; psycopg uses it for statements without parameters.
        with psycopg.connect(
            settings.pgbouncer_admin_url.get_secret_value(), autocommit=True, connect_timeout=_TIMEOUT_S
        ) as console:
            console.execute("RECONNECT")
    except psycopg.Error as error:
        logger.warning("PgBouncer keeps its connections; each calls the new model cold: %s", error)
        return False
    return True
