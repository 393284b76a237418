"""One small history, simulated once for all tests that only read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simulator import Simulation, SimulationConfig, simulate


@pytest.fixture(scope="session")
def config() -> SimulationConfig:
    end = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)
    return SimulationConfig(users=600, merchants=300, days=40, end=end, seed=11)


@pytest.fixture(scope="session")
def history(config: SimulationConfig) -> Simulation:
    return simulate(config)
