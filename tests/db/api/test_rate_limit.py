"""Fixed windows, counted in the process."""

from __future__ import annotations

import pytest

from api.rate_limit import FixedWindowLimiter
from rowguard.errors import SettingsError


def test_a_window_starts_with_the_first_call_and_ends_after_its_time() -> None:
    now = 100.0
    limiter = FixedWindowLimiter("3/second", clock=lambda: now)
    assert [limiter.hit("a") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.hit("b")
    now = 100.99
    assert not limiter.hit("a")
    now = 101.0
    assert [limiter.hit("a") for _ in range(4)] == [True, True, True, False]


def test_clients_of_past_windows_are_forgotten() -> None:
    now = 0.0
    limiter = FixedWindowLimiter("10/minute", clock=lambda: now)
    for number in range(1_000):
        limiter.hit(f"client {number}")
    assert len(limiter) == 1_000
    now = 60.0
    limiter.hit("another")
    assert len(limiter) == 1


@pytest.mark.parametrize("rate", ["often", "0/second", "-1/second", "5/fortnight", "5 per second", ""])
def test_a_malformed_rate_is_rejected(rate: str) -> None:
    with pytest.raises(SettingsError, match="ROWGUARD_API_RATE_LIMIT"):
        FixedWindowLimiter(rate)
