"""archive, rescore, doctor, monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rowguard.cli._output import (
    Json,
    err,
    next_steps,
    out,
    parse_days,
    print_facts,
    print_json,
    print_table,
    steps,
    time_option,
)
from rowguard.cli._target import database_url


def archive(
    keep: Annotated[int, typer.Option(parser=parse_days, metavar="DAYS", help="Days to keep, such as 400d.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder of the Parquet files; by default in the state directory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Archive old transactions with their labels to Parquet, then delete them in small transactions.

    Every column is archived, so decisions replay from the files. `rowguard import` loads them back as history.
    Rows that a feature reads, or that still wait for labels, cannot be archived.

    Example: rowguard archive --keep 400d --output /archive/rowguard
    """
    from rowguard.operations.archive import archive_transactions
    from rowguard.settings import settings

    url = database_url()
    with steps(quiet=as_json) as step:
        result = archive_transactions(
            url,
            output or settings().state_dir / "archive",
            keep_days=keep,
            label_delay_days=settings().label_delay_days,
            progress=step,
        )
    if as_json:
        print_json(result)
        return
    out.print(
        f"archived and deleted {result.transactions:,} transactions and {result.labels:,} labels "
        f"before {result.cutoff:%Y-%m-%d}"
    )
    if result.archives:
        print_table([{"archive": str(file.path), "rows": file.rows} for file in result.archives])
        next_steps((f"rowguard import {result.archives[0].path}", "load them back as history"))


def rescore(
    start: Annotated[Any, time_option("--from", help="Only rows from this day or time on.")] = None,
    end: Annotated[Any, time_option("--to", help="Only rows before this day or time.")] = None,
    output_table: Annotated[
        str | None, typer.Option(help="Score every row into this new table; the rows are unchanged.")
    ] = None,
    include_history: Annotated[
        bool, typer.Option("--include-history", help="Also decide loaded history.")
    ] = False,
    build: Annotated[
        bool, typer.Option("--build/--no-build", help="Build the features of new rows first.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Most parallel workers; by default the server's setting.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Backfill decisions of unscored rows, or score a time range into a new table.

    Features are point-in-time correct. No decision is ever changed; the former reason of a row is stored in
    scoring.rescored_transactions.

    Example: rowguard rescore --from 2026-09-01 --to 2026-10-01 --output-table september_scores
    """
    from rowguard.operations.rescore import rescore as run
    from rowguard.settings import settings

    if output_table is not None and include_history:
        raise typer.BadParameter("--output-table scores history anyway; --include-history is for decisions")
    if output_table is not None and (not all(output_table.split(".")) or output_table.count(".") > 1):
        raise typer.BadParameter(f"{output_table!r} is no table name such as backfill or audit.backfill")
    url = database_url()
    with steps(quiet=as_json) as step:
        result = run(
            url,
            settings(),
            start=start,
            end=end,
            output_table=output_table,
            include_history=include_history,
            build=build,
            workers=workers,
            progress=step,
        )
    if as_json:
        print_json(result)
        return
    print_facts(
        result.output_table or "transactions",
        {
            "model": result.model_version,
            "scored": f"{result.rows:,} rows in {result.seconds:.1f} s, {result.workers} parallel workers",
            "alerts": result.flagged,
            "without features": f"{result.rows_without_features:,}, unchanged",
        },
    )
    if result.rows_without_features:
        next_steps(("rowguard features", "build what they need"), "rowguard rescore")


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
    unscored rows, missing features, late labels, the sums of explanations, and the freshness of rollups.

    Example: rowguard doctor --json
    """
    from rowguard.errors import AlarmError
    from rowguard.operations.doctor import DoctorLimits, diagnose
    from rowguard.settings import settings

    limits = DoctorLimits(
        allow_skewed_rows, allow_rollup_skew, rows, hours, label_delay_days=settings().label_delay_days
    )
    report = diagnose(database_url(), limits)
    if as_json:
        print_json({"is_ok": not report.alarms, "checks": report.checks})
    else:
        print_table([{"check": c.name, "is": c.status, "": c.summary} for c in report.checks])
    if report.alarms:
        raise AlarmError("; ".join(f"{check.name}: {check.summary}" for check in report.alarms))


def monitor(
    report: Annotated[Path | None, typer.Option(help="Write a static HTML page with plots here.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the last days with training and with the thresholds; exit with 1 on an alarm.

    The thresholds are in dbt/seeds/monitoring_thresholds.csv; `rowguard features` loads them.

    Example: rowguard monitor --report monitoring.html
    """
    from rowguard.errors import AlarmError
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
            {
                "metric": row["metric"],
                "of": row["subject"],
                "is": "ALARM" if row["is_alarm"] else "ok" if row["has_enough_rows"] else "too few rows",
                "value": row["value"],
                "threshold": row["alarm_threshold"],
                "rows": row["row_count"],
            }
            for row in result.metrics
        ]
        print_table(rows)
        if not result.alarms:
            out.print(result.sentence())
        if report:
            err.print(f"report: {report}", markup=False)
    if result.alarms:
        raise AlarmError(result.sentence())
