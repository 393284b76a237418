"""The choice of the test server, without Docker."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import docker
import pytest

from tests import fix_server


def engine(ping: Callable[[], object]) -> Callable[..., Any]:
    return lambda timeout: SimpleNamespace(ping=ping)


def test_a_missing_engine_is_one_line(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    def fail() -> None:
        raise docker.errors.DockerException("no such\nsocket")

    monkeypatch.setattr("docker.from_env", engine(fail))
    monkeypatch.setenv("TEST_POSTGRES", "container")
    controller = SimpleNamespace()
    with pytest.raises(pytest.UsageError) as error:
        fix_server.pytest_configure(controller)  # type: ignore[arg-type]
    assert str(error.value) == "POSTGRES=container needs a running Docker engine: no such socket"
    fix_server.pytest_configure(SimpleNamespace(workerinput={}))  # type: ignore[arg-type]
    monkeypatch.delenv("TEST_POSTGRES")
    fix_server.pytest_configure(controller)  # type: ignore[arg-type]


def test_an_answering_engine_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docker.from_env", engine(lambda: True))
    fix_server.check_docker()


def test_the_container_is_a_superusers_database(monkeypatch: pytest.MonkeyPatch) -> None:
    class Container:
        def __init__(self, image: str, **options: Any) -> None:
            self.image, self.options = image, options

        def __enter__(self) -> Container:
            return self

        def __exit__(self, *error: object) -> None:
            self.image = "removed"

        def get_connection_url(self) -> str:
            return "postgresql://{username}:{password}@localhost:5432/{dbname}".format(**self.options)

    monkeypatch.setattr(fix_server, "PostgresContainer", Container)
    with fix_server.container() as url:
        assert url == "postgresql://rowguard:test@localhost:5432/rowguard"
