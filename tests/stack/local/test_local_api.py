"""The API as a background process, with a small stand-in for the real one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rowguard.errors import LocalStackError
from rowguard.local import ApiProcess
from rowguard.local._processes import ProcessRecord, birth, is_alive, wait_until

STAND_IN = """
import http.server, os, subprocess, sys
child = subprocess.Popen(["sleep", "600"])
with open(os.environ["CHILD_FILE"], "w") as file:
    file.write(str(child.pid))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/livez" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
Make = Callable[..., ApiProcess]


@pytest.fixture
def make_api(folder: Path, free_port: int) -> Iterator[Make]:
    """Makes stand-ins that are gone after the test."""
    made: list[ApiProcess] = []

    def make(code: str = STAND_IN) -> ApiProcess:
        api = ApiProcess(
            folder / "api",
            host="127.0.0.1",
            port=free_port,
            command=[sys.executable, "-c", code, str(free_port)],
            environment=os.environ | {"CHILD_FILE": str(folder / "child")},
        )
        made.append(api)
        return api

    yield make
    for api in made:
        api.stop()


def pid_of(api: ApiProcess) -> int:
    record = ProcessRecord.load(api.directory / "process")
    assert record is not None
    return record.pid


def child(folder: Path) -> int:
    return int((folder / "child").read_text())


def test_starts_once_and_stops_with_its_children(make_api: Make, folder: Path, free_port: int) -> None:
    api = make_api()
    assert not api.is_running() and not api.answers()
    assert api.ensure_running("db") == f"http://127.0.0.1:{free_port}"
    pid = pid_of(api)
    assert api.answers() and is_alive(child(folder))
    assert os.getsid(pid) == pid
    make_api().ensure_running("db")
    assert pid_of(api) == pid
    assert api.stop() is True
    assert (is_alive(pid), is_alive(child(folder)), api.stop()) == (False, False, False)


def test_other_addresses_of_the_database_restart_it(make_api: Make) -> None:
    api = make_api()
    api.ensure_running("db", None)
    pid = pid_of(api)
    api.ensure_running("db", "pool")
    assert pid_of(api) != pid
    assert not is_alive(pid)


def test_port_taken_by_a_stranger(make_api: Make, free_port: int, stranger: Callable[[int], None]) -> None:
    stranger(free_port)
    api = make_api()
    with pytest.raises(LocalStackError) as error:
        api.ensure_running()
    assert f"port {free_port} on 127.0.0.1 is taken" in str(error.value)
    assert "ROWGUARD_API_PORT" in str(error.value)
    assert not (api.directory / "process").exists()


def test_api_that_ends_at_once_tells_its_last_words(make_api: Make) -> None:
    api = make_api("print('loading'); raise SystemExit('model store is on fire')")
    with pytest.raises(LocalStackError, match="ended at once: model store is on fire; see .*api.log"):
        api.ensure_running()
    assert not api.is_running()


def test_api_that_does_not_answer_is_ended(make_api: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowguard.local._api._START_SECONDS", 3.0)
    monkeypatch.setattr("rowguard.local._api._STOP_SECONDS", 0.3)
    api = make_api(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\ntime.sleep(600)"
    )
    with pytest.raises(LocalStackError, match="did not answer on .*: deaf"):
        api.ensure_running()
    assert not (api.directory / "process").exists()


def test_children_of_a_killed_api_do_not_keep_the_port(make_api: Make, folder: Path) -> None:
    api = make_api()
    api.ensure_running()
    orphan = child(folder)
    os.kill(pid_of(api), signal.SIGKILL)
    assert wait_until(lambda: not api.is_running(), 60)
    assert is_alive(orphan)
    api.ensure_running()
    assert api.answers() and not is_alive(orphan)


def test_record_whose_number_a_stranger_has_now(make_api: Make) -> None:
    api = make_api()
    api.ensure_running()
    api.stop()
    ProcessRecord(os.getpid(), "another birth", {"url": api.url}).save(api.directory / "process")
    assert not api.is_running()
    assert api.stop() is False  # and this test run goes on
    assert birth(os.getpid()) is not None
