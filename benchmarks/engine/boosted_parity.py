"""Boosted models against their libraries, bit for bit: ``python -m benchmarks.engine.boosted_parity --minutes 10``.

Models of random size, depth and settings, with missing values and categories. Of each, rows on and around every
threshold and ordinary rows go through the numpy form; some go through the function in the database too, with decision
and shown probability at thresholds that are a row's own probability. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psycopg
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from sql_scoring.engine import (
    as_tree_model,
    boundary_rows,
    margin_cut,
    reference_probabilities,
    reference_scores,
    transpile,
)

CATEGORICAL = 3
FORM_ROWS = 50_000
SQL_ROWS = 500
THRESHOLDS = 5


@dataclass
class Counts:
    """What was compared of one library, and what differed."""

    version: str
    models: int = 0
    form_rows: int = 0
    form_differences: int = 0
    sql_rows: int = 0
    sql_differences: int = 0
    flags: int = 0
    flag_differences: int = 0
    max_probability_ulps: float = 0.0


def data(rng: np.random.Generator, *, missing: bool = True) -> tuple[Any, Any]:
    """Cents, counts, a flag, categories and noise."""
    count, features = int(rng.integers(300, 3000)), int(rng.integers(5, 15))
    rows = rng.normal(size=(count, features))
    rows[:, 0] = np.round(rng.lognormal(4, 1, count), 2)
    rows[:, 1] = rng.poisson(2, count)
    rows[:, 2] = rng.integers(0, 2, count)
    rows[:, CATEGORICAL] = rng.integers(0, rng.integers(3, 40), count)
    signal = np.log(rows[:, 0]) + rows[:, 4] + np.isin(rows[:, CATEGORICAL], [1, 4, 9]) - 4.5
    labels = (signal + rng.normal(size=count) > 0).astype(int)
    if missing:
        rows[rng.random(rows.shape) < rng.choice([0.0, 0.05, 0.3])] = np.nan
    return rows, labels


def hist(rng: np.random.Generator) -> Any:
    categorical = [CATEGORICAL] if rng.random() < 0.5 else None
    return HistGradientBoostingClassifier(
        max_iter=int(rng.integers(1, 60)), max_leaf_nodes=int(rng.integers(2, 40)), min_samples_leaf=5,
        categorical_features=categorical,
    ).fit(*data(rng))  # fmt: skip


def gradient(rng: np.random.Generator) -> Any:
    return GradientBoostingClassifier(
        n_estimators=int(rng.integers(1, 40)), max_depth=int(rng.integers(1, 6)), subsample=0.7,
        init="zero" if rng.random() < 0.2 else None,
    ).fit(*data(rng, missing=False))  # fmt: skip


def xgboost(rng: np.random.Generator) -> Any:
    import xgboost as library

    rows, labels = data(rng)
    options: dict[str, Any] = {}
    if rng.random() < 0.5:
        types = ["q"] * rows.shape[1]
        types[CATEGORICAL] = "c"
        options = {
            "enable_categorical": True,
            "feature_types": types,
            "max_cat_to_onehot": int(rng.integers(1, 8)),
        }
    if rng.random() < 0.3:
        options["base_score"] = float(rng.uniform(0.01, 0.99))
    return library.XGBClassifier(
        n_estimators=int(rng.integers(1, 60)), max_depth=int(rng.integers(1, 8)), subsample=0.8, n_jobs=1,
        num_parallel_tree=int(rng.choice([1, 1, 1, 3])), tree_method=str(rng.choice(["hist", "approx"])), **options,
    ).fit(rows, labels)  # fmt: skip


def lightgbm(rng: np.random.Generator) -> Any:
    import lightgbm as library

    categorical: Any = [CATEGORICAL, 1] if rng.random() < 0.5 else "auto"
    return library.LGBMClassifier(
        n_estimators=int(rng.integers(1, 60)), num_leaves=int(rng.integers(2, 40)), n_jobs=1, verbose=-1,
        min_data_per_group=5, cat_smooth=1, zero_as_missing=bool(rng.random() < 0.2),
        use_missing=bool(rng.random() < 0.8), extra_trees=bool(rng.random() < 0.2),
    ).fit(*data(rng), categorical_feature=categorical)  # fmt: skip


def catboost(rng: np.random.Generator) -> Any:
    import catboost as library

    return library.CatBoostClassifier(
        iterations=int(rng.integers(1, 60)), depth=int(rng.integers(1, 7)), thread_count=1, verbose=0,
        allow_writing_files=False, nan_mode=str(rng.choice(["Min", "Max"])),
        grow_policy=str(rng.choice(["SymmetricTree", "Lossguide", "Depthwise"])),
    ).fit(*data(rng))  # fmt: skip


FITS: dict[str, Callable[[np.random.Generator], Any]] = {
    "hist": hist, "gradient": gradient, "xgboost": xgboost, "lightgbm": lightgbm, "catboost": catboost,
}  # fmt: skip


def compare(
    connection: psycopg.Connection[Any], model: Any, counts: Counts, rng: np.random.Generator
) -> None:
    """Compare one model with its library."""
    form = as_tree_model(model)
    assert form is not None
    counts.version = form.library
    rows = boundary_rows(model, FORM_ROWS, seed=counts.models)
    rows[: FORM_ROWS // 3, CATEGORICAL] = rng.integers(-2, 45, FORM_ROWS // 3)
    expected = reference_scores(model, rows)
    differ = expected.view(np.int64) != form.margins(rows).view(np.int64)
    counts.models += 1
    counts.form_rows += len(rows)
    counts.form_differences += int(differ.sum())
    chosen = rng.choice(len(rows), SQL_ROWS, replace=False)
    names = [f"f{n}" for n in range(rows.shape[1])]
    arguments = ", ".join(f"v[{n + 1}]" for n in range(len(names)))
    text = transpile(model, feature_names=names, function_name="boosted_parity")
    probabilities = reference_probabilities(model, expected[chosen])
    # XGBoost computes its probability in float32: the unit is that of its type.
    spacing = np.spacing(probabilities.astype(np.float32)) if form.sum.is_real else np.spacing(probabilities)
    with connection.transaction(force_rollback=True):
        connection.execute(text.encode())
        connection.execute("CREATE TEMP TABLE probe (n integer, v double precision[])")
        with connection.cursor().copy("COPY probe FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "float8[]"])
            for number, row in enumerate(rows[chosen].tolist()):
                copy.write_row((number, [None if value != value else value for value in row]))
        found = connection.execute(f"SELECT boosted_parity({arguments}) FROM probe ORDER BY n".encode())
        margins = np.array([value for (value,) in found])
        counts.sql_rows += len(margins)
        counts.sql_differences += int((margins.view(np.int64) != expected[chosen].view(np.int64)).sum())
        for threshold in rng.choice(probabilities, THRESHOLDS).tolist():
            cut = margin_cut(model, threshold)
            shown = f"scoring.margin_to_probability(boosted_parity({arguments}), %s, %s, %s)"
            values = [cut, threshold, float(np.nextafter(threshold, -np.inf))]
            answer = connection.execute(f"SELECT {shown} FROM probe ORDER BY n".encode(), values)
            probability = np.array([value for (value,) in answer])
            flags = probabilities >= threshold
            counts.flags += len(flags)
            counts.flag_differences += int(((margins >= cut) != flags).sum())
            counts.flag_differences += int(((probability >= threshold) != flags).sum())
            units = np.abs(probability - probabilities) / spacing
            counts.max_probability_ulps = max(counts.max_probability_ulps, float(units.max()))


def main() -> None:
    """Compare until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True, help="a database with rowguard's schema")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--libraries", nargs="+", choices=list(FITS), default=list(FITS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    counts = {name: Counts("") for name in options.libraries}
    end = time.monotonic() + options.minutes * 60
    with psycopg.connect(options.database_url, autocommit=True) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while time.monotonic() < end:
            for name, count in counts.items():
                compare(connection, FITS[name](rng), count, rng)
    print(json.dumps({name: asdict(count) for name, count in counts.items()}, indent=2))


if __name__ == "__main__":
    main()
