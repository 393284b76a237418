"""Fitted scikit-learn classifiers as SQL functions, exact to the last bit.

``from sql_scoring import transpile`` is the function itself and hides this package's attribute of the same
name in ``sql_scoring``. ``from sql_scoring.engine import …`` reaches everything here all the same, as
imports look packages up by full name.
"""

from __future__ import annotations

from sql_scoring.engine._boundary import boundary_rows, reference_scores
from sql_scoring.engine._bulk import transpile_for_bulk
from sql_scoring.engine._estimate import BitmaskCost, bitmask_cost, choose_layout
from sql_scoring.engine._shape import ForestShape, forest_shape
from sql_scoring.engine._supported import SUPPORTED_MODELS
from sql_scoring.engine._transpile import (
    ARGUMENTS,
    DEFAULT_MEMORY_WEIGHT,
    DEFAULT_SIZE_BUDGET_BYTES,
    FORMAT_VERSION,
    LAYOUTS,
    Arguments,
    Layout,
    transpile,
)

__all__ = [
    "ARGUMENTS",
    "DEFAULT_MEMORY_WEIGHT",
    "DEFAULT_SIZE_BUDGET_BYTES",
    "FORMAT_VERSION",
    "LAYOUTS",
    "SUPPORTED_MODELS",
    "Arguments",
    "BitmaskCost",
    "ForestShape",
    "Layout",
    "bitmask_cost",
    "boundary_rows",
    "choose_layout",
    "forest_shape",
    "reference_scores",
    "transpile",
    "transpile_for_bulk",
]

# ``import sql_scoring.engine.x as y`` walks attributes, meets the function in the package's place and
# then asks sys.modules for "<its __name__>.x": give it the name under which that is found.
transpile.__name__ = __name__
