"""Rate limits per client: fixed windows, counted in the process."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from rowguard.errors import SettingsError

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_RATE = re.compile(r"\s*([1-9]\d{0,11})\s*/\s*(second|minute|hour|day)\s*")


class FixedWindowLimiter:
    """Counts calls by key. A window starts with the first call of a key and ends after the rate's time.

    Args:
        rate: Such as `500/second` or `10000/minute`.
        clock: Seconds of a monotonic clock.

    Raises:
        SettingsError: The rate is malformed.
    """

    def __init__(self, rate: str, clock: Callable[[], float] = time.monotonic) -> None:
        match = _RATE.fullmatch(rate)
        if match is None:
            raise SettingsError(
                f"ROWGUARD_API_RATE_LIMIT {rate!r} is not a rate; write 500/second or 10000/minute"
            )
        self.rate = rate
        self.max_calls, self.window_s = int(match[1]), SECONDS[match[2]]
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._sweep_at = 0.0

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, key: str) -> bool:
        """Count a call.

        Returns:
            Whether the call is within the rate.
        """
        now = self._clock()
        if now >= self._sweep_at:
            self._windows = {name: window for name, window in self._windows.items() if now < window[0]}
            self._sweep_at = now + self.window_s
        ends_at, count = self._windows.get(key, (0.0, 0))
        if now >= ends_at:
            ends_at, count = now + self.window_s, 0
        self._windows[key] = (ends_at, count + 1)
        return count < self.max_calls
