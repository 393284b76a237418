"""The parameters of a simulation and their ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rowguard.declaration import KeyType
from rowguard.errors import RowguardError
from simulator._places import COUNTRIES

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

_RANGES: dict[str, tuple[str, float, float]] = {
    "users": ("whole number", 1, 5_000_000),
    "merchants": ("whole number", len(COUNTRIES) * 2, 1_000_000),
    "days": ("whole number", 1, 3_660),
    "seed": ("whole number", 0, 2**63 - 1),
    "transactions_per_user_day": ("number", 0.01, 50),
    "fraud_rate": ("number", 0, 0.2),
    "legitimate_after_days": ("number", 0, 365),
}


class SimulationConfigError(RowguardError, ValueError):
    """A parameter of the simulation is out of range."""


def current_hour() -> datetime:
    """Return the start of the current hour in UTC."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationConfig:
    """What to simulate. The same values give the same bytes, on every machine.

    Seed, users and merchants define the world; the other parameters select a part of it. A longer history of
    the same world contains the shorter one's purchases unchanged.

    Attributes:
        users: Number of users, counted from 1; simulator.user_keys makes ids of the numbers.
        merchants: Number of merchants; every country has some.
        days: Length of the history, ending at `end`.
        end: End of the history (exclusive); a time without a zone is UTC.
        seed: Another seed is another world.
        transactions_per_user_day: Mean over users and days; single users differ by a factor of 20 and more.
        fraud_rate: Fraction of fraudulent transactions to aim at.
        legitimate_after_days: An undisputed transaction is labeled legitimate after this many days.
        user_id_type: Type of the users' ids.

    Raises:
        SimulationConfigError: A value is out of range; names it and its range.
    """

    users: int = 2_000
    merchants: int = 1_000
    days: int = 60
    end: datetime = field(default_factory=current_hour)
    seed: int = 1
    transactions_per_user_day: float = 1.5
    fraud_rate: float = 0.008
    legitimate_after_days: float = 7.0
    user_id_type: KeyType = "bigint"

    def __post_init__(self) -> None:
        for name, (kind, low, high) in _RANGES.items():
            value = getattr(self, name)
            is_number = isinstance(value, int if kind == "whole number" else int | float)
            if not is_number or isinstance(value, bool) or not low <= value <= high:
                raise SimulationConfigError(
                    f"{name} must be a {kind} from {low:,} to {high:,}, not {value!r}"
                )
        if not isinstance(self.end, datetime):
            raise SimulationConfigError(f"end must be a datetime, not {self.end!r}")
        end = in_utc(self.end)
        if not EARLIEST + timedelta(days=self.days) <= end <= LATEST:
            raise SimulationConfigError(
                f"the history must lie between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}; "
                f"{self.days} days up to {end:%Y-%m-%d} do not"
            )
        object.__setattr__(self, "end", end)

    @property
    def starts_at(self) -> datetime:
        """Start of the history in UTC, inclusive."""
        return self.end - timedelta(days=self.days)


def in_utc(time: datetime) -> datetime:
    """The same time in UTC; a time without a zone is UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
