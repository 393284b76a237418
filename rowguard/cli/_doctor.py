"""doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from rowguard.cli._output import Json, out, print_json, table
from rowguard.cli._target import database_url


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    allow_skewed_rows: Annotated[
        int, typer.Option(help="Live rows whose windowed features may differ from the training set.", min=0)
    ] = 0,
    allow_day_skew: Annotated[
        float,
        typer.Option(help="Share of live rows whose day-summed features may differ.", min=0, max=1),
    ] = 0.2,
    rows: Annotated[int, typer.Option(help="Compare so many of the newest live rows.", min=1)] = 100_000,
    hours: Annotated[int, typer.Option(help="Look so far back for unscored rows.", min=1)] = 24,
    as_json: Json = False,
) -> None:
    """Look for what is wrong in a live database; exit 1 on an alarm. Nothing is changed.

    Champion and built features of one list; what live rows saw against the training set, value for value; every
    user's running totals; rows without a decision; whether merchant and user risk are up to date.

    Example: rowguard doctor --json
    """
    from dataclasses import asdict

    from rowguard.operations.doctor import Limits, diagnose
    from rowguard.errors import HealthError

    limits = Limits(allow_skewed_rows, allow_day_skew, rows, hours)
    found = diagnose(database_url(), limits)
    if as_json:
        print_json({"is_ok": not found.alarms, "checks": [asdict(check) for check in found.checks]})
    else:
        out.print(
            table(["check", "", ""], [(check.name, check.status, check.summary) for check in found.checks])
        )
    if found.alarms:
        raise HealthError("; ".join(f"{check.name}: {check.summary}" for check in found.alarms))
