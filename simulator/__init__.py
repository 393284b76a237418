"""Realistic card transactions with fraud scenarios: a history, and a live stream that continues it.

```python
config = SimulationConfig(users=5_000, days=90, seed=7)
history = simulate(config)
for transaction in live_transactions(config, count=300): ...
```
`simulator.live` inserts a live stream into a database; nothing else here uses one.
"""

from simulator._config import SimulationConfig, SimulationConfigError, current_hour
from simulator._history import Simulation, simulate
from simulator._stream import LiveTransaction, live_transactions

__all__ = [
    "LiveTransaction",
    "Simulation",
    "SimulationConfig",
    "SimulationConfigError",
    "current_hour",
    "live_transactions",
    "simulate",
]
