"""Fits the small model files of the loaders' tests: ``python tests/unit/engine/models/make.py``.

Each file has its library's margins of ROWS in margins.json, so that the tests need no library. Written with xgboost 3.2,
lightgbm 4.7, catboost 1.2.10.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
NAMES = ["amount", "user_txn_count_1h", "is_home_location", "merchant_category"]


def payments(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Amounts in cents, counts, a flag and a category; part of it missing."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack(
        [
            np.round(rng.lognormal(4, 1, count), 2),
            rng.poisson(2, count),
            rng.integers(0, 2, count),
            rng.integers(0, 9, count),
        ]
    ).astype(np.float64)
    signal = np.log(rows[:, 0]) + rows[:, 1] - rows[:, 2] + 2 * np.isin(rows[:, 3], [1, 4, 6])
    labels = (signal + rng.normal(size=count) > 6).astype(int)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows, labels


ROWS = payments(60, 1)[0]


def main() -> None:
    """Write the files."""
    import catboost
    import lightgbm
    import xgboost

    rows, labels = payments(600, 0)
    boosted = xgboost.XGBClassifier(
        n_estimators=6,
        max_depth=2,
        enable_categorical=True,
        feature_types=["q", "q", "q", "c"],
        max_cat_to_onehot=1,
    ).fit(rows, labels)
    boosted.get_booster().feature_names = NAMES
    boosted.get_booster().save_model(HERE / "xgboost.json")
    boosted.get_booster().save_model(HERE / "xgboost.ubj")
    matrix = xgboost.DMatrix(
        ROWS, feature_names=NAMES, feature_types=["q", "q", "q", "c"], enable_categorical=True
    )
    margins = {"xgboost": boosted.get_booster().predict(matrix, output_margin=True).astype(float).tolist()}
    light = lightgbm.LGBMClassifier(
        n_estimators=6, num_leaves=4, min_data_per_group=5, cat_smooth=1, verbose=-1
    )
    light.fit(rows, labels, feature_name=NAMES, categorical_feature=[3])
    light.booster_.save_model(HERE / "lightgbm.txt")
    margins["lightgbm"] = np.asarray(light.predict(ROWS, raw_score=True)).tolist()
    cat = catboost.CatBoostClassifier(
        iterations=6, depth=2, verbose=0, allow_writing_files=False, random_seed=0
    )
    cat.fit(catboost.Pool(rows, labels, feature_names=NAMES))
    cat.save_model(str(HERE / "catboost.json"), format="json")
    document = json.loads((HERE / "catboost.json").read_text(encoding="utf-8"))
    loss = document["model_info"]["params"]["loss_function"]
    version = f"Branch: tags/v{catboost.__version__}"  # without who built it
    document["model_info"] = {"params": {"loss_function": loss}, "catboost_version_info": version}
    (HERE / "catboost.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    margins["catboost"] = cat.predict(ROWS, prediction_type="RawFormulaVal").tolist()
    (HERE / "margins.json").write_text(json.dumps(margins) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
