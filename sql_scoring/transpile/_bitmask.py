"""Layout ``bitmask``: the whole forest at once, in a few C-coded functions over big constants.

One expression takes each feature's mask and ANDs them (see ``_masks``), and one short loop adds the values of
the leaves that are left, in tree order (see ``_slots``). What a fresh transaction has to build again is a few
expressions, however large the forest is. Trees may be divided into groups and blocks (see ``_blocks``).
"""

from __future__ import annotations

from sql_scoring.transpile import _codegen as sql
from sql_scoring.transpile._blocks import plan_groups
from sql_scoring.transpile._interpreter import Body, Inputs
from sql_scoring.transpile._masks import FeatureMasks, Group, build_group
from sql_scoring.transpile._trees import TreeSum, leaf_value, leaves

_MISSING = sql.float_literal(float("nan"))


class BitmaskInterpreter:
    """Rank, AND, look up, add."""

    def __init__(self, *, text_budget: int, memory_weight: float) -> None:
        self._text_budget = text_budget
        self._memory_weight = memory_weight

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """See the class."""
        trees = [leaves(tree) for tree in model.trees]
        from_zero = model.divisor is not None
        plan = plan_groups(
            trees,
            text_budget=self._text_budget,
            memory_weight=self._memory_weight,
            zero_is_nothing=from_zero,
        )
        code = sql.PlpgsqlGenerator()
        thresholds = mask_bytes = 0
        for group_plan in plan.groups:
            blocks = [trees[first:past] for first, past in group_plan.runs]
            group = build_group(blocks, group_plan.slot_format, group_plan.unroll, zero_is_nothing=from_zero)
            if group.features:
                _write_group(code, group, inputs)
            else:
                first, past = group_plan.runs[0][0], group_plan.runs[-1][1]
                for tree in model.trees[first:past]:  # one leaf each
                    code.assign("v_sum", f"v_sum {sql.ADD} {sql.float_literal(leaf_value(tree))}")
            thresholds += sum(len(feature.thresholds) - 1 for feature in group.features)
            mask_bytes += sum(feature.rows.size for feature in group.features)
        divided = "" if model.divisor is None else f" {sql.DIVIDE} {sql.float_literal(model.divisor)}"
        code.line(f"RETURN v_sum{divided};")
        start = 0.0 if from_zero else -0.0
        blocks_note = sum(len(group.runs) for group in plan.groups)
        return Body(
            code.text(),
            plan.microseconds,
            [
                f"v_sum double precision := {sql.float_literal(start)};",
                "v_mask bit varying;",
                "v_rank integer[];",
            ],
            [
                f"groups: {len(plan.groups)}, blocks: {blocks_note}, thresholds: {thresholds}, "
                f"masks: {mask_bytes} bytes"
            ],
        )


def _write_group(code: sql.PlpgsqlGenerator, group: Group, inputs: Inputs) -> None:
    ranks = [_rank(table, inputs) for table in group.features]
    looped = group.blocks > 1
    if looped:
        code.assign("v_rank", "ARRAY[\n    " + ",\n    ".join(ranks) + "\n  ]")
        code.open_loop("v_block", 1, group.blocks, 1)
    masks = []
    for number, (table, rank) in enumerate(zip(group.features, ranks, strict=True), start=1):
        if looped:
            starts = [list(map(str, row)) for row in table.starts.tolist()]
            start = f"({sql.table_literal(starts, 'integer', first=(1, 0))})[v_block][v_rank[{number}]]"
        else:
            start = f"{rank} {sql.MULTIPLY} {group.width} {sql.ADD} 1"
        rows = sql.bit_literal(table.rows.tobytes())
        masks.append(f"pg_catalog.substring({rows}, {start}, {group.width})")
    code.assign("v_mask", f"\n    {sql.BIT_AND} ".join(masks))
    _write_sum(code, group, "[v_block]" if looped else "")
    if looped:
        code.close_loop()


def _rank(table: FeatureMasks, inputs: Inputs) -> str:
    """Text of the feature's rank: from 0, the last one when it is missing."""
    value = f"COALESCE({inputs.read(table.feature)}, {_MISSING})"
    return f"pg_catalog.width_bucket({value}, {sql.float_array_literal(table.thresholds)})"


def _write_sum(code: sql.PlpgsqlGenerator, group: Group, block: str) -> None:
    slot_format = group.slot_format
    turn = slot_format.stride * group.unroll
    rows = [list(map(sql.float_text, row)) for row in group.values.tolist()]
    kind = slot_format.integer_type
    code.open_loop("v_bit", 1, group.width - turn + 1, turn)
    terms = ["v_sum"]
    for number in range(group.unroll):
        # Values as far into the array as this term's slots are into the mask: the index needs no addition.
        shift = number * slot_format.stride
        start = f"v_bit {sql.ADD} {shift}" if shift else "v_bit"
        shifted = [_every(row, shift, slot_format.stride, turn) for row in rows]
        if block:
            values = sql.table_literal(shifted, "float", first=(1, 1))
        else:
            values = "'{" + ",".join(shifted[0]) + "}'::float[]"
        slot = f"pg_catalog.substring(v_mask, {start}, {slot_format.read})::{kind}"
        leaf = f"pg_catalog.mod({slot}, {slot_format.prime}::{kind})"
        terms.append(f"({values}){block}[v_bit {sql.ADD} {leaf}]")
    code.assign("v_sum", f"\n      {sql.ADD} ".join(terms))
    code.close_loop()


def _every(row: list[str], shift: int, stride: int, turn: int) -> list[str]:
    """Of every turn's values only the slot at ``shift``, moved to the front; the rest is never read."""
    if turn == stride:
        return row
    idle = ["0"] * (turn - stride)
    found: list[str] = []
    for first in range(shift, len(row), turn):
        found += row[first : first + stride] + idle
    return found
