"""The PostgreSQL server of a test session.

`TEST_DATABASE_URL` names a server (a superuser's URL). `TEST_POSTGRES=container` runs one in Docker. Otherwise each
pytest process starts a private one, with the programs of ROWGUARD_POSTGRES_BIN or of the embedded wheel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import psycopg
import pytest
from testcontainers.community.postgres import PostgresContainer

from rowguard.local import temporary_server

IMAGE = "postgres:18"


def pytest_configure(config: pytest.Config) -> None:
    """Fail early, in one line, if the chosen server is not available."""
    if os.environ.get("TEST_POSTGRES") == "container" and not hasattr(config, "workerinput"):
        check_docker()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's URL of the test server."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with container() if os.environ.get("TEST_POSTGRES") == "container" else embedded() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            # It would change statistics and plans during some tests.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url


@contextmanager
def embedded() -> Iterator[str]:
    """Run a private server."""
    with temporary_server() as server:
        yield server.url


@contextmanager
def container() -> Iterator[str]:
    """Run a server in a container."""
    with PostgresContainer(
        IMAGE, username="rowguard", password="test", dbname="rowguard", driver=None
    ) as server:
        yield server.get_connection_url()


def check_docker() -> None:
    """Stop pytest if no Docker engine runs."""
    try:
        docker.from_env(timeout=10).ping()
    except docker.errors.DockerException as error:
        reason = " ".join(str(error).split())
        raise pytest.UsageError(f"POSTGRES=container needs a running Docker engine: {reason}") from None
