"""monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rowguard.cli._output import Json, err, print_json, print_table
from rowguard.cli._target import database_url


def monitor(
    report: Annotated[Path | None, typer.Option(help="Write a static HTML page with plots here.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the last days with training and with the thresholds; exit with 1 on an alarm.

    The thresholds are in dbt/seeds/monitoring_thresholds.csv; `rowguard features` loads them.

    Example: rowguard monitor --report monitoring.html
    """
    from rowguard.errors import MonitoringAlarmError
    from rowguard.operations.monitor import monitor as run

    result = run(database_url(), report=report)
    if as_json:
        print_json(
            {
                "champion": result.champion,
                "challenger": result.challenger,
                "alarms": len(result.alarms),
                "metrics": result.metrics,
                "report": report,
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
            for row in result.metrics
        ]
        print_table(["metric", "of", "value", "threshold", "rows", ""], rows)
        if report:
            err.print(f"report: {report}", markup=False)
    if result.alarms:
        raise MonitoringAlarmError(result.sentence())
