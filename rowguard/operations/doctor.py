"""Checks of a live database, which change nothing."""

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
from sql_scoring.features.build import empty_features
from trainer.dataset import FeatureList, read_feature_list

QUERIES = load_queries("rowguard.operations")

Status = Literal["ok", "warning", "alarm"]


@dataclass(frozen=True)
class DoctorLimits:
    """What is not an alarm yet.

    Attributes:
        skewed_rows: live rows whose windowed features may differ when computed again. A home that changed during an
            INSERT leaves one, and so does a row that was stored without its user's lock.
        rollup_skew: fraction of live rows whose rollup features may differ. Rows that were decided after midnight and
            before the nightly build do not include what it added.
        rows: how many of the newest sampled live rows are compared.
        hours: how far back unscored rows are counted.
        late_labels: fraction of frauds that may be reported after the label delay.
        label_delay_days: the label delay, ROWGUARD_LABEL_DELAY_DAYS.
    """

    skewed_rows: int = 0
    rollup_skew: float = 0.2
    rows: int = 100_000
    hours: int = 24
    late_labels: float = 0.2
    label_delay_days: int = 7


@dataclass(frozen=True)
class Check:
    """The result of one check: its status, one sentence, and the values behind it."""

    name: str
    status: Status
    summary: str
    details: dict[str, Any]


@dataclass(frozen=True)
class DoctorReport:
    """Every check, in the order in which they ran."""

    checks: list[Check]

    @property
    def alarms(self) -> list[Check]:
        """The checks that ended with an alarm."""
        return [check for check in self.checks if check.status == "alarm"]


def diagnose(url: str, limits: DoctorLimits = DoctorLimits(), *, today: date | None = None) -> DoctorReport:
    """Check champion, skew, running totals, unscored rows, features, labels, explanations, rollups. Changes nothing.

    Args:
        url: the database.
        limits: what is not an alarm yet.
        today: the date (UTC) whose rollups are checked; the current one by default.

    Returns:
        All checks.

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
            *_skew(connection, limits),
            _totals(connection),
            _unscored(connection, limits),
            _features(connection),
            _labels(connection, limits),
            _additivity(connection, limits),
            *_freshness(connection, built, today or datetime.now(UTC).date()),
        ]
    return DoctorReport(checks)


def _champion(connection: psycopg.Connection, champion: str | None, built: FeatureList) -> Check:
    if champion is None:
        return Check("champion", "warning", "no model is deployed", {"version": None, "built": built.hash})
    deployed = registry.get_model(connection, champion).feature_hash
    details = {"version": champion, "feature_hash": deployed, "built": built.hash}
    if deployed != built.hash:
        # Its functions read rollups that no build refreshes any more.
        summary = (
            f"{champion} was trained on feature list {deployed[:8]}, built is {built.hash[:8]}; "
            "run: rowguard retrain"
        )
        return Check("champion", "alarm", summary, details)
    return Check("champion", "ok", f"{champion} uses the feature list that is built", details)


def _skew(connection: psycopg.Connection, limits: DoctorLimits) -> list[Check]:
    checks = []
    with connection.cursor(row_factory=dict_row) as cursor:
        rows_by_kind = cursor.execute(QUERIES["doctor_skew"], {"newest": limits.rows}).fetchall()
    for row in rows_by_kind:
        rows, features, differing = row["rows_compared"], row["features"], row["rows_differing"]
        if row["skew_kind"] == "shared" and not features:
            continue  # the usual list has none
        name = "skew" if row["skew_kind"] == "window" else f"{row['skew_kind']} skew"
        values = row["values_differing"]
        allowed = limits.skewed_rows if name == "skew" else limits.rollup_skew * rows
        status: Status = "ok"
        if differing:
            status = "alarm" if differing > allowed else "warning"
        summary = f"{values:,} of {rows * features:,} values of sampled live rows differ when computed again"
        details = {
            "rows_compared": rows,
            "features": features,
            "values_compared": rows * features,
            "values_differing": values,
            "rows_differing": differing,
            "features_differing": row["features_differing"],
        }
        if differing:
            summary += f", on {differing:,} rows"
        checks.append(Check(name, status, summary, details))
    return checks


def _totals(connection: psycopg.Connection) -> Check:
    row = _fetch(connection, "doctor_totals", {})
    if row["rows_broken"]:
        summary = (
            f"running totals do not continue at {row['rows_broken']:,} rows of {row['users_broken']:,} users, "
            f"such as {row['broken_users'][0]}"
        )
        return Check("running totals", "alarm", summary, row)
    if row["rows_pending"]:
        summary = (
            f"{row['users_pending']:,} users have pending totals and are read with a row scan until the "
            "next: rowguard features"
        )
        return Check("running totals", "warning", summary, row)
    return Check("running totals", "ok", f"they continue over all {row['rows_checked']:,} rows", row)


def _unscored(connection: psycopg.Connection, limits: DoctorLimits) -> Check:
    row = _fetch(connection, "doctor_unscored", {"hours": limits.hours}) | {"hours": limits.hours}
    if row["rows_unscored"]:
        summary = (
            f"{row['rows_unscored']:,} of {row['live_rows']:,} live rows of the last {limits.hours} hours have no "
            f"decision; the newest: {row['newest_reason'] or 'no reason is stored'}"
        )
        return Check("unscored rows", "alarm", summary, row)
    if row["rows_with_caveat"]:
        summary = (
            f"{row['rows_with_caveat']:,} of {row['live_rows']:,} live rows of the last {limits.hours} hours may "
            f"have missed concurrent rows of their users ({', '.join(row['caveats'])})"
        )
        return Check("unscored rows", "warning", summary, row)
    return Check(
        "unscored rows", "ok", f"none among {row['live_rows']:,} of the last {limits.hours} hours", row
    )


def _features(connection: psycopg.Connection) -> Check:
    missing = empty_features(connection)
    details = {"features_missing": missing}
    if missing:
        summary = f"missing in every row, so models cannot use them: {', '.join(missing)}"
        return Check("features", "warning", summary, details)
    return Check("features", "ok", "none is missing in every row", details)


def _labels(connection: psycopg.Connection, limits: DoctorLimits) -> Check:
    days = {"delay_days": limits.label_delay_days}
    row = _fetch(connection, "doctor_labels", days) | days
    late, frauds = row["late_frauds"], row["frauds"]
    summary = (
        f"{row['unlabeled']:,} of {row['transactions']:,} transactions older than the label delay of "
        f"{row['delay_days']} days have no label and count as legitimate; {late:,} of {frauds:,} frauds were "
        "reported later than the delay"
    )
    is_late = late > limits.late_labels * frauds
    is_unlabeled = 0 < row["transactions"] == row["unlabeled"]
    if is_late:
        summary += "; raise ROWGUARD_LABEL_DELAY_DAYS, then run: rowguard retrain"
    return Check("labels", "warning" if is_late or is_unlabeled else "ok", summary, row)


def _additivity(connection: psycopg.Connection, limits: DoctorLimits) -> Check:
    """Base plus contributions are the stored score of every alert."""
    row = _fetch(connection, "doctor_additivity", {"hours": limits.hours}) | {"hours": limits.hours}
    name = "explanations"
    if row["alerts_differing"]:
        summary = (
            f"of {row['alerts_explained']:,} alerts of the last {limits.hours} hours, {row['alerts_differing']:,} "
            f"have contributions that do not add up to their score, by up to {row['largest_difference']:.3g}; "
            "run: rowguard reasons --build VERSION"
        )
        return Check(name, "alarm", summary, row)
    if row["alerts_explained"] < row["alerts"]:
        summary = (
            f"of {row['alerts']:,} alerts of the last {limits.hours} hours, "
            f"{row['alerts'] - row['alerts_explained']:,} have a model without an explanation"
        )
        return Check(name, "warning", summary, row)
    summary = f"they add up to the score of all {row['alerts']:,} alerts of the last {limits.hours} hours"
    return Check(name, "ok", summary, row)


def _freshness(connection: psycopg.Connection, built: FeatureList, today: date) -> list[Check]:
    tables = connection.execute(QUERIES["rollup_tables"], {"suffix": f"_risk_{built.hash[:8]}"})
    return [
        _rollup_freshness(connection, entity, table, keys, today) for entity, table, keys in tables.fetchall()
    ]


def _rollup_freshness(
    connection: psycopg.Connection, entity: str, table: str, keys: list[str], today: date
) -> Check:
    """Two missed builds are an alarm; until today's, rollups lack what became known yesterday."""
    stale = {}

    def key_of(row: str) -> sql.Composable:
        names = [sql.Identifier(row, key) for key in keys]
        return sql.SQL("row({})").format(sql.SQL(", ").join(names)) if len(names) > 1 else names[0]

    query = sql.SQL(QUERIES["doctor_freshness"]).format(
        table=sql.Identifier("features", table), key_of_t=key_of("t"), key_of_r=key_of("r")
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        for when, checked in (("today", today), ("yesterday", today - timedelta(days=1))):
            cursor.execute(query, {"day": checked, "entity": entity})
            stale[when] = cursor.fetchone() or {}
    details = {
        "day": today.isoformat(),
        "compared": stale["today"]["compared"],
        "stale_today": stale["today"]["stale"],
        "stale_yesterday": stale["yesterday"]["stale"],
    }
    name, what = f"{entity} risk".replace("_", " "), f"values of {entity}".replace("_", " ")
    if details["stale_yesterday"]:
        summary = (
            f"{details['stale_yesterday']:,} {what} lack what was known a day ago; run: rowguard features"
        )
        return Check(name, "alarm", summary, details)
    if details["stale_today"]:
        summary = (
            f"{details['stale_today']:,} {what} lack what became known yesterday, "
            "until the next: rowguard features"
        )
        return Check(name, "warning", summary, details)
    return Check(name, "ok", f"fresh for all {details['compared']:,} {what} with sums", details)


def _fetch(connection: psycopg.Connection, query: str, values: dict[str, Any]) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(QUERIES[query], values)
        return cursor.fetchone() or {}
