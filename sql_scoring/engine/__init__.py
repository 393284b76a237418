"""Fitted classifiers of trees as SQL functions, bit for bit equal to their libraries.

How a forest becomes SQL, and which file does which step:

1. ``_supported`` checks the model, ``_names`` the names that go into the statement.
2. ``_assembler`` builds one expression tree per model with m2cgen's classes. ``_cuts`` moves every threshold
   to the float64 at which scikit-learn's rounding to float32 really divides the inputs. Boosted models have a
   loader per library (``_sklearn_boosting``, ``_xgboost``, ``_lightgbm``, ``_catboost``), which all give a
   ``_tree_model``; ``_files`` reads the libraries' own files.
3. ``_trees`` reads that expression: the trees of the sum, their splits, their leaves as boxes of intervals.
4. An interpreter (``_interpreter`` has what they share) writes the body of the function, one per layout:

   - ``case`` and ``nested_if`` (``_branching``): plain references, one CASE expression per tree or one IF per
     node.
   - ``bitmask`` (``_bitmask``): bitvector traversal after QuickScorer (Lucchese et al., SIGIR 2015). Each
     feature's rank among the thresholds selects a leaf mask; the AND of all masks leaves the exit leaves.
     ``_planning`` chooses the cheapest plan: ``_regions`` divides the input space, ``_blocks`` the trees into
     groups and blocks, ``_lanes`` the features, ``_slots`` the bits. ``_masks`` computes the masks of a plan.
   - ``inline`` (``_inline``): one SQL expression for bulk scoring, with ``_cells`` dividing the input space.

5. ``_codegen`` holds the SQL text: literals, statements, the frame of the function.
6. ``_transpile`` has the entries, for one row per call and for statements over many rows.

``_boundary`` makes the adversarial rows of parity tests, ``_estimate`` predicts what a model costs.
Nothing here imports another room of rowguard, reads settings or talks to a database.
"""

from __future__ import annotations

from sql_scoring.engine._boundary import boundary_rows, reference_scores
from sql_scoring.engine._cuts import cut_point
from sql_scoring.engine._decision import margin_cut, reference_probabilities
from sql_scoring.engine._estimate import BitmaskCost, bitmask_cost
from sql_scoring.engine._files import load_model_file
from sql_scoring.engine._supported import (
    BOOSTED_MODELS,
    SUPPORTED_MODELS,
    ForestShape,
    Output,
    as_form,
    as_tree_model,
    forest_shape,
    returns_margin,
)
from sql_scoring.engine._transpile import (
    ARGUMENTS,
    DEFAULT_MEMORY_WEIGHT,
    DEFAULT_SIZE_BUDGET_BYTES,
    FORMAT_VERSION,
    LAYOUTS,
    Arguments,
    Layout,
    transpile,
    transpile_for_bulk,
)
from sql_scoring.engine._tree_model import TreeModel
from sql_scoring.engine._trees import Interval, Steps
from sql_scoring.engine.errors import UnsupportedModelError

__all__ = [
    "ARGUMENTS",
    "BOOSTED_MODELS",
    "DEFAULT_MEMORY_WEIGHT",
    "DEFAULT_SIZE_BUDGET_BYTES",
    "FORMAT_VERSION",
    "LAYOUTS",
    "SUPPORTED_MODELS",
    "Arguments",
    "BitmaskCost",
    "ForestShape",
    "Interval",
    "Layout",
    "Output",
    "Steps",
    "TreeModel",
    "UnsupportedModelError",
    "as_form",
    "as_tree_model",
    "bitmask_cost",
    "boundary_rows",
    "cut_point",
    "forest_shape",
    "load_model_file",
    "margin_cut",
    "reference_probabilities",
    "reference_scores",
    "returns_margin",
    "transpile",
    "transpile_for_bulk",
]
