"""The same forest written by other tools: m2cgen-style nested IF and CASE, orbital, SKompiler.

The first two are PL/pgSQL functions printed node by node from m2cgen's own tree, as its imperative and its functional
languages are. orbital and SKompiler print one SQL statement each. They need other library versions than this
project, so each gets a separate environment on demand.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy
import sklearn
from m2cgen import ast
from m2cgen.assemblers import TreeModelAssembler
from sklearn.ensemble import RandomForestClassifier

M2CGEN_STYLES = ("m2cgen-style nested IF", "m2cgen-style CASE")
INSTALL_S = 300
PRINT_S = 120
# Both name the columns x1, x2, … and read them from the table `probe_columns`, whose key is n.
PROGRAMS = {
    "orbital": (
        ("orbital==0.6.*",),
        "import sys, joblib, orbital, orbital.types as t\n"
        "from sklearn.pipeline import Pipeline\n"
        "m = joblib.load(sys.argv[1])\n"
        "columns = {f'x{n}': t.DoubleColumnType() for n in range(1, m.n_features_in_ + 1)}\n"
        "parsed = orbital.parse_pipeline(Pipeline([('model', m)]), features=columns)\n"
        "print('SELECT \"output_probability.1\" FROM (', "
        "orbital.export_sql('probe_columns', parsed, dialect='postgres'), ') AS o')\n",
    ),
    "SKompiler": (
        ("SKompiler==0.7.*", "SQLAlchemy<1.4", "setuptools"),
        "import sys, joblib\n"
        "from skompiler import skompile\n"
        "m = joblib.load(sys.argv[1])\n"
        "print('SELECT p1 FROM (', skompile(m.predict_proba).to('sqlalchemy/postgresql', key_column='n', "
        "from_obj='probe_columns', assign_to=['p0', 'p1']), ') AS s')\n",
    ),
}


@dataclass(frozen=True)
class Printed:
    """A peer's statement, or the reason why it failed."""

    sql: str | None
    problem: str | None


def print_statement(peer: str, model: RandomForestClassifier, folder: Path) -> Printed:
    """Let `peer` print a model; its environment is in `folder` and is created when it is missing."""
    requirements, program = PROGRAMS[peer]
    python = folder / peer.lower() / "bin" / "python"
    try:
        if not (folder / peer.lower() / ".done").exists():
            _install(python, requirements)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.joblib"
            joblib.dump(model, path)
            result = subprocess.run(
                [python, "-W", "ignore", "-c", program, str(path)],
                capture_output=True,
                text=True,
                timeout=PRINT_S,
                check=True,
            )
    except (OSError, subprocess.SubprocessError) as error:
        message = str(getattr(error, "stderr", None) or error).strip().splitlines()
        return Printed(None, f"{peer}: {message[-1][:200] if message else 'no message'}")
    return Printed(result.stdout, None)


def _install(python: Path, requirements: tuple[str, ...]) -> None:
    home = python.parent.parent
    home.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True, timeout=INSTALL_S)
    shared = (f"scikit-learn=={sklearn.__version__}", f"numpy=={numpy.__version__}", "joblib")
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *requirements,
        *shared,
    ]
    subprocess.run(command, check=True, timeout=INSTALL_S, capture_output=True, text=True)
    (home / ".done").touch()


def m2cgen_style(style: str, model: RandomForestClassifier, function_name: str, arguments: str) -> str:
    """A PL/pgSQL function in m2cgen's manner: its tree, its literals, its factor of 1/n; not exact."""
    trees = [TreeModelAssembler(tree).assemble() for tree in model.estimators_]
    if style == M2CGEN_STYLES[0]:
        body = "".join(f"{_nested(tree)}  total := total + v * {1 / len(trees)!r};\n" for tree in trees)
    else:
        body = "".join(
            f"  v := {_expression(tree)};\n  total := total + v * {1 / len(trees)!r};\n" for tree in trees
        )
    return (
        f"CREATE FUNCTION {function_name}({arguments}) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS $m$\n"
        f"DECLARE v double precision; total double precision := 0;\nBEGIN\n{body}  RETURN total;\nEND $m$"
    )


def _nested(node: ast.Expr) -> str:
    if not isinstance(node, ast.IfExpr):
        return f"v := {_leaf(node)};\n"
    return f"IF {_test(node.test)} THEN\n{_nested(node.body)}ELSE\n{_nested(node.orelse)}END IF;\n"


def _expression(node: ast.Expr) -> str:
    if not isinstance(node, ast.IfExpr):
        return _leaf(node)
    return f"CASE WHEN {_test(node.test)} THEN {_expression(node.body)} ELSE {_expression(node.orelse)} END"


def _test(test: Any) -> str:
    return f"(${test.left.index + 1}) {test.op.value} ({float(test.right.value)!r})"


def _leaf(node: Any) -> str:
    return repr(float(node.exprs[1].value))
