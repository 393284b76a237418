"""The command line in a separate process or in this one: output and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rowguard.cli import main
from rowguard.settings import settings
from tests.fix_database import PATIENT_GATES
from tests.ports import free_port

PROGRAM = Path(sys.executable).with_name("rowguard")
VARIABLES = ("DATABASE_URL", "POOLED_DATABASE_URL")


@dataclass(frozen=True)
class CliResult:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The one JSON document on standard output."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def refusal(self) -> str:
        """The one line on standard error, without the program's name."""
        assert self.code == 1, (self.code, self.out, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("rowguard: "), self.err
        assert "Traceback" not in self.err and "ROWGUARD_DEBUG" not in self.err and "\x1b" not in self.err
        return lines[0].removeprefix("rowguard: ")


Run = Callable[..., CliResult]


def runner(folder: Path, **variables: str) -> Run:
    """Run commands with their state in `folder`."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment = inherited | {
        "ROWGUARD_STATE_DIR": str(folder / ".rowguard"),
        "ROWGUARD_MODELS_DIR": str(folder / "models"),
        **PATIENT_GATES,
        **variables,
    }

    def run(*arguments: str, **more: str) -> CliResult:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=folder,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )
        return CliResult(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run commands in this process, which saves the imports; by default the database is down."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name in VARIABLES or name.startswith("ROWGUARD_")]:
        if name != "ROWGUARD_POSTGRES_BIN":
            monkeypatch.delenv(name)

    def in_process(*arguments: str, **variables: str) -> CliResult:
        given = {
            "DATABASE_URL": "postgresql://user:hidden@127.0.0.1:1/nothing",
            "ROWGUARD_STATE_DIR": str(tmp_path / ".rowguard"),
            "ROWGUARD_MODELS_DIR": str(tmp_path / "models"),
            "COLUMNS": "200",
            "ROWGUARD_API_PORT": str(free_port()),
            **PATIENT_GATES,
        }
        capfd.readouterr()
        with monkeypatch.context() as patch:
            for name, value in (given | variables).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["rowguard", *arguments])
            settings.cache_clear()
            code: object = 0
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        shown = capfd.readouterr()
        assert isinstance(code, int)
        return CliResult(code, shown.out, shown.err)

    yield in_process
    settings.cache_clear()
