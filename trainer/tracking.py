"""Logs a training run to an MLflow server, by its REST API, where MLFLOW_TRACKING_URI is set."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from rowguard.progress import Progress
from sql_scoring.registry import ModelRecord

EXPERIMENT = "rowguard"
TIMEOUT_S = 10.0


def log_training(record: ModelRecord, progress: Progress) -> str | None:
    """Log parameters, metrics and version of a registered candidate as a run of the experiment `rowguard`.

    The registry is the authority: a server that does not answer is news, and no error.

    Args:
        record: The candidate.
        progress: Called with the news.

    Returns:
        The id of the run; None where no server is named, or it did not take the run.
    """
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address.startswith(("http://", "https://")):
        return None
    try:
        with httpx2.Client(base_url=f"{address.rstrip('/')}/api/2.0/mlflow/", timeout=TIMEOUT_S) as client:
            run_id = _create_run(client, record)
            _log(client, run_id, record)
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        progress(f"MLflow did not take the run: {type(error).__name__}")
        return None
    return run_id


def _create_run(client: httpx2.Client, record: ModelRecord) -> str:
    found = client.get("experiments/get-by-name", params={"experiment_name": EXPERIMENT})
    if found.status_code == 404:
        created = client.post("experiments/create", json={"name": EXPERIMENT}).raise_for_status()
        experiment = created.json()["experiment_id"]
    else:
        experiment = found.raise_for_status().json()["experiment"]["experiment_id"]
    body = {"experiment_id": experiment, "run_name": record.version, "start_time": _now_ms()}
    created = client.post("runs/create", json=body).raise_for_status()
    return str(created.json()["run"]["info"]["run_id"])


def _log(client: httpx2.Client, run_id: str, record: ModelRecord) -> None:
    parameters: Mapping[str, Any] = record.metrics.get("parameters") or {}
    numbers = {
        name: float(value)
        for name, value in record.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    } | {"threshold": record.threshold, "node_count": float(record.node_count)}
    now = _now_ms()
    body = {
        "run_id": run_id,
        "params": [{"key": name, "value": str(value)[:500]} for name, value in parameters.items()],
        "metrics": [
            {"key": name, "value": value, "timestamp": now, "step": 0}
            for name, value in sorted(numbers.items())
        ],
        "tags": [
            {"key": "rowguard.version", "value": record.version},
            {"key": "rowguard.model_kind", "value": record.model_kind},
            {"key": "rowguard.feature_hash", "value": record.feature_hash},
        ],
    }
    client.post("runs/log-batch", json=body).raise_for_status()
    client.post(
        "runs/update", json={"run_id": run_id, "status": "FINISHED", "end_time": now}
    ).raise_for_status()


def _now_ms() -> int:
    return int(time.time() * 1000)
