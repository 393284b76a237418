"""Layout ``bitmask``: the whole forest at once, in a few C-coded functions over big constants.

One loop takes each feature's mask and ANDs it to the others (see ``_masks`` and ``_lanes``), and one adds the
values of the leaves that are left, in tree order (see ``_slots``). What a fresh transaction has to build again
is a few expressions, however large the forest is and however many its features are. Trees may be divided into
groups, which are looked up one after the other, and blocks, whose masks stand side by side (see ``_blocks``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._interpreter import Body, Inputs
from sql_scoring.engine._lanes import Lane, build_lanes
from sql_scoring.engine._masks import Group, build_group
from sql_scoring.engine._planning import Region, plan_regions
from sql_scoring.engine._slots import SlotFormat
from sql_scoring.engine._trees import TreeSum, leaves, splits

_MISSING = sql.float_literal(float("nan"))


class BitmaskInterpreter:
    """Rank, AND, look up, add."""

    def __init__(self, *, text_budget: int, memory_weight: float) -> None:
        self._text_budget = text_budget
        self._memory_weight = memory_weight

    def interpret(self, model: TreeSum, inputs: Inputs) -> Body:
        """See the class."""
        from_zero = model.divisor is not None
        whole = plan_regions(
            [leaves(tree) for tree in model.trees],
            text_budget=self._text_budget,
            memory_weight=self._memory_weight,
            zero_is_nothing=from_zero,
        )
        used = sorted({split.feature for tree in model.trees for split in splits(tree)})
        writer = _Writer(_Reader(inputs, used), zero_is_nothing=from_zero)
        writer.region(whole)
        divided = "" if model.divisor is None else f" {sql.DIVIDE} {sql.float_literal(model.divisor)}"
        writer.code.line(f"RETURN v_sum{divided};")
        start = 0.0 if from_zero else -0.0
        groups = [group for region in whole.leaves() for group in region.plan.groups]
        return Body(
            writer.code.text(),
            whole.microseconds,
            [
                f"v_sum double precision := {sql.float_literal(start)};",
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
    """Reads features in a loop: from the array argument, or from an array of the columns that the model uses."""

    def __init__(self, inputs: Inputs, used: list[int]) -> None:
        self._inputs = inputs
        self._used = used
        self.declarations: list[str] = []

    def one(self, feature: int) -> str:
        """A feature by its number, a float8."""
        return self._inputs.read(feature)

    def unchanged(self, feature: int) -> str:
        """The same as it comes, which for comparing with a float8 is good enough."""
        return self._inputs.unchanged(feature)

    def indexed(self, index: str) -> str:
        """The feature at a place that is reckoned when the function runs; past the end it is missing."""
        if self._inputs.array:
            return self._inputs.element(index)
        if not self.declarations:
            columns = ", ".join(map(self.one, self._used))
            self.declarations.append(f"v_input double precision[] := ARRAY[{columns}];")
        return f"v_input[{index}]"

    def places(self, features: Sequence[int]) -> list[int]:
        """Where ``indexed`` finds features."""
        if self._inputs.array:
            return [feature + 1 for feature in features]
        return [self._used.index(feature) + 1 for feature in features]


class _Writer:
    """Writes regions, and counts what it wrote."""

    def __init__(self, reader: _Reader, *, zero_is_nothing: bool) -> None:
        self.code = sql.PlpgsqlGenerator()
        self.reader = reader
        self._zero_is_nothing = zero_is_nothing
        self.needs_column = False
        self.thresholds = 0
        self.mask_bytes = 0

    def region(self, region: Region) -> None:
        """``v_sum`` becomes the sum over all trees."""
        if region.question is not None and region.low is not None and region.high is not None:
            feature, cut = region.question.feature, region.question.cut
            self.code.open_if(f"{self.reader.unchanged(feature)} {sql.AT_MOST} {sql.float_literal(cut)}")
            self.region(region.low)
            self.code.otherwise()
            self.region(region.high)
            self.code.close_if()
            return
        for plan in region.plan.groups:
            blocks = [region.trees[first:past] for first, past in plan.runs]
            group = build_group(blocks, plan.slot_format, plan.unroll, zero_is_nothing=self._zero_is_nothing)
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
        """``v_mask`` becomes the AND of all features' masks."""
        code, reader = self.code, self.reader
        if head is None:
            code.assign("v_mask", sql.bit_literal(b"\xff" * (group.width // 8)))
        else:
            value = reader.one(head.features[0])
            code.assign("v_mask", self._mask(head, value, "1", 1, group))
        if not lanes:
            return
        turns = lanes[0].turns
        first = reader.places(lanes[0].features)[0] if turns > 1 else 1
        turn = "v_turn" if turns > 1 else "1"
        if turns > 1:
            code.open_loop("v_turn", first, first + turns - 1)
        masks = ["v_mask"]
        for lane in lanes:
            masks.append(self._mask(lane, _read(lane, reader, first), turn, first, group))
            if group.blocks > 1:  # the next lane needs v_column for itself
                code.assign("v_mask", f"\n    {sql.BIT_AND} ".join(masks))
                masks = ["v_mask"]
        if len(masks) > 1:
            code.assign("v_mask", f"\n    {sql.BIT_AND} ".join(masks))
        if turns > 1:
            code.close_loop()

    def _mask(self, lane: Lane, value: str, turn: str, first: int, group: Group) -> str:
        """Text of one feature's mask. That of several blocks reads ``v_column``, for which a line is written."""
        rank = f"pg_catalog.width_bucket(COALESCE({value}, {_MISSING}), {sql.float_array_literal(lane.thresholds)})"
        columns = lane.columns if group.blocks > 1 else lane.starts[0][lane.columns]
        table = [list(map(str, row)) for row in columns.tolist()]
        column = f"({sql.table_literal(table, 'integer', first=(first, 0))})[{turn}][{rank}]"
        if group.blocks == 1:
            return _piece(lane, 0, column, group)
        self.needs_column = True
        self.code.assign("v_column", column)
        pieces = []
        for block, starts in enumerate(lane.starts.tolist()):
            start = f"({sql.list_literal(starts, 'integer', first=0)})[v_column]"
            pieces.append(_piece(lane, block, start, group))
        return _side_by_side(pieces)


def _piece(lane: Lane, block: int, start: str, group: Group) -> str:
    """Text of the mask of one block."""
    return (
        f"pg_catalog.substring({sql.bit_literal(lane.rows[block].tobytes())}, {start}, {group.widths[block]})"
    )


def _side_by_side(pieces: list[str]) -> str:
    """Pieces in a row, joined in halves: each is copied as often as the halves can be halved."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    first, second = _side_by_side(pieces[:half]), _side_by_side(pieces[half:])
    return f"({first}\n      {sql.CONCATENATE} {second})"


def _read(lane: Lane, reader: _Reader, first: int) -> str:
    """Text of the feature of this turn; turns are counted from ``first``."""
    if lane.turns == 1:
        return reader.one(lane.features[0])
    places = reader.places(lane.features)
    if places == list(range(places[0], places[0] + len(places))):
        shift = places[0] - first
        return reader.indexed(f"v_turn {sql.ADD} {shift}" if shift else "v_turn")
    return reader.indexed(f"({sql.list_literal(places, 'integer', first=first)})[v_turn]")


def _write_sum(code: sql.PlpgsqlGenerator, group: Group) -> None:
    """The values of the leaves that are left are added to ``v_sum``."""
    slot_format = group.slot_format
    turn = slot_format.stride * group.unroll
    values = list(map(sql.float_text, group.values.tolist()))
    code.open_loop("v_bit", 1, group.width - turn + 1, turn)
    terms = ["v_sum"]
    for number in range(group.unroll):
        # Values as far into the array as this term's slots are into the mask: the index needs no addition.
        shift = number * slot_format.stride
        shifted = _every(values, shift, slot_format.stride, turn)
        array = sql.list_literal(shifted, "float", first=1 + slot_format.lowest)
        terms.append(f"({array})[v_bit {sql.ADD} {_hash(slot_format, shift)}]")
    code.assign("v_sum", f"\n      {sql.ADD} ".join(terms))
    code.close_loop()


def _hash(slot_format: SlotFormat, shift: int) -> str:
    """Text of the hash of the slot that stands ``shift`` bits past ``v_bit``."""
    kind = slot_format.integer_type
    parts = []
    for first in range(shift, shift + slot_format.parts * slot_format.read, slot_format.read):
        start = f"v_bit {sql.ADD} {first}" if first else "v_bit"
        parts.append(f"pg_catalog.substring(v_mask, {start}, {slot_format.read})::{kind}")
    return f"pg_catalog.mod({f' {sql.SUBTRACT} '.join(parts)}, {slot_format.prime}::{kind})"


def _every(row: list[str], shift: int, stride: int, turn: int) -> list[str]:
    """Of every turn's values only the slot at ``shift``, moved to the front; the rest is never read."""
    if turn == stride:
        return row
    idle = ["0"] * (turn - stride)
    found: list[str] = []
    for first in range(shift, len(row), turn):
        found += row[first : first + stride] + idle
    return found
