"""Options that set the size and the weights of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import typer

Model = Annotated[
    Literal["forest", "xgboost", "lightgbm", "hist"] | None,
    typer.Option(
        "--model", help="Family of the model, by default ROWGUARD_MODEL_FAMILY.", show_default=False
    ),
]
Trees = Annotated[
    int | None, typer.Option("--trees", help="Number of trees.", min=1, max=5_000, show_default=False)
]
Leaves = Annotated[
    int | None, typer.Option("--leaves", help="Most leaves of a tree.", min=2, max=4_096, show_default=False)
]
LeafRows = Annotated[
    int | None, typer.Option("--leaf-rows", help="Fewest training rows in a leaf.", min=1, show_default=False)
]
FraudClassWeight = Annotated[
    float | None,
    typer.Option(
        "--fraud-class-weight",
        help="Weight of a fraud; a legitimate row has 1.",
        min=0.001,
        show_default=False,
    ),
]


def model_parameters(
    family: Any,
    *,
    trees: int | None = None,
    leaves: int | None = None,
    leaf_rows: int | None = None,
    fraud_class_weight: float | None = None,
) -> Any:
    """Return the default parameters of a family with those that were given.

    Args:
        family: Of the model; None is the one of the settings.
        trees: Number of trees.
        leaves: Most leaves of a tree.
        leaf_rows: Fewest training rows in a leaf.
        fraud_class_weight: Weight of a fraud.
    """
    from rowguard.settings import settings
    from trainer.families import default_parameters

    given = {
        "n_estimators": trees,
        "max_leaf_nodes": leaves,
        "min_samples_leaf": leaf_rows,
        "fraud_class_weight": fraud_class_weight,
    }
    parameters: Any = default_parameters(family or settings().model_family)
    return replace(parameters, **{name: value for name, value in given.items() if value is not None})
