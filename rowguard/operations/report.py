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

Row = dict[str, Any]


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
    from rowguard.operations import plots  # matplotlib takes most of a second, and only this draws

    champion = next((model for model in models if model.state == "champion"), None)
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
            alarms=[row for row in metrics if row["is_alarm"]],
            challenger_daily=tables["challenger_daily"],
            plots={
                "Volume and alerts": plots.volume(tables["scores_daily"], champion),
                "Scores": plots.scores(tables["scores_daily"], tables["drift"], champion),
                "Outcomes": plots.outcomes(tables["outcomes_daily"], champion),
                "Drift against training": plots.drift(tables["distributions_daily"]),
            },
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
