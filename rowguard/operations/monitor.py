"""What the monitoring views say: alarms for the command and the nightly run, everything for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowguard.database import connect
from rowguard.errors import SchemaError
from rowguard.operations.report import write_report
from rowguard.queries import load_queries
from sql_scoring import registry

QUERIES = load_queries("rowguard.operations")
_REPORTED = ("score_days", "outcome_days", "distribution_days", "drift", "challenger_days")

Row = dict[str, Any]


@dataclass(frozen=True)
class Monitoring:
    """Every measure with its threshold, alarms first, and who decides and is tried."""

    champion: str | None
    challenger: str | None
    measures: list[Row]

    @property
    def alarms(self) -> list[Row]:
        return [row for row in self.measures if row["is_alarm"]]

    def sentence(self) -> str:
        """The alarms in one line."""
        shown = [
            f"{row['measure']} of {row['subject']} is {row['value']:.4g} (alarm at {row['alarm_at']:g})"
            for row in self.alarms
        ]
        return f"{len(shown)} {'alarm' if len(shown) == 1 else 'alarms'}: {'; '.join(shown)}"


def monitor(url: str, *, report: Path | None = None) -> Monitoring:
    """Read the monitoring views as they are now; with `report`, write the static page too.

    Raises:
        SchemaError: the views are not built, or are those of an older version.
    """
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        challenger = registry.challenger_version(connection)
        found = Monitoring(champion, challenger, _rows(connection, "alarms", {}))
        if report is not None:
            values = {"version": champion}
            write_report(
                report,
                registry.list_models(connection),
                found.measures,
                {name: _rows(connection, name, values) for name in _REPORTED},
            )
    return found


def _rows(connection: psycopg.Connection, query: str, values: Row) -> list[Row]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(QUERIES[query], values).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise SchemaError("the monitoring views are not built; run: rowguard features") from None
