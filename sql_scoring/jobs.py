"""Jobs of the whole database, such as a deployment or a build of features: one at a time."""

from __future__ import annotations

import psycopg

from rowguard.errors import JobLockedError, SchemaError
from rowguard.progress import Progress, silent
from rowguard.queries import load_queries

QUERIES = load_queries("sql_scoring")
MAX_WAIT_S = 3600


def lock_job(
    connection: psycopg.Connection, job: str, *, is_shared: bool = False, progress: Progress = silent
) -> None:
    """Keep others from a job until the transaction ends, which gets no other time limit.

    Any login can hold an advisory lock, so the wait is bounded.

    Args:
        connection: An open transaction.
        job: As in `scoring.job_lock_key`.
        is_shared: Let others share the lock who ask for that too.
        progress: Called with a sentence when another session holds the lock.

    Raises:
        JobLockedError: It was held for `MAX_WAIT_S`; names the session.
        SchemaError: The database has no rowguard schema.
    """
    values = {"job": job, "is_shared": is_shared}
    try:
        if _is_locked(connection, "try_lock_job", values):
            return
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction):
        raise SchemaError from None
    holders = ", ".join(row[0] for row in connection.execute(QUERIES["job_lock_holders"], values))
    progress(f"waiting for {holders or 'another session'}, which holds the lock of the job '{job}'")
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{MAX_WAIT_S}s"])
    try:
        _is_locked(connection, "lock_job", values)
    except psycopg.errors.LockNotAvailable:
        raise JobLockedError(
            f"{holders or 'another session'} holds the lock of the job '{job}' for more than {MAX_WAIT_S} s; "
            "wait for it, or end it with pg_terminate_backend"
        ) from None
    progress(f"the job '{job}' continues, the other session has ended")


def _is_locked(connection: psycopg.Connection, query: str, values: dict[str, object]) -> bool:
    row = connection.execute(QUERIES[query], values).fetchone()
    return bool(row and row[-1])
