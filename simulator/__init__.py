"""Realistic card transactions with fraud scenarios: a history, and a live stream that continues it.

```python
history = simulate(SimulationConfig(users=5_000, days=90, seed=7))
for transaction in live_transactions(history, count=300): ...
```
`simulator.live` inserts a live stream into a database; nothing else here uses one.
"""

from simulator._config import SimulationConfig, SimulationConfigError
from simulator._history import Simulation, simulate
from simulator._stream import LiveTransaction, live_transactions

__all__ = [
    "LiveTransaction",
    "Simulation",
    "SimulationConfig",
    "SimulationConfigError",
    "live_transactions",
    "simulate",
]
