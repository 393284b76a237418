"""monitor: what the views say, and exit 1 when it is an alarm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rowguard.cli._output import Json, err, out, print_json, table
from rowguard.cli._target import database_url


def register(app: typer.Typer) -> None:
    app.command()(monitor)


def monitor(
    report: Annotated[Path | None, typer.Option(help="Write a static HTML page with plots here.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the last days with training and with the thresholds; exit 1 when something is an alarm.

    Thresholds: dbt/seeds/monitoring_thresholds.csv, taken over by rowguard features.

    Example: rowguard monitor --report monitoring.html
    """
    from rowguard import operations as pipeline
    from rowguard.errors import MonitoringAlarm

    found = pipeline.monitor(database_url(), report=report)
    if as_json:
        print_json(
            {
                "champion": found.champion,
                "challenger": found.challenger,
                "alarms": len(found.alarms),
                "metrics": found.metrics,
                "report": str(report) if report else None,
            }
        )
    else:
        rows = [
            (
                row["metric"],
                row["subject"],
                row["value"],
                row["alarm_threshold"],
                row["row_count"],
                "ALARM" if row["is_alarm"] else ("ok" if row["has_enough_rows"] else "too few rows"),
            )
            for row in found.metrics
        ]
        out.print(table(["metric", "of", "value", "alarm at", "rows", ""], rows))
        if report:
            err.print(f"report: {report}", markup=False)
    if found.alarms:
        raise MonitoringAlarm(found.sentence())
