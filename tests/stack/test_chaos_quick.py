"""A short run of the fault harness; `make chaos` runs all of it."""

from __future__ import annotations

import pytest

from benchmarks.chaos.faults import ALL, QUICK
from benchmarks.chaos.run import Outcome, run_faults


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    results = run_faults(QUICK, seconds=4, rate=60, check_each=False)
    return {outcome.fault: outcome for outcome in results}


def test_the_quick_faults_are_faults() -> None:
    assert set(QUICK) < {fault.name for fault in ALL}


def test_nothing_is_lost_duplicated_or_unscored_without_reason(outcomes: dict[str, Outcome]) -> None:
    assert set(outcomes) == set(QUICK)
    assert [outcome for outcome in outcomes.values() if not outcome.is_right] == []
    assert all(outcome.acknowledged >= 200 for outcome in outcomes.values())


def test_the_last_outcome_compares_all_scored_rows(outcomes: dict[str, Outcome]) -> None:
    last = outcomes[QUICK[-1]]
    assert last.velocity_compared >= 700 and last.velocity_wrong == 0
    # Not the trigger's SQL, nor dbt's: Python, from the raw rows.
    assert last.recomputed_values >= 5 * 700 and last.recomputed_wrong == 0


def test_clients_get_decisions_soon_after_a_kill(outcomes: dict[str, Outcome]) -> None:
    killed = outcomes["PostgreSQL: SIGKILL"]
    assert killed.recovery_s is not None and killed.recovery_s < 30
    assert killed.restarted == ("PostgreSQL",)


def test_retries_through_a_fault_happened(outcomes: dict[str, Outcome]) -> None:
    """A fault without retries has not been exercised."""
    assert outcomes["16 clients, same keys; sessions and PgBouncer killed"].retries > 0


def test_rows_without_the_lock_have_a_reason(outcomes: dict[str, Outcome]) -> None:
    held = outcomes["locks of all users held for 4 s"]
    assert held.with_reason > 0 and held.worst_s < 60  # clients give up after 90
