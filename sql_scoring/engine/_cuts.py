"""Where scikit-learn's comparison really divides the float64 line.

scikit-learn rounds every input to float32 and then compares ``x <= threshold`` in float64. Rounding is
monotonic, so the inputs that go left are exactly the float64 numbers up to some greatest one: the *cut*.
Comparing the unrounded input with the cut gives the same result for every float64. So the generated SQL
needs no cast to ``real``, which raises for numbers beyond float32's range and for underflow.
"""

from __future__ import annotations

import math

import numpy as np

# Half way between the greatest float32 and what would follow it. From here on float64 rounds to infinity.
_OVERFLOW = (float(np.finfo(np.float32).max) + 2.0**128) / 2.0


def cut_point(threshold: float) -> float:
    """Compute the greatest float64 that, rounded to float32, is ``<= threshold``.

    ``inf`` remains ``inf``: every number goes left. For a threshold below the float32 range it is the greatest
    float64 that rounds to minus infinity.
    """
    if math.isnan(threshold):
        raise ValueError("a threshold cannot be NaN")
    if threshold == math.inf:
        return math.inf
    with np.errstate(over="ignore", under="ignore"):
        below = np.float32(threshold)
        if float(below) > threshold:
            below = np.nextafter(below, np.float32(-np.inf))
        above = np.nextafter(below, np.float32(np.inf))
        if math.isinf(below):
            return -_OVERFLOW
        middle = _OVERFLOW if math.isinf(above) else (float(below) + float(above)) / 2.0
        tie_goes_left = np.float32(middle) == below
    return middle if tie_goes_left else math.nextafter(middle, -math.inf)


def next_float(value: float) -> float:
    """The smallest float64 above ``value``: ``x > value`` is ``x >= next_float(value)``."""
    return math.nextafter(value, math.inf)
