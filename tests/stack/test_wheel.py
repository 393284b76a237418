"""The built wheel in an empty environment runs the demo in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowguard.settings import PROJECT_ROOT
from tests.ports import free_port

pytestmark = pytest.mark.slow

OFFLINE = ("NewConnectionError", "No matching distribution", "Temporary failure in name resolution")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the servers' account can enter, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="rowguard-wheel-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder / "dist", PROJECT_ROOT], check=True, timeout=300)
    (path,) = (folder / "dist").glob("*.whl")
    return path


def run(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ROWGUARD_"))}
    environment = {**kept, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )


def files(folder: Path) -> set[tuple[str, float]]:
    return {(str(path), path.stat().st_mtime) for path in folder.rglob("*") if path.is_file()}


def test_it_carries_every_file_of_the_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "rowguard", "sql_scoring", "trainer", "api", "simulator", "dbt", "migrations"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    moved = {"dbt/": "rowguard/shipped/dbt_project/", "migrations/": "rowguard/shipped/migrations/"}
    for name in listed:
        prefix = name[: name.index("/") + 1]
        assert moved.get(prefix, prefix) + name.removeprefix(prefix) in names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"rowguard", "sql_scoring", "trainer", "api", "simulator"}


def test_the_demo_runs_in_an_empty_folder(wheel: Path, folder: Path) -> None:
    environment, home = folder / "environment", folder / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    constraint = PROJECT_ROOT / "requirements" / "runtime.txt"
    pip: list[str | Path] = [
        environment / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        constraint,
    ]
    installed = run(*pip, wheel, folder=folder)
    if installed.returncode and any(word in installed.stdout for word in OFFLINE):
        pytest.skip("the package index is out of reach")
    assert installed.returncode == 0, installed.stdout
    program = environment / "bin" / "rowguard"
    before = files(environment)
    try:
        demo = run(program, "demo", "--count", "100", folder=home, ROWGUARD_API_PORT=str(free_port()))
        assert demo.returncode == 0, demo.stdout
        assert re.search(r"100 transactions: \d+ × caught", demo.stdout)
        assert re.search(r"POST /predict [^\n]*FRAUD", demo.stdout) and "/docs" in demo.stdout
    finally:
        stopped = run(program, "down", folder=home)
    assert "PostgreSQL" in stopped.stdout
    assert [path.name for path in home.iterdir()] == [".rowguard"]
    assert list((home / ".rowguard" / "revisions").glob("*.py"))
    assert files(environment) == before
