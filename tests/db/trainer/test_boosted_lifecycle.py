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
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline

from rowguard.errors import FeatureMismatchError, ParityError, RegistryError, SettingsError
from rowguard.operations.rescore import rescore
from sql_scoring import registry
from sql_scoring.deployment import check_parity
from sql_scoring.engine import boundary_rows
from tests.db.lifecycle.models import insert_rows
from tests.fix_database import Workspace
from trainer.artifact import load_model
from trainer.boosting import BoostingParameters
from trainer.dataset import read_feature_list
from trainer.evaluation import AlertBudget, ExpectedCost
from trainer.model_files import ModelFileError
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


def forest_pickle(folder: Path, rows: Any, labels: Any, names: list[str]) -> Path:
    model = RandomForestClassifier(20, max_leaf_nodes=16, random_state=0).fit(rows, labels)
    model.feature_names_in_ = np.array(names, dtype=object)
    joblib.dump(make_pipeline("passthrough", model), folder / "model.joblib")
    return folder / "model.joblib"


@pytest.mark.parametrize("write", [xgboost_file, lightgbm_file, skops_file, forest_pickle])
def test_a_strangers_model_becomes_champion(scored: Workspace, tmp_path: Path, write: Any) -> None:
    rows, labels, names = training_rows(scored)
    order = [7, 0, 3, 1, 5, 2]  # some of the list, in another order
    file = write(tmp_path, rows[:, order], labels, [names[n] for n in order])
    result = register_file(scored.url, scored.settings, file, allow_pickle=file.suffix == ".joblib")
    record = result.training.record
    assert set(result.unused_features) == set(names) - {names[n] for n in order}
    assert record.feature_names == names and record.metrics["source"] == file.name
    assert "fitted elsewhere" in result.training.card.read_text()
    assert register_file(scored.url, scored.settings, file, allow_pickle=True).training.is_new is False
    deploy(scored.url, scored.settings, record.version, role="challenger", canary_percent=50)
    insert_rows(scored, 100)
    promote(scored.url, scored.settings)
    insert_rows(scored, 100)
    report = verify(scored.url, scored.settings)
    assert report.is_ok and report.champion == record.version


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
