"""The peers' scores are close to scikit-learn's, and the report contains the measured values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from sklearn.ensemble import RandomForestClassifier

from benchmarks import report
from benchmarks.engine import scaling
from benchmarks.engine.layouts import payments
from benchmarks.engine.peers import M2CGEN_STYLES, m2cgen_style, print_statement

ROWS, LABELS = payments(2_000, 0)
FOREST = RandomForestClassifier(5, max_leaf_nodes=16, random_state=0).fit(ROWS, LABELS)


@pytest.mark.parametrize("style", M2CGEN_STYLES)
def test_m2cgen_style_functions_have_the_same_scores(database_url: str, style: str) -> None:
    probes, _ = payments(200, 1)
    arguments = ", ".join(f"f{number} double precision" for number in range(10))
    with psycopg.connect(database_url) as connection:
        connection.execute(m2cgen_style(style, FOREST, "pg_temp.peer", arguments).encode())
        placeholders = ", ".join(["%s"] * 10)
        scores = [
            connection.execute(f"SELECT pg_temp.peer({placeholders})".encode(), row).fetchone()
            for row in probes.tolist()
        ]
    np.testing.assert_allclose(
        [row[0] for row in scores if row], FOREST.predict_proba(probes)[:, 1], rtol=1e-12
    )


def test_a_peer_that_cannot_be_installed_is_skipped_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.engine.peers.sys.executable", "/nonexistent/python")
    printed = print_statement("orbital", FOREST, tmp_path)
    assert printed.sql is None
    assert printed.problem is not None and printed.problem.startswith("orbital: ")


def test_the_grid_varies_one_thing_at_a_time() -> None:
    trees, leaves, features = scaling.DEFAULT_SIZE
    for varied, tree_count, leaf_count, feature_count in scaling.grid(quick=False):
        is_default = {
            "trees": tree_count == trees,
            "leaves": leaf_count == leaves,
            "features": feature_count == features,
        }
        assert all(same for name, same in is_default.items() if name != varied)
    assert len(scaling.grid(quick=True)) < len(scaling.grid(quick=False))


def test_the_report_names_every_goal_and_whether_it_is_met(tmp_path: Path) -> None:
    document = _document()
    page = report.write(document, tmp_path)
    text = page.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "calls.png", "growth.png"}
    met = {measure: (value, verdict) for measure, _, value, verdict in report.goals(document)}
    assert met["one call, 100 trees x depth 8, against m2cgen-style CASE"] == ("50.0×", "yes")
    assert met["one call, 100 trees x depth 8, against layout nested_if"] == ("5.0×", "no")
    assert met[f"one call, {report.DEFAULT_FOREST}, against predict_proba of one row"] == ("100.0×", "yes")
    assert met[f"bulk, {report.DEFAULT_FOREST}, 50,000 rows, against scikit-learn on one core"] == (
        "3.5×",
        "no",
    )
    assert met[f"bulk, {report.DEFAULT_FOREST}, 200,000 rows, against scikit-learn on one core"] == (
        "2.5×",
        "yes",
    )
    assert met["scored INSERTs per second, 1 client(s), synchronous_commit on"] == ("70.0 %", "yes")
    assert met["scored INSERTs per second, 8 client(s), synchronous_commit on"] == ("40.0 %", "no")
    assert met["a scored INSERT takes longer by, synchronous_commit off"] == ("120.0 µs", "no")
    assert "target lists can have at most" in text and "| of it: model | 20.0 ± 1.0 |" in text


def test_without_inserts_the_report_is_about_the_engine(tmp_path: Path) -> None:
    document = _document()
    del document["inserts"], document["profile"]
    text = report.write(document, tmp_path).read_text()
    assert "## Inserts" not in text and "## One scored INSERT" not in text


def _document() -> dict[str, Any]:
    def function(forest: str, layout: str, micros: float) -> dict[str, Any]:
        return {
            "forest": f"{forest} (1 nodes)", "layout": layout, "text_mb": 1.0, "first_call_ms": 20.0,
            "memory_mb": 10.0, "own_transaction_us": micros, "own_transaction_spread_us": 2.0,
            "bulk_us_per_row": 8.0,
        }  # fmt: skip

    large, default = report.LARGE_FOREST, report.DEFAULT_FOREST
    layouts = {"bitmask": 40.0, "case": 1600.0, "nested_if": 200.0}
    layouts |= {M2CGEN_STYLES[0]: 400.0, M2CGEN_STYLES[1]: 2000.0}
    inserts = [
        {
            "variant": variant, "clients": clients, "synchronous_commit": sync, "per_second": 1000.0,
            "latency_us": latency, "spread": 0.1, "share_of_plain": share,
        }
        for variant, clients, sync, latency, share in (
            ("plain", 1, "on", 500.0, 1.0), ("scored", 1, "on", 700.0, 0.7), ("scored", 8, "on", 900.0, 0.4),
            ("plain", 1, "off", 100.0, 1.0), ("scored", 1, "off", 220.0, 0.5),
        )
    ]  # fmt: skip
    return {
        "quick": True,
        "machine": "two cores",
        "engine": {
            "functions": [
                *(function(large, name, micros) for name, micros in layouts.items()),
                function(default, "bitmask", 20.0),
            ],
            "scikit_learn": {f"{default} (1 nodes)": [2000.0, 1.0], f"{large} (1 nodes)": [4000.0, 3.0]},
            "bulk": [
                {"forest": default, "rows": rows, "inline_us": ratio, "scikit_learn_us": 1.0, "ratio": ratio,
                 "spread": 0.2, "differing": 0}
                for rows, ratio in ((50_000, 3.5), (200_000, 2.5))
            ],
            "statements": [
                {"peer": "orbital", "forest": default, "one_row_us": None, "bulk_us_per_row": None,
                 "differing_fraction": None, "problem": "target lists can have at most 1664 entries"},
                {"peer": "SKompiler", "forest": default, "one_row_us": 700.0, "bulk_us_per_row": 12.0,
                 "differing_fraction": 0.5, "problem": None},
            ],
        },
        "scaling": {
            "points": [
                {"varied": varied, "trees": 5, "leaves": 8, "features": 2, "own_transaction_us": 9.0,
                 "predicted_us": 8.0, "memory_mb": 1.0, "predicted_mb": 1.0, "first_call_ms": 3.0}
                for varied in ("trees", "leaves", "features")
            ]
        },
        "inserts": inserts,
        "profile": {
            "profile": [{"section": "of it: model", "microseconds": 20.0, "spread": 2.0}],
        },
    }  # fmt: skip
