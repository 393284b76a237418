"""No model, no schema, no database, no port: one clear error each, and recovery."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from rowguard.local import temporary_server
from rowguard.settings import PROJECT_ROOT
from sql_scoring.deployment import migrate_schema
from tests.db.api.conftest import Api, problem, serve_command, serve_environment, serving
from tests.fix_database import Workspace
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

FEATURES = {"transaction_amount": 450.75}
RAW = {"user_id": 1, "amount": 1}


def unavailable(response: httpx.Response) -> str:
    detail = problem(response, 503)["detail"]
    assert int(response.headers["retry-after"]) >= 1
    return str(detail)


def test_without_a_model_predictions_are_unavailable(api_without_model: Api) -> None:
    client = api_without_model.client
    responses = [
        client.post("/predict", json=FEATURES),
        client.post("/predict", json=RAW),
        client.get("/model"),
    ]
    for response in responses:
        assert unavailable(response) == "no model is deployed yet; run: rowguard retrain"


def test_without_a_model_transactions_are_stored_unscored(api_without_model: Api) -> None:
    assert api_without_model.client.get("/readyz").status_code == 200
    response = api_without_model.client.post("/transactions", json=RAW)
    assert response.status_code == 201
    got = response.json()
    assert got["transaction_id"] >= 1
    assert [
        got[name] for name in ("fraud_flag", "fraud_probability", "model_version", "unscored_reason")
    ] == [None] * 4


def test_without_the_schema_every_call_names_the_command(empty_workspace: Workspace, tmp_path: Path) -> None:
    with serving(empty_workspace.url, tmp_path, until="/livez") as api:
        responses = [
            api.client.get("/readyz"),
            api.client.get("/model"),
            api.client.post("/predict", json=FEATURES),
            api.client.post("/predict", json=RAW),
            api.client.post("/transactions", json=RAW),
            api.client.post("/labels", json={"user_id": 1, "transaction_id": 1, "is_fraud": True}),
        ]
        assert {unavailable(response) for response in responses} == {
            "the database has no rowguard schema yet; run: rowguard migrate"
        }


def test_a_database_that_goes_away_is_503_until_it_is_back(tmp_path: Path) -> None:
    with temporary_server() as server:
        migrate_schema(server.url, tmp_path / "models")
        with serving(server.url, tmp_path) as api:
            assert api.client.get("/readyz").status_code == 200
            server.stop()
            assert api.client.get("/livez").status_code == 200
            assert "try again" in unavailable(api.client.post("/transactions", json=RAW))
            wait_until(
                lambda: api.client.get("/readyz").status_code == 503, "readiness is at most a second old"
            )
            assert "try again" in unavailable(api.client.get("/readyz"))
            server.ensure_running()
            wait_until(lambda: api.client.get("/readyz").status_code == 200, "the API is ready again")
            assert api.client.post("/transactions", json=RAW).status_code == 201


def test_a_database_that_is_down_from_the_start_is_503(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"postgresql://u:hidden@127.0.0.1:{closed.getsockname()[1]}/db"
        with serving(address, tmp_path, until="/livez") as api:
            assert api.client.get("/").status_code == 200
            assert "try again" in unavailable(api.client.post("/predict", json=FEATURES))
            assert "hidden" not in api.log.read_text()


def test_a_taken_port_is_one_clear_line(empty_workspace: Workspace, tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        done = subprocess.run(
            serve_command(port),
            cwd=PROJECT_ROOT,
            env=serve_environment(empty_workspace.url, tmp_path),
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        f"rowguard: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another with --port or ROWGUARD_API_PORT\n"
    )
