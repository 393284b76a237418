"""doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from rowguard.cli._output import Json, print_json, print_table
from rowguard.cli._target import database_url


def doctor(
    allow_skewed_rows: Annotated[
        int, typer.Option(help="Live rows whose windowed features may differ when computed again.", min=0)
    ] = 0,
    allow_rollup_skew: Annotated[
        float,
        typer.Option(help="Fraction of live rows whose rollup features may differ.", min=0, max=1),
    ] = 0.2,
    rows: Annotated[int, typer.Option(help="Compare this many of the newest live rows.", min=1)] = 100_000,
    hours: Annotated[int, typer.Option(help="Hours back to look for unscored rows.", min=1)] = 24,
    as_json: Json = False,
) -> None:
    """Check a live database and exit with 1 on an alarm. Nothing is changed.

    Checks the feature list of champion and training set, training-serving skew value by value, running totals,
    unscored rows, and the freshness of merchant and user risk.

    Example: rowguard doctor --json
    """
    from rowguard.errors import HealthError
    from rowguard.operations.doctor import DoctorLimits, diagnose

    report = diagnose(database_url(), DoctorLimits(allow_skewed_rows, allow_rollup_skew, rows, hours))
    if as_json:
        print_json({"is_ok": not report.alarms, "checks": report.checks})
    else:
        print_table(["check", "", ""], [(check.name, check.status, check.summary) for check in report.checks])
    if report.alarms:
        raise HealthError("; ".join(f"{check.name}: {check.summary}" for check in report.alarms))
