"""A client never pays a connection's first call."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from api import warm
from tests.fix_database import Workspace
from tests.waiting import LONG_S

CALL = "SELECT * FROM score_transaction(user_id => 1, amount => 10)"
MEMORY = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts"


@pytest.mark.parametrize("role", ["rowguard_app", "rowguard_api", "rowguard_trainer"])
def test_clients_may_warm_and_hear_the_version(scored: Workspace, role: str) -> None:
    with scored.connect() as connection:
        version = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
    with scored.connect(role) as connection:
        assert connection.execute("SELECT warm_scoring()").fetchone() == version


def test_others_may_not(scored: Workspace) -> None:
    with (
        scored.connect("rowguard_readonly") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT warm_scoring()")


def test_before_any_model_nothing_happens(migrated: Workspace) -> None:
    with migrated.connect("rowguard_app") as connection:
        assert connection.execute("SELECT warm_scoring()").fetchone() == (None,)


def test_a_model_that_fails_does_not_keep_anybody_from_connecting(scored: Workspace) -> None:
    with scored.connect() as connection:
        version = connection.execute("SELECT version FROM model_versions WHERE state = 'champion'").fetchone()
        assert version is not None
        connection.execute(f"DROP FUNCTION scoring.{version[0]}".encode())
        assert connection.execute("SELECT warm_scoring()").fetchone() == (None,)


def test_after_warming_the_functions_are_read_and_planned(scored: Workspace) -> None:
    """What a first call costs is memory that is filled; afterwards a call adds next to nothing."""
    cold, after = _growth(scored, warm_first=False), _growth(scored, warm_first=True)
    assert cold > 2_000_000
    assert after < cold / 10


def test_warming_plans_the_look_for_an_earlier_visit(scored: Workspace) -> None:
    """Which most transactions do not need, as they are made where the user's last one was."""
    with scored.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL track_functions = 'all'")
        connection.execute("SELECT warm_scoring()")
        called = connection.execute(
            "SELECT DISTINCT split_part(funcname, '_minutes_since', 1) FROM pg_stat_xact_user_functions"
            " WHERE funcname LIKE '%minutes_since%' AND calls > 0"
        ).fetchall()
    assert called == [("user_location",)]


def _growth(workspace: Workspace, *, warm_first: bool) -> int:
    with workspace.connect() as connection:
        connection.execute(MEMORY)
        if warm_first:
            connection.execute("SELECT warm_scoring()")
        before = connection.execute(MEMORY).fetchone()
        connection.execute(CALL)
        after = connection.execute(MEMORY).fetchone()
        assert before is not None and after is not None
        return int(after[0] - before[0])


def test_the_pool_of_the_api_warms_new_connections_and_all_after_a_deploy(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("CREATE TABLE said (version text, pid integer)")
        connection.execute("CREATE TABLE champion AS SELECT 'one'::text AS version")
        connection.execute(
            "CREATE OR REPLACE FUNCTION public.warm_scoring() RETURNS text LANGUAGE sql AS"
            " 'INSERT INTO said SELECT version, pg_backend_pid() FROM champion RETURNING version'"
        )

    async def run() -> None:
        async with AsyncConnectionPool(
            scored.url,
            open=False,
            min_size=3,
            max_size=3,
            configure=warm.warm,
            kwargs={"autocommit": True},
        ) as pool:
            await pool.wait(timeout=LONG_S)
            async with pool.connection() as connection:
                assert await _pids(connection, "one") == 3
                async with warm.keep_warm(pool, interval_s=0.05):
                    await connection.execute("UPDATE champion SET version = 'two'")
                    await _until(connection, "two", 2)  # this one is in use
            async with warm.keep_warm(pool, interval_s=0.05), pool.connection() as connection:
                await connection.execute("UPDATE champion SET version = 'three'")
            async with warm.keep_warm(pool, interval_s=0.05):
                while await _heard(scored, "three") < 3:
                    await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(run(), LONG_S))


def test_the_pool_of_the_api_opens_without_a_schema(empty_workspace: Workspace) -> None:
    async def run() -> None:
        async with AsyncConnectionPool(
            empty_workspace.url, open=False, min_size=1, configure=warm.warm, kwargs={"autocommit": True}
        ) as pool:
            await pool.wait(timeout=LONG_S)
            async with pool.connection() as connection:
                await warm.warm(connection)
                row = await (await connection.execute("SELECT to_regclass('transactions')")).fetchone()
                assert row == (None,)

    asyncio.run(run())


async def _pids(connection: psycopg.AsyncConnection, version: str) -> int:
    cursor = await connection.execute("SELECT count(DISTINCT pid) FROM said WHERE version = %s", [version])
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def _heard(workspace: Workspace, version: str) -> int:
    """From outside the pool, whose connections must all be idle to be given out in turn."""
    async with await psycopg.AsyncConnection.connect(workspace.url) as connection:
        return await _pids(connection, version)


async def _until(connection: psycopg.AsyncConnection, version: str, connections: int) -> None:
    while await _pids(connection, version) < connections:
        await asyncio.sleep(0.05)
