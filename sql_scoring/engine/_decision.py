"""From margins to decisions: the cut that equals a threshold on the library's probability.

A decision needs no ``exp()``: the probability rises with the margin, so it reaches the threshold exactly from some
margin on, the *cut*. It is found once, with the library's own function where the library is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from sql_scoring.engine._supported import as_tree_model, boosted_library
from sql_scoring.engine._tree_model import Floats
from sql_scoring.engine.errors import UnsupportedModelError

# Beyond it every library's probability is 0 or 1, or so small that the server's exp() would raise.
LARGEST_MARGIN = 700.0


def margin_cut(model: Any, threshold: float) -> float:
    """Find the least margin whose probability reaches the threshold.

    Args:
        model: A boosted classifier, or a ``TreeModel``.
        threshold: Probability, 0 to 1.

    Returns:
        The cut; the greatest float when no margin reaches the threshold, the least one when every margin does.

    Raises:
        UnsupportedModelError: The model has no margin.
    """
    form = as_tree_model(model)
    if form is None or not form.is_margin:
        raise UnsupportedModelError(f"{type(model).__name__} has no margin")
    to_probability = _probability_function(model)
    kind: Any = np.float32 if form.sum.is_real else np.float64

    def reaches(number: int) -> bool:
        margin = np.array([_float_of(number, kind)], dtype=np.float64)
        return bool(to_probability(margin)[0] >= threshold)

    low, high = (_number_of(kind(bound), kind) for bound in (-LARGEST_MARGIN, LARGEST_MARGIN))
    if reaches(low):
        return -sys.float_info.max
    if not reaches(high):
        return sys.float_info.max
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return float(_float_of(high, kind))


def reference_probabilities(model: Any, margins: Floats) -> Floats:
    """Compute the probabilities of margins, by the library's own function where ``model`` is its object.

    Args:
        model: A boosted classifier, or a ``TreeModel``.
        margins: Shape (rows,), as ``reference_scores`` returns them.

    Returns:
        Shape (rows,).
    """
    return _probability_function(model)(margins)


def _probability_function(model: Any) -> Callable[[Floats], Floats]:
    library = boosted_library(model)
    if library is not None and library.to_probability is not None:
        return library.to_probability(model)
    form = as_tree_model(model)
    assert form is not None, "only boosted models have margins"
    return form.probabilities


def _number_of(value: Any, kind: Any) -> int:
    """The position of a float among all floats of its type."""
    bits = int(np.array(value, dtype=kind).view(np.int32 if kind is np.float32 else np.int64))
    return bits if bits >= 0 else -(bits & (2 ** (31 if kind is np.float32 else 63) - 1))


def _float_of(number: int, kind: Any) -> Any:
    """The float of a position; see ``_number_of``."""
    integer: Any = np.int32 if kind is np.float32 else np.int64
    value = np.array(abs(number), dtype=integer).view(kind)
    return -value if number < 0 else value
