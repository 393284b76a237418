"""SQL text of a model's score: what a function's value has to become before it is compared or stored.

A forest's function returns the fraud probability, a boosted model's the margin.
"""

from __future__ import annotations

import math

from psycopg import sql

from sql_scoring.registry import ModelRecord

# Servers with and without fused multiply-add differ in the last places of exp().
PROBABILITY_ULPS = 4
_RELATIVE_BOUND = PROBABILITY_ULPS * 2.0**-52


def decision_cut(record: ModelRecord) -> float:
    """Return the value of the function from which on a row is an alert."""
    return record.threshold if record.margin_cut is None else record.margin_cut


def compose_probability(record: ModelRecord, value: sql.Composable) -> sql.Composable:
    """Return the fraud probability as SQL.

    Args:
        record: The model.
        value: SQL of its function's value.
    """
    if record.margin_cut is None:
        return value
    arguments = (record.margin_cut, record.threshold, math.nextafter(record.threshold, -math.inf))
    return sql.SQL("scoring.margin_to_probability({}, {})").format(
        value, sql.SQL(", ").join(map(_float, arguments))
    )


def compose_difference(record: ModelRecord, value: sql.Composable, stored: sql.Composable) -> sql.Composable:
    """Return as SQL whether a function's value contradicts a stored probability.

    A forest's probability is compared bit for bit. A boosted model's went through exp(), perhaps on another server:
    it is compared within ``PROBABILITY_ULPS``, and the decision exactly.

    Args:
        record: The model.
        value: SQL of its function's value.
        stored: SQL of the stored fraud probability.
    """
    if record.margin_cut is None:
        return sql.SQL("{} IS DISTINCT FROM {}").format(value, stored)
    return sql.SQL(
        "coalesce(abs({probability} - {stored}) > {bound} * {stored}"
        " OR ({value} >= {cut}) <> ({stored} >= {threshold}), ({value} IS NULL) <> ({stored} IS NULL))"
    ).format(
        probability=compose_probability(record, value),
        value=value,
        stored=stored,
        bound=_float(_RELATIVE_BOUND),
        cut=_float(record.margin_cut),
        threshold=_float(record.threshold),
    )


def _float(value: float) -> sql.Composable:
    return sql.SQL("{}::double precision").format(sql.Literal(repr(float(value))))
