"""What is wrong with a live database, if anything: looks only, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rowguard.database import connect
from rowguard.queries import load_queries
from sql_scoring import registry
from sql_scoring.reasons import LOCK_TIMEOUT_REASON
from trainer.dataset import FeatureList, read_feature_list

QUERIES = load_queries("rowguard.operations")

Status = Literal["ok", "warning", "alarm"]


@dataclass(frozen=True)
class Limits:
    """What is still no alarm.

    Attributes:
        skewed_rows: live rows whose windowed features differ from the training set's. A home that changed in
            the very moment of an INSERT leaves one that nobody can mend, and so does a row that was stored without
            its user's lock and committed after the next one was decided.
        day_skew: share of live rows whose day-summed features differ: rows that were decided after midnight and
            before the nightly build did not see what it found.
        rows: the newest live rows that are compared.
        hours: how far back unscored rows are counted.
    """

    skewed_rows: int = 0
    day_skew: float = 0.2
    rows: int = 100_000
    hours: int = 24


@dataclass(frozen=True)
class Check:
    """One look: how it ended, in a sentence, and its figures."""

    name: str
    status: Status
    summary: str
    figures: dict[str, Any]


@dataclass(frozen=True)
class Diagnosis:
    """Every check, in the order in which they were made."""

    checks: list[Check]

    @property
    def alarms(self) -> list[Check]:
        return [check for check in self.checks if check.status == "alarm"]


def diagnose(url: str, limits: Limits = Limits(), *, today: date | None = None) -> Diagnosis:
    """Look at the champion, skew, running totals, unscored rows and the freshness of what is summed up by day.

    Args:
        today: the day (UTC) whose day-summed features are looked at.

    Raises:
        SchemaError: the database has no rowguard schema.
        TrainingDataError: the features are not built.
    """
    with connect(url) as connection:
        connection.read_only = True
        champion = registry.champion_version(connection)
        built = read_feature_list(connection)
        checks = [
            _champion(connection, champion, built),
            *_skew(connection, built, limits),
            _totals(connection),
            _unscored(connection, limits),
        ]
        for entity in ("merchant", "user"):
            checks.append(_freshness(connection, entity, built, today or datetime.now(UTC).date()))
    return Diagnosis(checks)


def _champion(connection: psycopg.Connection, champion: str | None, built: FeatureList) -> Check:
    if champion is None:
        return Check("champion", "warning", "no model is deployed", {"version": None, "built": built.hash})
    deployed = registry.get_model(connection, champion).feature_hash
    figures = {"version": champion, "feature_hash": deployed, "built": built.hash}
    if deployed != built.hash:
        # It decides with its own functions, whose tables of days no build refreshes any more.
        summary = (
            f"{champion} was trained on feature list {deployed[:8]}, built is {built.hash[:8]}; "
            "run: rowguard retrain"
        )
        return Check("champion", "alarm", summary, figures)
    return Check("champion", "ok", f"{champion} decides on the list that is built", figures)


def _skew(connection: psycopg.Connection, built: FeatureList, limits: Limits) -> list[Check]:
    row = _one(
        connection,
        "doctor_skew",
        {"feature_hash": built.hash, "newest": limits.rows, "without_lock": LOCK_TIMEOUT_REASON},
    )
    rows = row["rows_compared"]
    shared = {"rows_compared": rows, "rows_not_built": row["rows_not_built"]}
    checks = []
    for name, kind in (("skew", "windowed"), ("day skew", "rolled")):
        features = row[f"{kind}_features"]
        differing, values = row[f"{kind}_rows_differing"], row[f"{kind}_values_differing"]
        beside = row["rows_beside_unlocked"] if kind == "windowed" else 0
        status: Status = "ok"
        if kind == "windowed" and differing > limits.skewed_rows:
            status = "alarm"
        elif differing:
            status = "alarm" if kind == "rolled" and differing > limits.day_skew * rows else "warning"
        summary = (
            f"{values:,} of {rows * features:,} values of live rows differ from the training set"
            + (f", on {differing:,} rows" if differing else "")
            + (
                f"; {beside:,} of these rows may have missed one that was stored without its user's lock"
                if beside
                else ""
            )
            + (f"; {shared['rows_not_built']:,} rows are not built yet" if shared["rows_not_built"] else "")
        )
        figures = shared | {
            "features": features,
            "values_compared": rows * features,
            "values_differing": values,
            "rows_differing": differing,
            "features_differing": row["features_differing"] or [],
        }
        if kind == "windowed":
            figures["rows_beside_unlocked"] = beside
        checks.append(Check(name, status, summary, figures))
    return checks


def _totals(connection: psycopg.Connection) -> Check:
    row = _one(connection, "doctor_totals", {})
    if row["rows_broken"]:
        summary = (
            f"running totals do not go on at {row['rows_broken']:,} rows of {row['users_broken']:,} users, "
            f"such as {row['broken_users'][0]}"
        )
        return Check("running totals", "alarm", summary, row)
    if row["rows_without_totals"]:
        summary = (
            f"{row['users_without_totals']:,} users have rows without totals and are read row by row until the "
            "next: rowguard features"
        )
        return Check("running totals", "warning", summary, row)
    return Check("running totals", "ok", f"they go on over all {row['rows_checked']:,} rows", row)


def _unscored(connection: psycopg.Connection, limits: Limits) -> Check:
    row = _one(connection, "doctor_unscored", {"hours": limits.hours}) | {"hours": limits.hours}
    if row["rows_unscored"]:
        summary = (
            f"{row['rows_unscored']:,} of {row['live_rows']:,} live rows of the last {limits.hours} hours have no "
            f"decision; the newest: {row['newest_reason'] or 'no reason is stored'}"
        )
        return Check("unscored rows", "alarm", summary, row)
    return Check(
        "unscored rows", "ok", f"none among {row['live_rows']:,} of the last {limits.hours} hours", row
    )


def _freshness(connection: psycopg.Connection, entity: str, built: FeatureList, today: date) -> Check:
    """A build that is missing for more than a night is an alarm; until today's is done, labels of yesterday are not
    seen yet."""
    stale = {}
    query = sql.SQL(QUERIES["doctor_freshness"]).format(
        table=sql.Identifier("features", f"{entity}_risk_{built.hash[:8]}"),
        key=sql.Identifier(f"{entity}_id"),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        for when, day in (("today", today), ("yesterday", today - timedelta(days=1))):
            cursor.execute(query, {"entity": entity, "day": day})
            stale[when] = cursor.fetchone() or {}
    figures = {
        "day": today.isoformat(),
        "compared": stale["today"]["compared"],
        "stale_today": stale["today"]["stale"],
        "stale_yesterday": stale["yesterday"]["stale"],
    }
    name = f"{entity} risk"
    if figures["stale_yesterday"]:
        summary = (
            f"{figures['stale_yesterday']:,} {entity}s lack what was known a day ago; run: rowguard features"
        )
        return Check(name, "alarm", summary, figures)
    if figures["stale_today"]:
        summary = (
            f"{figures['stale_today']:,} {entity}s lack what became known yesterday, "
            "until the next: rowguard features"
        )
        return Check(name, "warning", summary, figures)
    return Check(name, "ok", f"fresh for all {figures['compared']:,} {entity}s with sums", figures)


def _one(connection: psycopg.Connection, query: str, values: dict[str, Any]) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(QUERIES[query], values)
        return cursor.fetchone() or {}
