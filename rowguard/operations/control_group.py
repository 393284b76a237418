"""The share of alerts that are let through by chance, so that their labels are learnt."""

from __future__ import annotations

from dataclasses import dataclass

from rowguard.database import connect
from rowguard.errors import SettingsError
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")


@dataclass(frozen=True)
class LetThrough:
    """The share that counts now; alerts of the last 30 days, and how many of them were let through; what keeps the
    share from counting, in a line, or None."""

    share: float
    alerts: int
    let_through: int
    held_by: str | None = None


def let_through(url: str, share: float | None = None) -> LetThrough:
    """Set the share, if one is given, and answer what counts now. Every setting is kept with its time.

    Raises:
        SettingsError: it is not between 0 and 1.
    """
    if share is not None and not 0 <= share <= 1:
        raise SettingsError(f"the share of alerts that are let through lies between 0 and 1, not {share:g}")
    with connect(url) as connection:
        if share is not None:
            connection.execute(QUERIES["set_let_through"], {"share": share})
        row = connection.execute(QUERIES["let_through"]).fetchone()
    assert row is not None
    return LetThrough(*row)
