"""Exact text per kind of node, from expression trees written by hand."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from m2cgen import ast
from sklearn.ensemble import RandomForestClassifier

from sql_scoring.engine import LAYOUTS, Layout, _planning, transpile
from sql_scoring.engine._bitmask import interpret_bitmask
from sql_scoring.engine._branching import interpret_branches
from sql_scoring.engine._codegen import (
    bit_literal,
    float_text,
    is_function_statement,
    quote_identifier,
)
from sql_scoring.engine._interpreter import Inputs
from sql_scoring.engine._trees import Split, TreeSum

LEAVES = ast.NumVal(0.25), ast.NumVal(0.75)


def branch(cut: float, *, missing_left: bool = False, feature: int = 0) -> ast.IfExpr:
    return ast.IfExpr(Split(feature, cut, missing_left), *LEAVES)


def case_lines(tree: ast.Expr, inputs: Inputs | None = None) -> tuple[list[str], list[str]]:
    body = interpret_branches(TreeSum([tree], 2.0), inputs or Inputs(2), "case")
    return body.declarations[1:], [line.strip() for line in body.text.splitlines()]


def test_leaf() -> None:
    assert case_lines(ast.NumVal(0.1)) == (
        [],
        [
            "v_sum := v_sum OPERATOR(pg_catalog.+) float '0.1';",
            "RETURN v_sum OPERATOR(pg_catalog./) float '2';",
        ],
    )


def test_branch_with_missing_right_needs_no_more_than_the_comparison() -> None:
    declarations, lines = case_lines(branch(1.5))
    assert declarations == []
    assert lines[0] == (
        "v_sum := v_sum OPERATOR(pg_catalog.+) "
        "CASE WHEN $1 OPERATOR(pg_catalog.<=) float '1.5' THEN float '0.25' ELSE float '0.75' END;"
    )


def test_branch_with_missing_left_compares_the_other_way_round() -> None:
    declarations, lines = case_lines(branch(1.5, missing_left=True, feature=1))
    assert declarations == [
        "v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;"
    ]
    assert lines[0] == (
        "v_sum := v_sum OPERATOR(pg_catalog.+) "
        "CASE WHEN v2 OPERATOR(pg_catalog.>) float '1.5' THEN float '0.75' ELSE float '0.25' END;"
    )


def test_infinite_cut() -> None:
    _, lines = case_lines(branch(float("inf")))
    assert "WHEN $1 OPERATOR(pg_catalog.<=) float 'Infinity' THEN" in lines[0]


def test_array_elements_are_read_once() -> None:
    declarations, lines = case_lines(branch(1.5), Inputs(2, array=True))
    assert declarations == ["v1 double precision := $1[1]::float;"]
    assert "WHEN v1 OPERATOR(pg_catalog.<=)" in lines[0]


def test_deep_subtrees_are_the_tail_of_the_chain() -> None:
    tree: ast.Expr = ast.NumVal(0.0)
    for number in range(500):  # always deeper to the left, where CASE would nest
        tree = ast.IfExpr(Split(0, float(number), missing_left=False), tree, ast.NumVal(float(number)))
    _, lines = case_lines(tree)
    assert lines[0].count("CASE") < 40
    assert "WHEN ($1 OPERATOR(pg_catalog.<=) float '499') IS NOT TRUE THEN float '499'" in lines[0]


def test_nested_if() -> None:
    body = interpret_branches(TreeSum([branch(1.5)], None), Inputs(1), "nested_if")
    assert body.declarations == ["v_sum double precision := float '-0';"]
    assert body.text == (
        "  -- tree 1\n"
        "  IF $1 OPERATOR(pg_catalog.<=) float '1.5' THEN\n"
        "    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.25';\n"
        "  ELSE\n"
        "    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.75';\n"
        "  END IF;\n"
        "  RETURN v_sum;\n"
    )


def test_bitmask(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tree needs no masks once its only split is known.
    monkeypatch.setattr(_planning, "_MAX_DEPTH", 0)
    body = interpret_bitmask(TreeSum([branch(1.5)], 1.0), Inputs(1), text_budget=10**6, memory_weight=0.3)
    # Ranks: up to the cut, above it, missing. The first leaf has the bit, the other is the remaining one.
    assert body.text == (
        "  v_mask := pg_catalog.substring(X'010000', ('[1:1][0:2]={{1,9,17}}'::integer[])[1]"
        "[pg_catalog.width_bucket(COALESCE($1, float 'NaN'), '{1.5000000000000002,NaN}'::float[])], 8);\n"
        "  FOR v_bit IN 1..1 BY 8 LOOP\n"
        "    v_sum := v_sum\n"
        "      OPERATOR(pg_catalog.+) ('{0.75,0.25,0,0,0,0,0,0}'::float[])"
        "[v_bit OPERATOR(pg_catalog.+) "
        "pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 5::integer)];\n"
        "  END LOOP;\n"
        "  RETURN v_sum OPERATOR(pg_catalog./) float '1';\n"
    )


def test_bitmask_divides_regions_first() -> None:
    body = interpret_bitmask(
        TreeSum([branch(1.5)], 1.0), Inputs(1, array=True), text_budget=10**6, memory_weight=0.3
    )
    assert body.text == (
        "  IF $1[1] OPERATOR(pg_catalog.<=) float '1.5' THEN\n"
        "    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.25';\n"
        "  ELSE\n"
        "    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.75';\n"
        "  END IF;\n"
        "  RETURN v_sum OPERATOR(pg_catalog./) float '1';\n"
    )


def test_bitmask_looks_features_up_in_a_loop() -> None:
    trees = [branch(float(feature), missing_left=True, feature=feature) for feature in range(12)]
    whole = interpret_bitmask(TreeSum(trees, 12.0), Inputs(12), text_budget=10**6, memory_weight=0.3)
    assert whole.declarations[-1] == "v_input double precision[] := ARRAY[{}];".format(
        ", ".join(f"${number}" for number in range(1, 13))
    )
    # Six lanes or one: every feature is looked up once, for any number of expressions.
    assert "LOOP\n    v_mask := v_mask\n" in whole.text or "LOOP\n      v_mask := v_mask\n" in whole.text
    gaps = [trees[number] for number in (0, 1, 3, 4, 6, 7, 8, 10, 11)]
    with_gaps = interpret_bitmask(
        TreeSum(gaps, 9.0), Inputs(12, array=True), text_budget=10**6, memory_weight=0.3
    )
    assert "$1[('{1,2,4,5,7,8,9,11,12}'::integer[])[v_turn]]::float" in with_gaps.text


def test_masks_of_blocks_are_concatenated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_planning, "_MAX_DEPTH", 0)
    # Memory is expensive: thresholds of many trees, each with a separate block and rows.
    trees = [branch(float(number), feature=number % 2) for number in range(64)]
    body = interpret_bitmask(TreeSum(trees, 64.0), Inputs(2), text_budget=10**6, memory_weight=300)
    assert "v_column integer;" in body.declarations
    (mask,) = re.findall(r"v_mask := v_mask\n.*?;", body.text, re.DOTALL)
    (note,) = body.notes
    blocks = int(note.partition("blocks: ")[2].partition(",")[0])
    assert mask.count("[v_column]") == mask.count("pg_catalog.substring(") == blocks > 1
    assert mask.count("\n      OPERATOR(pg_catalog.||)") == blocks - 1
    assert body.text.count("v_column := ") == 1


def test_long_bit_strings_are_base64() -> None:
    assert bit_literal(b"\x01\xff") == "X'01ff'"
    packed = bytes(range(256)) * 4
    literal = bit_literal(packed)
    (encoded,) = re.findall(r"decode\('([^']*)', 'base64'\)", literal)
    assert base64.b64decode(encoded) == packed
    assert len(literal) < len(packed) * 1.5


def test_floats_round_trip() -> None:
    assert [float_text(v) for v in (0.1, 1.0, -0.0, 1e300, 5e-324, float("nan"), float("-inf"))] == [
        "0.1", "1", "-0", "1e+300", "5e-324", "NaN", "-Infinity",
    ]  # fmt: skip


def test_identifiers_are_quoted() -> None:
    assert quote_identifier('a"b') == '"a""b"'


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_text_of_the_own_form_is_taken_for_a_function(layout: Layout) -> None:
    rows = np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 1.0], [np.nan, 5.0]] * 30)
    forest = RandomForestClassifier(12, max_depth=3, random_state=0).fit(rows, [0, 1, 1, 0] * 30)
    names = ["scoring", "model"]
    text = transpile(
        forest, feature_names=["a", "b"], function_name="scoring.model", layout=layout, arguments="array"
    )
    assert is_function_statement(text, names)
    for found, other in [
        ("$rowguard$;\n", "$rowguard$;\nSELECT 1;\n"),
        ("$rowguard$;", "$rowguard$ SECURITY DEFINER;"),
        ("real[]", "real[] DEFAULT lo_get(1)::text::real[]"),
        ("plpgsql", "plpython3u"),
        ('"model"', '"other"'),
        ("  RETURN", "  EXECUTE 'x';\n  RETURN"),
        ("  RETURN", "  PERFORM pg_sleep(1);\n  RETURN"),
        ("  RETURN", "  /* ' */ PERFORM pg_sleep(1); -- '\n  RETURN"),
        ("float '", "float E'\\'"),
        ("  RETURN", '  v_sum := "pg_sleep"(1);\n  RETURN'),
        ("  RETURN", "  v_sum := U&$$x$$;\n  RETURN"),
    ]:
        changed = text.replace(found, other)
        assert changed != text and not is_function_statement(changed, names), other
