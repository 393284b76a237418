"""cli.yaml: words that the command line is given and cannot use; one line, the right exit code, no traceback."""

from __future__ import annotations

import pytest

from tests.corpus.conftest import Case, parameters, read_cases
from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run

pytestmark = pytest.mark.slow

FILES = ("sql", "http", "csv", "parquet", "cli")


@pytest.mark.parametrize("case", parameters("cli"))
def test_command_line(run: Run, undecided: Workspace, case: Case) -> None:
    variables = {"DATABASE_URL": undecided.url} if case.get("database") else {}
    done = run(*case["run"], **(variables | case.get("variables", {})))
    assert (done.code, done.out) == (case["exit"], ""), done
    assert case["says"] in " ".join(done.err.replace("│", " ").split()) and "Traceback" not in done.err
    if done.code == 1:
        done.refusal()


def test_the_corpus_has_over_300_different_cases() -> None:
    cases = [repr((name, case)) for name in FILES for case in read_cases(name)]
    assert len(set(cases)) == len(cases) > 300
