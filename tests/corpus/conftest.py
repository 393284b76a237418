"""Cases from files, one a line; the servers and databases that they run against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.db.api.conftest import Api, api  # noqa: F401
from tests.fix_database import Workspace, _database, _settings
from tests.stack.cli.conftest import run  # noqa: F401

HERE = Path(__file__).parent
Case = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """Dates remain text: they are the tested input."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_cases(name: str) -> list[Case]:
    """The cases of a file; a line that is none says so here and not by running less."""
    text = (HERE / f"{name}.yaml").read_text(encoding="utf-8")
    cases = yaml.load(text, _Loader)
    lines = sum(line.startswith("- ") for line in text.splitlines())
    assert len(cases) == lines, f"{name}.yaml: {lines} lines, {len(cases)} cases"
    return list(cases)


def parameters(name: str) -> list[Any]:
    """The cases for pytest, named by their number and what they do."""
    return [
        pytest.param(case, id=f"{number:03d}-{_shown(case)}")
        for number, case in enumerate(read_cases(name), start=1)
    ]


def _shown(case: Case) -> str:
    return ascii(str(next(iter(case.values()))))[1:49].replace("[", "(").replace("]", ")")


@pytest.fixture(scope="module")
def decided(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A history and a deployed model, for a whole file of cases."""
    with _database(server_url, scored_template.url) as url:
        yield Workspace(url, _settings(url, tmp_path_factory.mktemp("corpus")))


@pytest.fixture(scope="module")
def undecided(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """Schema and features without a model, for a whole file of cases."""
    with _database(server_url, migrated_template.url) as url:
        yield Workspace(url, _settings(url, tmp_path_factory.mktemp("corpus")))
