"""Starting the server: address, settings, TLS, workers; tokens that it accepts."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from rowguard.settings import PROJECT_ROOT
from tests.db.api.conftest import START_S, STOP_S, Api, problem, serve_command, serve_environment, serving
from tests.db.api.tokens import SECRET, bearer, rsa_key, token
from tests.fix_database import Workspace
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def run(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`rowguard serve` that is expected to fail, for a database that does not exist."""
    return subprocess.run(
        [*serve_command(free_port()), *arguments],
        cwd=PROJECT_ROOT,
        env=serve_environment("postgresql://u@127.0.0.1:1/db", tmp_path, **settings),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_authentication_only_loopback_is_bound(tmp_path: Path, host: str) -> None:
    done = run(tmp_path, "--host", host)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"rowguard: will not listen on {host} without authentication: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jwt_secret": "short"}, "ROWGUARD_JWT_SECRET holds fewer than 32 bytes"),
        ({"jwt_jwks_file": "nowhere.json"}, "ROWGUARD_JWT_JWKS_FILE cannot be read"),
        ({"api_rate_limit": "often"}, "is not a rate"),
        ({"api_tls_cert_file": "cert.pem"}, "belong together"),
        ({"api_workers": "0"}, "api_workers"),
    ],
)  # fmt: skip
def test_invalid_settings_are_one_clear_line(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    done = run(tmp_path, **settings)
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1
    assert "short" not in done.stderr


def test_workers_share_their_counters_and_secrets_are_not_visible(
    migrated: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    with serving(migrated.url, tmp_path, api_workers="2", jwt_secret_file=str(tmp_path / "secret")) as api:

        def ask(method: str, path: str, **more: Any) -> httpx.Response:
            """On a new connection, which either worker may accept."""
            with httpx.Client(base_url=api.client.base_url, timeout=120, trust_env=False) as client:
                return client.request(method, path, **more)

        wait_until(
            lambda: all(ask("GET", "/readyz").status_code == 200 for _ in range(20)), "both workers are ready"
        )
        for number in range(20):
            body = {"user_id": number, "amount": 1}
            response = ask("POST", "/transactions", json=body, headers=bearer(token("write")))
            assert response.status_code == 201, response.text
        text = api.client.get("/metrics", headers=bearer(token("admin"))).text
        assert re.search(r'rowguard_decisions_total\{endpoint="transactions",flag="NONE"\} 20\.0', text)
        titles = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert SECRET not in titles and str(migrated.url) not in titles
        assert SECRET not in api.log.read_text()


def test_tls(migrated_template: Workspace, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    port = free_port()
    environment = serve_environment(
        migrated_template.url, tmp_path, api_tls_cert_file=str(certificate), api_tls_key_file=str(key),
        api_tls_key_password="hidden",
    )  # fmt: skip
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            serve_command(port), cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False) as client:
            deadline = time.monotonic() + START_S
            while True:
                try:
                    assert client.get("/livez").status_code == 200
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline and process.poll() is None
                    time.sleep(0.1)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False)
    finally:
        process.terminate()
        process.wait(STOP_S)
    assert "hidden" not in (tmp_path / "serve.log").read_text()


def _certificate(folder: Path) -> tuple[Path, Path]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(rsa_key().public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(rsa_key(), hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        rsa_key().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hidden"),
        )
    )
    return paths


def test_token_mints_what_the_server_accepts(guarded_api: Api, tmp_path: Path) -> None:
    environment = {**os.environ, "ROWGUARD_JWT_SECRET": SECRET}
    command = [*serve_command(1)[:-3], "token"]
    minted = subprocess.run(
        [*command, "--scope", "write", "--scope", "predict", "--subject", "minted"],
        cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert (
        guarded_api.client.post(
            "/transactions", json={"user_id": 42, "amount": 4.5}, headers=bearer(minted)
        ).status_code
        == 201
    )
    problem(guarded_api.client.get("/metrics", headers=bearer(minted)), 403)
    for arguments, code in ((["--scope", "root"], 2), (["--expires", "forever"], 2)):
        assert (
            subprocess.run(
                [*command, *arguments], cwd=PROJECT_ROOT, env=environment, capture_output=True
            ).returncode
            == code
        )
    without = {name: value for name, value in os.environ.items() if name != "ROWGUARD_JWT_SECRET"}
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=without, capture_output=True, text=True)
    assert done.returncode == 1 and "no secret to sign with" in done.stderr
