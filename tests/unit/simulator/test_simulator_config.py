"""Parameters of the simulation: rejected values, and defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rowguard.errors import RowguardError
from simulator import SimulationConfig, SimulationConfigError

END = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"users": 0}, "users must be a whole number from 1 to 5,000,000, not 0"),
        ({"users": True}, "users must be a whole number"),
        ({"users": 1.5}, "users must be a whole number"),
        ({"merchants": 5}, "merchants must be a whole number from 28"),
        ({"days": 0}, "days must be"),
        ({"days": 4_000}, "days must be"),
        ({"seed": -1}, "seed must be"),
        ({"transactions_per_user_day": 0}, "transactions_per_user_day must be a number from 0.01 to 50"),
        ({"transactions_per_user_day": float("nan")}, "transactions_per_user_day must be"),
        ({"fraud_rate": 0.5}, "fraud_rate must be a number from 0 to 0.2, not 0.5"),
        ({"fraud_rate": "1%"}, "fraud_rate must be"),
        ({"legitimate_after_days": -1}, "legitimate_after_days must be"),
        ({"end": "2026-01-01"}, "end must be a datetime"),
        ({"end": datetime(1980, 1, 1)}, "the history must lie between"),
        ({"end": datetime(1990, 1, 20), "days": 60}, "the history must lie between"),
    ],
)
def test_rejects(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulationConfigError, match=message) as raised:
        SimulationConfig(**parameters)
    assert isinstance(raised.value, RowguardError)
    assert "\n" not in str(raised.value)


def test_end_defaults_to_the_hour() -> None:
    config = SimulationConfig()
    assert timedelta(0) <= datetime.now(UTC) - config.end < timedelta(hours=1, minutes=1)
    assert config.starts_at == config.end - timedelta(days=config.days)


def test_end_is_stored_in_utc() -> None:
    two_hours_east = timezone(timedelta(hours=2))
    assert SimulationConfig(end=datetime(2026, 3, 1)).end == END
    assert SimulationConfig(end=datetime(2026, 3, 1, 2, tzinfo=two_hours_east)).end == END
    assert SimulationConfig(end=datetime(2026, 3, 1, 2, tzinfo=two_hours_east)).end.tzinfo is UTC
