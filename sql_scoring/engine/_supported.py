"""Which models can be written as SQL, by name, and why the others cannot.

An explicit table and no discovery: a class is in it once parity tests show its function equal to
``predict_proba`` bit for bit. A subclass is not its parent, as it may predict in another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from m2cgen.assemblers.base import ModelAssembler
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from sql_scoring.engine._assembler import ExactForestAssembler, ExactTreeAssembler
from sql_scoring.engine._trees import TreeSum, tree_sum
from sql_scoring.engine.errors import UnsupportedModelError

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
UNSUPPORTED_REASONS: dict[str, str] = {
    "GradientBoostingClassifier": _LIBM,
    "HistGradientBoostingClassifier": _LIBM,
    "LogisticRegression": "its dot product is summed by BLAS in an order that depends on the processor; and "
    + _LIBM,
}


@dataclass(frozen=True)
class ForestShape:
    """Counts of a model: trees, nodes (branches and leaves), leaves, greatest depth, features."""

    trees: int
    nodes: int
    leaves: int
    depth: int
    features: int


def forest_shape(model: Any) -> ForestShape:
    """Count a fitted model as scikit-learn holds it.

    Args:
        model: A fitted classifier of ``SUPPORTED_MODELS``.

    Returns:
        Its counts, those of all trees together.

    Raises:
        UnsupportedModelError: As ``transpile`` does.
    """
    check_supported(model)
    trees = sklearn_trees(model)
    return ForestShape(
        trees=len(trees),
        nodes=sum(int(tree.node_count) for tree in trees),
        leaves=sum(int(tree.n_leaves) for tree in trees),
        depth=max(int(tree.max_depth) for tree in trees),
        features=int(model.n_features_in_),
    )


def sklearn_trees(model: Any) -> list[Any]:
    """The ``tree_`` of a single tree or of each tree of a forest, in order."""
    return [estimator.tree_ for estimator in getattr(model, "estimators_", [model])]


def assemble(model: Any) -> TreeSum:
    """Build the model's expression trees; raises UnsupportedModelError."""
    check_supported(model)
    return tree_sum(SUPPORTED_MODELS[type(model)](model).assemble())


def check_supported(model: Any) -> None:
    """Raise UnsupportedModelError unless ``model`` is a fitted binary classifier of the table."""
    kind = type(model)
    if kind not in SUPPORTED_MODELS:
        names = ", ".join(known.__name__ for known in SUPPORTED_MODELS)
        why = UNSUPPORTED_REASONS.get(kind.__name__)
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
