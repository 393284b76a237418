"""Compiles a rule set into one function.

A table for each value that rules compare leads from the rank of the value to a bit set of the rules that are still
possible; the bit sets are ANDed. For most rows no rule is left, and the cost hardly depends on the number of rules.
The rules that are left are evaluated as they are written, so the tables need not be exact, only never wrong.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from psycopg import sql

from rowguard.declaration import Declaration
from sql_scoring.features.expressions import UNBOUNDED, bind_names
from sql_scoring.rules.conditions import LISTS, Allowed, Point, implied_conditions
from sql_scoring.rules.document import Rule, RuleSet
from sql_scoring.rules.names import Name, binder, rule_names

# Follows a text in byte order: no value of a text column has control characters.
_SUCCESSOR = "\x01"


@dataclass(frozen=True)
class CompiledRules:
    """The function of a rule set, and its hash."""

    sql_text: str
    sha256: str


def compile_rules(
    rule_set: RuleSet, version: int, declaration: Declaration, feature_names: Sequence[str]
) -> CompiledRules:
    """Render the function of a rule set.

    Args:
        rule_set: Checked.
        version: Its number, which names the function.
        declaration: Columns and references.
        feature_names: The deployed model's features, in its order.

    Returns:
        One CREATE FUNCTION statement, whose text depends on nothing else.
    """
    names = rule_names(declaration, feature_names)
    rules = rule_set.ordered()
    thresholds = rule_set.thresholds
    review, decline = (thresholds.review, thresholds.decline) if thresholds else (None, None)
    lowest = min((value for value in (review, decline) if value is not None), default=None)
    is_quiet = "NOT p_decision.is_fraud"
    if thresholds is not None:
        is_quiet = "NOT p_is_unscored"
        if lowest is None:
            decline = (
                math.inf
            )  # the score decides nothing, where NULL would leave it to the model's threshold
        if lowest is not None:
            is_quiet = f"p_decision.fraud_probability < {_number(lowest)}"
    text = _template().format(
        version=version,
        rule_count=len(rules),
        masks=_render_masks(rules, names),
        none=_bits(0, _width(rules)),
        is_quiet=is_quiet,
        dispatch=_render_dispatch([_bound(rule, names) for rule in rules], 1, 4),
        names=_array([rule.name for rule in rules]),
        actions=_array([rule.action if rule.mode == "live" else None for rule in rules]),
        codes=_array([rule.reason_code for rule in rules]),
        review=_number(review),
        decline=_number(decline),
        failure_outcome=_literal(rule_set.failure_outcome),
    )
    return CompiledRules(text, hashlib.sha256(text.encode()).hexdigest())


@cache
def _template() -> str:
    return files("sql_scoring").joinpath("templates", "rule_set.sql").read_text(encoding="utf-8")


def _width(rules: Sequence[Rule]) -> int:
    """Bytes of a bit set: the first bit is the first rule."""
    return max(1, math.ceil(len(rules) / 8))


def _render_masks(rules: Sequence[Rule], names: Mapping[str, Name]) -> str:
    width = _width(rules)
    by_name: dict[str, dict[int, list[Allowed]]] = {}
    needs_list = 0
    for index, rule in enumerate(rules):
        for name, allowed in implied_conditions(rule.when, names):
            if name == LISTS:
                needs_list |= _bit(index, width)
            else:
                by_name.setdefault(name, {}).setdefault(index, []).append(allowed)
    everything = sum(_bit(index, width) for index in range(len(rules)))
    first = _bits(everything, width)
    if needs_list:
        first = f"CASE WHEN p_lists IS NULL THEN {_bits(everything & ~needs_list, width)} ELSE {first} END"
    tables = [_render_table(names[name], by_name[name], everything, width) for name in sorted(by_name)]
    return "\n        & ".join([first, *tables])


def _render_table(name: Name, rules: Mapping[int, list[Allowed]], everything: int, width: int) -> str:
    """SQL of the bit set that the value's rank leads to: the number of bounds up to the value; NULL is the last."""
    bounds = _bounds(name, rules)
    others = everything & ~sum(_bit(index, width) for index in rules)
    ranks = [others] * (len(bounds) + 2)
    for index, conditions in rules.items():
        for rank in range(len(ranks)):
            if all(_is_possible(allowed, rank, bounds) for allowed in conditions):
                ranks[rank] |= _bit(index, width)
    table = "".join(f"{mask:0{2 * width}X}" for mask in ranks)
    value = f'{name.value}::text COLLATE "C"'
    array = f"{_array(bounds)}::text[]"
    if name.kind != "text":
        value = f"{name.value}::integer::float8" if name.kind == "boolean" else f"{name.value}::float8"
        array = f"{_array([repr(bound).replace('inf', 'Infinity') for bound in bounds])}::float8[]"
    elif name.type == "text":
        value = f'{name.value} COLLATE "C"'
    rank_sql = f"width_bucket({value}, {array})"
    if not bounds:
        rank_sql = f"CASE WHEN {name.value} IS NOT NULL THEN 0 END"
    return f"substring(X'{table}', 1 + {8 * width} * coalesce({rank_sql}, {len(bounds) + 1}), {8 * width})"


def _bounds(name: Name, rules: Mapping[int, list[Allowed]]) -> list[Point]:
    """The values at which the possible rules change, in order."""
    bounds: set[Point] = set()
    for conditions in rules.values():
        for low, high in (interval for allowed in conditions for interval in allowed.intervals):
            if isinstance(low, str) or isinstance(high, str):
                bounds |= {str(low), str(high) + _SUCCESSOR}
            else:
                bounds |= {low, math.nextafter(high, math.inf)}
    numbers = {bound for bound in bounds if not isinstance(bound, str) and abs(bound) != math.inf}
    texts = {bound for bound in bounds if isinstance(bound, str)}
    return [*sorted(numbers), *sorted(texts)]


def _is_possible(allowed: Allowed, rank: int, bounds: Sequence[Point]) -> bool:
    if rank == len(bounds) + 1:
        return allowed.is_null_allowed
    if allowed.anything:
        return True
    if rank == 0:
        return any(low == -math.inf for low, _ in allowed.intervals)
    start = bounds[rank - 1]
    return any(low <= start <= high for low, high in allowed.intervals)  # type: ignore[operator]


def _bound(rule: Rule, names: Mapping[str, Name]) -> str:
    return bind_names(rule.when, binder(names), excluded=UNBOUNDED)


def _render_dispatch(conditions: Sequence[str], first: int, depth: int) -> str:
    """A tree of IFs: PL/pgSQL prepares only the expressions on the way to the rule."""
    margin = "    " * depth
    if not conditions:
        return f"{margin}v_is_match := false;"
    if len(conditions) == 1:
        return f"{margin}v_is_match := (\n{conditions[0]}\n) IS TRUE;"
    half = len(conditions) // 2
    return (
        f"{margin}IF v_rule < {first + half} THEN\n{_render_dispatch(conditions[:half], first, depth + 1)}\n"
        f"{margin}ELSE\n{_render_dispatch(conditions[half:], first + half, depth + 1)}\n{margin}END IF;"
    )


def _bit(index: int, width: int) -> int:
    return 1 << (8 * width - 1 - index)


def _bits(mask: int, width: int) -> str:
    return f"X'{mask:0{2 * width}X}'"


def _literal(value: str) -> str:
    return sql.Literal(value).as_string(None).strip()


def _number(value: float | None) -> str:
    return "NULL" if value is None else f"{_literal(repr(value))}::float8"


def _array(items: Sequence[str | float | None]) -> str:
    """An array as one literal, which costs nothing when it is run."""
    quoted = (
        "NULL" if item is None else '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'
        for item in items
    )
    return _literal("{" + ",".join(quoted) + "}")
