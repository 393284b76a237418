"""Layout ``bitmask``: bitvector traversal of the whole forest in a few C-coded functions over big constants.

The method is QuickScorer's (Lucchese et al., SIGIR 2015). One loop ANDs the features' masks (see ``_masks`` and
``_lanes``), and one adds the values of the exit leaves in tree order (see ``_slots``). A fresh transaction
builds the state of a few expressions only, for any number of trees and features. Trees may be divided into
groups, which are looked up one after the other, and blocks, whose masks are concatenated (see ``_blocks``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._blocks import Plan
from sql_scoring.engine._interpreter import Body, Inputs, leaf_literal, return_statement, sum_declaration
from sql_scoring.engine._lanes import Lane, build_lanes
from sql_scoring.engine._masks import Group, build_group
from sql_scoring.engine._planning import plan_model
from sql_scoring.engine._slots import SlotFormat
from sql_scoring.engine._trees import TreeSum, splits


def interpret_bitmask(model: TreeSum, inputs: Inputs, *, text_budget: int, memory_weight: float) -> Body:
    """Write the lookups, the AND and the sum, by the cheapest plan for ``memory_weight``."""
    plan = plan_model(model, text_budget=text_budget, memory_weight=memory_weight)
    used = sorted({split.feature for tree in model.trees for split in splits(tree)})
    writer = _Writer(inputs, used, model)
    text = sql.indented([*writer.lines(plan), return_statement(model)])
    declarations = [sum_declaration(model), "v_mask bit varying;"]
    if "v_column" in text:
        declarations.append("v_column integer;")
    if "v_input" in text:
        columns = ", ".join(map(inputs.read, used))
        declarations.append(f"v_input double precision[] := ARRAY[{columns}];")
    runs = [group.runs for region in plan.regions() for group in region.groups]
    features = [feature for group in writer.groups for feature in group.features]
    note = (
        f"regions: {len(plan.regions())}, groups: {len(runs)}, blocks: {sum(map(len, runs))}, "
        f"thresholds: {sum(len(feature.thresholds) - 1 for feature in features)}, "
        f"masks: {sum(rows.size for feature in features for rows in feature.rows)} bytes"
    )
    return Body(text, plan.microseconds, declarations, [note])


class _Writer:
    """Writes plans as lines, and keeps the groups that it built for them."""

    def __init__(self, inputs: Inputs, used: list[int], model: TreeSum) -> None:
        self.groups: list[Group] = []
        self._inputs = inputs
        self._used = used
        self._model = model

    def lines(self, plan: Plan) -> Iterator[str]:
        """The lines that add all trees of a plan to ``v_sum``."""
        if plan.split is not None:
            low, high = plan.halves
            value = self._inputs.read(plan.split.feature).removesuffix(
                "::float"
            )  # compared as float8 in any case
            yield f"IF {value} {sql.AT_MOST} {sql.float_literal(plan.split.cut)} THEN"
            yield from self.lines(low)
            yield "ELSE"
            yield from self.lines(high)
            yield "END IF;"
            return
        for group_plan in plan.groups:
            blocks = [plan.trees[first:end] for first, end in group_plan.runs]
            group = build_group(
                blocks,
                group_plan.slot_format,
                group_plan.unroll,
                skip_zero_leaves=self._model.skip_zero_leaves,
            )
            self.groups.append(group)
            if group.features:
                yield from self._mask_lines(group, *build_lanes(group.features, group_plan.lanes))
                yield from _sum_lines(group, is_real=self._model.is_real)
            else:
                for (leaf,) in (tree for trees in blocks for tree in trees):
                    yield sql.add_to_sum(leaf_literal(self._model, leaf.value))

    def _mask_lines(self, group: Group, head: Lane | None, lanes: list[Lane]) -> Iterator[str]:
        """The lines that set ``v_mask`` to the AND of all features' masks."""
        if head is None:
            yield f"v_mask := {sql.bit_literal(bytes([255]) * (group.width // 8))};"
        else:
            yield from _masked(group, [], [(head, self._inputs.read(head.features[0]))], index="1", first=1)
        if not lanes:
            return
        iterations = lanes[0].iterations
        first = self._positions(lanes[0])[0] if iterations > 1 else 1
        read = [(lane, self._read(lane, first)) for lane in lanes]
        if iterations == 1:
            yield from _masked(group, ["v_mask"], read, index="1", first=1)
            return
        yield f"FOR v_turn IN {first}..{first + iterations - 1} LOOP"
        yield from _masked(group, ["v_mask"], read, index="v_turn", first=first)
        yield "END LOOP;"

    def _positions(self, lane: Lane) -> list[int]:
        """Where the features are in the array: that of the argument, or one of the used columns."""
        if self._inputs.array:
            return [feature + 1 for feature in lane.features]
        return [self._used.index(feature) + 1 for feature in lane.features]

    def _read(self, lane: Lane, first: int) -> str:
        """Text of the feature of the current iteration, past the end missing; ``first`` is the first one's number."""
        if lane.iterations == 1:
            return self._inputs.read(lane.features[0])
        positions = self._positions(lane)
        shift = positions[0] - first
        if positions != list(range(positions[0], positions[0] + len(positions))):
            index = f"({sql.list_literal(positions, 'integer', first=first)})[v_turn]"
        else:
            index = f"v_turn {sql.ADD} {shift}" if shift else "v_turn"
        return self._inputs.element(index) if self._inputs.array else f"v_input[{index}]"


def _masked(
    group: Group, terms: list[str], read: list[tuple[Lane, str]], *, index: str, first: int
) -> Iterator[str]:
    """The lines that set ``v_mask`` to the AND of ``terms`` and one feature's mask of each lane."""
    for lane, value in read:
        rank = f"pg_catalog.width_bucket(COALESCE({value}, {sql.NAN}), {sql.float_array_literal(lane.thresholds)})"
        columns = lane.columns if len(group.widths) > 1 else lane.starts[0][lane.columns]
        column = f"({sql.table_literal(columns.tolist(), 'integer', first=(first, 0))})[{index}][{rank}]"
        if len(group.widths) == 1:
            terms = [*terms, _piece(lane, 0, column, group)]
            continue
        yield f"v_column := {column};"
        pieces = []
        for block, starts in enumerate(lane.starts.tolist()):
            start = f"({sql.list_literal(starts, 'integer', first=0)})[v_column]"
            pieces.append(_piece(lane, block, start, group))
        yield _and_statement([*terms, _concatenated(pieces)])  # at once: the next lane sets v_column again
    if len(group.widths) == 1:
        yield _and_statement(terms)


def _and_statement(terms: list[str]) -> str:
    return "v_mask := " + f"\n    {sql.BIT_AND} ".join(terms) + ";"


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


def _sum_lines(group: Group, *, is_real: bool) -> Iterator[str]:
    """The loop that adds the values of the exit leaves to ``v_sum``."""
    slot_format = group.slot_format
    step = slot_format.stride * group.unroll
    terms = ["v_sum"]
    for shift in range(0, step, slot_format.stride):
        # Of every iteration's values only one slot's, moved to the front; the rest is never read.
        rows = group.values.reshape(-1, group.unroll, slot_format.reach)
        values = np.zeros((len(rows), step))
        values[:, : slot_format.reach] = rows[:, shift // slot_format.stride]
        # The values are as far into the array as the slots are into the mask, so the index needs no addition.
        text, kind = (sql.real_text, "real") if is_real else (sql.float_text, "float")
        array = sql.list_literal(list(map(text, values.ravel().tolist())), kind, first=1 + slot_format.lowest)
        terms.append(f"({array})[v_bit {sql.ADD} {_hash(slot_format, shift)}]")
    yield f"FOR v_bit IN 1..{group.width - step + 1} BY {step} LOOP"
    yield "v_sum := " + f"\n      {sql.ADD} ".join(terms) + ";"
    yield "END LOOP;"


def _hash(slot_format: SlotFormat, shift: int) -> str:
    """Text of the hash of the slot ``shift`` bits past ``v_bit``."""
    kind = slot_format.integer_type
    parts = []
    for first in range(shift, shift + slot_format.parts * slot_format.read, slot_format.read):
        start = f"v_bit {sql.ADD} {first}" if first else "v_bit"
        parts.append(f"pg_catalog.substring(v_mask, {start}, {slot_format.read})::{kind}")
    return f"pg_catalog.mod({f' {sql.SUBTRACT} '.join(parts)}, {slot_format.prime}::{kind})"
