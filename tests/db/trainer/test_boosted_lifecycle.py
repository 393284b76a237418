"""Boosted models through their whole life: trained or registered, gated, deployed, replayed, rescored."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline

from rowguard.errors import FeatureMismatchError, ParityError, RegistryError, SettingsError
from rowguard.operations.reasons import explain
from rowguard.operations.rescore import rescore
from sql_scoring import registry
from sql_scoring.deployment import check_parity
from sql_scoring.engine import TreeModel, boundary_rows
from tests.db.lifecycle.models import SMALL as FOREST
from tests.db.lifecycle.models import insert_rows
from tests.fix_database import Workspace
from trainer import model_files, registration
from trainer.artifact import load_model
from trainer.boosting import BoostingParameters
from trainer.dataset import read_feature_list
from trainer.evaluation import AlertBudget, ExpectedCost
from trainer.model_files import ModelFileError, load_with_library, read_model
from trainer.registration import FixedThreshold, register_file
from trainer.rethreshold import change_threshold
from trainer.retrain import deploy, promote, rollback, verify
from trainer.training import train
from trainer.window import read_window

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"n_estimators": 40, "max_leaf_nodes": 8}


def training_rows(workspace: Workspace) -> tuple[Any, Any, list[str]]:
    with workspace.connect() as connection:
        names = list(read_feature_list(connection).names)
        rows = read_window(workspace.url, timedelta(days=7), None, None).earlier
    return rows.features.astype(np.float64), rows.is_fraud.astype(int), names


@pytest.mark.parametrize("family", ["hist", "xgboost", "lightgbm"])
def test_a_boosted_model_lives_as_a_forest_does(scored: Workspace, family: Any) -> None:
    if family != "hist":
        pytest.importorskip(family)
    result = train(scored.url, scored.settings, parameters=BoostingParameters(family, **SMALL))
    record = result.record
    assert record.version.startswith("gb_") and record.margin_cut is not None
    assert result.evaluation.auc > 0.7 and len(record.metrics["seed_std"]) == 2
    assert "part of all comparisons" in result.card.read_text()
    deploy(scored.url, scored.settings, record.version, role="challenger", canary_percent=30, force=True)
    insert_rows(scored, 300)
    assert verify(scored.url, scored.settings).is_ok
    promote(scored.url, scored.settings, force=True)
    insert_rows(scored, 300)
    report = verify(scored.url, scored.settings)
    assert report.is_ok and report.champion == record.version and report.checks["replayed_rows"] > 300
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT fraud_flag = 'FRAUD' OR is_control, fraud_probability >= %s, model_version"
            " FROM transactions WHERE model_version = %s",
            [record.threshold, record.version],
        ).fetchall()
        assert rows and all(flag == reaches for flag, reaches, _ in rows)
        with_shadow = connection.execute(
            "SELECT count(*) FROM transactions WHERE shadow_version = %s AND shadow_probability BETWEEN 0 AND 1",
            [record.version],
        ).fetchone()
        assert with_shadow and with_shadow[0] > 100
        model = load_model(scored.settings.state_dir, registry.get_model(connection, record.version))
        around = boundary_rows(model, 20_000, seed=5)
        assert check_parity(connection, record, model, around).differences == 0
    rollback(scored.url, scored.settings)
    assert verify(scored.url, scored.settings).is_ok


def test_a_wrong_cut_is_found_before_it_decides(scored: Workspace) -> None:
    record = train(scored.url, scored.settings, parameters=BoostingParameters(**SMALL)).record
    assert record.margin_cut is not None
    with scored.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(record.function_text().encode())
        model = load_model(scored.settings.state_dir, record)
        rows = np.repeat(boundary_rows(model, 2_000, seed=1), 2, axis=0)
        with pytest.raises(ParityError, match="decided differently"):
            check_parity(connection, replace(record, margin_cut=record.margin_cut + 1.0), model, rows)
        connection.execute(
            "UPDATE scoring.models SET margin_cut = margin_cut + 1 WHERE version = %s", [record.version]
        )
        with pytest.raises(RegistryError, match="not the one that was trained"):
            registry.get_model(connection, record.version).function_text()


def test_rescoring_with_both_forms_gives_the_same_decisions(scored: Workspace) -> None:
    record = train(scored.url, scored.settings, parameters=BoostingParameters(**SMALL)).record
    deploy(scored.url, scored.settings, record.version, force=True)
    for table, bulk_from_rows in (("one", 10**9), ("many", 1)):
        result = rescore(
            scored.url,
            scored.settings,
            output_table=f"public.{table}",
            build=False,
            bulk_from_rows=bulk_from_rows,
        )
        assert result.form == ("bulk" if table == "many" else "deployed") and result.rows > 1000
    with scored.connect() as connection:
        differing = connection.execute(
            "SELECT count(*) FROM one FULL JOIN many USING (user_id, transaction_id)"
            " WHERE (one.fraud_probability, one.fraud_flag) IS DISTINCT FROM (many.fraud_probability, many.fraud_flag)"
        ).fetchone()
    assert differing == (0,)


def test_shown_probability_and_flag_agree_at_the_cut(migrated: Workspace) -> None:
    query = "SELECT scoring.margin_to_probability(m, 0.5, 0.7, 0.6999) FROM unnest(%s::float8[]) m"
    margins = [-1e308, -800.0, -1.0, math.nextafter(0.5, 0), 0.5, 3.0, 800.0, 1e308, None]
    with migrated.connect() as connection:
        shown = [value for (value,) in connection.execute(query, [margins])]
    assert shown[-1] is None and 0 < shown[0] < 1e-300 and shown[2] == pytest.approx(1 / (1 + math.e))
    assert shown[3] == pytest.approx(1 / (1 + math.exp(-0.5))) and shown[3] < 0.7
    assert (
        shown[4] == 0.7 and shown[5] == pytest.approx(1 / (1 + math.exp(-3))) and shown[6] == shown[7] == 1.0
    )


def xgboost_file(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    library = pytest.importorskip("xgboost")
    model = library.XGBClassifier(n_estimators=20, max_depth=3).fit(rows, labels)
    model.get_booster().feature_names = names
    model.get_booster().save_model(folder / "model.ubj")
    return folder / "model.ubj"


def lightgbm_file(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    library = pytest.importorskip("lightgbm")
    model = library.LGBMClassifier(n_estimators=20, num_leaves=8, verbose=-1)
    model.fit(rows, labels, feature_name=names).booster_.save_model(folder / "model.txt")
    return folder / "model.txt"


def skops_file(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    io = pytest.importorskip("skops.io")
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8).fit(rows, labels)
    model.feature_names_in_ = np.array(names, dtype=object)
    io.dump(model, folder / "model.skops")
    return folder / "model.skops"


def gradient_boosting_pickle(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    model = GradientBoostingClassifier(n_estimators=15, random_state=0).fit(np.nan_to_num(rows), labels)
    model.feature_names_in_ = np.array(names, dtype=object)
    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


def catboost_file(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    """As CatBoost writes it: two conditions per tree, which hold above the border."""
    trees = []
    for first, second in ((0, 1), (1, 2), (3, 0)):
        columns = [(n, float(np.float32(np.nanquantile(rows[:, n], 0.9)))) for n in (first, second)]
        above = np.stack([rows[:, n] > border for n, border in columns])
        code = above[0] + 2 * above[1]
        rates = [(labels[code == leaf].sum() + 0.5) / ((code == leaf).sum() + 20) for leaf in range(4)]
        splits = [
            {"split_type": "FloatFeature", "float_feature_index": n, "border": border}
            for n, border in columns
        ]
        values = [math.log(rate / (1 - rate)) for rate in rates]
        weights = [int((code == leaf).sum()) for leaf in range(4)]
        trees.append({"splits": splits, "leaf_values": values, "leaf_weights": weights})
    features = [
        {"feature_index": n, "flat_feature_index": n, "feature_id": name, "nan_value_treatment": "AsIs"}
        for n, name in enumerate(names)
    ]
    document = {
        "model_info": {
            "params": {"loss_function": {"type": "Logloss"}},
            "catboost_version_info": "Git info:\n    Branch: tags/v1.2.10",
        },
        "features_info": {"float_features": features},
        "scale_and_bias": [1, [0.0]],
        "oblivious_trees": trees,
    }
    (folder / "model.json").write_text(json.dumps(document))
    return folder / "model.json"


def forest_pickle(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    model = RandomForestClassifier(20, max_leaf_nodes=16, random_state=0).fit(rows, labels)
    model.feature_names_in_ = np.array(names, dtype=object)
    joblib.dump(make_pipeline("passthrough", model), folder / "model.joblib")
    return folder / "model.joblib"


@pytest.mark.parametrize(
    "write",
    [xgboost_file, lightgbm_file, catboost_file, skops_file, gradient_boosting_pickle, forest_pickle],
)
def test_a_strangers_model_becomes_champion(scored: Workspace, tmp_path: Path, write: Any) -> None:
    rows, labels, names = training_rows(scored)
    order = [7, 0, 3, 1, 5, 2]  # some of the list, in another order
    file = write(tmp_path, rows[:, order], labels, [names[n] for n in order])
    result = register_file(scored.url, scored.settings, file, allow_pickle=file.suffix == ".joblib")
    record = result.training.record
    assert set(result.unused_features) == set(names) - {names[n] for n in order}
    assert record.feature_names == names and record.metrics["source"] == file.name
    expected = {
        xgboost_file: "compared with xgboost 3",
        lightgbm_file: "compared with lightgbm 4",
        catboost_file: "not compared with catboost",
        gradient_boosting_pickle: "takes no missing values",
    }
    assert expected.get(write, "") in " ".join(result.notes)
    assert "fitted elsewhere" in result.training.card.read_text()
    assert register_file(scored.url, scored.settings, file, allow_pickle=True).training.is_new is False
    deploy(scored.url, scored.settings, record.version, role="challenger", canary_percent=50)
    insert_rows(scored, 100)
    promote(scored.url, scored.settings)
    insert_rows(scored, 100)
    report = verify(scored.url, scored.settings)
    assert report.is_ok and report.champion == record.version


def test_a_file_is_compared_with_its_library(
    scored: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("lightgbm")
    rows, labels, names = training_rows(scored)
    file = lightgbm_file(tmp_path, rows, labels, names)
    other = library.LGBMClassifier(n_estimators=3, num_leaves=4, verbose=-1).fit(rows, labels)
    monkeypatch.setattr(registration, "load_with_library", lambda path, form: (other.booster_, ""))
    with pytest.raises(ParityError, match="scores of lightgbm, format v4 differ from its model as read here"):
        register_file(scored.url, scored.settings, file)
    form = read_model(file)
    monkeypatch.setattr(model_files, "find_spec", lambda name: None)
    assert load_with_library(file, form) == (
        None,
        "not compared with lightgbm, which is not installed here: pip install 'rowguard[lightgbm]'",
    )
    monkeypatch.undo()
    file.write_text(file.read_text()[:200])
    model, note = load_with_library(file, form)
    assert (
        model is None
        and note.startswith("not compared with lightgbm 4")
        and "which cannot load the file" in note
    )


def test_files_are_rejected_in_one_line(scored: Workspace, tmp_path: Path) -> None:
    rows, labels, names = training_rows(scored)
    forest = RandomForestClassifier(5, max_leaf_nodes=8, random_state=0).fit(rows, labels)
    pickled = tmp_path / "forest.pkl"
    pickled.write_bytes(pickle.dumps(forest))
    cut_off = tmp_path / "cut.pkl"
    cut_off.write_bytes(pickled.read_bytes()[:500])
    scaled = tmp_path / "scaled.joblib"
    from sklearn.preprocessing import StandardScaler

    joblib.dump(make_pipeline(StandardScaler(), forest), scaled)
    other = tmp_path / "model.json"
    other.write_text(json.dumps({"weights": [1]}))
    skops = tmp_path / "bad.skops"
    skops.write_bytes(b"PK\x03\x04nothing")
    cases: list[tuple[Path, dict[str, Any], type[Exception], str]] = [
        (tmp_path / "none.json", {}, ModelFileError, "cannot be read: No such file"),
        (pickled, {}, ModelFileError, "is a pickle, which runs code.*--allow-pickle"),
        (pickled, {"allow_pickle": True}, FeatureMismatchError, "give --features"),
        (pickled, {"allow_pickle": True, "features": ["a"]}, FeatureMismatchError, "features, --features names 1"),
        (pickled, {"allow_pickle": True, "features": [*names[:-1], "shoe_size"]}, FeatureMismatchError,
         "features that the list lacks: shoe_size"),
        (pickled, {"allow_pickle": True, "features": [names[0]] * len(names)}, ModelFileError, "occurs twice"),
        (cut_off, {"allow_pickle": True}, ModelFileError, "cannot be loaded"),
        (scaled, {"allow_pickle": True}, ModelFileError, "changes its inputs in standardscaler"),
        (other, {}, ModelFileError, "neither of XGBoost nor of CatBoost"),
        (skops, {}, ModelFileError, "no model file that is known"),
    ]  # fmt: skip
    for path, options, error, says in cases:
        with pytest.raises(error, match=says) as caught:
            register_file(scored.url, scored.settings, path, **options)
        assert "\n" not in str(caught.value)
    with scored.connect() as connection:
        assert len(registry.list_models(connection)) == 1
    result = register_file(scored.url, scored.settings, pickled, allow_pickle=True, features=names,
                           rule=FixedThreshold(0.4))  # fmt: skip
    assert result.training.threshold == 0.4 and result.unused_features == ()


def test_another_threshold_is_a_deployment(scored: Workspace) -> None:
    boosted = train(scored.url, scored.settings, parameters=BoostingParameters(**SMALL)).record
    deploy(scored.url, scored.settings, boosted.version, force=True)
    trial = change_threshold(scored.url, scored.settings, AlertBudget(0.03), dry_run=True)
    assert trial.version is None and trial.after.alert_rate > trial.before.alert_rate
    change = change_threshold(scored.url, scored.settings, AlertBudget(0.03), force=True)
    assert change.version and change.deployment and change.deployment.previous == boosted.version
    with scored.connect() as connection:
        record = registry.get_model(connection, change.version)
    assert record.threshold == change.threshold and record.margin_cut != boosted.margin_cut
    insert_rows(scored, 50)
    assert verify(scored.url, scored.settings).is_ok
    with pytest.raises(RegistryError, match="already; nothing changed"):
        change_threshold(scored.url, scored.settings, FixedThreshold(change.threshold))
    cheaper = change_threshold(scored.url, scored.settings, ExpectedCost(1.0, 50.0), dry_run=True)
    assert cheaper.threshold != change.threshold
    assert rollback(scored.url, scored.settings).version == boosted.version


def test_monotone_constraints_hold(scored: Workspace) -> None:
    rows, labels, names = training_rows(scored)
    from trainer.boosting import fit_boosted
    from trainer.forest import predict_fraud_probability

    for family in ("hist", "xgboost", "lightgbm"):
        if family != "hist":
            pytest.importorskip(family)
        parameters = BoostingParameters(family, **SMALL, monotonic={names[0]: 1})
        model = fit_boosted(rows.astype(np.float32), labels.astype(bool), parameters, names=tuple(names))
        probe = np.repeat(rows[:50], 40, axis=0).astype(np.float32)
        probe[:, 0] = np.tile(np.linspace(1, 3000, 40), 50)
        scores = predict_fraud_probability(model, probe).reshape(50, 40)
        assert (np.diff(scores, axis=1) >= 0).all()
    with pytest.raises(SettingsError, match="there is no feature 'x'"):
        fit_boosted(rows.astype(np.float32), labels.astype(bool), BoostingParameters(monotonic={"x": 1}))


@pytest.mark.parametrize("family", ["forest", "hist", "xgboost"])
def test_calibrated_scores_are_rates_of_fraud_bit_for_bit(scored: Workspace, family: Any) -> None:
    if family == "xgboost":
        pytest.importorskip(family)
    parameters = FOREST if family == "forest" else BoostingParameters(family, **SMALL)
    record = train(scored.url, scored.settings, parameters=parameters, calibration="isotonic").record
    assert record.margin_cut is None and record.version.startswith("rf_" if family == "forest" else "gb_")
    measured = record.metrics["calibration"]
    assert measured["steps"] >= 3 and measured["brier"] < measured["fraud_rate"]
    assert len(record.metrics["seed_std"]) == 2
    deploy(scored.url, scored.settings, record.version, force=True)
    insert_rows(scored, 200)
    report = verify(scored.url, scored.settings)
    assert report.is_ok and report.checks["replayed_rows"] >= 200
    model = load_model(scored.settings.state_dir, record)
    assert isinstance(model, TreeModel) and model.sum.steps is not None
    with scored.connect() as connection:
        stored = connection.execute(
            "SELECT feature_values, fraud_probability, fraud_flag = 'FRAUD' OR is_control FROM transactions"
            " WHERE model_version = %s",
            [record.version],
        ).fetchall()
        rows = np.array([[math.nan if v is None else v for v in values] for values, _, _ in stored])
        # scikit-learn's own score before the steps, and the steps as numpy has them.
        raw = replace(model, sum=replace(model.sum, steps=None))
        expected = model.sum.steps.apply(raw.margins(rows))
        assert expected.tolist() == [probability for _, probability, _ in stored]
        assert set(expected) <= set(model.sum.steps.values)
        assert [p >= record.threshold for _, p, _ in stored] == [flag for _, _, flag in stored]
        error, tolerance = connection.execute(
            "SELECT max(scoring.additivity_error(e, c.contributions, t.fraud_probability)), max(e.tolerance)"
            " FROM transactions AS t JOIN scoring.explanations AS e ON t.model_version = e.version,"
            " LATERAL (SELECT scoring.compute_contributions(e, t.feature_values) AS contributions) AS c"
        ).fetchone() or (1, 0)
        assert error <= tolerance
        user, transaction = connection.execute(
            "SELECT user_id, transaction_id FROM transactions WHERE model_version = %s LIMIT 1",
            [record.version],
        ).fetchone() or (0, 0)
    document = explain(scored.url, user, transaction)
    assert document["is_calibrated"] and document["output"] == (
        "probability" if family == "forest" else "margin"
    )
    change = change_threshold(scored.url, scored.settings, AlertBudget(0.05), force=True)
    assert change.threshold != record.threshold and verify(scored.url, scored.settings).is_ok
    rescored = rescore(scored.url, scored.settings, output_table="public.many", build=False, bulk_from_rows=1)
    assert rescored.form == "bulk"
    with scored.connect() as connection:
        both = connection.execute(
            "SELECT count(*) FROM public.many WHERE NOT fraud_probability = ANY(%s)",
            [list(model.sum.steps.values)],
        ).fetchone()
    assert both == (0,)


def test_calibrations_without_an_exact_form_are_rejected(scored: Workspace) -> None:
    with pytest.raises(SettingsError, match="sigmoid calibration goes through exp"):
        train(scored.url, scored.settings, calibration="sigmoid")
    with pytest.raises(SettingsError, match="there are: none, isotonic"):
        train(scored.url, scored.settings, calibration="beta")
