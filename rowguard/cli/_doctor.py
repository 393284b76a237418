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
        int, typer.Option(help="Live rows whose windowed features may differ when computed again.", min=0)
    ] = 0,
    allow_rollup_skew: Annotated[
        float,
        typer.Option(help="Fraction of live rows whose rollup features may differ.", min=0, max=1),
    ] = 0.2,
    rows: Annotated[int, typer.Option(help="Compare up to N of the newest sampled live rows.", min=1)] = 100_000,
    hours: Annotated[int, typer.Option(help="Look so far back for unscored rows.", min=1)] = 24,
    as_json: Json = False,
) -> None:
    """Look for what is wrong in a live database; exit 1 on an alarm. Nothing is changed.

    Champion and built features of one list; features of sampled live rows computed again, value for value; every
    user's running totals; rows without a decision; whether merchant and user risk are up to date.

    Example: rowguard doctor --json
    """
    from dataclasses import asdict

    from rowguard import operations as pipeline
    from rowguard.errors import HealthError

    limits = pipeline.DoctorLimits(allow_skewed_rows, allow_rollup_skew, rows, hours)
    found = pipeline.diagnose(database_url(), limits)
    if as_json:
        print_json({"is_ok": not found.alarms, "checks": [asdict(check) for check in found.checks]})
    else:
        out.print(
            table(["check", "", ""], [(check.name, check.status, check.summary) for check in found.checks])
        )
    if found.alarms:
        raise HealthError("; ".join(f"{check.name}: {check.summary}" for check in found.alarms))
