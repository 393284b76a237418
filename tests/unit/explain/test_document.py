"""Leaves, groups and the document, without a database."""

from __future__ import annotations

import json
from itertools import groupby, pairwise, product
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import ExplanationError
from sql_scoring.engine import as_form
from sql_scoring.explain import _document
from sql_scoring.explain._document import TRAINING, build_document, passed_sample
from sql_scoring.explain._groups import MAX_STATES, STATE_BITS, _count_states, group_leaves
from sql_scoring.explain._leaves import PathModel, read_leaves

NAMES = [f"feature_{number}" for number in range(5)]


@pytest.fixture(scope="module")
def rows() -> Any:
    random = np.random.default_rng(3)
    rows = random.normal(size=(500, len(NAMES))).astype(np.float32)
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows


@pytest.fixture(scope="module")
def forest(rows: Any) -> RandomForestClassifier:
    known = np.nan_to_num(rows)
    return RandomForestClassifier(n_estimators=6, max_leaf_nodes=24, random_state=0).fit(
        rows, known[:, 0] * known[:, 1] + known[:, 2] > 0
    )


@pytest.fixture(scope="module")
def model(forest: RandomForestClassifier) -> PathModel:
    return read_leaves(as_form(forest))


def test_a_row_reaches_one_leaf_of_each_tree(
    forest: RandomForestClassifier, model: PathModel, rows: Any
) -> None:
    ranks = model.ranks(rows.astype(np.float64))
    reached = np.stack(
        [
            np.logical_and.reduce([c.holds(ranks[:, c.feature]) for c in leaf.conditions])
            for leaf in model.leaves
        ],
        axis=1,
    )
    trees = np.array([leaf.tree for leaf in model.leaves])
    for tree in range(len(forest.estimators_)):
        assert (reached[:, trees == tree].sum(axis=1) == 1).all()
    sums = reached @ np.array([leaf.value for leaf in model.leaves])
    assert np.abs(sums - forest.predict_proba(rows)[:, 1]).max() < 1e-14


def test_weights_are_fractions_of_the_training_weight(
    forest: RandomForestClassifier, model: PathModel
) -> None:
    base = sum(leaf.value * np.prod([c.weight for c in leaf.conditions]) for leaf in model.leaves)
    assert base == pytest.approx(
        np.mean([tree.tree_.value[0, 0, 1] for tree in forest.estimators_]), abs=1e-14
    )


def test_runs_are_the_cheapest_division(model: PathModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against every division of a short tree into runs."""
    monkeypatch.setattr("sql_scoring.explain._groups.ROWS_PER_LOOKUP", 40)
    last = [len(cuts) for cuts in model.cuts]
    leaves = [leaf for leaf in model.leaves if leaf.tree == 0][:11]

    def cost(bounds: tuple[bool, ...]) -> int:
        starts = [0, *(number + 1 for number, is_bound in enumerate(bounds) if is_bound), len(leaves)]
        runs = [leaves[start:end] for start, end in pairwise(starts)]
        counts = [_count_states(run, last) for run in runs]
        if any(len(run) > 1 and bits > STATE_BITS for run, (_, bits) in zip(runs, counts, strict=True)):
            return 10**9
        return sum(states + 40 for states, _ in counts)

    groups, states = group_leaves(leaves, last)
    assert states + 40 * (groups[-1] + 1) == min(map(cost, product((False, True), repeat=len(leaves) - 1)))
    assert groups == sorted(groups) and set(groups) == set(range(groups[-1] + 1))


def test_groups_fit_their_state_numbers(model: PathModel) -> None:
    last = [len(cuts) for cuts in model.cuts]
    for _, own in groupby(model.leaves, key=lambda leaf: leaf.tree):
        leaves = list(own)
        groups, _ = group_leaves(leaves, last)
        for group in set(groups):
            run = [leaf for leaf, number in zip(leaves, groups, strict=True) if number == group]
            states, bits = _count_states(run, last)
            assert bits <= STATE_BITS and states <= MAX_STATES


def test_the_document_is_the_same_text(model: PathModel, rows: Any) -> None:
    text = build_document(model, NAMES, rows, {}, TRAINING)
    assert text == build_document(model, NAMES, rows, {}, TRAINING)
    document = json.loads(text)
    assert document["states"] > 0 and document["background"] == "training rows"
    feature = document["features"][0]
    assert feature["usual_low"] == pytest.approx(np.nanquantile(rows[:, 0], 0.05))
    for below, cut, above in zip(feature["below"], feature["cuts"], feature["above"], strict=True):
        assert below < cut <= above


def test_the_rarer_of_two_values_is_unusual(rows: Any) -> None:
    flags = np.where(np.arange(100) < 30, np.float32(0), np.float32(1))
    assert _document._usual_range(flags.astype(np.float64)) == (1, 1)
    assert _document._usual_range(np.arange(101.0)) == (5, 95)
    assert _document._usual_range(np.empty(0)) == (None, None)


def test_a_large_model_gets_no_tables(model: PathModel, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value in (("MAX_STATES", 100), ("MAX_TABLE_CONDITIONS", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(_document, limit, value)
            document = json.loads(build_document(model, NAMES, rows, {}))
        assert document["states"] is None
        assert {leaf["group"] for leaf in document["leaves"]} == {None}


def test_a_path_that_is_too_long_is_rejected(
    model: PathModel, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_document, "MAX_CONDITIONS", 2)
    with pytest.raises(ExplanationError, match="more than 2; train with a smaller max_depth"):
        build_document(model, NAMES, rows, {})


def test_the_sample_of_passed_rows_is_fixed_and_versioned(rows: Any) -> None:
    first, second = passed_sample(rows, size=100), passed_sample(rows, size=100)
    assert first.name == second.name and first.rows is not None and second.rows is not None
    assert np.array_equal(first.rows, second.rows, equal_nan=True)
    assert passed_sample(rows[1:], size=100).name != first.name
    assert passed_sample(rows[:7]).name.endswith("of 7 rows")
