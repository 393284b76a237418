"""A real OpenID Connect provider, from npm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

VERSION = "9.13.3"
REDIRECT_URI = "http://localhost:8001/console/login/callback"


@pytest.fixture(scope="session")
def provider_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the provider installed; skips where npm cannot."""
    folder = tmp_path_factory.mktemp("oidc")
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    done = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), f"oidc-provider@{VERSION}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        pytest.skip(f"npm cannot install oidc-provider: {done.stderr.strip().splitlines()[-1:]}")
    shutil.copy(Path(__file__).with_name("provider.mjs"), folder)
    return folder


@contextmanager
def running_provider(folder: Path) -> Iterator[str]:
    """Run the provider; yields its issuer."""
    port = free_port()
    process = subprocess.Popen(
        ["node", "provider.mjs", str(port), REDIRECT_URI],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "ready":
                break
        assert process.poll() is None
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def issuer(provider_folder: Path) -> Iterator[str]:
    with running_provider(provider_folder) as address:
        yield address
