"""The layouts that compare one feature after another, references for ``bitmask``.

``case`` has one CASE expression per tree: few statements, so the first call is bearable and a statement that
scores many rows is fast. But PL/pgSQL keeps the executable form of an expression for one transaction only: the
first call of every transaction builds the state of every node again, visited or not.

``nested_if`` has one IF per node, as m2cgen's imperative languages do, and is the plainest reading of the model.
PL/pgSQL plans every node individually: fast once warm, expensive on a connection's first call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

from m2cgen import ast

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import Body, Inputs, leaf_literal, return_statement, sum_declaration
from sql_scoring.engine._trees import Pieces, Split, TreeSum, nodes, splits

# Text that is true exactly for the inputs that take the left (True) or the right branch; else false or NULL.
Condition = Callable[[Split, bool], str]
Literal = Callable[[float], str]

# Branches nest as the model's do up to here; below, the smaller subtree is always the nested one. A body's
# nesting is then at most this plus log2(leaves), far from PostgreSQL's stack limit at any depth.
NATURAL_NESTING = 32
_MICROSECONDS_PER_COMPARISON = {"case": 0.035, "nested_if": 0.15}


def interpret_branches(model: TreeSum, inputs: Inputs, layout: str) -> Body:
    """Write the statements that add every tree's value to the sum."""
    declarations, condition = _inputs_without_nan(model, inputs)
    leaf = partial(leaf_literal, model)
    lines: list[str] = []
    for number, tree in enumerate(model.trees, start=1):
        if layout == "case":
            lines.append(sql.add_to_sum(case_expression(tree, condition, leaf)))
        else:
            lines.append(f"-- tree {number}")
            lines += _if_statements(tree, condition, leaf)
    comparisons_if_balanced = sum(sum(1 for _ in splits(tree)).bit_length() for tree in model.trees)
    return Body(
        sql.indented([*lines, return_statement(model)]),
        _MICROSECONDS_PER_COMPARISON[layout] * comparisons_if_balanced,
        [sum_declaration(model), *declarations],
    )


def _inputs_without_nan(model: TreeSum, inputs: Inputs) -> tuple[list[str], Condition]:
    """Declarations of the inputs that need a variable, and the conditions over all inputs.

    NULL fails every comparison and so takes the right branch, NaN too (PostgreSQL sorts it above every
    number). Where some branch sends missing values left, NaN is turned into NULL once, in front.
    """
    every_split = [split for tree in model.trees for split in splits(tree)]
    missing_left = {split.feature for split in every_split if split.missing_left}
    declarations, names = [], {}
    for feature in sorted({split.feature for split in every_split}):
        text = inputs.read(feature)
        if feature in missing_left:
            text = f"CASE WHEN {text} {sql.DIFFERS} {sql.NAN} THEN {text} END"
        if feature in missing_left or inputs.array:
            declarations.append(f"v{feature + 1} double precision := {text};")
            text = f"v{feature + 1}"
        names[feature] = text
    return declarations, lambda split, left: comparison(names[split.feature], split, left)


def comparison(
    value: str, split: Split, left: bool, literal: Literal = sql.float_literal, *, is_never_nan: bool = True
) -> str:
    """Text of one branch's condition; ``is_never_nan`` says that the value is none where missing values go left."""
    is_plain = left != split.missing_left
    if not split.pieces:
        cut = literal(split.cut)
        at_most, above = f"{value} {sql.AT_MOST} {cut}", f"{value} {sql.ABOVE} {cut}"
        if split.missing_left and not is_never_nan:
            above = f"{above} AND {value} {sql.LESS} {sql.NAN}"
        plain, other = (at_most, above) if left else (above, at_most)
        return plain if is_plain else f"({other}) IS NOT TRUE"
    text = _membership(value, split.accepted(left=left if is_plain else not left), literal)
    return text if is_plain else f"({text}) IS NOT TRUE"


def _membership(value: str, pieces: Pieces, literal: Literal) -> str:
    """Text that is true for the numbers of the pieces only, which NaN is not."""
    terms = []
    for low, high in pieces:
        above = f"{value} {sql.ABOVE} {literal(low)} AND " if low > -math.inf else ""
        terms.append(f"{above}{value} {sql.AT_MOST} {literal(high)}")
    return f"({' OR '.join(terms)})" if terms else "FALSE"


def case_expression(tree: ast.Expr, condition: Condition, leaf: Literal) -> str:
    """One tree as one CASE expression."""
    words = {"start": "CASE", "else": " ELSE ", "end": " END"}
    parts = []
    for word, text in _walk(tree, condition, leaf):
        parts.append(f" WHEN {text} THEN " if word == "when" else words.get(word, text))
    return "".join(parts)


def _if_statements(tree: ast.Expr, condition: Condition, leaf: Literal) -> Iterator[str]:
    word_if = "IF"
    for word, text in _walk(tree, condition, leaf):
        if word == "when":
            yield f"{word_if} {text} THEN"
        elif word != "start":
            yield {"else": "ELSE", "end": "END IF;"}.get(word) or sql.add_to_sum(text)
        word_if = "IF" if word == "start" else "ELSIF"


def _walk(tree: ast.Expr, condition: Condition, leaf: Literal) -> Iterator[tuple[str, str]]:
    """The words of a tree's text: start, when (with its condition), leaf (with its value), else and end.

    A branch is a chain of whens and the leaf that remains. The plain comparison (without ``IS NOT TRUE``)
    comes first: for a missing value that goes left that is the right-hand child.
    """
    sizes = _subtree_sizes(tree)
    pending: list[tuple[str, str] | ast.Expr] = [tree]  # what is still to be written, last first
    while pending:
        node = pending.pop()
        if isinstance(node, tuple):
            yield node
            continue
        if not isinstance(node, ast.IfExpr):
            yield "leaf", leaf(node.value)
            continue
        chain: list[tuple[str, str] | ast.Expr] = [("start", "")]
        while isinstance(node, ast.IfExpr):
            left = not node.test.missing_left
            first, rest = (node.body, node.orelse) if left else (node.orelse, node.body)
            (first_leaves, first_depth), (rest_leaves, _) = sizes[id(first)], sizes[id(rest)]
            if first_depth > NATURAL_NESTING and first_leaves > rest_leaves:
                left, first, rest = not left, rest, first
            chain += [("when", condition(node.test, left)), first]
            node = rest
        pending += reversed([*chain, ("else", ""), node, ("end", "")])


def _subtree_sizes(tree: ast.Expr) -> dict[int, tuple[int, int]]:
    """For every node of a tree, by ``id``: number of leaves and depth below it."""
    sizes: dict[int, tuple[int, int]] = {}
    for node in reversed(nodes(tree)):
        sizes[id(node)] = (1, 0)
        if isinstance(node, ast.IfExpr):
            (left_leaves, left_depth), (right_leaves, right_depth) = (
                sizes[id(node.body)],
                sizes[id(node.orelse)],
            )
            sizes[id(node)] = (left_leaves + right_leaves, 1 + max(left_depth, right_depth))
    return sizes
