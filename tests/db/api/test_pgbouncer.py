"""The whole path: client, server process, PgBouncer in transaction pooling, PostgreSQL."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rowguard.local import PgBouncer, temporary_server
from sql_scoring.deployment import migrate_schema
from tests.db.api.conftest import serving
from tests.waiting import wait_until


def test_many_callers_through_pgbouncer(tmp_path: Path) -> None:
    with temporary_server() as server:
        pgbouncer = PgBouncer(tmp_path / "pgbouncer", server)
        if pgbouncer.program is None:
            pytest.skip("PgBouncer is not installed")
        migrate_schema(server.url, tmp_path / "models")
        tmp_path.chmod(0o711)
        try:
            pooled = pgbouncer.ensure_running()
            assert pooled is not None
            with serving(server.url, tmp_path, pooled_database_url=pooled) as api:

                def insert(number: int) -> tuple[int, str | None]:
                    response = api.client.post(
                        "/transactions",
                        json={"user_id": number % 7, "amount": number},
                        headers={"Idempotency-Key": f"{number // 2}-{number % 7}"},
                    )
                    return response.status_code, response.text if response.status_code >= 500 else None

                with ThreadPoolExecutor(20) as threads:
                    responses = list(threads.map(insert, range(300)))
                assert {text for _, text in responses} == {None}
                assert {status for status, _ in responses} <= {200, 201, 409}
                # The sessions of the pool go; the next requests get new ones.
                with server.connect() as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                        " AND datname = current_database()"
                    )
                statuses: list[int] = []

                def pay() -> bool:
                    body = {"user_id": 1, "amount": len(statuses)}
                    key = {"Idempotency-Key": uuid.uuid4().hex}
                    response = api.client.post("/transactions", json=body, headers=key)
                    statuses.append(response.status_code)
                    return statuses[-10:] == [201] * 10

                wait_until(pay, "ten payments in a row are stored")
                # A session that is gone costs one request and no more, however many there were.
                assert set(statuses) <= {201, 503} and statuses.count(503) <= 20
        finally:
            pgbouncer.destroy()
