"""The DAG files, checked without Airflow."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowguard.settings import PROJECT_ROOT

FILES = sorted((PROJECT_ROOT / "dags").glob("*.py"))
# The scheduler reads the files every few seconds; other imports belong in tasks.
LIGHT = sys.stdlib_module_names | {"airflow"}
OURS = ("rowguard", "simulator", "sql_scoring", "trainer")

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imported(node: ast.AST) -> list[str]:
    """Return the modules of an import statement, none for other nodes."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run on import: also inside `if` and `try`, not inside functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from outside_functions(child)


def test_both_dags_exist() -> None:
    assert [path.stem for path in FILES] == ["fraud_model_retrain_pipeline", "simulate_transactions"]


@each_file
def test_imports_nothing_heavy_at_module_level(path: Path) -> None:
    modules = [module for node in outside_functions(parsed(path)) for module in imported(node)]
    assert modules
    assert {module.split(".")[0] for module in modules} <= LIGHT


@each_file
def test_dag_is_named_as_its_file(path: Path) -> None:
    named = [
        node.value.value
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.keyword) and node.arg == "dag_id" and isinstance(node.value, ast.Constant)
    ]
    assert named == [path.stem]
    assert not path.name.startswith("dbt_"), "dbt's own package would be shadowed"


@each_file
def test_calls_fit_our_functions(path: Path) -> None:
    called = set()
    tasks = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)]
    for task in tasks:
        # A task may have the name of the function that it imports.
        modules = {
            alias.asname or alias.name: (str(node.module), alias.name)
            for node in task.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS
            for alias in node.names
        }
        for node in ast.walk(task):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in modules:
                module, name = modules[node.func.id]
                keywords = {str(keyword.arg): None for keyword in node.keywords}
                function = getattr(importlib.import_module(module), name)
                inspect.signature(function).bind(*([None] * len(node.args)), **keywords)
                called.add(name)
    assert called


@each_file
def test_the_development_stack_is_not_used(path: Path) -> None:
    modules = [module for node in ast.walk(parsed(path)) for module in imported(node)]
    assert not [module for module in modules if module.startswith("rowguard.local")]


def pins(name: str) -> dict[str, str]:
    """Return the versions in a file of locked requirements."""
    text = (PROJECT_ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([\w.\[\]-]+)==(\S+)", text, re.MULTILINE))


def test_airflow_has_the_versions_of_the_runtime() -> None:
    """Tasks import rowguard directly, so both share one environment."""
    runtime, airflow = pins("runtime.txt"), pins("airflow.txt")
    assert "apache-airflow" in airflow
    different = {name: airflow.get(name) for name, version in runtime.items() if airflow.get(name) != version}
    assert not different, "run: make lock"
