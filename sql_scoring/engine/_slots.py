"""How one set bit among many becomes a leaf's value in few steps.

The leaves of a tree are bits of one or more *slots*, short runs of the mask that fit one or two integers. At
run time a slot is read as an integer, which is zero or one power of two; a slot of two integers is the first
minus the second, of which one is zero. Modulo a prime of which 2 is a primitive root all powers of two differ,
and so do they and their negatives as PostgreSQL takes a remainder (it keeps the sign). So ``slot mod prime`` is
a perfect hash of the leaf. The value is at ``slot's first bit + hash`` in one array: no search for the bit, no
table of positions.

A tree that fits one slot leaves the most frequent value without bits: when no other leaf is set it must be a
leaf of that value, which is at hash 0. In a tree of several slots hash 0 adds nothing, so leaves of value zero
need no bit there. In forests that look for something rare many leaves are zero.

Leaves that many rows reach get the hashes next to zero. Their values are adjacent, so most calls read one or
two lines of the processor's cache per tree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sql_scoring.engine._trees import Leaf

# Added to any number, minus zero leaves its bits unchanged; plus zero would turn -0.0 into 0.0.
ADDITIVE_IDENTITY = -0.0


@dataclass(frozen=True)
class SlotFormat:
    """``parts`` integers of ``read`` bits, the lowest ``used`` of which may be set; a slot takes ``stride`` bits."""

    used: int
    read: int
    stride: int
    prime: int
    parts: int = 1

    @property
    def integer_type(self) -> str:
        """The SQL integer that holds a part without reaching its sign bit."""
        return "integer" if self.read < 32 else "bigint"

    @property
    def capacity(self) -> int:
        """Leaves with a bit in one slot."""
        return self.used * self.parts

    @property
    def reach(self) -> int:
        """Entries that the values of a slot take, from the lowest hash on: at least a stride."""
        return max(self.stride, self.prime if self.parts == 1 else 2 * self.prime - 1)

    @property
    def lowest(self) -> int:
        """The smallest hash."""
        return 0 if self.parts == 1 else 1 - self.prime

    @cached_property
    def bits_and_hashes(self) -> list[tuple[int, int]]:
        """Bit (from the slot's first) and hash of each leaf of a slot; hashes grow away from zero."""
        hashes = [pow(2, power, self.prime) for power in range(self.used)]
        pairs = [(self.read - 1 - power, hashed) for power, hashed in enumerate(hashes)]
        if self.parts == 2:
            pairs += [(bit + self.read, -hashed) for bit, hashed in pairs]
        return sorted(pairs, key=lambda pair: abs(pair[1]))

    def slots_for(self, tree: TreeBits) -> int:
        """Number of slots that a tree takes."""
        return 1 if tree.in_one_slot <= self.capacity else -(-tree.in_several // self.capacity)


@dataclass(frozen=True)
class TreeBits:
    """How many leaves of a tree need a bit when it has one slot, and when it has several."""

    in_one_slot: int
    in_several: int
    common_value: float

    @classmethod
    def of(cls, tree: list[Leaf], *, skip_zero_leaves: bool) -> TreeBits:
        """Count a tree. ``skip_zero_leaves``: the sum starts from plus zero, which adding zero leaves unchanged."""
        counts = Counter(leaf.value for leaf in tree)
        # Ties go to the last leaf, so that the same tree always gives the same text.
        common = max(reversed([leaf.value for leaf in tree]), key=counts.__getitem__)
        zeros = counts[0.0] if skip_zero_leaves else 0
        return cls(len(tree) - counts[common], len(tree) - zeros, common)


def _formats(*, compact: bool) -> tuple[SlotFormat, ...]:
    """Formats of which no other has as many leaves in as short a stride.

    With ``compact`` a stride holds the bits only, and values reach further. The slots of one iteration have separate
    arrays, so an iteration must read several.
    """
    primes_with_root_two = (5, 11, 13, 19, 29, 37, 53, 59, 61, 67)
    best: list[SlotFormat] = []
    for parts in (1, 2):
        candidates = []
        for prime in primes_with_root_two:
            hashes = prime if parts == 1 else 2 * prime - 1
            for read in range(8, 65, 8):
                used = min(prime - 1, read if read < 64 else 63)
                stride = parts * read if compact else max(parts * read, -(-hashes // 8) * 8)
                candidates.append(SlotFormat(used, read, stride, prime, parts))
        max_used = 0
        for candidate in sorted(candidates, key=lambda one: (one.stride, -one.used, one.prime, one.read)):
            if candidate.used > max_used:
                best.append(candidate)
                max_used = candidate.used
    return tuple(best)


FORMATS = _formats(compact=False)
# Of boosted models, which have more and smaller trees; the text of forests stays that of format 4.
COMPACT_FORMATS = _formats(compact=True)


def assign_slots(
    trees: list[list[Leaf]], slot_format: SlotFormat, *, skip_zero_leaves: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The bit of every leaf, and the values that the hashes lead to; see ``TreeBits.of``.

    Bits are int64 of shape (leaves,), -1 for a leaf without one. Values are float64 of shape (slots * reach,),
    starting with the smallest hash of the first slot.
    """
    stride, reach, capacity = slot_format.stride, slot_format.reach, slot_format.capacity
    bits: list[int] = []
    values = [np.empty(0)]
    slots = 0
    for tree in trees:
        need = TreeBits.of(tree, skip_zero_leaves=skip_zero_leaves)
        own = empty_slots(slot_format, slot_format.slots_for(need))
        without_bit = 0.0 if skip_zero_leaves else None
        if need.in_one_slot <= capacity:
            without_bit = own[-slot_format.lowest] = need.common_value
        tree_bits = np.full(len(tree), -1)
        with_bit = [number for number, leaf in enumerate(tree) if leaf.value != without_bit]
        for number, index in enumerate(sorted(with_bit, key=lambda index: -tree[index].fraction)):
            slot, (bit, hashed) = number // capacity, slot_format.bits_and_hashes[number % capacity]
            tree_bits[index] = (slots + slot) * stride + bit
            own[slot * reach - slot_format.lowest + hashed] = tree[index].value
        bits += tree_bits.tolist()
        values.append(own)
        slots += len(own) // reach
    return np.array(bits, dtype=np.int64), np.concatenate(values)


def empty_slots(slot_format: SlotFormat, count: int) -> npt.NDArray[np.float64]:
    """The values of slots that add nothing."""
    values = np.zeros(count * slot_format.reach)
    values[-slot_format.lowest :: slot_format.reach] = ADDITIVE_IDENTITY
    return values
