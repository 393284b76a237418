"""Training runs at an MLflow server: the calls of its REST API; a server that does not answer is news only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sql_scoring.registry import ModelRecord
from tests.ports import free_port
from trainer.tracking import log_training

RECORD = cast(
    ModelRecord,
    SimpleNamespace(
        version="rf_1", model_kind="forest", feature_hash="ab", threshold=0.5, node_count=12,
        metrics={
            "average_precision": 0.7, "recall": None, "best": float("nan"), "is_x": True, "labels": {"a": 1},
            "parameters": {"n_estimators": 32, "random_state": 0},
        },
    ),
)  # fmt: skip


class Tracker(HTTPServer):
    """Responds as an MLflow server does, and keeps what it was sent."""

    calls: list[tuple[str, dict[str, Any]]]
    has_experiment: bool


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast(Tracker, self.server)
        self._answer(200 if server.has_experiment else 404, {"experiment": {"experiment_id": "7"}})

    def do_POST(self) -> None:
        server = cast(Tracker, self.server)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server.calls.append((self.path.removeprefix("/api/2.0/mlflow/"), body))
        self._answer(200, {"experiment_id": "8", "run": {"info": {"run_id": "r1"}}})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracker]:
    server = Tracker(("127.0.0.1", 0), Handler)
    server.calls, server.has_experiment = [], True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("has_experiment", [True, False])
def test_a_run_has_parameters_metrics_and_version(tracker: Tracker, has_experiment: bool) -> None:
    tracker.has_experiment = has_experiment
    news: list[str] = []
    assert log_training(RECORD, news.append) == "r1" and news == []
    names = [name for name, _ in tracker.calls]
    assert names == ([] if has_experiment else ["experiments/create"]) + [
        "runs/create",
        "runs/log-batch",
        "runs/update",
    ]
    calls = dict(tracker.calls)
    assert calls["runs/create"]["experiment_id"] == ("7" if has_experiment else "8")
    batch = calls["runs/log-batch"]
    assert {row["key"]: row["value"] for row in batch["params"]} == {
        "n_estimators": "32",
        "random_state": "0",
    }
    assert {row["key"]: row["value"] for row in batch["metrics"]} == {
        "average_precision": 0.7, "threshold": 0.5, "node_count": 12.0
    }  # fmt: skip
    assert {"key": "rowguard.version", "value": "rf_1"} in batch["tags"]
    assert calls["runs/update"]["status"] == "FINISHED"


def test_a_server_that_does_not_answer_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    news: list[str] = []
    assert log_training(RECORD, news.append) is None
    assert news == ["MLflow did not take the run: ConnectError"]


@pytest.mark.parametrize("address", [None, "", "file:///tmp/runs"])
def test_without_a_server_nothing_is_logged(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if address is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert log_training(RECORD, print) is None
