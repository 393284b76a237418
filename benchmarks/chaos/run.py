"""One fault after another on one house: load, fault, repair by the supervisor, checks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.chaos.checks import check_rows, check_velocity, is_healthy
from benchmarks.chaos.faults import ALL, Fault, Skipped
from benchmarks.chaos.house import House, built_house
from benchmarks.chaos.load import Ledger, Load, SameKeys


@dataclass(frozen=True)
class Outcome:
    """A row of the table. Times are of payments, from when they were due; `recovery_s` is from the moment when
    everything runs again to the next decision that a waiting client got, `outage_s` the same from the deed on.
    `restarted` are programs of ours that are others afterwards."""

    fault: str
    skipped: str | None = None
    payments: int = 0
    acknowledged: int = 0
    retries: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    undecided: int = 0
    with_reason: int = 0
    unreplayable: int = 0
    velocity_compared: int = 0
    velocity_wrong: int = 0
    recomputed_values: int = 0
    recomputed_wrong: int = 0
    labels_stale: int = 0
    is_healthy: bool = True
    fault_s: float = 0.0
    recovery_s: float | None = None
    outage_s: float | None = None
    restarted: tuple[str, ...] = ()
    median_ms: float = 0.0
    worst_s: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        wrong = (
            self.failed
            + self.lost
            + self.doubled
            + self.changed
            + self.undecided
            + self.unreplayable
            + self.velocity_wrong
            + self.recomputed_wrong
        )
        return wrong == 0 and self.is_healthy and (self.skipped is not None or self.acknowledged > 0)

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"is_right": self.is_right}


def run_faults(
    names: Sequence[str],
    *,
    seconds: float,
    rate: float,
    check_each: bool,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    progress: Callable[[str], None] = lambda step: None,
) -> list[Outcome]:
    """Every named fault in the order of the list. Without `check_each` velocity is compared once, at the end."""
    faults = [fault for fault in ALL if fault.name in names]
    progress("building a stack with a history, a champion and candidates")
    outcomes = []
    with built_house(with_disk=any(fault.needs_disk for fault in faults)) as house:
        for number, fault in enumerate(faults):
            progress(fault.name)
            whole = check_each or fault is faults[-1]
            outcome = _one(house, fault, f"f{number}", seconds, rate, whole, only_this=check_each)
            outcomes.append(outcome)
            on_outcome(outcome)
    return outcomes


def _one(
    house: House, fault: Fault, run: str, seconds: float, rate: float, whole: bool, *, only_this: bool
) -> Outcome:
    load: Load | SameKeys
    if fault.same_keys:
        load = SameKeys(house, run, keys=int(seconds * rate / 8), seconds=seconds)
    else:
        load = Load(house, run, seconds=seconds, rate=rate, jumps=fault.jumps)
    fault_s = 0.0
    repaired = 0.0
    skipped: str | None = None
    broken: list[str] = []
    pids = house.pids()
    with house.connect() as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    started = row[0]
    load.start()
    time.sleep(seconds / 4)
    began = time.monotonic()
    try:
        fault.happen(house)
    except Skipped as reason:
        skipped = str(reason)
    except Exception as error:  # a fault that cannot be carried through is a finding, with the load still on
        broken.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    repaired = time.monotonic()
    fault_s = repaired - began
    ledger = load.finish(repaired + seconds / 4)
    restarted = tuple(name for name, pid in house.pids().items() if pid != pids[name])
    if skipped:
        return Outcome(fault.name, skipped=skipped)
    found = check_rows(house, run, ledger.acknowledged)
    velocity = check_velocity(house, started if only_this else None) if whole else None
    healthy = is_healthy(house) if whole else True
    waits = [one.answered - one.due for one in ledger.acknowledged] or [0.0]
    recovery = _recovery(ledger, began, repaired)
    return Outcome(
        fault=fault.name,
        payments=len(ledger.acknowledged) + len(ledger.failures),
        acknowledged=len(ledger.acknowledged),
        retries=sum(ledger.retries.values()),
        failed=len(ledger.failures) + len(broken),
        lost=found.lost,
        doubled=found.doubled,
        changed=found.changed,
        undecided=found.without_either,
        with_reason=found.with_reason,
        unreplayable=found.unreplayable,
        velocity_compared=velocity.compared if velocity else 0,
        velocity_wrong=velocity.differ if velocity else 0,
        labels_stale=velocity.labels_stale if velocity else 0,
        recomputed_values=velocity.again.values if velocity else 0,
        recomputed_wrong=velocity.again.wrong if velocity else 0,
        is_healthy=healthy,
        fault_s=fault_s,
        recovery_s=recovery,
        outage_s=None if recovery is None else repaired - began + recovery,
        restarted=restarted,
        median_ms=statistics.median(waits) * 1000,
        worst_s=max(waits),
        notes=tuple(
            broken
            + ledger.failures[:3]
            + list(velocity.again.examples if velocity else ())
            + [f"{n} x{c}" for n, c in sorted(ledger.retries.items())]
        ),
    )


def _recovery(ledger: Ledger, began: float, repaired: float) -> float | None:
    """To the first decision after the repair on a payment that had to be sent again meanwhile; nothing when all of
    those were answered before the repair was through."""
    waiting = [
        one.answered - repaired
        for one in ledger.acknowledged
        if one.fraud_probability is not None
        and one.attempts > 1
        and repaired > one.due >= began - 5
        and one.answered >= began
    ]
    after = [seconds for seconds in waiting if seconds >= 0]
    return min(after) if after else 0.0 if waiting else None


__all__ = ["Outcome", "run_faults"]
