"""Boosted models in the database equal their libraries' margins bit for bit, on every layout."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from sql_scoring.engine import LAYOUTS, as_tree_model, boundary_rows, reference_scores
from tests.db.parity.test_transpile_parity import (
    bulk_scores,
    connection,
    differing_bits,
    payments,
    scores,
)

__all__ = ["connection"]  # a fixture
CATEGORICAL = 3


def data(missing: float = 0.1, count: int = 2500) -> tuple[Any, Any]:
    """Payments with a column of twelve categories, some of which matter."""
    rows, labels = payments(count, 6, missing=missing)
    codes = np.random.default_rng(1).integers(0, 12, count).astype(np.float64)
    labels = labels ^ np.isin(codes, [1, 4, 9])
    codes[np.random.default_rng(2).random(count) < missing] = np.nan
    rows[:, CATEGORICAL] = codes
    return rows, labels


def hist(**options: Any) -> Callable[[], Any]:
    return lambda: HistGradientBoostingClassifier(random_state=0, **options).fit(*data())


def xgboost(**options: Any) -> Callable[[], Any]:
    def fit() -> Any:
        library = pytest.importorskip("xgboost")
        return library.XGBClassifier(random_state=0, n_jobs=1, **options).fit(*data())

    return fit


def lightgbm(categorical: Any = "auto", **options: Any) -> Callable[[], Any]:
    def fit() -> Any:
        library = pytest.importorskip("lightgbm")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return library.LGBMClassifier(
                random_state=0, n_jobs=1, verbose=-1, min_data_per_group=5, **options
            ).fit(*data(), categorical_feature=categorical)

    return fit


def catboost(**options: Any) -> Callable[[], Any]:
    def fit() -> Any:
        library = pytest.importorskip("catboost")
        return library.CatBoostClassifier(
            random_seed=0, thread_count=1, verbose=0, allow_writing_files=False, **options
        ).fit(*data())

    return fit


def early_stopping() -> Any:
    library = pytest.importorskip("xgboost")
    rows, labels = data()
    model = library.XGBClassifier(n_estimators=100, early_stopping_rounds=2, n_jobs=1)
    return model.fit(rows[:1500], labels[:1500], eval_set=[(rows[1500:], labels[1500:])], verbose=0)


MODELS: dict[str, Callable[[], Any]] = {
    "hist": hist(max_iter=25),
    "hist_categories": hist(max_iter=25, categorical_features=[CATEGORICAL, 1]),
    "hist_many_stumps": hist(max_iter=150, max_depth=1),
    "gradient_boosting": lambda: GradientBoostingClassifier(n_estimators=30, random_state=0).fit(*data(0.0)),
    "gradient_boosting_zero": lambda: GradientBoostingClassifier(n_estimators=5, init="zero").fit(*data(0.0)),
    "xgboost": xgboost(n_estimators=30),
    "xgboost_base_score": xgboost(n_estimators=8, base_score=0.3, max_depth=3),
    "xgboost_categories": xgboost(
        n_estimators=25, enable_categorical=True, feature_types=["q", "q", "q", "c", "q", "q"]
    ),
    "xgboost_parallel_trees": xgboost(n_estimators=8, num_parallel_tree=3, subsample=0.5),
    "xgboost_early_stopping": early_stopping,
    "lightgbm": lightgbm(n_estimators=30),
    "lightgbm_categories": lightgbm([1, CATEGORICAL], n_estimators=25, cat_smooth=1),
    "lightgbm_zero_is_missing": lightgbm(n_estimators=25, zero_as_missing=True),
    "lightgbm_no_missing": lightgbm(n_estimators=25, use_missing=False),
    "catboost": catboost(iterations=30, depth=4),
    "catboost_nan_max": catboost(iterations=20, depth=4, nan_mode="Max", boost_from_average=True),
    "catboost_lossguide": catboost(iterations=20, grow_policy="Lossguide"),
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> Any:
    """Each model once, for all layouts."""
    return MODELS[request.param]()


def probes(model: Any, count: int, seed: int) -> Any:
    """Boundary rows, and half of the rows with whole categories, known and unknown."""
    rows = boundary_rows(model, count, seed=seed)
    rows[: count // 2, CATEGORICAL] = np.random.default_rng(seed).integers(-2, 15, count // 2)
    return rows


def test_numpy_form_equals_the_library(model: Any) -> None:
    form = as_tree_model(model)
    rows = probes(model, 20_000, 1)
    assert form is not None
    assert differing_bits(form.margins(rows), reference_scores(model, rows)) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_equals_the_library(
    connection: psycopg.Connection[Any], model: Any, layout: str
) -> None:
    rows = probes(model, 400, 2)
    assert differing_bits(scores(connection, model, rows, layout=layout), reference_scores(model, rows)) == 0


@pytest.mark.parametrize("expected_rows", [1, 10_000_000])
def test_bulk_equals_the_library(connection: psycopg.Connection[Any], model: Any, expected_rows: int) -> None:
    rows = probes(model, 400, 3)
    found = bulk_scores(connection, model, rows, expected_rows=expected_rows)
    assert differing_bits(found, reference_scores(model, rows)) == 0


def test_array_of_reals_equals_the_library_on_rounded_inputs(
    connection: psycopg.Connection[Any], model: Any
) -> None:
    rows = probes(model, 400, 4).astype(np.float32).astype(np.float64)
    found = scores(connection, model, rows, arguments="array")
    assert differing_bits(found, reference_scores(model, rows)) == 0


@pytest.mark.parametrize("memory_weight", [0.0, 100.0])
def test_every_plan_equals_the_library(
    connection: psycopg.Connection[Any], model: Any, memory_weight: float
) -> None:
    rows = probes(model, 200, 5)
    found = scores(connection, model, rows, memory_weight=memory_weight)
    assert differing_bits(found, reference_scores(model, rows)) == 0
