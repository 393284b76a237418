"""Layout ``bitmask``: bitvector traversal of the whole forest in a few C-coded functions over big constants.

The method is QuickScorer's (Lucchese et al., SIGIR 2015). One loop ANDs the features' masks (see ``_masks`` and
``_lanes``), and one adds the values of the exit leaves in tree order (see ``_slots``). A fresh transaction
builds the state of a few expressions only, for any number of trees and features. Trees may be divided into
groups, which are looked up one after the other, and blocks, whose masks are concatenated (see ``_blocks``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import Body, Inputs, return_statement, sum_declaration
from sql_scoring.engine._lanes import Lane, build_lanes
from sql_scoring.engine._masks import Group, build_group
from sql_scoring.engine._planning import Region, plan_regions
from sql_scoring.engine._slots import SlotFormat
from sql_scoring.engine._trees import TreeSum, leaves, splits

_MISSING = sql.float_literal(float("nan"))


def interpret_bitmask(model: TreeSum, inputs: Inputs, *, text_budget: int, memory_weight: float) -> Body:
    """Write the lookups, the AND and the sum, by the cheapest plan for ``memory_weight``."""
    skip_zero_leaves = model.divisor is not None
    whole = plan_regions(
        [leaves(tree) for tree in model.trees],
        text_budget=text_budget,
        memory_weight=memory_weight,
        skip_zero_leaves=skip_zero_leaves,
    )
    used = sorted({split.feature for tree in model.trees for split in splits(tree)})
    writer = _Writer(_Reader(inputs, used), skip_zero_leaves=skip_zero_leaves)
    writer.region(whole)
    writer.code.line(return_statement(model))
    groups = [group for region in whole.leaves() for group in region.plan.groups]
    return Body(
        writer.code.text(),
        whole.microseconds,
        [
            sum_declaration(model),
            "v_mask bit varying;",
            *(["v_column integer;"] if writer.needs_column else []),
            *writer.reader.declarations,
        ],
        [
            f"regions: {len(whole.leaves())}, groups: {len(groups)}, "
            f"blocks: {sum(len(group.runs) for group in groups)}, thresholds: {writer.thresholds}, "
            f"masks: {writer.mask_bytes} bytes"
        ],
    )


class _Reader:
    """Reads features in a loop: from the array argument, or from an array of the used columns."""

    def __init__(self, inputs: Inputs, used: list[int]) -> None:
        self.inputs = inputs
        self._used = used
        self.declarations: list[str] = []

    def indexed(self, index: str) -> str:
        """Text of the feature at a position computed at run time; past the end it is missing."""
        if self.inputs.array:
            return self.inputs.element(index)
        if not self.declarations:
            columns = ", ".join(map(self.inputs.read, self._used))
            self.declarations.append(f"v_input double precision[] := ARRAY[{columns}];")
        return f"v_input[{index}]"

    def positions(self, features: Sequence[int]) -> list[int]:
        """Positions of features for ``indexed``."""
        if self.inputs.array:
            return [feature + 1 for feature in features]
        return [self._used.index(feature) + 1 for feature in features]


class _Writer:
    """Writes regions, and counts what it wrote."""

    def __init__(self, reader: _Reader, *, skip_zero_leaves: bool) -> None:
        self.code = sql.PlpgsqlGenerator()
        self.reader = reader
        self._skip_zero_leaves = skip_zero_leaves
        self.needs_column = False
        self.thresholds = 0
        self.mask_bytes = 0

    def region(self, region: Region) -> None:
        """Write the lines that add all trees of a region to ``v_sum``."""
        if region.split is not None and region.low is not None and region.high is not None:
            value = self.reader.inputs.unchanged(region.split.feature)  # compared as float8 in any case
            self.code.open(f"IF {value} {sql.AT_MOST} {sql.float_literal(region.split.cut)} THEN")
            self.region(region.low)
            self.code.reopen("ELSE")
            self.region(region.high)
            self.code.close("END IF;")
            return
        for plan in region.plan.groups:
            blocks = [region.trees[first:end] for first, end in plan.runs]
            group = build_group(
                blocks, plan.slot_format, plan.unroll, skip_zero_leaves=self._skip_zero_leaves
            )
            if group.features:
                head, lanes = build_lanes(group.features, plan.lanes)
                self._masks(group, head, lanes)
                _write_sum(self.code, group)
                self.thresholds += sum(len(feature.thresholds) - 1 for feature in group.features)
                self.mask_bytes += sum(rows.size for feature in group.features for rows in feature.rows)
            else:
                for tree in itertools.chain.from_iterable(blocks):  # one leaf each
                    self.code.assign("v_sum", f"v_sum {sql.ADD} {sql.float_literal(tree[0].value)}")

    def _masks(self, group: Group, head: Lane | None, lanes: list[Lane]) -> None:
        """Write the lines that set ``v_mask`` to the AND of all features' masks."""
        code, reader = self.code, self.reader
        if head is None:
            code.assign("v_mask", sql.bit_literal(b"\xff" * (group.width // 8)))
        else:
            value = reader.inputs.read(head.features[0])
            code.assign("v_mask", self._mask(head, value, "1", 1, group))
        if not lanes:
            return
        iterations = lanes[0].iterations
        first = reader.positions(lanes[0].features)[0] if iterations > 1 else 1
        index = "v_turn" if iterations > 1 else "1"
        if iterations > 1:
            code.open(f"FOR v_turn IN {first}..{first + iterations - 1} LOOP")
        masks = ["v_mask"]
        for lane in lanes:
            masks.append(self._mask(lane, _read(lane, reader, first), index, first, group))
            if group.blocks > 1:  # the next lane sets v_column again
                code.assign("v_mask", f"\n    {sql.BIT_AND} ".join(masks))
                masks = ["v_mask"]
        if len(masks) > 1:
            code.assign("v_mask", f"\n    {sql.BIT_AND} ".join(masks))
        if iterations > 1:
            code.close("END LOOP;")

    def _mask(self, lane: Lane, value: str, index: str, first: int, group: Group) -> str:
        """Text of one feature's mask. With several blocks it reads ``v_column``, which a line before it sets."""
        rank = f"pg_catalog.width_bucket(COALESCE({value}, {_MISSING}), {sql.float_array_literal(lane.thresholds)})"
        columns = lane.columns if group.blocks > 1 else lane.starts[0][lane.columns]
        table = [list(map(str, row)) for row in columns.tolist()]
        column = f"({sql.table_literal(table, 'integer', first=(first, 0))})[{index}][{rank}]"
        if group.blocks == 1:
            return _piece(lane, 0, column, group)
        self.needs_column = True
        self.code.assign("v_column", column)
        pieces = []
        for block, starts in enumerate(lane.starts.tolist()):
            start = f"({sql.list_literal(starts, 'integer', first=0)})[v_column]"
            pieces.append(_piece(lane, block, start, group))
        return _concatenated(pieces)


def _piece(lane: Lane, block: int, start: str, group: Group) -> str:
    """Text of the mask of one block."""
    return (
        f"pg_catalog.substring({sql.bit_literal(lane.rows[block].tobytes())}, {start}, {group.widths[block]})"
    )


def _concatenated(pieces: list[str]) -> str:
    """Pieces joined in halves, so that each is copied log2(pieces) times."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    first, second = _concatenated(pieces[:half]), _concatenated(pieces[half:])
    return f"({first}\n      {sql.CONCATENATE} {second})"


def _read(lane: Lane, reader: _Reader, first: int) -> str:
    """Text of the feature of the current iteration; iterations are counted from ``first``."""
    if lane.iterations == 1:
        return reader.inputs.read(lane.features[0])
    positions = reader.positions(lane.features)
    if positions == list(range(positions[0], positions[0] + len(positions))):
        shift = positions[0] - first
        return reader.indexed(f"v_turn {sql.ADD} {shift}" if shift else "v_turn")
    return reader.indexed(f"({sql.list_literal(positions, 'integer', first=first)})[v_turn]")


def _write_sum(code: sql.PlpgsqlGenerator, group: Group) -> None:
    """Write the loop that adds the values of the exit leaves to ``v_sum``."""
    slot_format = group.slot_format
    step = slot_format.stride * group.unroll
    values = list(map(sql.float_text, group.values.tolist()))
    code.open(f"FOR v_bit IN 1..{group.width - step + 1} BY {step} LOOP")
    terms = ["v_sum"]
    for number in range(group.unroll):
        # The values are as far into the array as the slots are into the mask, so the index needs no addition.
        shift = number * slot_format.stride
        shifted = _every(values, shift, slot_format.stride, step)
        array = sql.list_literal(shifted, "float", first=1 + slot_format.lowest)
        terms.append(f"({array})[v_bit {sql.ADD} {_hash(slot_format, shift)}]")
    code.assign("v_sum", f"\n      {sql.ADD} ".join(terms))
    code.close("END LOOP;")


def _hash(slot_format: SlotFormat, shift: int) -> str:
    """Text of the hash of the slot ``shift`` bits past ``v_bit``."""
    kind = slot_format.integer_type
    parts = []
    for first in range(shift, shift + slot_format.parts * slot_format.read, slot_format.read):
        start = f"v_bit {sql.ADD} {first}" if first else "v_bit"
        parts.append(f"pg_catalog.substring(v_mask, {start}, {slot_format.read})::{kind}")
    return f"pg_catalog.mod({f' {sql.SUBTRACT} '.join(parts)}, {slot_format.prime}::{kind})"


def _every(row: list[str], shift: int, stride: int, step: int) -> list[str]:
    """Of every iteration's values only the slot at ``shift``, moved to the front; the rest is never read."""
    if step == stride:
        return row
    idle = ["0"] * (step - stride)
    values: list[str] = []
    for first in range(shift, len(row), step):
        values += row[first : first + stride] + idle
    return values
