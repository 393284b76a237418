"""The portable exponential and the weighted picks."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator._random import Stream, cumulate, exp, generator, pick, pick_within


@given(st.floats(min_value=-300, max_value=300))
def test_exp_is_the_exponential(exponent: float) -> None:
    assert math.isclose(float(exp(np.asarray([exponent]))[0]), math.exp(exponent), rel_tol=1e-14)


def test_exp_is_the_same_bits_everywhere() -> None:
    found = exp(np.asarray([-7.25, -0.1, 0.0, 0.5, 1.0, 3.3, 20.0]))
    assert [value.hex() for value in found.tolist()] == EXPECTED_BITS


EXPECTED_BITS = [
    "0x1.7455fe323fafep-11",
    "0x1.cf46d99d52b3ap-1",
    "0x1.0000000000000p+0",
    "0x1.a61298e1e069cp+0",
    "0x1.5bf0a8b14576ap+1",
    "0x1.b1cd5e7807b7bp+4",
    "0x1.ceb088b68e804p+28",
]


def test_streams_do_not_share_numbers() -> None:
    drawn = {
        (stream, index): generator(7, stream, index).integers(0, 2**62)
        for stream in Stream
        for index in (0, 1, 20_000)
    }
    assert len(set(drawn.values())) == len(drawn)
    assert generator(7, Stream.USERS).integers(0, 2**62) == drawn[Stream.USERS, 0]


def test_picks_follow_the_weights() -> None:
    rng = generator(1, Stream.USERS)
    counts = np.bincount(pick(rng, cumulate([1, 0, 3]), 40_000), minlength=3)
    assert counts[1] == 0
    assert abs(counts[2] / counts[0] - 3.0) < 0.2


def test_picks_stay_within_their_ranges() -> None:
    rng = generator(1, Stream.USERS)
    first, last = np.asarray([0, 2, 4] * 500), np.asarray([2, 4, 5] * 500)
    found = pick_within(rng, cumulate([5, 1, 1, 5, 9]), np.stack([first, last]))
    assert ((found >= first) & (found < last)).all()
