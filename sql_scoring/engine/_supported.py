"""Which models can be written as SQL, by name, and why the others cannot.

An explicit table and no discovery: a class is in it once parity tests show its function equal to
``predict_proba`` bit for bit, and a subclass is not its parent (it may well predict in another way).
"""

from __future__ import annotations

from typing import Any

from m2cgen import ast
from m2cgen.assemblers.base import ModelAssembler
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from rowguard.errors import UnsupportedModelError
from sql_scoring.engine._assembler import ExactForestAssembler, ExactTreeAssembler

SUPPORTED_MODELS: dict[type, type[ModelAssembler]] = {
    RandomForestClassifier: ExactForestAssembler,
    ExtraTreesClassifier: ExactForestAssembler,
    DecisionTreeClassifier: ExactTreeAssembler,
    ExtraTreeClassifier: ExactTreeAssembler,
}

_LIBM = (
    "its probability goes through exp(), whose last bit depends on the C library and processor of the "
    "database server, so it cannot be promised bit for bit"
)
REFUSED_MODELS: dict[str, str] = {
    "GradientBoostingClassifier": _LIBM,
    "HistGradientBoostingClassifier": _LIBM,
    "LogisticRegression": "its dot product is summed by BLAS in an order that depends on the processor; and "
    + _LIBM,
}


def assemble(model: Any) -> ast.Expr:
    """The model's expression tree, or UnsupportedModelError that says what and why."""
    check_supported(model)
    return SUPPORTED_MODELS[type(model)](model).assemble()


def check_supported(model: Any) -> None:
    """Raise UnsupportedModelError unless ``model`` is a fitted binary classifier of the table."""
    kind = type(model)
    if kind not in SUPPORTED_MODELS:
        names = ", ".join(known.__name__ for known in SUPPORTED_MODELS)
        why = REFUSED_MODELS.get(kind.__name__)
        if why is None and kind.__name__.endswith("Regressor"):
            why = "it is a regressor and has no probability"
        raise UnsupportedModelError(
            f"{kind.__name__} is not supported: {why or 'no exact SQL form of it is known here'}. "
            f"Supported are: {names}"
        )
    if not (hasattr(model, "tree_") or hasattr(model, "estimators_")):
        raise UnsupportedModelError(f"this {kind.__name__} is not fitted: call fit first")
    if model.n_outputs_ != 1:
        raise UnsupportedModelError(
            f"this {kind.__name__} has {model.n_outputs_} outputs: fit one model per output"
        )
    if int(model.n_classes_) != 2:
        raise UnsupportedModelError(
            f"this {kind.__name__} was fitted on {model.n_classes_} class(es): exactly two are needed, "
            "as the function returns the probability of the second"
        )
