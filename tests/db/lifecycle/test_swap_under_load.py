"""Champions swapped while clients insert: nothing fails, nothing mixes. `benchmarks/model_swaps` is the long version."""

from __future__ import annotations

import pytest

from benchmarks.model_swaps.run import run
from tests.db.lifecycle.models import train_small
from tests.fix_database import Workspace

pytestmark = pytest.mark.slow


def test_swaps_under_load_lose_and_mix_nothing(scored: Workspace) -> None:
    versions = [train_small(scored, seed) for seed in (1, 2)]
    report = run(
        scored.url, scored.settings, versions, swaps=4, clients=3, quiet_seconds=1, pause=0.5, users=300
    )
    assert report["failed_clients"] == []
    rows = report["rows"]
    assert rows["rows"] > 200
    assert (rows["unscored"], rows["not_reproducible"], rows["wrong_flag"]) == (0, 0, 0)
    # The first champion, then one deployed, one promoted after a canary, then two rollbacks.
    assert rows["versions"] == 3
