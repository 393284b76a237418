"""Public functions with arguments describe them: the docstring has an Args section, or names where it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowguard.settings import PROJECT_ROOT

PACKAGES = ("rowguard", "sql_scoring", "trainer", "api", "simulator")
# Typer reads the arguments of a command from its annotations, FastAPI those of an endpoint.
EXEMPT = ("rowguard/cli", "api/routes", "api/console")
# What these are is the same everywhere; one further argument is what the first line is about.
USUAL = {"url", "connection", "session", "settings", "config", "progress", "app", "request"}
# "Arguments as in `plan_window`" is an Args section that is written once.
ARGS = re.compile(r"^\s*Args:$|\b[Aa]rguments\b.* as (in|of) `\w+`", re.MULTILINE)


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions of the module, not methods and not nested ones."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def modules() -> list[Path]:
    return [
        path
        for package in PACKAGES
        for path in sorted((PROJECT_ROOT / package).rglob("*.py"))
        if not any(part.startswith("_") for part in path.relative_to(PROJECT_ROOT).parts)
        and not path.relative_to(PROJECT_ROOT).as_posix().startswith(EXEMPT)
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_public_functions_describe_their_arguments(path: Path) -> None:
    missing = [
        f"{function.name}, line {function.lineno}"
        for function in public_functions(ast.parse(path.read_text()))
        if len({each.arg for each in (*function.args.args, *function.args.kwonlyargs)} - USUAL) > 1
        and not ARGS.search(ast.get_docstring(function) or "")
    ]
    assert missing == []
