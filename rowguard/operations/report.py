"""The monitoring report: one static page, its plots inside, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sql_scoring.registry import ModelRecord

TEMPLATE = "report.html.j2"
SHOWN_MODELS = 12
MONEY = ("open_alerts", "open_amount", "caught", "caught_amount", "missed", "missed_amount", "false_alerts")

Row = dict[str, Any]


def verdict(metrics: Sequence[Row]) -> tuple[str, str]:
    """Return what the metrics say together: `alarm`, `ok` or, with too few rows, `unknown`; and one sentence."""
    if alarms := [
        f"{row['metric']} of {row['subject']} is {row['value']:.4g} (alarm at {row['alarm_threshold']:g})"
        for row in metrics
        if row["is_alarm"]
    ]:
        return "alarm", f"{len(alarms)} alarm{'s' * (len(alarms) > 1)}: {'; '.join(alarms)}"
    counted = [row for row in metrics if row["min_rows"]]
    lacking = {row["metric"]: row for row in counted if not row["has_enough_rows"]}
    needs = "; ".join(
        f"{name} has {row['row_count']:,} of {row['min_rows']:,} rows, "
        f"{row['min_rows'] - row['row_count']:,} are missing"
        for name, row in lacking.items()
    )
    if not counted:
        return "unknown", "Nothing to evaluate yet: there are no live rows of the last 7 days."
    if all(row["metric"] in lacking for row in counted):
        return "unknown", f"Too few rows to evaluate: {needs}."
    return "ok", f"No alarms. Not evaluated: {needs}." if needs else "No alarms."


def write_report(
    path: Path, models: Sequence[ModelRecord], metrics: Sequence[Row], tables: dict[str, list[Row]]
) -> None:
    """Write the page.

    Args:
        path: the page; its folder is made.
        models: the registry, newest first.
        metrics: rows of monitoring_alarms.
        tables: rows of the other monitoring queries by name.
    """
    from rowguard.operations.plots import draw  # matplotlib takes most of a second, and only this draws

    champion = next((model for model in models if model.state == "champion"), None)
    status, sentence = verdict(metrics)
    min_rows = max((row["min_rows"] for row in metrics if row["metric"] == "score_psi"), default=0)
    money = {name: sum(row[name] for row in tables["money_daily"]) for name in MONEY}
    page = (
        Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        .get_template(TEMPLATE)
        .render(
            made_at=datetime.now(UTC),
            champion=champion,
            challenger=next((model for model in models if model.state == "challenger"), None),
            models=models[:SHOWN_MODELS],
            metrics=metrics,
            status=status,
            sentence=sentence,
            money=money,
            challenger_daily=tables["challenger_daily"],
            plots=draw(tables, champion, min_rows),
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
