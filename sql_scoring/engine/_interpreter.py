"""What the interpreters share: reading inputs, and the frame of the sum."""

from __future__ import annotations

from dataclasses import dataclass, field

from sql_scoring.engine import _codegen as sql
from sql_scoring.engine._trees import TreeSum


@dataclass(frozen=True)
class Inputs:
    """How the body names its features: ``$1, $2, …`` or elements of one ``real[]`` argument."""

    count: int
    array: bool = False

    def read(self, feature: int) -> str:
        """Text of feature number ``feature`` (from 0), a float8 that may be NULL or NaN."""
        return self.element(str(feature + 1)) if self.array else f"${feature + 1}"

    def element(self, index: str) -> str:
        """Text of an element of the array argument."""
        return f"$1[{index}]::float"


@dataclass(frozen=True)
class Body:
    """What an interpreter makes of a model: text without the frame around it, and its predicted time per call."""

    text: str
    microseconds: float
    declarations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sum_declaration(model: TreeSum) -> str:
    """``v_sum`` at its start."""
    kind = "real" if model.is_real else "double precision"
    return f"v_sum {kind} := {leaf_literal(model, model.first_term)};"


def leaf_literal(model: TreeSum, value: float) -> str:
    """A constant of the type in which the model adds."""
    return sql.real_literal(value) if model.is_real else sql.float_literal(value)


def ended(model: TreeSum, total: str) -> str:
    """The text of the model's value, given that of the sum."""
    if model.bias is not None:
        total = f"{total} {sql.ADD} {leaf_literal(model, model.bias)}"
    if model.is_real:
        total = f"({total})::float"
    if model.divisor is not None:
        total = f"{total} {sql.DIVIDE} {sql.float_literal(model.divisor)}"
    if model.steps is None:
        return total
    if not model.steps.bounds:
        return sql.float_literal(model.steps.values[0])
    values = sql.list_literal(list(map(sql.float_text, model.steps.values)), "float", first=0)
    return f"({values})[pg_catalog.width_bucket({total}, {sql.float_array_literal(model.steps.bounds)})]"


def return_statement(model: TreeSum) -> str:
    """The last line of the body."""
    return f"RETURN {ended(model, 'v_sum')};"
