"""Model to expression tree: exact leaves, missing directions, any depth."""

from __future__ import annotations

import numpy as np
from m2cgen import ast
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from sql_scoring.engine._assembler import ExactForestAssembler, ExactTreeAssembler
from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._trees import Split, leaves, splits, tree_sum

ROWS = np.array([[1.0], [2.0], [3.0], [np.nan]])


def test_one_split_becomes_one_branch() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(ROWS[:3], [0, 1, 1])
    tree = ExactTreeAssembler(model).assemble()
    split = Split(0, cut_point(1.5), missing_left=False)
    assert tree == ast.IfExpr(split, ast.NumVal(0.0), ast.NumVal(1.0))


def test_comparison_carries_the_missing_direction() -> None:
    to_left = DecisionTreeClassifier(random_state=0).fit(ROWS, [0, 1, 1, 0])
    assert [split.missing_left for split in splits(ExactTreeAssembler(to_left).assemble())] == [True]
    assert Split(0, 1.0, missing_left=True) != Split(0, 1.0, missing_left=False)


def test_missing_against_numbers_is_a_split_at_infinity() -> None:
    model = DecisionTreeClassifier(random_state=0).fit(ROWS, [0, 0, 0, 1])
    (split,) = splits(ExactTreeAssembler(model).assemble())
    assert split.cut == np.inf
    assert not split.missing_left


def test_leaf_values_are_those_of_the_tree() -> None:
    rng = np.random.default_rng(0)
    model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(
        rng.normal(size=(300, 3)), rng.integers(0, 2, 300), sample_weight=rng.random(300)
    )
    stored = set(model.tree_.value[:, 0, 1].tolist())
    assert {leaf.value for leaf in leaves(ExactTreeAssembler(model).assemble())} <= stored


def test_forest_adds_in_tree_order_and_divides_once() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(80, 2)), rng.integers(0, 2, 80)
    model = RandomForestClassifier(7, max_depth=3, random_state=0).fit(rows, labels)
    total = tree_sum(ExactForestAssembler(model).assemble())
    assert total.divisor == 7.0
    assert total.trees == [ExactTreeAssembler(tree).assemble() for tree in model.estimators_]


def test_children_of_one_value_are_one_leaf() -> None:
    # Both children of the right branch hold 1 of 2: the split does not change the value.
    model = DecisionTreeClassifier(random_state=0).fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    model.tree_.value[:] = 0.5
    assert ExactTreeAssembler(model).assemble() == ast.NumVal(0.5)


def test_any_depth_works() -> None:
    rows = np.arange(3000, dtype=np.float64)[:, np.newaxis]
    weights = 2.0 ** -np.minimum(np.arange(3000) / 4, 900)
    model = DecisionTreeClassifier(random_state=0).fit(rows, np.arange(3000) % 2, sample_weight=weights)
    assert model.get_depth() > 1000
    reachable = leaves(ExactTreeAssembler(model).assemble())
    assert len(reachable) == model.get_n_leaves()
