"""The life of an embedded server."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from rowguard.errors import LocalStackError
from rowguard.local import PostgresServer, account, temporary_server
from rowguard.local.processes import find_process
from rowguard.local.state import load_state, save_state
from rowguard.settings import PROJECT_ROOT
from sql_scoring.deployment import migrate_schema
from tests.stack.local.conftest import listener
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_starts_on_demand_and_keeps_data_and_port(server: PostgresServer) -> None:
    assert not server.is_running() and not server.stop()
    with pytest.raises(LocalStackError, match="was never started"):
        _ = server.url
    url = server.ensure_running()
    assert server.ensure_running() == url == server.url
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept (id int)")
    assert server.stop() and not server.is_running()
    assert server.ensure_running() == url
    with psycopg.connect(url) as connection:
        connection.execute("SELECT * FROM kept")
        row = connection.execute("SELECT current_user, inet_server_addr()::text").fetchone()
    assert row == ("rowguard", "127.0.0.1/32")


def test_files_are_private_and_a_password_is_required(server: PostgresServer) -> None:
    url = server.ensure_running()
    for path in (server.directory / "state.json", server.log_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert server.password not in server.log_file.read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(server.password, "wrong"))


def test_callers_pg_variables_are_ignored(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGOPTIONS": "-c nonsense=1", "PGPORT": "1", "PGHOST": "/absent"}.items():
        monkeypatch.setenv(name, value)
    server.ensure_running()
    with server.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_two_commands_start_one_server(server: PostgresServer) -> None:
    others = [PostgresServer(server.directory, durable=False) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        assert len(set(pool.map(PostgresServer.ensure_running, others))) == 1


def test_recovers_after_a_kill(server: PostgresServer) -> None:
    url = server.ensure_running()
    assert server.process is not None
    server.process.kill()
    wait_until(lambda: not server.is_running(), "the end of the killed server")
    assert (server.data / "postmaster.pid").exists()
    assert server.ensure_running() == url


def test_moves_to_another_port_if_its_own_is_taken(server: PostgresServer) -> None:
    server.ensure_running()
    port = server.port
    server.stop()
    with listener(port):
        server.ensure_running()
        assert server.port != port


def test_a_failed_start_states_why(server: PostgresServer) -> None:
    server.ensure_running()
    server.stop()
    with (server.data / "postgresql.conf").open("a") as config:
        config.write("no_such_setting = 1\n")
    with pytest.raises(LocalStackError, match=r"does not start: .*FATAL.*contains errors; see .*server\.log"):
        server.ensure_running()


def test_lost_state_is_an_error_that_names_the_folder(server: PostgresServer) -> None:
    server.ensure_running()
    save_state(server.directory, password="wrong")
    with pytest.raises(LocalStackError, match=f"delete {server.directory} to start"):
        server.ensure_running()
    state = load_state(server.directory)
    del state["password"]
    server.stop()
    (server.directory / "state.json").unlink()
    save_state(server.directory, **state)
    with pytest.raises(LocalStackError, match=f"delete {server.directory} to start"):
        server.ensure_running()


def test_an_interrupted_initdb_is_repeated(server: PostgresServer) -> None:
    (server.directory / "data").mkdir(parents=True)
    (server.directory / "data" / "base").mkdir()
    with psycopg.connect(server.ensure_running()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_reader_of_our_output_does_not_wait_for_the_server(server: PostgresServer) -> None:
    code = f"from rowguard.local import PostgresServer; PostgresServer({str(server.directory)!r}).ensure_running()"
    subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, check=True, timeout=120
    )
    assert server.is_running()


def test_a_temporary_server_is_gone_afterwards_even_of_a_killed_run() -> None:
    with temporary_server() as server:
        process = server.process
        assert process is not None
        save_state(server.directory, owner=[2**22 + 1, 0.0])  # as if this run had been killed
        with temporary_server():
            assert find_process(process.pid, process.create_time()) is None and not server.directory.exists()


def test_the_log_has_no_values_of_failed_statements(server: PostgresServer, folder: Path) -> None:
    """Neither their text, nor their parameters, nor the rows and keys in the details of errors."""
    migrate_schema(server.ensure_running(), folder / "models")
    failing = {
        "INSERT INTO transactions (user_id, amount) VALUES (31337, 2718.28182)": "amount is not between",
        "INSERT INTO transactions (user_id, amount, merchant_id) VALUES (31337, NULL, 2718)": "null value",
        "INSERT INTO transactions (user_id, amount, idempotency_key) VALUES (31337, 1, '2718'), (31337, 2, '2718')":
            "duplicate key",
        "INSERT INTO transactions (user_id, amount, location) VALUES (31337, 1, E'2718\n')": "control characters",
        "INSERT INTO transactions (user_id, amount, occurred_at) VALUES (31337, 1, '1931-03-01')": "before 1970",
        "INSERT INTO fraud_labels (user_id, transaction_id, is_fraud) VALUES (31337, 2718, true)": "foreign key",
        "SELECT score_features(2718e99, 1, 1, true)": "transaction_amount is out of range",
        "SELECT score_transaction(user_id => 31337, amount => -2718)": "amount is not between",
    }  # fmt: skip
    with server.connect() as connection:
        for statement in failing:
            with pytest.raises(psycopg.Error):
                connection.execute(statement.encode())
        with pytest.raises(psycopg.Error):
            connection.execute("INSERT INTO transactions (user_id, amount) VALUES (%s, %s)", [31337, -2718])
    log = server.log_file.read_text()
    assert all(message in log for message in failing.values())
    assert not [line for line in log.splitlines() if "31337" in line or "2718" in line or "1931" in line]


@as_root
def test_root_runs_the_server_as_another_user(server: PostgresServer) -> None:
    server.ensure_running()
    assert server.data.parent == server.directory
    assert server.process is not None and server.process.uids().real == server.data.stat().st_uid != 0


@as_root
def test_data_and_programs_out_of_reach_of_that_user(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "pg", durable=False)
    try:
        server.ensure_running()
        assert server.data.is_relative_to(account.SHARED_FOLDER)
    finally:
        server.destroy()
    assert not server.data.exists()


@as_root
def test_an_ordinary_user_runs_it_as_themselves(folder: Path) -> None:
    account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    child = os.fork()  # Python itself may be out of reach for that user
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            server = PostgresServer(folder / "pg", durable=False)
            server.ensure_running()
            assert server.process is not None and server.process.uids().real == account.pw_uid
            server.destroy()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
