"""Slots and masks, checked by doing in Python what the SQL does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from sql_scoring.transpile import boundary_rows, reference_scores
from sql_scoring.transpile._blocks import plan_groups
from sql_scoring.transpile._masks import Group, build_group
from sql_scoring.transpile._slots import FORMATS, SlotFormat, place
from sql_scoring.transpile._supported import assemble
from sql_scoring.transpile._trees import Leaf, leaves, tree_sum


@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_every_bit_of_a_slot_has_a_hash_of_its_own(slot_format: SlotFormat) -> None:
    hashes = {pow(2, bit, slot_format.prime) for bit in range(slot_format.used)}
    assert len(hashes) == slot_format.used
    assert 0 not in hashes
    assert max(hashes) < slot_format.stride
    assert slot_format.stride % 8 == slot_format.read % 8 == 0
    # The slot must not reach the sign bit of the integer that it is read as.
    assert slot_format.used < (32 if slot_format.integer_type == "integer" else 64)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 63, 64, 65, 200])
@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_every_leaf_is_found_by_its_bit(slot_format: SlotFormat, count: int) -> None:
    tree = [Leaf(float(number + 1)) for number in range(count)]
    placement = place([[Leaf(0.5)], tree], slot_format, zero_is_nothing=True)
    assert placement.slots == 1 + (1 if count <= slot_format.used + 1 else -(-count // slot_format.used))
    for leaf, bit in zip(tree, placement.bits[1:].tolist(), strict=True):
        mask = np.zeros(placement.slots * slot_format.stride, dtype=np.uint8)
        if bit >= 0:
            mask[bit] = 1
        assert 0.5 + leaf.value == _sum_of_slots(mask, placement.values, slot_format)


@pytest.mark.parametrize("zero_is_nothing", [True, False])
@pytest.mark.parametrize("slot_format", FORMATS, ids=str)
def test_leaves_that_need_no_bit_have_none(slot_format: SlotFormat, zero_is_nothing: bool) -> None:
    several = [Leaf(float(number % 2) * (number + 1)) for number in range(3 * slot_format.used)]
    one = [Leaf(0.25), *(Leaf(0.75) for _ in range(100)), Leaf(0.25)]
    placement = place([several, one], slot_format, zero_is_nothing=zero_is_nothing)
    zeros = sum(leaf.value == 0 for leaf in several)
    with_bit = len(several) - (zeros if zero_is_nothing else 0)
    assert placement.slots == -(-with_bit // slot_format.used) + 1
    assert (placement.bits >= 0).sum() == with_bit + 2
    for number, leaf in enumerate(several + one):
        mask = np.zeros(placement.slots * slot_format.stride, dtype=np.uint8)
        bit = int(placement.bits[number])
        if bit >= 0:
            mask[bit] = 1
        rest = 0.75 if number < len(several) else 0.0
        assert leaf.value + rest == _sum_of_slots(mask, placement.values, slot_format)


def _sum_of_slots(mask: np.ndarray, values: np.ndarray, slot_format: SlotFormat) -> float:
    total = 0.0
    for first in range(0, len(mask), slot_format.stride):
        bits = mask[first : first + slot_format.read]
        number = int("".join(map(str, bits.tolist())), 2)
        total += float(values[first + number % slot_format.prime])
    return total


def _score(groups: list[Group], row: np.ndarray, trees: int) -> float:
    total = 0.0
    for group in groups:
        for block in range(group.blocks):
            mask = np.ones(group.width, dtype=np.uint8)
            for table in group.features:
                value = row[table.feature]
                present = np.array(table.thresholds[:-1])
                rank = len(present) + 1 if np.isnan(value) else int((present <= value).sum())
                start = int(table.starts[block, rank]) - 1
                bits = np.unpackbits(table.rows.reshape(-1)[start // 8 : (start + group.width) // 8])
                mask &= bits
            for first in range(0, group.width, group.slot_format.stride):
                slot = mask[first : first + group.slot_format.read]
                number = int("".join(map(str, slot.tolist())), 2)
                total += float(group.values[block, first + number % group.slot_format.prime])
    return total / trees


@pytest.mark.parametrize("memory_weight", [0.0, 0.3, 1000.0])
def test_masks_pick_the_leaves_that_scikit_learn_reaches(memory_weight: float) -> None:
    rng = np.random.default_rng(3)
    rows = np.round(rng.normal(size=(900, 4)), 2)
    labels = (rows.sum(axis=1) + rng.normal(size=900) > 0.5).astype(int)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    model = RandomForestClassifier(9, max_leaf_nodes=90, random_state=0).fit(rows, labels)
    trees = [leaves(tree) for tree in tree_sum(assemble(model)).trees]
    plan = plan_groups(trees, text_budget=10**8, memory_weight=memory_weight, zero_is_nothing=True)
    groups = [
        build_group(
            [trees[first:past] for first, past in group.runs],
            group.slot_format,
            group.unroll,
            zero_is_nothing=True,
        )
        for group in plan.groups
    ]
    assert sum(group.blocks for group in groups) > 1 or memory_weight < 1000
    probes = boundary_rows(model, 200, seed=0)
    scores = [_score(groups, row, 9) for row in probes]
    assert np.array(scores).tobytes() == reference_scores(model, probes).tobytes()
