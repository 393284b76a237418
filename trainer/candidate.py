"""A fitted model as a row of the registry: its function's text, its threshold and what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as library_version
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rowguard.errors import ParityError
from sql_scoring import registry, transpile
from sql_scoring.engine import (
    TreeModel,
    as_tree_model,
    boundary_rows,
    forest_shape,
    margin_cut,
    reference_scores,
    returns_margin,
)
from trainer.dataset import FeatureList
from trainer.window import TrainingRows

LAYOUT: Final = "bitmask"
_LIBRARIES = ("rowguard", "scikit-learn", "numpy", "m2cgen")
_FORM_ROWS = 5_000


def as_artifact(model: Any, rows: NDArray[np.float32]) -> Any:
    """Return what is stored of a fitted model: a forest itself, a boosted model without its library.

    Args:
        model: The fitted model.
        rows: Rows on which the library and the stored form are compared, shape (rows, features).

    Returns:
        The artifact.

    Raises:
        ParityError: The library's margins differ from the form's in any bit.
        UnsupportedModelError: The model has a setting that is not supported.
    """
    form = as_tree_model(model)
    if form is None or form is model:
        return model
    compare_with_form(model, form, rows)
    return form


def compare_with_form(model: Any, form: TreeModel, rows: NDArray[np.float32]) -> None:
    """Compare a library's own scores with those of its model as read here.

    Args:
        model: The library's object.
        form: Its model as read here.
        rows: Shape (rows, features), in the model's own order; rows around all thresholds are added.

    Raises:
        ParityError: A score differs in any bit.
    """
    around = boundary_rows(model, _FORM_ROWS, seed=1)
    sample = rows[:: max(1, len(rows) // _FORM_ROWS)].astype(np.float64)
    if not form.accepts_missing:
        sample = sample[~np.isnan(sample).any(axis=1)]
    for values in (around, sample):
        differ = reference_scores(model, values).view(np.int64) != form.margins(values).view(np.int64)
        if differ.any():
            raise ParityError(
                f"{int(differ.sum())} of {len(values)} scores of {form.library} differ from its model as read here"
            )


def build_record(
    model: Any,
    features: FeatureList,
    rows: TrainingRows,
    *,
    threshold: float,
    rule: str,
    metrics: Mapping[str, Any],
    cut_model: Any = None,
) -> registry.ModelRecord:
    """Write a model's function and describe it for the registry.

    Args:
        model: A forest or a ``TreeModel``.
        features: The feature list in model order.
        rows: The window that it was fitted or evaluated on.
        threshold: Fraud probability from which on a row is an alert.
        rule: How the threshold was chosen.
        metrics: What was measured.
        cut_model: The library's own object, whose probability gives the cut; by default the model.

    Returns:
        The record, without its artifact.

    Raises:
        UnsupportedModelError: The model is too large to be written as SQL.
    """
    trained_at = datetime.now(UTC)
    has_margin = returns_margin(model)
    text = transpile(
        model,
        feature_names=features.names,
        function_name="scoring.model",
        layout=LAYOUT,
        arguments="array",
    )
    cut = margin_cut(cut_model if cut_model is not None else model, threshold) if has_margin else None
    # The name holds the date and the hash does not, so that the same model is recognized on another day.
    # The same model with another threshold decides differently: it is another version.
    sql_sha256 = registry.function_sha256("model", text, threshold, cut)
    family = "gb" if isinstance(model, TreeModel) and model.is_boosted else "rf"
    version = f"{family}_{trained_at:%Y%m%d}_{sql_sha256[:8]}"
    sql_text = text.replace('"scoring"."model"', f'"scoring"."{version}"', 1)
    shape = forest_shape(model)
    return registry.ModelRecord(
        version=version,
        model_kind=model.kind if isinstance(model, TreeModel) else type(model).__name__,
        layout=LAYOUT,
        feature_names=list(features.names),
        feature_hash=features.hash,
        trained_at=trained_at,
        train_from=rows.window.start,
        train_to=rows.window.end,
        label_cutoff=rows.window.label_cutoff,
        row_count=len(rows.everything),
        fraud_count=rows.everything.frauds,
        threshold=threshold,
        threshold_rule=rule,
        metrics=metrics,
        tree_count=shape.trees,
        node_count=shape.nodes,
        sql_bytes=len(sql_text.encode()),
        sql_sha256=sql_sha256,
        artifact_sha256="",
        library_versions=_versions(model),
        sql_text=sql_text,
        margin_cut=cut,
    )


def _versions(model: Any) -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = library_version(name)
        except PackageNotFoundError:  # a checkout that is not installed
            continue
    if isinstance(model, TreeModel):
        name, _, version = model.library.partition(" ")
        versions[name.rstrip(",")] = version
    return versions
