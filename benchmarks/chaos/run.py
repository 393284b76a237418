"""One fault after another on one stack: load, fault, restart by the supervisor, checks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.chaos.checks import check_rows, check_velocity, is_healthy
from benchmarks.chaos.faults import ALL, Fault, Skipped
from benchmarks.chaos.load import Ledger, Load, SameKeys
from benchmarks.chaos.stack import ChaosStack, built_stack


@dataclass(frozen=True)
class Outcome:
    """A row of the table.

    Attributes:
        recovery_s: From the restart of every program to the next decision that a waiting client received.
        outage_s: The same, from the start of the fault.
        restarted: Programs of the stack whose process id changed.
        median_ms: Of payments, from their due time.
        worst_s: Of payments, from their due time.
    """

    fault: str
    skipped: str | None = None
    payments: int = 0
    acknowledged: int = 0
    retries: int = 0
    failed: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    unscored: int = 0
    with_reason: int = 0
    not_reproducible: int = 0
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
            + self.duplicated
            + self.changed
            + self.unscored
            + self.not_reproducible
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
    """Inject the named faults in the order of `ALL`.

    Args:
        names: Names of faults.
        seconds: Load around each fault.
        rate: Payments per second.
        check_each: Compare velocity after each fault; otherwise once, at the end.
        on_outcome: Called after each fault.
        progress: Called with the name of each step.
    """
    faults = [fault for fault in ALL if fault.name in names]
    progress("building a stack with a history, a champion and candidates")
    outcomes = []
    with built_stack(with_disk=any(fault.needs_disk for fault in faults)) as stack:
        for number, fault in enumerate(faults):
            progress(fault.name)
            has_checks = check_each or fault is faults[-1]
            outcome = _run_fault(stack, fault, f"f{number}", seconds, rate, has_checks, only_this=check_each)
            outcomes.append(outcome)
            on_outcome(outcome)
    return outcomes


def _run_fault(
    stack: ChaosStack,
    fault: Fault,
    run: str,
    seconds: float,
    rate: float,
    has_checks: bool,
    *,
    only_this: bool,
) -> Outcome:
    load: Load | SameKeys
    if fault.same_keys:
        load = SameKeys(stack, run, keys=int(seconds * rate / 8), seconds=seconds)
    else:
        load = Load(stack, run, seconds=seconds, rate=rate, jumps=fault.jumps)
    fault_s = 0.0
    repaired = 0.0
    skipped: str | None = None
    broken: list[str] = []
    pids = stack.pids()
    with stack.connect() as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    since = row[0]
    load.start()
    time.sleep(seconds / 4)
    started_at = time.monotonic()
    try:
        fault.inject(stack)
    except Skipped as reason:
        skipped = str(reason)
    except Exception as error:  # a fault that fails is reported, with the load still running
        broken.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    repaired = time.monotonic()
    fault_s = repaired - started_at
    ledger = load.finish(repaired + seconds / 4)
    restarted = tuple(name for name, pid in stack.pids().items() if pid != pids[name])
    if skipped:
        return Outcome(fault.name, skipped=skipped)
    checks = check_rows(stack, run, ledger.acknowledged)
    velocity = check_velocity(stack, since if only_this else None) if has_checks else None
    healthy = is_healthy(stack) if has_checks else True
    waits = [payment.answered - payment.due for payment in ledger.acknowledged] or [0.0]
    recovery = _recovery(ledger, started_at, repaired)
    return Outcome(
        fault=fault.name,
        payments=len(ledger.acknowledged) + len(ledger.failures),
        acknowledged=len(ledger.acknowledged),
        retries=sum(ledger.retries.values()),
        failed=len(ledger.failures) + len(broken),
        lost=checks.lost,
        duplicated=checks.duplicated,
        changed=checks.changed,
        unscored=checks.without_decision_or_reason,
        with_reason=checks.with_reason,
        not_reproducible=checks.not_reproducible,
        velocity_compared=velocity.compared if velocity else 0,
        velocity_wrong=velocity.differ if velocity else 0,
        labels_stale=velocity.labels_stale if velocity else 0,
        recomputed_values=velocity.recomputed.values if velocity else 0,
        recomputed_wrong=velocity.recomputed.wrong if velocity else 0,
        is_healthy=healthy,
        fault_s=fault_s,
        recovery_s=recovery,
        outage_s=None if recovery is None else repaired - started_at + recovery,
        restarted=restarted,
        median_ms=statistics.median(waits) * 1000,
        worst_s=max(waits),
        notes=tuple(
            broken
            + ledger.failures[:3]
            + list(velocity.recomputed.examples if velocity else ())
            + [f"{n} x{c}" for n, c in sorted(ledger.retries.items())]
        ),
    )


def _recovery(ledger: Ledger, started: float, repaired: float) -> float | None:
    """Seconds from the restart to the first decision on a retried payment; 0 when all were decided before."""
    waiting = [
        payment.answered - repaired
        for payment in ledger.acknowledged
        if payment.fraud_probability is not None
        and payment.attempts > 1
        and repaired > payment.due >= started - 5
        and payment.answered >= started
    ]
    after = [seconds for seconds in waiting if seconds >= 0]
    return min(after) if after else 0.0 if waiting else None


__all__ = ["Outcome", "run_faults"]
