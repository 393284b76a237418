"""Backtest of rules over stored history: what each would have matched, and what that adds to model and live rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rowguard.declaration import Declaration
from rowguard.errors import RuleError
from rowguard.queries import load_queries
from sql_scoring.features.expressions import UNBOUNDED, bind_names
from sql_scoring.registry import get_model, qualified
from sql_scoring.rules.check import check_rules, deployed_features
from sql_scoring.rules.document import Rule, RuleSet
from sql_scoring.rules.names import SCORE, Name, binder, rule_names
from sql_scoring.scores import compose_probability

QUERIES = load_queries("sql_scoring")
_COUNTS = ("matched", "frauds", "unlabeled", "alerts", "live_rules", "added", "added_frauds")
_AMOUNTS = ("fraud_amount", "good_amount", "added_fraud_amount", "added_good_amount")


@dataclass
class RuleResult:
    """What a rule would have matched.

    `good` are matched rows that are no known fraud, `unlabeled` of them have no label. `alerts` were alerts of the
    model, `live_rules` matched another live rule of the set in force; `added` are neither. `error` is why it was not
    evaluated.
    """

    name: str
    matched: int = 0
    frauds: int = 0
    unlabeled: int = 0
    alerts: int = 0
    live_rules: int = 0
    added: int = 0
    added_frauds: int = 0
    fraud_amount: float = 0.0
    good_amount: float = 0.0
    added_fraud_amount: float = 0.0
    added_good_amount: float = 0.0
    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    error: str | None = None

    @property
    def good(self) -> int:
        """Matched rows that are no known fraud."""
        return self.matched - self.frauds

    def as_document(self) -> dict[str, Any]:
        """Return what the command line and the API report; days with matches and frauds."""
        document: dict[str, Any] = {"rule": self.name, "error": self.error, "good": self.good}
        document |= {name: getattr(self, name) for name in (*_COUNTS, *_AMOUNTS)}
        document["precision"] = self.frauds / self.matched if self.matched else None
        document["days"] = [
            {"date": day.isoformat(), "matched": matched, "frauds": frauds}
            for day, (matched, frauds) in sorted(self.days.items())
        ]
        return document


@dataclass(frozen=True)
class BacktestResult:
    """The period, what it holds, and what each rule and all of them together matched."""

    start: datetime | None
    end: datetime | None
    transactions: int
    frauds: int
    total: RuleResult
    rules: tuple[RuleResult, ...]

    def as_document(self) -> dict[str, Any]:
        """Return what the command line and the API report."""
        return {
            "from": self.start and self.start.isoformat(),
            "to": self.end and self.end.isoformat(),
            "transactions": self.transactions,
            "frauds": self.frauds,
            "total": self.total.as_document(),
            "rules": [rule.as_document() for rule in self.rules],
        }


def backtest_rules(
    connection: psycopg.Connection[Any],
    rule_set: RuleSet,
    declaration: Declaration,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    only: str | None = None,
) -> BacktestResult:
    """Evaluate rules over stored transactions, by event time, with the labels that are known now.

    Features are those stored on live rows, and of other rows those of the training set. Lists are as they are now.

    Args:
        connection: To the database; nothing is written.
        rule_set: The rules, shadow rules as live ones.
        declaration: Columns and references.
        start: First event time; None is all history.
        end: First event time after it.
        only: Name of the one rule to evaluate.

    Returns:
        Counts, money, overlap and days.

    Raises:
        RuleError: A rule is wrong, or there is no rule of this name.
    """
    features = deployed_features(connection)
    check_rules(rule_set, declaration, features, connection)
    rules = [rule for rule in rule_set.rules if only in (None, rule.name)]
    if not rules:
        raise RuleError(f"there is no rule {only}" if only else "there is no rule to evaluate")
    scan = _Scan(connection, declaration, features, start, end)
    period = connection.execute(QUERIES["backtest_period"], {"start": start, "end": end}).fetchone()
    assert period is not None
    try:
        with connection.transaction():
            results = scan.evaluate(rules)
    except psycopg.DataError:
        # One rule raises somewhere: evaluated alone, each has its result or its error.
        results = [RuleResult("")]
        for rule in rules:
            try:
                with connection.transaction():
                    results.append(scan.evaluate([rule])[1])
            except psycopg.DataError as error:
                results.append(RuleResult(rule.name, error=error.diag.message_primary))
        healthy = [rule for rule, result in zip(rules, results[1:], strict=True) if result.error is None]
        if healthy:
            results[0] = scan.evaluate(healthy)[0]
    return BacktestResult(start, end, int(period[0]), int(period[1]), results[0], tuple(results[1:]))


@dataclass(frozen=True)
class _Scan:
    connection: psycopg.Connection[Any]
    declaration: Declaration
    features: Sequence[str]
    start: datetime | None
    end: datetime | None

    def evaluate(self, rules: Sequence[Rule]) -> list[RuleResult]:
        """The result of all rules together, then of each."""
        live = self._live_rules()
        names = {name for rule in [*rules, *live] for name in RuleSet(rules=[rule]).names()["value"]}
        uses_features = bool(names & {*self.features, SCORE})
        joins, model = self._source(uses_features=uses_features)
        bound_names = dict(rule_names(self.declaration, self.features, request="t.{}", decision="t.{}"))
        for position, feature in enumerate(self.features, start=1):
            bound_names[feature] = Name(
                f"v.backtest_values[{position}]::double precision", "double precision"
            )
        bound_names[SCORE] = Name(model, "double precision")
        bind = binder(bound_names, self._list_condition())
        conditions = [f"(\n{bind_names(rule.when, bind, excluded=UNBOUNDED)}\n)" for rule in rules]
        live_conditions = [f"(\n{bind_names(rule.when, bind, excluded=UNBOUNDED)}\n)" for rule in live]
        query = sql.SQL(QUERIES["backtest_matches"]).format(
            joins=sql.SQL(joins),
            start=sql.Literal(self.start),
            end=sql.Literal(self.end),
            flags=sql.SQL(", ").join(
                sql.SQL("CASE WHEN {} THEN {} END").format(sql.SQL(text), sql.Literal(number))
                for number, text in enumerate(conditions, start=1)
            ),
            any=sql.SQL(" OR ").join(map(sql.SQL, conditions)),
            live=sql.SQL(", ").join(
                sql.SQL("CASE WHEN {} THEN {}::text END").format(sql.SQL(text), sql.Literal(rule.name))
                for rule, text in zip(live, live_conditions, strict=True)
            )
            if live
            else sql.SQL("NULL::text"),
            names=sql.Literal([rule.name for rule in rules]),
            is_alert=sql.SQL(
                f"coalesce(t.fraud_flag = 'FRAUD' OR t.is_control OR {model} >= {self._threshold()}, false)"
            ),
        )
        results = [RuleResult(""), *(RuleResult(rule.name) for rule in rules)]
        with self.connection.cursor(row_factory=dict_row) as cursor:
            # Without parameters: a condition may hold a percent sign.
            for row in cursor.execute(query):
                result = results[row["rule"]]
                for name in _COUNTS:
                    setattr(result, name, getattr(result, name) + row[name])
                for name in _AMOUNTS:
                    setattr(result, name, getattr(result, name) + float(row[name]))
                result.days[row["event_date"]] = (row["matched"], row["frauds"])
        return results

    def _live_rules(self) -> list[Rule]:
        """Live rules of the set in force which these columns and features still know."""
        row = self.connection.execute(QUERIES["rule_set_in_force"]).fetchone()
        if row is None:
            return []
        known = {*rule_names(self.declaration, self.features)}
        rules = [Rule.model_validate(rule) for rule in row[0]["rules"]]
        return [
            rule
            for rule in rules
            if rule.mode == "live" and set(RuleSet(rules=[rule]).names()["value"]) <= known
        ]

    def _source(self, *, uses_features: bool) -> tuple[str, str]:
        """SQL of what is joined to the rows, and of a row's score."""
        if not uses_features:
            return "", "NULL::double precision"
        row = self.connection.execute(QUERIES["backtest_sources"]).fetchone()
        if row is None:
            return "", "t.fraud_probability"
        version, feature_hash, versions, may_read_history = row
        logged = sql.SQL("CASE WHEN t.model_version = ANY ({}) THEN t.feature_values END").format(
            sql.Literal(versions)
        )
        values = "(SELECT {} AS backtest_values) AS v"
        if not may_read_history or not self._is_built(feature_hash):
            source = sql.SQL(f"CROSS JOIN LATERAL {values}")
            return source.format(logged).as_string(None), "t.fraud_probability"
        source = sql.SQL(
            "LEFT JOIN features.training_set AS f"
            f" ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id CROSS JOIN LATERAL {values}"
        )
        logged = sql.SQL("coalesce({}, f.feature_values)").format(logged)
        # A row of history has no score: the champion gives it one, where a condition comes to ask for it.
        model = get_model(self.connection, version)
        value = sql.SQL("{}(v.backtest_values)").format(qualified(model.function_name))
        score = sql.SQL("coalesce(t.fraud_probability, {})").format(compose_probability(model, value))
        return source.format(logged).as_string(None), score.as_string(None)

    def _is_built(self, feature_hash: str) -> bool:
        row = self.connection.execute(QUERIES["built_feature_hash"]).fetchone()
        return row is not None and row[0] == feature_hash

    def _threshold(self) -> str:
        row = self.connection.execute(QUERIES["champion_threshold"]).fetchone()
        return f"{float(row[0])!r}::float8" if row else "NULL::float8"

    def _list_condition(self) -> Any:
        lists = {
            name: (list_id, column)
            for name, list_id, column in self.connection.execute(QUERIES["list_columns"])
        }

        def bind(name: str) -> str:
            list_id, column = lists[name]
            return (
                sql.SQL(
                    "EXISTS (SELECT FROM scoring.list_entries AS e"
                    " WHERE e.key_hash = scoring.list_key_hash({column}, {key})"
                    " AND e.list_id = {list_id} AND e.key = {key} AND e.removed_at IS NULL"
                    " AND (e.expires_at IS NULL OR e.expires_at > now()))"
                )
                .format(
                    column=sql.Literal(column),
                    key=sql.SQL("t.{}::text").format(sql.Identifier(column)),
                    list_id=sql.Literal(list_id),
                )
                .as_string(None)
            )

        return bind
