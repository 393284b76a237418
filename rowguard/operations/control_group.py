"""The control group: the random fraction of alerts that is not blocked, so that labels stay unbiased."""

from __future__ import annotations

from dataclasses import dataclass

from rowguard.database import connect, fetch_one
from rowguard.errors import SettingsError
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")


@dataclass(frozen=True)
class ControlGroup:
    """The control group of the last 30 days.

    Attributes:
        rate: Probability that an alert joins the control group.
        alerts: Alerts of the last 30 days, the control group included.
        controls: Those of them in the control group.
    """

    rate: float
    alerts: int
    controls: int


def control_rate(url: str, rate: float | None = None) -> ControlGroup:
    """Set the control rate if one is given, and return the current control group.

    Args:
        url: Address of the database.
        rate: From 0 to 1; every change is stored with its time.

    Returns:
        The current rate, and what it did.

    Raises:
        SettingsError: The rate is not between 0 and 1.
    """
    if rate is not None and not 0 <= rate <= 1:
        raise SettingsError(f"the control rate must lie between 0 and 1, not {rate:g}")
    with connect(url) as connection:
        if rate is not None:
            connection.execute(QUERIES["set_control_rate"], {"rate": rate})
        return ControlGroup(*fetch_one(connection, QUERIES["control_group"]))
