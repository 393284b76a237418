"""Contributions from the database, against two independent computations and against the model's own output."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from rowguard.database import fetch_one
from sql_scoring import registry
from sql_scoring.engine import as_form, boundary_rows, reference_scores
from sql_scoring.explain import _document
from sql_scoring.explain._document import TRAINING, Background, build_document, passed_sample
from sql_scoring.explain._leaves import read_leaves
from tests.db.lifecycle.models import champion_of
from tests.fix_database import Workspace
from tests.oracle.tree_shap import brute_force, brute_force_against, tree_shap
from trainer.artifact import load_model

FEATURES = 6
TOLERANCE = 1e-12


def _training_rows(seed: int, rows: int = 800) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    features = random.lognormal(size=(rows, FEATURES)).round(2).astype(np.float32)
    risk = features[:, 0] + features[:, 1] * (features[:, 2] > 1) - 2
    is_fraud = (random.random(rows) < 1 / (1 + np.exp(-risk))).astype(np.int64)
    features[random.random(features.shape) < 0.15] = np.nan
    return features, is_fraud


def _fit(kind: Any, seed: int = 0, **parameters: Any) -> Any:
    features, is_fraud = _training_rows(seed)
    return kind(random_state=seed, **parameters).fit(features, is_fraud)


MODELS = {
    "forest": lambda: _fit(
        RandomForestClassifier, n_estimators=7, max_leaf_nodes=16, class_weight={0: 1.0, 1: 4.0}
    ),
    "extra trees": lambda: _fit(ExtraTreesClassifier, n_estimators=5, max_depth=6),
    "tree": lambda: _fit(DecisionTreeClassifier, min_samples_leaf=5),
    "single leaf": lambda: _fit(RandomForestClassifier, n_estimators=3, max_depth=1, min_samples_leaf=400),
}


def _register(connection: psycopg.Connection, document: str, version: str = "rf_test") -> None:
    connection.execute(
        "INSERT INTO scoring.models SELECT (jsonb_populate_record(m, jsonb_build_object("
        "'version', %s::text, 'state', 'candidate', 'explanation', %s::text))).* FROM scoring.models AS m LIMIT 1",
        [version, document],
    )
    connection.execute("SELECT scoring.build_explanation(%s)", [version])


def _document_of(model: Any, background: Background = TRAINING) -> str:
    names = [f"feature_{number}" for number in range(FEATURES)]
    return build_document(
        read_leaves(as_form(model)), names, _training_rows(0)[0], _catalogs(names), background
    )


def _catalogs(names: list[str]) -> dict[str, Any]:
    features = {
        name: {"theme": "x", "label": name, "unit": "", "high": "h", "low": "l", "missing": "m"}
        for name in names
    }
    texts = {"base": "%s", "usual": "%s %s", "unusual": "%s %s %s %s", "combination": "%s"}
    return {"en": {"version": "t", "texts": texts, "themes": {"x": "x"}, "features": features}}


def _contributions(
    connection: psycopg.Connection, rows: NDArray[np.float32], version: str = "rf_test"
) -> NDArray[np.float64]:
    """As single calls give them; checked against the statement over many rows, bit for bit."""
    values = [[None if value != value else float(value) for value in row] for row in rows]
    singles = [
        fetch_one(
            connection,
            "SELECT scoring.compute_contributions(e, %(row)s::real[]) FROM scoring.explanations AS e"
            " WHERE version = %(version)s",
            {"row": row, "version": version},
        )[0]
        for row in values
    ]
    many = connection.execute(
        "SELECT c.contributions FROM scoring.explanations AS e,"
        " LATERAL scoring.compute_contributions_of_rows(e, %s::real[]) AS c WHERE version = %s ORDER BY c.row_number",
        [[value for row in values for value in row], version],
    ).fetchall()
    assert [row for (row,) in many] == singles
    return np.array(singles)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["tables", "leaves"])
def test_contributions_are_shapley_values(
    scored: Workspace, name: str, form: Literal["tables", "leaves"], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[name]()
    if form == "leaves":
        monkeypatch.setattr(_document, "MAX_STATES", 0)
    rows = np.concatenate(
        [boundary_rows(model, 15, seed=1), _training_rows(3, 10)[0], np.full((1, FEATURES), np.nan)]
    )
    stored = rows.astype(np.float32)
    with scored.connect() as connection:
        _register(connection, _document_of(model))
        has_tables = connection.execute(
            "SELECT group_count IS NOT NULL FROM scoring.explanations WHERE version = 'rf_test'"
        ).fetchone()
        assert has_tables == (form == "tables",)
        values = _contributions(connection, stored)
        base = connection.execute("SELECT base_value('rf_test')").fetchone()
    assert base is not None
    assert np.abs(values - [tree_shap(model, row) for row in stored]).max() <= TOLERANCE
    assert np.abs(values - [brute_force(model, row) for row in stored]).max() <= TOLERANCE
    assert (
        np.abs(base[0] + values.sum(axis=1) - reference_scores(model, stored.astype(np.float64))).max()
        <= TOLERANCE
    )


@pytest.mark.parametrize("form", ["tables", "leaves"])
def test_contributions_against_a_sample_of_passed_rows(
    scored: Workspace, form: Literal["tables", "leaves"], monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "leaves":
        monkeypatch.setattr(_document, "MAX_STATES", 0)
    model = MODELS["forest"]()
    passed = _training_rows(4, 60)[0]
    sample = passed_sample(passed, size=40)
    assert sample.rows is not None and passed_sample(passed, size=40).name == sample.name
    rows = _training_rows(5, 20)[0]
    with scored.connect() as connection:
        _register(connection, _document_of(model, sample))
        values = _contributions(connection, rows)
        base, background = fetch_one(
            connection, "SELECT base_value, background FROM scoring.explanations WHERE version = 'rf_test'"
        )
    expected = [
        brute_force_against(
            lambda inputs: model.predict_proba(inputs)[:, 1], row, sample.rows.astype(np.float32)
        )
        for row in rows
    ]
    assert np.abs(values - expected).max() <= TOLERANCE
    assert abs(base - model.predict_proba(sample.rows)[:, 1].mean()) <= TOLERANCE
    assert background == sample.name and "40 rows" in background


def test_margins_of_boosted_models(scored: Workspace) -> None:
    """Against the definition, on a library whose branches hold categories as unions of intervals."""
    features, is_fraud = _training_rows(0)
    features[:, 5] = np.nan_to_num(features[:, 5]).astype(int) % 7
    model = HistGradientBoostingClassifier(
        max_iter=8, max_leaf_nodes=8, categorical_features=[5], random_state=0
    ).fit(features, is_fraud)
    sample, rows = passed_sample(features[:50]), features[50:70]
    assert sample.rows is not None
    names = [f"feature_{number}" for number in range(FEATURES)]
    document = build_document(read_leaves(as_form(model)), names, features, _catalogs(names), sample)
    with scored.connect() as connection:
        _register(connection, document)
        values = _contributions(connection, rows)
        base = fetch_one(connection, "SELECT base_value('rf_test')")[0]

    def margins(inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = model.decision_function(inputs)
        return result

    expected = [brute_force_against(margins, row, sample.rows.astype(np.float32)) for row in rows]
    assert np.abs(values - expected).max() <= TOLERANCE
    assert np.abs(base + values.sum(axis=1) - margins(rows)).max() <= TOLERANCE


def test_the_champion_explains_200_rows(scored: Workspace) -> None:
    champion = champion_of(scored)
    assert champion is not None
    with scored.connect() as connection:
        record = registry.get_model(connection, champion)
        forest = load_model(scored.settings.state_dir, record)
        trained = connection.execute("SELECT feature_values FROM features.training_set LIMIT 100").fetchall()
        known = np.array([[np.nan if v is None else v for v in values] for (values,) in trained], np.float32)
        rows = np.concatenate([known, boundary_rows(forest, 100, seed=2).astype(np.float32)])
        values = _contributions(connection, rows, champion)
        base = connection.execute("SELECT base_value()").fetchone()
    assert base is not None
    assert np.abs(values - [tree_shap(forest, row) for row in rows]).max() <= TOLERANCE
    assert (
        np.abs(base[0] + values.sum(axis=1) - reference_scores(forest, rows.astype(np.float64))).max()
        <= TOLERANCE
    )


def test_the_same_model_gives_the_same_document(scored: Workspace) -> None:
    assert _document_of(MODELS["forest"]()) == _document_of(MODELS["forest"]())


def test_tables_are_rebuilt_with_the_same_rows(scored: Workspace) -> None:
    states = "SELECT md5(string_agg(s::text, ',' ORDER BY block_key)) FROM (SELECT block_key, packed FROM scoring.explanation_states) AS s"
    with scored.connect() as connection:
        before = connection.execute(states).fetchone()
        connection.execute("SELECT scoring.build_explanation(version) FROM scoring.explanations")
        assert connection.execute(states).fetchone() == before
        assert connection.execute("SELECT count(*) FROM scoring.explanation_conditions").fetchone() == (0,)
