"""What the monitoring views say: alarms for the command and the nightly run, everything for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowguard.database import connect
from rowguard.errors import SchemaError
from rowguard.operations.report import verdict, write_report
from rowguard.queries import load_queries
from sql_scoring import registry

QUERIES = load_queries("rowguard.operations")
_REPORTED = (
    "money_daily",
    "scores_daily",
    "outcomes_daily",
    "distributions_daily",
    "drift",
    "challenger_daily",
)

Row = dict[str, Any]


@dataclass(frozen=True)
class MonitoringResult:
    """Every metric with its threshold.

    Attributes:
        champion: version that is champion, or None.
        challenger: version that is challenger, or None.
        metrics: rows of the view monitoring_alarms, alarms first.
    """

    champion: str | None
    challenger: str | None
    metrics: list[Row]

    @property
    def alarms(self) -> list[Row]:
        """The metrics beyond their threshold."""
        return [row for row in self.metrics if row["is_alarm"]]

    def sentence(self) -> str:
        """What the metrics mean together, as one line."""
        return verdict(self.metrics)[1]


def monitor(url: str, *, report: Path | None = None) -> MonitoringResult:
    """Read the monitoring views.

    Args:
        url: the database.
        report: where to write the static page, if at all.

    Returns:
        Every metric with its threshold.

    Raises:
        SchemaError: the views are not built, or are those of an older version.
    """
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        challenger = registry.challenger_version(connection)
        result = MonitoringResult(champion, challenger, _rows(connection, "alarms", {}))
        if report is not None:
            values = {"version": champion}
            write_report(
                report,
                registry.list_models(connection),
                result.metrics,
                {name: _rows(connection, name, values) for name in _REPORTED},
            )
    return result


def _rows(connection: psycopg.Connection, query: str, values: Row) -> list[Row]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(QUERIES[query], values).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise SchemaError("the monitoring views are not built; run: rowguard features") from None
