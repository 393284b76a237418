"""Which models can be written as SQL, by name, and why the others cannot.

Explicit tables and no discovery: a class is in one once parity tests show its function equal to the library bit for
bit. A subclass is not its parent, as it may predict in another way. Classes of libraries that may not be installed
are known by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from m2cgen.assemblers.base import ModelAssembler
from scipy.special import expit
from sklearn import __version__ as sklearn_version
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from sql_scoring.engine._assembler import ExactForestAssembler, ExactTreeAssembler
from sql_scoring.engine._catboost import catboost_margins, load_catboost
from sql_scoring.engine._lightgbm import lightgbm_margins, load_lightgbm
from sql_scoring.engine._sklearn_boosting import load_gradient_boosting, load_hist_gradient_boosting
from sql_scoring.engine._tree_model import Floats, TreeModel
from sql_scoring.engine._trees import TreeSum, leaves, nodes, tree_sum
from sql_scoring.engine._xgboost import load_xgboost, xgboost_margins, xgboost_probability
from sql_scoring.engine.errors import UnsupportedModelError

Output = Literal["probability", "margin"]

SUPPORTED_MODELS: dict[type, type[ModelAssembler]] = {
    RandomForestClassifier: ExactForestAssembler,
    ExtraTreesClassifier: ExactForestAssembler,
    DecisionTreeClassifier: ExactTreeAssembler,
    ExtraTreeClassifier: ExactTreeAssembler,
}


@dataclass(frozen=True)
class BoostedLibrary:
    """How a boosted classifier is read, and how its library computes margins.

    Attributes:
        load: Reads the object.
        margins: The library's margins of rows.
        call: That call as text.
        to_probability: The library's function from margins to probabilities, where it is not the form's.
    """

    load: Callable[[Any], TreeModel]
    margins: Callable[[Any, Floats], Floats]
    call: str
    to_probability: Callable[[Any], Callable[[Floats], Floats]] | None = None


def _decision_function(model: Any, rows: Floats) -> Floats:
    result: Floats = model.decision_function(rows)
    return result


def _expit(model: Any) -> Callable[[Floats], Floats]:
    def to_probability(margins: Floats) -> Floats:
        result: Floats = expit(margins)
        return result

    return to_probability


_XGBOOST = BoostedLibrary(
    load_xgboost, xgboost_margins, "predict(X, output_margin=True)", xgboost_probability
)
_LIGHTGBM = BoostedLibrary(load_lightgbm, lightgbm_margins, "predict(X, raw_score=True)")
_CATBOOST = BoostedLibrary(load_catboost, catboost_margins, "predict(X, prediction_type='RawFormulaVal')")
# By package and class name.
BOOSTED_MODELS: dict[tuple[str, str], BoostedLibrary] = {
    ("xgboost", "XGBClassifier"): _XGBOOST,
    ("xgboost", "Booster"): _XGBOOST,
    ("lightgbm", "LGBMClassifier"): _LIGHTGBM,
    ("lightgbm", "Booster"): _LIGHTGBM,
    ("sklearn", "HistGradientBoostingClassifier"): BoostedLibrary(
        load_hist_gradient_boosting, _decision_function, "decision_function(X)", _expit
    ),
    ("sklearn", "GradientBoostingClassifier"): BoostedLibrary(
        load_gradient_boosting, _decision_function, "decision_function(X)", _expit
    ),
    ("catboost", "CatBoostClassifier"): _CATBOOST,
    ("catboost", "CatBoost"): _CATBOOST,
}

UNSUPPORTED_REASONS: dict[str, str] = {
    "LogisticRegression": "its dot product is summed by BLAS in an order that depends on the processor",
    "CalibratedClassifierCV": "its calibration averages several models and goes through exp() or an interpolation; "
    "register the model that it wraps",
    "Pipeline": "a pipeline changes its inputs; rowguard register takes its last step where nothing comes before it",
    "XGBRFClassifier": "its forest of one boosting round is not tested here",
}


@dataclass(frozen=True)
class ForestShape:
    """Counts of a model: trees, nodes (branches and leaves), leaves, greatest depth, features."""

    trees: int
    nodes: int
    leaves: int
    depth: int
    features: int


def as_tree_model(model: Any) -> TreeModel | None:
    """Return a boosted model in the engine's form, or None for a forest.

    Args:
        model: A model of ``BOOSTED_MODELS``, a ``TreeModel``, or any other.

    Returns:
        The form.

    Raises:
        UnsupportedModelError: The boosted model has a setting that is not supported.
    """
    if isinstance(model, TreeModel):
        return model
    library = boosted_library(model)
    return library.load(model) if library else None


def as_form(model: Any) -> TreeModel:
    """Return any supported model as ``TreeModel``, a forest too; raises UnsupportedModelError."""
    if (boosted := as_tree_model(model)) is not None:
        return boosted
    total = assemble(model)
    return TreeModel(
        kind=type(model).__name__,
        library=f"scikit-learn {sklearn_version}",
        sum=total,
        n_features_in_=int(model.n_features_in_),
        feature_names_in_=tuple(map(str, getattr(model, "feature_names_in_", ()))),
    )


def boosted_library(model: Any) -> BoostedLibrary | None:
    """Return how a boosted model's library is called, or None for another model."""
    kind = type(model)
    return BOOSTED_MODELS.get((kind.__module__.partition(".")[0], kind.__name__))


def returns_margin(model: Any) -> bool:
    """Return whether a model's function returns a margin."""
    return model.is_margin if isinstance(model, TreeModel) else boosted_library(model) is not None


def forest_shape(model: Any) -> ForestShape:
    """Count a fitted model as its library holds it.

    Args:
        model: A fitted classifier of ``SUPPORTED_MODELS`` or ``BOOSTED_MODELS``.

    Returns:
        Its counts, those of all trees together.

    Raises:
        UnsupportedModelError: As ``transpile`` does.
    """
    if (boosted := as_tree_model(model)) is not None:
        return _tree_model_shape(boosted)
    check_supported(model)
    trees = sklearn_trees(model)
    return ForestShape(
        trees=len(trees),
        nodes=sum(int(tree.node_count) for tree in trees),
        leaves=sum(int(tree.n_leaves) for tree in trees),
        depth=max(int(tree.max_depth) for tree in trees),
        features=int(model.n_features_in_),
    )


def _tree_model_shape(model: TreeModel) -> ForestShape:
    trees = model.sum.trees
    ends = [leaves(tree) for tree in trees]
    return ForestShape(
        trees=len(trees),
        nodes=sum(len(nodes(tree)) for tree in trees),
        leaves=sum(map(len, ends)),
        depth=max((len(leaf.box) for tree in ends for leaf in tree), default=0),
        features=model.n_features_in_,
    )


def sklearn_trees(model: Any) -> list[Any]:
    """The ``tree_`` of a single tree or of each tree of a forest, in order."""
    return [estimator.tree_ for estimator in getattr(model, "estimators_", [model])]


def assemble(model: Any) -> TreeSum:
    """Build the model's expression trees; raises UnsupportedModelError."""
    if (boosted := as_tree_model(model)) is not None:
        return boosted.sum
    check_supported(model)
    return tree_sum(SUPPORTED_MODELS[type(model)](model).assemble())


def check_supported(model: Any) -> None:
    """Raise UnsupportedModelError unless ``model`` is a fitted binary classifier of the tables."""
    if isinstance(model, TreeModel) or boosted_library(model) is not None:
        return  # its loader checks it
    kind = type(model)
    if kind not in SUPPORTED_MODELS:
        names = ", ".join(
            [known.__name__ for known in SUPPORTED_MODELS] + [name for _, name in BOOSTED_MODELS]
        )
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


def check_output(model: Any, output: Output | None) -> Output:
    """Return what the function's value is; raises UnsupportedModelError for one that cannot be exact."""
    natural: Output = "margin" if returns_margin(model) else "probability"
    if output in (None, natural):
        return natural
    if output == "probability":
        raise UnsupportedModelError(
            f"the probability of {type(model).__name__} goes through exp(), whose last bit depends on the C library "
            "and processor of the database server: use output='margin', which is exact"
        )
    if output == "margin":
        raise UnsupportedModelError(f"{type(model).__name__} has no margin: use output='probability'")
    raise UnsupportedModelError(f"output {output!r} is unknown; there are: probability, margin")
