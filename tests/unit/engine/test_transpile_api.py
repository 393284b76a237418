"""The public entry: what it rejects, what it promises, how it is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from sql_scoring.engine import (
    LAYOUTS,
    SUPPORTED_MODELS,
    UnsupportedModelError,
    bitmask_cost,
    boundary_rows,
    forest_shape,
    reference_scores,
    transpile,
    transpile_for_bulk,
)

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 3))
LABELS = (ROWS[:, 0] + RNG.normal(size=200) > 0).astype(int)
FOREST = RandomForestClassifier(5, max_depth=4, random_state=0).fit(ROWS, LABELS)
NAMES = ["a", "b", "c"]


def write(model: Any = FOREST, **changes: Any) -> str:
    options: dict[str, Any] = {"feature_names": NAMES, "function_name": "scoring.m"} | changes
    return transpile(model, **options)


class Subclass(RandomForestClassifier):  # type: ignore[misc]
    """May predict in another way."""


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (RandomForestRegressor(2).fit(ROWS, LABELS), "RandomForestRegressor is not.*it is a regressor"),
        (LogisticRegression().fit(ROWS, LABELS), "BLAS"),
        (SVC().fit(ROWS, LABELS), "SVC is not supported.*Supported are: RandomForestClassifier"),
        (Subclass(2).fit(ROWS, LABELS), "Subclass is not supported"),
        (RandomForestClassifier(), "not fitted"),
        (RandomForestClassifier(2).fit(ROWS, np.column_stack([LABELS, LABELS])), "2 outputs"),
        (RandomForestClassifier(2).fit(ROWS, np.arange(200) % 3), r"3 class\(es\)"),
        (RandomForestClassifier(2).fit(ROWS, np.zeros(200)), r"1 class\(es\)"),
        (object(), "object is not supported"),
    ],
)
def test_models_are_rejected_by_name(model: Any, says: str) -> None:
    with pytest.raises(UnsupportedModelError, match=says):
        write(model)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"feature_names": ["a", "b"]}, "fitted on 3 features, 2 feature names"),
        ({"feature_names": ["a", "b", "a"]}, "'a' is given twice"),
        ({"feature_names": ["a", " ", "c"]}, "feature name 2 is empty"),
        ({"feature_names": ["a", "b", "ä" * 32]}, "64 bytes"),
        ({"feature_names": ["a", "b", "c\0"]}, "zero byte"),
        ({"feature_names": ["a", "b", "c\ud800"]}, "not valid Unicode"),
        ({"feature_names": ["a", "b", "$1"]}, "PostgreSQL's own name of an argument"),
        ({"feature_names": "abc"}, "one string"),
        ({"function_name": ""}, "empty"),
        ({"function_name": "x." + "y" * 64}, "64 bytes"),
        ({"function_name": "a.b.c"}, "more parts"),
        ({"layout": "walk"}, "there are: bitmask, case, nested_if"),
        ({"arguments": "json"}, "there are: columns, array"),
        ({"size_budget_bytes": 1500}, "max_leaf_nodes"),
        ({"size_budget_bytes": 1500, "layout": "case"}, "max_leaf_nodes"),
    ],
)
def test_arguments_are_rejected_with_a_reason(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UnsupportedModelError, match=says):
        write(**changes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_text_is_one_statement_and_always_the_same(layout: str) -> None:
    text = write(layout=layout)
    assert text == write(layout=layout)
    assert text.startswith('CREATE FUNCTION "scoring"."m"(\n  "a" double precision,\n')
    assert "RETURNS double precision\nLANGUAGE plpgsql IMMUTABLE PARALLEL SAFE\n" in text
    assert f"-- trees: 5, leaves: {forest_shape(FOREST).leaves}, features: 3, layout: {layout}\n" in text
    assert text.endswith("$rowguard$;\n")
    # Drivers and SQLAlchemy's text() take these for placeholders.
    assert "%" not in text
    assert "?" not in text


def test_hostile_names_stay_names() -> None:
    text = write(feature_names=['a"; DROP TABLE x; --', "$rowguard$", "v_sum"], function_name="scoring.m")
    assert '"a""; DROP TABLE x; --" double precision' in text
    assert text.count("$rowguard$") == 3  # the name, in quotes, before the body; and the body's two ends


def test_more_features_than_postgres_has_arguments() -> None:
    rows = RNG.normal(size=(60, 120))
    model = RandomForestClassifier(2, random_state=0).fit(rows, LABELS[:60])
    names = [f"f{number}" for number in range(120)]
    assert '"features" real[]' in write(model, feature_names=names, arguments="array")
    with pytest.raises(UnsupportedModelError, match="at most 100 arguments.*use arguments='array'"):
        write(model, feature_names=names)


def test_supported_models_are_these() -> None:
    assert set(SUPPORTED_MODELS) == {
        RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier,
    }  # fmt: skip


def test_boundary_rows_are_repeatable_and_accepted() -> None:
    rows = boundary_rows(FOREST, 500, seed=4)
    assert rows.shape == (500, 3)
    assert rows.dtype == np.float64
    assert rows.tobytes() == boundary_rows(FOREST, 500, seed=4).tobytes()
    assert rows.tobytes() != boundary_rows(FOREST, 500, seed=5).tobytes()
    assert np.isnan(rows).any()
    assert set(FOREST.estimators_[0].tree_.threshold[:1].tolist()) <= set(rows.ravel().tolist())
    assert np.isfinite(reference_scores(FOREST, rows)).all()


def test_reference_does_not_change_the_model() -> None:
    model = RandomForestClassifier(3, random_state=0, n_jobs=2).fit(ROWS, LABELS)
    reference_scores(model, ROWS)
    assert model.n_jobs == 2


def test_cost_grows_with_the_forest_and_the_estimate_of_the_text_is_close() -> None:
    larger = RandomForestClassifier(20, random_state=0).fit(ROWS, LABELS)
    small, large = bitmask_cost(FOREST), bitmask_cost(larger)
    assert small.microseconds < large.microseconds
    assert small.memory_bytes < large.memory_bytes
    assert large.text_bytes == pytest.approx(len(write(larger)), rel=0.25)


@pytest.mark.parametrize("write_form", [transpile, transpile_for_bulk])
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["b", "a", "c"], "feature name 1 is 'b', which the model was fitted on as feature 2"),
        (["amount", "c", "b"], "feature name 2 is 'c', which the model was fitted on as feature 3"),
    ],
)
def test_names_in_another_order_than_those_of_the_fit_are_rejected(
    write_form: Any, names: list[str], says: str
) -> None:
    model = DecisionTreeClassifier(max_depth=2).fit(ROWS, LABELS)
    model.feature_names_in_ = np.array(NAMES, dtype=object)  # as after a fit on a data frame
    options: dict[str, Any] = {"function_name": "m"}
    assert write_form(model, feature_names=NAMES, **options)
    assert write_form(model, feature_names=["amount", "b", "count"], **options)
    with pytest.raises(UnsupportedModelError, match=says):
        write_form(model, feature_names=names, **options)
    if write_form is transpile:
        with pytest.raises(UnsupportedModelError, match=says):
            transpile(model, feature_names=names, arguments="array", **options)


def test_engine_imports_nothing_else_of_the_project() -> None:
    program = (
        "import sys\n"
        "import sql_scoring.engine\n"
        "rooms = {name for name in sys.modules if name.split('.')[0] in {'rowguard', 'trainer'}}\n"
        "assert not rooms, rooms\n"
        "from sql_scoring import UnsupportedModelError, transpile\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
