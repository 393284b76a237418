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
    """``v_sum`` at its start: scikit-learn's 0.0 for forests, for a single tree the additive identity."""
    return f"v_sum double precision := {sql.float_literal(-0.0 if model.divisor is None else 0.0)};"


def return_statement(model: TreeSum) -> str:
    """The last line of the body."""
    divided = "" if model.divisor is None else f" {sql.DIVIDE} {sql.float_literal(model.divisor)}"
    return f"RETURN v_sum{divided};"
