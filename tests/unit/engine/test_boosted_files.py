"""Loaders of boosted models: every file gives its library's margins, and what is not supported is named."""

from __future__ import annotations

import json
import math
import pickle
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)

from sql_scoring.engine import (
    UnsupportedModelError,
    as_form,
    as_tree_model,
    bitmask_cost,
    boundary_rows,
    forest_shape,
    load_model_file,
    margin_cut,
    reference_probabilities,
    reference_scores,
    returns_margin,
    transpile,
)
from sql_scoring.engine._trees import Interval, Split, complement, union

MODELS = Path(__file__).parent / "models"
ROWS: np.ndarray = runpy.run_path(str(MODELS / "make.py"))["ROWS"]
MARGINS: dict[str, list[float]] = json.loads((MODELS / "margins.json").read_text(encoding="utf-8"))
FILES = {
    "xgboost.json": "xgboost",
    "xgboost.ubj": "xgboost",
    "lightgbm.txt": "lightgbm",
    "catboost.json": "catboost",
}
NAMES = ("amount", "user_txn_count_1h", "is_home_location", "merchant_category")
RNG = np.random.default_rng(0)
SMALL = RNG.normal(size=(200, 3))
LABELS = (SMALL[:, 0] + RNG.normal(size=200) > 0).astype(int)


@pytest.mark.parametrize("name", FILES)
def test_file_gives_the_margins_of_its_library(name: str) -> None:
    model = load_model_file(MODELS / name)
    assert model.feature_names_in_ == NAMES
    assert model.margins(ROWS).tobytes() == np.array(MARGINS[FILES[name]]).tobytes()
    assert forest_shape(model).trees == 6
    assert bitmask_cost(model).microseconds > 0


def test_both_formats_of_xgboost_are_the_same_model() -> None:
    texts = {
        transpile(load_model_file(MODELS / name), feature_names=NAMES, function_name="m")
        for name in ("xgboost.json", "xgboost.ubj")
    }
    assert len(texts) == 1


@pytest.mark.parametrize("name", FILES)
def test_every_cut_off_file_is_rejected(tmp_path: Path, name: str) -> None:
    data = (MODELS / name).read_bytes()
    file = tmp_path / name
    ends = {0, 1, 5, *range(20, len(data) - 10, max(1, len(data) // 60))}
    if name == "lightgbm.txt":  # what follows the trees is not needed
        ends = {end for end in ends if end < data.index(b"end of trees")}
    for end in sorted(ends):
        file.write_bytes(data[:end])
        with pytest.raises(UnsupportedModelError):
            load_model_file(file)


def changed(name: str, change: Callable[[Any], Any], tmp_path: Path) -> Path:
    """A file with a changed document or text."""
    file = tmp_path / name
    text = (MODELS / name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        document = json.loads(text)
        change(document)
        file.write_text(json.dumps(document), encoding="utf-8")
    else:
        other = change(text)
        assert other != text
        file.write_text(other, encoding="utf-8")
    return file


def learner(document: Any) -> Any:
    return document["learner"]


REJECTED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("xgboost.json", lambda d: d.update(version=[1, 7, 6]), "written by XGBoost 1.7.6, versions 2.0 to 3.4"),
    ("xgboost.json", lambda d: d.update(version=[4, 0, 0]), "written by XGBoost 4.0.0"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"].update(name="dart"), "'dart' is not supported: XGBoost's"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"].update(name="gblinear"), "it has no trees"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"].update(weight_drop=[1]), "holds weight_drop"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"]["model"].update(new=1), "holds new"),
    ("xgboost.json", lambda d: learner(d)["objective"].update(name="reg:squarederror"), "'reg:squarederror'"),
    ("xgboost.json", lambda d: learner(d)["objective"].update(name="multi:softprob"), "'multi:softprob'"),
    ("xgboost.json", lambda d: learner(d)["learner_model_param"].update(num_class="3"), "several classes"),
    ("xgboost.json", lambda d: learner(d)["learner_model_param"].update(base_score="0"), "no probability"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"]["model"]["cats"].update(enc=["a"]), "data frame"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"]["model"]["trees"][0].update(left_children=[5, -1]),
     "damaged"),
    ("xgboost.json", lambda d: learner(d)["gradient_booster"]["model"]["trees"][0].pop("default_left"), "damaged"),
    ("xgboost.json", lambda d: d.pop("learner"), "neither of XGBoost nor of CatBoost"),
    ("lightgbm.txt", lambda t: t.replace("version=v4", "version=v2"), "'v2', v3 and v4 are supported"),
    ("lightgbm.txt", lambda t: t.replace("objective=binary sigmoid:1", "objective=regression"), "'regression'"),
    ("lightgbm.txt", lambda t: t.replace("objective=binary sigmoid:1\n", ""), "'none'.*no custom objective"),
    ("lightgbm.txt", lambda t: t.replace("sigmoid:1", "sigmoid:2"), "another sigmoid"),
    ("lightgbm.txt", lambda t: t.replace("num_class=1", "num_class=3"), "several classes"),
    ("lightgbm.txt", lambda t: t.replace("is_linear=0", "is_linear=1"), "linear leaves"),
    ("lightgbm.txt", lambda t: t.replace("label_index=0", "label_index=0\naverage_output"), "boosting=rf"),
    ("lightgbm.txt", lambda t: t.replace("pandas_categorical:null", 'pandas_categorical:[["a"]]'), "data frame"),
    ("lightgbm.txt", lambda t: t.replace("leaf_value=", "leaf_value=nan ", 1), "damaged"),
    ("lightgbm.txt", lambda t: t.replace("left_child=", "left_child=7 ", 1), "damaged"),
    ("catboost.json", lambda d: d["features_info"].update(categorical_features=[{}]), "has categorical features"),
    ("catboost.json", lambda d: d["model_info"]["params"]["loss_function"].update(type="MultiClass"), "'MultiClass'"),
    ("catboost.json", lambda d: d["model_info"]["params"]["loss_function"].update(type="RMSE"), "'RMSE'"),
    ("catboost.json", lambda d: d.update(scale_and_bias=[2, [0]]), "another scale"),
    ("catboost.json", lambda d: d["oblivious_trees"][0].update(leaf_values=[1.0]), "damaged"),
    ("catboost.json", lambda d: d.pop("scale_and_bias"), "damaged"),
    ("catboost.json", lambda d: d["oblivious_trees"][0]["splits"][0].update(split_type="OneHotFeature"), "OneHot"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "says"), REJECTED, ids=[says for _, _, says in REJECTED])
def test_what_is_not_supported_is_named(
    tmp_path: Path, name: str, change: Callable[[Any], Any], says: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=says) as caught:
        load_model_file(changed(name, change, tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04pickle", b"CBM1....", b"binf....", b"hello", b"{}", b'{"a": 1}', b"[1]"]
)
def test_other_files_are_rejected(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(data)
    with pytest.raises(UnsupportedModelError, match="model.bin"):
        load_model_file(file)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (HistGradientBoostingClassifier(), "not fitted"),
        (GradientBoostingClassifier(), "not fitted"),
        (HistGradientBoostingClassifier(max_iter=2).fit(SMALL, np.arange(200) % 3), r"3 class\(es\)"),
        (GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(SMALL, LABELS), "'exponential'"),
        (GradientBoostingClassifier(n_estimators=2, init=GradientBoostingClassifier(n_estimators=1)).fit(SMALL, LABELS),
         "another estimator"),
    ],
)  # fmt: skip
def test_objects_are_rejected_by_name(model: Any, says: str) -> None:
    with pytest.raises(UnsupportedModelError, match=says):
        transpile(model, feature_names=["a", "b", "c"], function_name="m")


def test_categories_of_text_are_rejected() -> None:
    pytest.importorskip("pandas")
    import pandas

    frame = pandas.DataFrame({"a": pandas.Categorical(np.where(LABELS, "x", "y")), "b": SMALL[:, 1]})
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(frame, LABELS)
    with pytest.raises(UnsupportedModelError, match="categories of text"):
        as_tree_model(model)


def test_output_is_the_margin_only() -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(SMALL, LABELS)
    names: dict[str, Any] = {"feature_names": ["a", "b", "c"], "function_name": "m"}
    assert transpile(model, **names) == transpile(model, output="margin", **names)
    assert "as HistGradientBoostingClassifier.decision_function(X)" in transpile(model, **names)
    with pytest.raises(UnsupportedModelError, match="goes through exp"):
        transpile(model, output="probability", **names)


def test_margin_of_a_form_is_that_of_the_object() -> None:
    model = HistGradientBoostingClassifier(max_iter=20).fit(SMALL, LABELS)
    form = as_tree_model(model)
    assert form is not None
    rows = boundary_rows(form, 2000, seed=3)
    assert reference_scores(form, rows).tobytes() == reference_scores(model, rows).tobytes()


def test_unions_of_intervals() -> None:
    inf = math.inf
    assert union([(3.0, 4.0), (1.0, 2.0), (2.0, 2.5), (7.0, 7.0)]) == ((1.0, 2.5), (3.0, 4.0))
    assert complement(((1.0, 2.0), (3.0, inf))) == ((-inf, 1.0), (2.0, 3.0))
    assert complement(()) == ((-inf, inf),)
    split = Split(0, 6.0, missing_left=False, pieces=((1.0, 2.0), (5.0, 6.0)))
    left = Interval().narrowed(split, left=True)
    assert left == Interval(1.0, 6.0, False, ((2.0, 5.0),))
    assert left.narrowed(Split(0, 4.0, missing_left=True), left=True) == Interval(1.0, 2.0, False)
    right = Interval().narrowed(split, left=False)
    assert right.pieces == ((-inf, 1.0), (2.0, 5.0), (6.0, inf)) and right.missing
    assert left.narrowed(split, left=False).is_empty


@pytest.mark.parametrize("name", FILES)
def test_cut_equals_the_threshold_on_the_probability(name: str) -> None:
    model = load_model_file(MODELS / name)
    rows = boundary_rows(model, 3000, seed=2)
    margins = model.margins(rows)
    probabilities = reference_probabilities(model, margins)
    for threshold in [*np.random.default_rng(0).choice(probabilities, 40).tolist(), 0.5, 0.01, 0.999]:
        cut = margin_cut(model, threshold)
        assert ((margins >= cut) == (probabilities >= threshold)).all()
    assert margin_cut(model, 0.0) < -700 and margin_cut(model, 1.1) > 700
    assert abs(margin_cut(model, 0.5)) < 1e-6


def test_a_forest_has_no_cut() -> None:
    with pytest.raises(UnsupportedModelError, match="has no margin"):
        margin_cut(RandomForestClassifier(2, max_depth=2).fit(SMALL, LABELS), 0.5)


@pytest.mark.parametrize("name", FILES)
def test_a_stored_model_is_the_same_model(name: str) -> None:
    model = load_model_file(MODELS / name)
    restored = pickle.loads(pickle.dumps(model))
    given: dict[str, Any] = {"feature_names": NAMES, "function_name": "m"}
    assert transpile(restored, **given) == transpile(model, **given)


def test_features_are_matched_by_name() -> None:
    model = load_model_file(MODELS / "xgboost.json")
    names = ["other", *reversed(NAMES)]
    matched = model.matched(names)
    rows = np.column_stack([np.zeros(len(ROWS)), ROWS[:, ::-1]])
    assert matched.margins(rows).tobytes() == model.margins(ROWS).tobytes()
    assert matched.n_features_in_ == 5 and model.n_features_in_ == 4
    assert matched.comparison_fractions()[0] == 0 and sum(matched.comparison_fractions()) == pytest.approx(1)


def test_a_forest_as_form_is_the_forest() -> None:
    forest = RandomForestClassifier(7, max_depth=4, random_state=0).fit(SMALL, LABELS)
    form = as_form(forest)
    rows = boundary_rows(forest, 2000, seed=1)
    assert form.margins(rows).tobytes() == reference_scores(forest, rows).tobytes()
    assert not form.is_margin and not returns_margin(form)
    assert "Probability of the second class" in transpile(
        form, feature_names=["a", "b", "c"], function_name="m"
    )
