"""The fitted model as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import RegistryError
from sql_scoring import transpile
from trainer.artifact import artifact_path, load_artifact, save_artifact
from trainer.forest import ForestParameters, fit_forest, predict_fraud_probability

NAMES = ["a", "b", "c"]
SMALL = ForestParameters(n_estimators=4, max_leaf_nodes=8, min_samples_leaf=1)


def fitted(*, n_jobs: int = 1, seed: int = 0) -> RandomForestClassifier:
    random = np.random.default_rng(5)
    features = random.normal(size=(400, 3)).astype(np.float32)
    features[random.random((400, 3)) < 0.1] = np.nan
    is_fraud = np.nan_to_num(features[:, 0]) + random.normal(size=400) > 1
    return fit_forest(features, is_fraud, replace(SMALL, random_state=seed), n_jobs=n_jobs)


def sql_of(forest: RandomForestClassifier) -> str:
    return transpile(forest, feature_names=NAMES, function_name="scoring.model", layout="bitmask")


def test_what_is_loaded_scores_as_what_was_saved(tmp_path: Path) -> None:
    forest, path = fitted(), artifact_path(tmp_path, "rf_1")
    loaded = load_artifact(path, save_artifact(forest, path))
    rows = np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32)
    assert np.array_equal(predict_fraud_probability(loaded, rows), predict_fraud_probability(forest, rows))
    assert path == tmp_path / "artifacts" / "rf_1.joblib"
    assert [one.name for one in path.parent.iterdir()] == ["rf_1.joblib"]


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: b""])
def test_a_file_that_was_changed_is_not_unpickled(tmp_path: Path, change: object) -> None:
    path = artifact_path(tmp_path, "rf_1")
    sha256 = save_artifact(fitted(), path)
    assert callable(change)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RegistryError, match=r"rf_1\.joblib is not the registered one; train again"):
        load_artifact(path, sha256)


def test_a_lost_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"the artifact rf_1\.joblib is missing; train again"):
        load_artifact(artifact_path(tmp_path, "rf_1"), "0" * 64)


def test_the_same_rows_give_the_same_sql_and_the_same_file(tmp_path: Path) -> None:
    one, other = fitted(n_jobs=1), fitted(n_jobs=2)
    assert sql_of(one) == sql_of(other)
    assert save_artifact(one, tmp_path / "one.joblib") == save_artifact(other, tmp_path / "other.joblib")
    assert sql_of(one) != sql_of(fitted(seed=1))


def test_a_fitted_forest_predicts_with_one_job() -> None:
    assert fitted(n_jobs=2).n_jobs == 1
