"""The float64 cut is equivalent to rounding to float32 and comparing, as scikit-learn does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sql_scoring.engine._cuts import cut_point, next_float

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = float(np.finfo(np.float32).max)


def goes_left(value: float, threshold: float) -> bool:
    """What scikit-learn computes."""
    with np.errstate(over="ignore"):
        return bool(float(np.float32(value)) <= threshold)


@given(value=FINITE, threshold=FINITE)
@example(value=307.65, threshold=float(np.float32(307.65)))
@example(value=5e-324, threshold=0.0)
@example(value=-0.0, threshold=0.0)
@example(value=1e39, threshold=LARGEST)
@example(value=-1e300, threshold=-LARGEST)
@example(value=-1e300, threshold=-1e300)
def test_cut_decides_like_the_rounded_comparison(value: float, threshold: float) -> None:
    assert (value <= cut_point(threshold)) == goes_left(value, threshold)


@given(threshold=st.one_of(FINITE, st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_cut_is_the_last_float_that_goes_left(threshold: float) -> None:
    cut = cut_point(threshold)
    assert goes_left(cut, threshold)
    assert not goes_left(next_float(cut), threshold)


def test_infinite_threshold_keeps_every_number_left() -> None:
    assert cut_point(math.inf) == math.inf


def test_nan_threshold_is_rejected() -> None:
    with pytest.raises(ValueError, match="NaN"):
        cut_point(math.nan)
