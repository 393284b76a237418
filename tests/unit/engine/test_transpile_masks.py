"""Slots, masks, lanes and regions, checked by doing in Python what the SQL does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from sql_scoring.engine import _planning, boundary_rows
from sql_scoring.engine._blocks import Plan, lane_plans
from sql_scoring.engine._lanes import Lane, LanePlan, build_lanes
from sql_scoring.engine._masks import build_group
from sql_scoring.engine._planning import plan_model
from sql_scoring.engine._regions import best_region_split, restrict_leaves
from sql_scoring.engine._slots import FORMATS, SlotFormat, assign_slots
from sql_scoring.engine._supported import assemble
from sql_scoring.engine._trees import Interval, Leaf, leaves


@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_every_bit_of_a_slot_has_a_distinct_hash(slot_format: SlotFormat) -> None:
    pairs = slot_format.bits_and_hashes
    hashes = {0} | {hashed for _, hashed in pairs}
    assert len({bit for bit, _ in pairs}) == slot_format.capacity == len(hashes) - 1
    assert slot_format.lowest <= min(hashes)
    assert max(hashes) - slot_format.lowest < slot_format.stride
    assert max(bit for bit, _ in pairs) < slot_format.parts * slot_format.read <= slot_format.stride
    assert slot_format.stride % 8 == slot_format.read % 8 == 0
    # A part must not reach the sign bit of the integer that it is read as.
    assert slot_format.used < (32 if slot_format.integer_type == "integer" else 64)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 63, 64, 65, 126, 127, 128, 300])
@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_every_leaf_is_found_by_its_bit(slot_format: SlotFormat, count: int) -> None:
    tree = [Leaf(float(number + 1)) for number in range(count)]
    bits, values = assign_slots([[Leaf(0.5)], tree], slot_format, skip_zero_leaves=True)
    capacity = slot_format.capacity
    slots = 1 + (1 if count <= capacity + 1 else -(-count // capacity))
    assert len(values) == slots * slot_format.stride
    for leaf, bit in zip(tree, bits[1:].tolist(), strict=True):
        mask = np.zeros(len(values), dtype=np.uint8)
        if bit >= 0:
            mask[bit] = 1
        assert 0.5 + leaf.value == _sum_of_slots(mask, values, slot_format)


@pytest.mark.parametrize("skip_zero_leaves", [True, False])
@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_leaves_that_need_no_bit_have_none(slot_format: SlotFormat, skip_zero_leaves: bool) -> None:
    several = [Leaf(float(number % 2) * (number + 1)) for number in range(3 * slot_format.capacity)]
    one = [Leaf(0.25), *(Leaf(0.75) for _ in range(100)), Leaf(0.25)]
    bits, values = assign_slots([several, one], slot_format, skip_zero_leaves=skip_zero_leaves)
    zeros = sum(leaf.value == 0 for leaf in several)
    with_bit = len(several) - (zeros if skip_zero_leaves else 0)
    assert len(values) == (-(-with_bit // slot_format.capacity) + 1) * slot_format.stride
    assert (bits >= 0).sum() == with_bit + 2
    for number, leaf in enumerate(several + one):
        mask = np.zeros(len(values), dtype=np.uint8)
        if bits[number] >= 0:
            mask[bits[number]] = 1
        rest = 0.75 if number < len(several) else 0.0
        assert leaf.value + rest == _sum_of_slots(mask, values, slot_format)


@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_values_of_frequent_leaves_are_next_to_hash_zero(slot_format: SlotFormat) -> None:
    count = slot_format.capacity
    fractions = [((number * 7) % count + 1) / count for number in range(count)]
    tree = [Leaf(float(number + 1), fraction=fraction) for number, fraction in enumerate(fractions)]
    values = assign_slots([[Leaf(0.0), Leaf(0.0), *tree]], slot_format, skip_zero_leaves=True)[1]
    found = [abs(int(np.flatnonzero(values == leaf.value)[0]) + slot_format.lowest) for leaf in tree]
    by_fraction = [found[number] for number in sorted(range(count), key=lambda number: -fractions[number])]
    assert by_fraction == sorted(by_fraction)
    assert by_fraction[0] == 1 and by_fraction[-1] < slot_format.prime


def _sum_of_slots(mask: np.ndarray, values: np.ndarray, slot_format: SlotFormat) -> float:
    total = 0.0
    for first in range(0, len(mask), slot_format.stride):
        parts = [
            int("".join(map(str, mask[begin : begin + slot_format.read].tolist())), 2)
            for begin in range(first, first + slot_format.parts * slot_format.read, slot_format.read)
        ]
        hashed = int(
            math.fmod(parts[0] - sum(parts[1:]), slot_format.prime)
        )  # keeps the sign, as PostgreSQL does
        total += float(values[first - slot_format.lowest + hashed])
    return total


def _looked_up(lane: Lane, iteration: int, row: np.ndarray, widths: list[int]) -> np.ndarray:
    value = row[lane.features[iteration]] if iteration < len(lane.features) else np.nan
    cuts = np.array(lane.thresholds[:-1])
    rank = len(cuts) + 1 if np.isnan(value) else int((cuts <= value).sum())
    starts = (lane.starts[:, lane.columns[iteration, rank]] - 1) // 8
    pieces = [
        np.unpackbits(rows.reshape(-1)[start : start + width // 8])
        for rows, start, width in zip(lane.rows, starts.tolist(), widths, strict=True)
    ]
    return np.concatenate(pieces)


def _model(features: int = 4) -> RandomForestClassifier:
    rng = np.random.default_rng(3)
    rows = np.round(rng.normal(size=(900, features)), 2)
    labels = (rows.sum(axis=1) + rng.normal(size=900) > 0.5).astype(int)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return RandomForestClassifier(9, max_leaf_nodes=90, random_state=0).fit(rows, labels)


def _leaves(model: RandomForestClassifier) -> list[list[Leaf]]:
    return [leaves(tree) for tree in assemble(model).trees]


@pytest.mark.parametrize("features", [1, 2, 5, 7])
def test_every_division_into_lanes_gives_every_feature_its_masks(features: int) -> None:
    model = _model(features)
    trees = _leaves(model)
    slot_format = FORMATS[7]
    group = build_group([trees[:4], trees[4:]], slot_format, 2, skip_zero_leaves=True)
    probes = boundary_rows(model, 20, seed=1)
    for plan in lane_plans(features):
        head, lanes = build_lanes(group.features, plan)
        assert {lane.iterations for lane in lanes} in ({-(-(features - plan.head) // plan.lanes)}, set())
        for row in probes:
            mask = np.ones(group.width, dtype=np.uint8)
            for lane in ([head] if head else []) + lanes:
                for iteration in range(lane.iterations):
                    mask &= _looked_up(lane, iteration, row, group.widths)
            expected = np.ones_like(mask)
            for table in group.features:
                alone, _ = build_lanes([table], LanePlan(1, head=True))
                assert alone is not None
                expected &= _looked_up(alone, 0, row, group.widths)
            assert mask.tolist() == expected.tolist()


def test_a_region_split_keeps_the_leaves_of_every_row() -> None:
    model = _model()
    trees = _leaves(model)
    split = best_region_split(trees)
    assert split is not None
    rows = boundary_rows(model, 300, seed=2)
    below = rows[:, split.feature] <= split.cut
    assert 0 < below.sum() < len(rows)
    for is_low in (True, False):
        halves = restrict_leaves(trees, split, low=is_low)
        assert sum(map(len, halves)) < sum(map(len, trees))
        for row in rows[below == is_low]:
            assert [_reached(half, row) for half in halves] == [_reached(tree, row) for tree in trees]


def _reached(tree: list[Leaf], row: np.ndarray) -> list[float]:
    def inside(box: Interval, value: float) -> bool:
        if np.isnan(value):
            return box.missing
        return (box.low is None or value > box.low) and (box.high is None or value <= box.high)

    return [
        leaf.value for leaf in tree if all(inside(box, row[feature]) for feature, box in leaf.box.items())
    ]


def test_regions_are_divided_while_it_lowers_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 6))
    labels = (rows[:, 0] + rows[:, 1] * rows[:, 2] + rng.normal(size=3000) > 1).astype(int)
    model = assemble(RandomForestClassifier(20, max_depth=9, random_state=0).fit(rows, labels))

    def planned(memory_weight: float, budget: int = 10**9) -> Plan:
        return plan_model(model, text_budget=budget, memory_weight=memory_weight)

    divided = planned(0.1)
    assert len(divided.regions()) > 1
    with monkeypatch.context() as patch:
        patch.setattr(_planning, "_MAX_DEPTH", 0)
        whole = planned(0.1)
    assert divided.microseconds < divided.worst_microseconds <= whole.microseconds
    assert planned(0.1, budget=divided.text_bytes - 1).text_bytes < divided.text_bytes
    assert planned(10.0).text_bytes < divided.text_bytes
