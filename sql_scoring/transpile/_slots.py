"""How one set bit among many becomes a leaf's value in few steps.

The leaves of a tree are bits of one or more *slots*, short runs of the mask that fit an integer. At run
time a slot is read as an integer, which is zero or one power of two. Modulo a prime of which 2 is a
primitive root the powers of two are all different, so ``slot mod prime`` is a perfect hash of the leaf, and
the value stands at ``slot's first bit + hash`` in one array: no search for the bit, no table of positions.

A tree that fits one slot leaves the most frequent value without bits: when no other leaf is set it must be a
leaf of that value, which stands at hash 0. In a tree of several slots hash 0 adds nothing, so leaves of value
zero need no bit there: in forests that hunt for something rare many are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sql_scoring.transpile._trees import Leaf

# Added to any number, minus zero leaves its bits alone; plus zero would turn a minus zero around.
NOTHING = -0.0


@dataclass(frozen=True)
class SlotFormat:
    """``read`` bits make an integer whose lowest ``used`` bits may be set; slots stand ``stride`` apart."""

    used: int
    read: int
    stride: int
    prime: int

    @property
    def integer_type(self) -> str:
        """The SQL integer that holds the slot without meeting its sign."""
        return "integer" if self.read < 32 else "bigint"

    def slots_for(self, tree: TreeBits) -> int:
        """How many slots a tree takes."""
        return 1 if tree.in_one_slot <= self.used else -(-tree.in_several // self.used)


@dataclass(frozen=True)
class TreeBits:
    """How many leaves of a tree need a bit when it has one slot, and when it has several."""

    in_one_slot: int
    in_several: int
    common_value: float

    @classmethod
    def of(cls, tree: list[Leaf], *, zero_is_nothing: bool) -> TreeBits:
        """Count a tree. ``zero_is_nothing``: the sum starts from plus zero, which adding zero leaves as it is."""
        counts = Counter(leaf.value for leaf in tree)
        # Ties go to the last leaf, so that the same tree is always written the same.
        common = max(reversed([leaf.value for leaf in tree]), key=counts.__getitem__)
        zeros = counts[0.0] if zero_is_nothing else 0
        return cls(len(tree) - counts[common], len(tree) - zeros, common)


def _formats() -> tuple[SlotFormat, ...]:
    primes_with_root_two = (5, 11, 13, 19, 29, 37, 53, 59, 61, 67)
    found = {}
    for prime in primes_with_root_two:
        for read in range(8, 65, 8):
            used = min(prime - 1, read if read < 64 else 63)
            stride = max(read, -(-prime // 8) * 8)
            found[(used, stride)] = SlotFormat(used, read, stride, prime)
    best: list[SlotFormat] = []
    for (_, stride), slot_format in sorted(found.items(), key=lambda item: (item[0][1], -item[0][0])):
        if not best or (stride > best[-1].stride and slot_format.used > best[-1].used):
            best.append(slot_format)
    return tuple(best)


FORMATS = _formats()


def choose_format(trees: list[TreeBits], *, slot_weight: float, bit_weight: float) -> SlotFormat:
    """The format with the lowest run time for trees of these sizes.

    ``slot_weight`` is the cost of reading one slot, ``bit_weight`` that of carrying one bit through the ANDs.
    """

    def cost(slot_format: SlotFormat) -> float:
        slots = sum(map(slot_format.slots_for, trees))
        return slots * (slot_weight + slot_format.stride * bit_weight)

    return min(FORMATS, key=cost)


@dataclass(frozen=True)
class Placement:
    """Where the leaves of a run of trees stand.

    ``bits``: for every leaf in turn its bit's index in the mask, or -1 for a leaf without a bit.
    ``values``: float64 of shape (slots * stride,), the array that the hash points into.
    """

    slot_format: SlotFormat
    slots: int
    bits: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def padded_values(self, slots: int) -> npt.NDArray[np.float64]:
        """``values`` of so many slots; those past the trees add nothing."""
        stride = self.slot_format.stride
        padded = np.zeros(slots * stride, dtype=np.float64)
        padded[self.slots * stride :: stride] = NOTHING
        padded[: len(self.values)] = self.values
        return padded


def place(trees: list[list[Leaf]], slot_format: SlotFormat, *, zero_is_nothing: bool) -> Placement:
    """Give every leaf of ``trees`` its bit and its place among the values; see ``TreeBits.of``."""
    stride, used, prime = slot_format.stride, slot_format.used, slot_format.prime
    needs = [TreeBits.of(tree, zero_is_nothing=zero_is_nothing) for tree in trees]
    slots = sum(map(slot_format.slots_for, needs))
    values = np.zeros(slots * stride, dtype=np.float64)
    bits: list[int] = []
    first = 0
    for tree, need in zip(trees, needs, strict=True):
        count = slot_format.slots_for(need)
        if count == 1 and need.in_one_slot <= used:
            without_bit: float | None = need.common_value
            values[first * stride] = need.common_value
        else:
            without_bit = 0.0 if zero_is_nothing else None
            values[[(first + number) * stride for number in range(count)]] = NOTHING
        number = 0
        for leaf in tree:
            if leaf.value == without_bit:
                bits.append(-1)
                continue
            slot, power = first + number // used, number % used
            bits.append(slot * stride + slot_format.read - 1 - power)
            values[slot * stride + pow(2, power, prime)] = leaf.value
            number += 1
        first += count
    return Placement(slot_format, slots, np.array(bits, dtype=np.int64), values)
