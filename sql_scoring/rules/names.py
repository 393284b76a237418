"""What a rule may name: columns of the transaction and of references, features, the score, lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from rowguard.declaration import NUMERIC_TYPES, Declaration
from sql_scoring.features.expressions import ExpressionError

SCORE = "fraud_probability"
Kind = Literal["number", "text", "boolean"]


@dataclass(frozen=True)
class Name:
    """A value that rules read: its SQL, and its type."""

    value: str
    type: str

    @property
    def kind(self) -> Kind | None:
        """How its values are ordered for the table of ranks; None where they are not."""
        if self.type in NUMERIC_TYPES:
            return "number"
        kinds: dict[str, Kind] = {"text": "text", "uuid": "text", "boolean": "boolean"}
        return kinds.get(self.type)


def rule_names(
    declaration: Declaration,
    feature_names: Sequence[str],
    *,
    request: str = "p_request.{}",
    decision: str = "p_decision.{}",
) -> dict[str, Name]:
    """Return the names that rules may read.

    Args:
        declaration: Columns and references.
        feature_names: Features of the deployed model, in its order; none without a model.
        request: SQL of a column of the transaction.
        decision: SQL of a column of the decision.

    Returns:
        SQL and type by name.
    """
    names = {name: Name(request.format(name), type_) for name, type_ in declaration.request_types().items()}
    for _, _, name, column in declaration.reference_columns():
        names[name] = Name(decision.format(name), column.type)
    values = decision.format("feature_values")
    for position, name in enumerate(feature_names, start=1):
        names[name] = Name(f"({values})[{position}]::double precision", "double precision")
    names[SCORE] = Name(decision.format(SCORE), "double precision")
    return names


def has_list(name: str) -> str:
    """Return the SQL, in a compiled rule set, of whether a list has the row."""
    literal = sql.Literal(name).as_string(None).strip()
    return f"coalesce({literal} = ANY (p_lists), false)"


def binder(
    names: Mapping[str, Name], bind_list: Callable[[str], str] = has_list
) -> Callable[[tuple[str, ...]], str]:
    """Return a `bind` for `bind_names`.

    Args:
        names: As `rule_names` returns them.
        bind_list: Returns the SQL of whether a list has the row.
    """

    def bind(parts: tuple[str, ...]) -> str:
        if len(parts) == 1 and parts[0] in names:
            return names[parts[0]].value
        if len(parts) == 2 and parts[0] == "list":
            return bind_list(parts[1])
        raise ExpressionError(f"names `{'.'.join(parts)}`, which is no column, feature or list")

    return bind
