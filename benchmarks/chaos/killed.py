"""A retrain or a deploy in a process of its own that kills itself with SIGKILL at a given step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

from benchmarks.chaos.house import House
from rowguard.errors import RowguardError

# Seconds after the beginning of a step: at once, and in its midst.
MOMENTS = (0.0, 0.4)
MOST_STEPS = 20


def kill_at_every_step(house: House, what: str, *arguments: str) -> int:
    """Run it again and again, killed one step later each time, until it is through; answers how often it died."""
    killed = 0
    for step in range(1, MOST_STEPS):
        for moment in MOMENTS:
            # A group of its own: what it started dies with it.
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.chaos.killed", what, str(step), str(moment), *arguments],
                env=house.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            _, said = process.communicate(timeout=180)
            if process.returncode == 0:
                return killed
            assert process.returncode == -signal.SIGKILL, said.decode()[-2000:]
            killed += 1
    raise AssertionError(f"{what} has more than {MOST_STEPS} steps")


def main() -> None:
    """`python -m benchmarks.chaos.killed WHAT STEP MOMENT [VERSION]`."""
    from rowguard import local
    from rowguard.settings import settings
    from trainer.retrain import deploy, retrain

    what, wanted, moment = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    steps = 0

    def on_step(name: str) -> None:
        nonlocal steps
        steps += 1
        if steps == wanted:
            if moment:
                threading.Timer(moment, _die).start()
            else:
                _die()

    url = local.resolve_database_url(settings())
    if what == "deploy":
        try:
            deploy(url, settings(), sys.argv[4], force=True, progress=on_step)
        except RowguardError as error:
            if "champion already" not in str(error):
                raise
    else:
        # Other days give another model, so that there is something to deploy.
        start = datetime.now(UTC) - timedelta(days=40) + timedelta(hours=6 * wanted)
        try:
            retrain(url, settings(), start=start, progress=on_step)
        except RowguardError as error:
            if "was refused" not in str(error):
                raise
    os._exit(0)  # a timer may still run


def _die() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
