"""Boosted models are explained as forests are: against their libraries, and from training to the reasons of alerts."""

from __future__ import annotations

from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from rowguard.database import fetch_one
from rowguard.operations.doctor import diagnose
from rowguard.operations.reasons import explain, explain_alerts
from sql_scoring import registry
from sql_scoring.engine import as_form
from sql_scoring.explain._document import TRAINING, build_document
from sql_scoring.explain._leaves import read_leaves
from tests.db.api.conftest import _api_login, serving
from tests.db.explain.test_values import (
    FEATURES,
    TOLERANCE,
    _catalogs,
    _contributions,
    _register,
    _training_rows,
)
from tests.db.lifecycle.models import insert_rows
from tests.db.trainer.test_boosted_lifecycle import training_rows
from tests.fix_database import Workspace
from tests.oracle.tree_shap import tree_shap
from trainer.boosting import BoostingParameters
from trainer.evaluation import AlertBudget
from trainer.registration import register_file
from trainer.retrain import deploy
from trainer.training import train

Rows = NDArray[np.float32]
ALERT = (
    "INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (7, 4900, 3, 'BR')"
    " RETURNING transaction_id, fraud_probability, fraud_flag"
)


def _xgboost(features: Rows, is_fraud: Any) -> tuple[Any, Any, float]:
    library = pytest.importorskip("xgboost")
    model = library.XGBClassifier(n_estimators=12, max_depth=5, n_jobs=1).fit(features, is_fraud)

    def expected(rows: Rows) -> Any:
        return model.get_booster().predict(library.DMatrix(rows), pred_contribs=True)

    return model, expected, 2e-5  # the library adds float32


def _lightgbm(features: Rows, is_fraud: Any) -> tuple[Any, Any, float]:
    library = pytest.importorskip("lightgbm")
    features[:, 5] = np.nan_to_num(features[:, 5]).astype(int) % 7
    model = library.LGBMClassifier(n_estimators=12, num_leaves=9, min_child_samples=10, verbose=-1, n_jobs=1)
    model.fit(features, is_fraud, categorical_feature=[5])
    return model, lambda rows: model.predict(rows, pred_contrib=True), 1e-11


def _hist(features: Rows, is_fraud: Any) -> tuple[Any, Any, float]:
    model = HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=9, random_state=0).fit(
        features, is_fraud
    )
    trees = [predictor.nodes for (predictor,) in model._predictors]
    start = float(np.ravel(model._baseline_prediction)[0])

    def expected(rows: Rows) -> Any:
        values = np.array([_by_definition(trees, row) for row in rows])
        base = start + sum(_mean(nodes, rows[0], frozenset(), 0) for nodes in trees)
        return np.column_stack([values, np.full(len(rows), base)])

    return model, expected, TOLERANCE


def _by_definition(trees: list[Any], row: Rows) -> NDArray[np.float64]:
    outputs = {
        frozenset(subset): sum(_mean(nodes, row, frozenset(subset), 0) for nodes in trees)
        for size in range(FEATURES + 1)
        for subset in combinations(range(FEATURES), size)
    }
    values = np.zeros(FEATURES)
    for subset, output in outputs.items():
        for feature in set(range(FEATURES)) - subset:
            gain = outputs[subset | {feature}] - output
            values[feature] += gain / (FEATURES * comb(FEATURES - 1, len(subset)))
    return values


def _mean(nodes: Any, row: Rows, known: frozenset[int], number: int) -> float:
    """The value of a tree when only some features are known."""
    node = nodes[number]
    if node["is_leaf"]:
        return float(node["value"])
    value, children = row[node["feature_idx"]], (int(node["left"]), int(node["right"]))
    if node["feature_idx"] in known:
        is_left = node["missing_go_to_left"] if np.isnan(value) else value <= node["num_threshold"]
        return _mean(nodes, row, known, children[0 if is_left else 1])
    return sum(float(nodes[n]["count"] / node["count"]) * _mean(nodes, row, known, n) for n in children)


@pytest.mark.parametrize("fit", [_xgboost, _lightgbm, _hist])
def test_contributions_are_those_of_the_library(scored: Workspace, fit: Any) -> None:
    features, is_fraud = _training_rows(0)
    model, expected, tolerance = fit(features, is_fraud)
    rows = np.concatenate([features[:20], np.full((1, FEATURES), np.nan, np.float32)])
    names = [f"feature_{number}" for number in range(FEATURES)]
    form = as_form(model)
    document = build_document(read_leaves(form), names, features, _catalogs(names), TRAINING)
    with scored.connect() as connection:
        _register(connection, document)
        values = _contributions(connection, rows)
        base, margin_tolerance = fetch_one(
            connection, "SELECT base_value, tolerance FROM scoring.explanations WHERE version = 'rf_test'"
        )
    theirs = np.asarray(expected(rows), dtype=np.float64)
    assert np.abs(values - theirs[:, :-1]).max() <= tolerance
    assert np.abs(base - theirs[:, -1]).max() <= tolerance
    assert 0 < margin_tolerance < 1e-4
    assert np.abs(base + values.sum(axis=1) - form.margins(rows.astype(np.float64))).max() <= margin_tolerance


@pytest.mark.parametrize(
    ("family", "against"), [("hist", "training"), ("xgboost", "training"), ("lightgbm", "passed")]
)
def test_a_trained_model_is_explained(scored: Workspace, tmp_path: Path, family: Any, against: Any) -> None:
    if family != "hist":
        pytest.importorskip(family)
    settings = scored.settings.model_copy(update={"explain_against": against})
    parameters = BoostingParameters(family, n_estimators=30, max_leaf_nodes=8)
    record = train(scored.url, settings, parameters=parameters, rule=AlertBudget(0.2)).record
    assert record.explanation is not None and record.margin_cut is not None
    deploy(scored.url, settings, record.version, force=True)
    insert_rows(scored, 100)
    with scored.connect() as connection:
        transaction, probability, flag = fetch_one(connection, ALERT)
        output = fetch_one(
            connection,
            f"SELECT scoring.{record.version}(feature_values), tolerance FROM transactions, scoring.explanations"
            " WHERE transaction_id = %(transaction)s AND version = model_version",
            {"transaction": transaction},
        )
        codes = fetch_one(
            connection,
            "SELECT array_agg(reason_code ORDER BY rank) FROM explain_transaction(7, %(transaction)s)",
            {"transaction": transaction},
        )[0]
    assert flag == "FRAUD"
    document = explain(scored.url, 7, transaction, has_changes=True)
    total = document["base_value"] + sum(row["contribution"] for row in document["contributions"])
    assert document["output"] == "margin" and abs(total - output[0]) <= output[1] < 1e-4
    assert ("passed sample" if against == "passed" else "training rows") in document["background"]
    assert document["reasons"] and [row["reason_code"] for row in document["contributions"]] == codes
    for change in document["passing_changes"]:
        assert change["fraud_probability"] <= record.threshold < probability
    assert explain_alerts(scored.url, 1).explained >= 1
    check = next(check for check in diagnose(scored.url).checks if check.name == "explanations")
    assert check.status == "ok" and check.details["alerts_explained"] >= 1
    with _api_login(scored) as url, serving(url, tmp_path) as api:
        body = api.client.get(f"/transactions/7/{transaction}/explanation").json()
        assert body["contributions"] == document["contributions"] and body["reasons"] == document["reasons"]
        answer = api.client.post("/predict", json={"user_id": 7, "amount": 4900, "explain": True}).json()
        assert answer["explanation"]["output"] == "margin" and 0 <= answer["fraud_probability"] <= 1


def test_a_registered_forest_is_explained_by_its_training_weights(scored: Workspace, tmp_path: Path) -> None:
    rows, labels, names = training_rows(scored)
    forest = RandomForestClassifier(8, max_leaf_nodes=12, class_weight={0: 1.0, 1: 9.0}, random_state=0)
    forest.fit(rows.astype(np.float32), labels)
    forest.feature_names_in_ = np.array(names, dtype=object)
    joblib.dump(forest, tmp_path / "model.joblib")
    version = register_file(
        scored.url, scored.settings, tmp_path / "model.joblib", allow_pickle=True
    ).training.version
    deploy(scored.url, scored.settings, version, force=True)
    with scored.connect() as connection:
        values = _contributions(connection, rows[:10].astype(np.float32), version)
        assert registry.get_model(connection, version).margin_cut is None
    expected = [tree_shap(forest, row) for row in rows[:10].astype(np.float32)]
    assert np.abs(values - expected).max() <= TOLERANCE
