"""schemathesis over the whole document: every operation, good and bad input, every check it has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rowguard.settings import PROJECT_ROOT
from tests.db.api.conftest import Api
from tests.db.api.tokens import SCOPES, bearer, token

pytestmark = pytest.mark.slow

EXAMPLES = 40


def test_every_operation_keeps_its_promises(guarded_api: Api, tmp_path: Path) -> None:
    value = token(*SCOPES)
    stored = guarded_api.client.post(
        "/transactions", json={"user_id": 42, "amount": 1}, headers=bearer(value)
    )
    said_before = len(guarded_api.log.read_text())
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run",
            f"{guarded_api.client.base_url}/openapi.json", f"--header=Authorization: Bearer {value}",
            "--checks=all", f"--max-examples={EXAMPLES}", "--generation-deterministic", "--no-color",
            "--request-timeout=120", "--suppress-health-check=all",
        ],
        cwd=tmp_path,
        env=os.environ
        | {
            "SCHEMATHESIS_HOOKS": "tests.db.api.schemathesis_hooks",
            "PYTHONPATH": str(PROJECT_ROOT),
            "KNOWN_TRANSACTION": f"42,{stored.json()['transaction_id']}",
        },
        capture_output=True,
        text=True,
        timeout=1_500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    paths = guarded_api.client.get("/openapi.json").json()["paths"]
    operations = sum(len(methods) for methods in paths.values())
    assert re.search(rf"Tested: +{operations}\b", done.stdout), done.stdout
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated and int(generated[1]) > 5 * EXAMPLES
    assert '"status": 5' not in guarded_api.log.read_text()[said_before:]
