"""The golden SQL of small forests. ``python tests/unit/engine/golden/regenerate.py`` writes every file.

Read the difference before committing it: callers replay past decisions with deployed functions, so a change
of the text needs a reason (and a raised ``FORMAT_VERSION``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from sql_scoring.engine import LAYOUTS, load_model_file, transpile, transpile_for_bulk

HERE = Path(__file__).parent
BOOSTED_FILES = {"xgboost": "xgboost.json", "lightgbm": "lightgbm.txt", "catboost": "catboost.json"}


def _data(missing: bool) -> tuple[np.ndarray, np.ndarray]:
    """A few payments: amount, count in the last hour, location matches."""
    amount = np.array([4.5, 12.99, 307.65, 80.0, 999.99, 5.0, 450.75, 23.1, 60.2, 1500.0, 7.77, 310.0])
    count = np.array([0, 1, 9, 2, 12, 0, 7, 1, 3, 4, 0, 8], dtype=np.float64)
    match = np.array([1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0], dtype=np.float64)
    rows = np.column_stack([amount, count, match])
    if missing:
        rows[[1, 4, 7], 0] = np.nan
        rows[[2, 9], 1] = np.nan
    return rows, np.array([0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1])


def models() -> dict[str, Any]:
    """Fitted models by the name of their golden files."""
    rows, labels = _data(missing=False)
    gaps, _ = _data(missing=True)
    one_leaf = RandomForestClassifier(2, max_depth=1, min_samples_leaf=12, random_state=0)
    return {
        "forest": RandomForestClassifier(3, max_depth=2, random_state=0).fit(rows, labels),
        "forest_missing": RandomForestClassifier(3, max_depth=3, random_state=1).fit(gaps, labels),
        "tree": DecisionTreeClassifier(random_state=0).fit(rows, labels),
        "one_leaf": one_leaf.fit(rows, labels),
    }


def texts() -> dict[str, str]:
    """File name to text."""
    names = ["amount", "user_txn_count_1h", "is_home_location"]
    texts = {
        f"{name}.{layout}.sql": transpile(
            model, feature_names=names, function_name="scoring.golden", layout=layout
        )
        for name, model in models().items()
        for layout in LAYOUTS
    }
    for library, file_name in BOOSTED_FILES.items():
        boosted = load_model_file(HERE.parent / "models" / file_name)
        given: dict[str, Any] = {
            "feature_names": boosted.feature_names_in_,
            "function_name": "scoring.golden",
        }
        texts |= {f"{library}.{layout}.sql": transpile(boosted, layout=layout, **given) for layout in LAYOUTS}
        texts[f"{library}.inline.sql"] = transpile_for_bulk(boosted, **given)
    texts["forest_missing.bitmask.array.sql"] = transpile(
        models()["forest_missing"], feature_names=names, function_name="scoring.golden", arguments="array"
    )
    return texts


if __name__ == "__main__":
    for file_name, text in texts().items():
        (HERE / file_name).write_text(text, encoding="utf-8")
        print(file_name)
