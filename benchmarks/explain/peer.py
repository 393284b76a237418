"""The peer of the comparison, run by a Python that has `shap`: values and processor time of `shap.TreeExplainer`.

It speaks lines on its standard streams. `values PATH` reads a joblib file with a model and rows, and returns the path
of an array; `single` and `bulk` return microseconds of processor time per row.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import joblib
import numpy as np


def main() -> None:
    """Return one line for each line."""
    import shap

    explainer: Any = None
    rows: Any = None
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        if command == "values":
            model, rows = joblib.load(path)
            explainer = shap.TreeExplainer(model)
            np.save(path + ".npy", explainer.shap_values(rows, check_additivity=False)[:, :, 1])
            print(path + ".npy", flush=True)
            continue
        started = time.process_time()
        if command == "bulk":
            explainer.shap_values(rows, check_additivity=False)
        else:
            for row in rows:
                explainer.shap_values(row[None], check_additivity=False)
        print((time.process_time() - started) * 1e6 / len(rows), flush=True)


if __name__ == "__main__":
    main()
