"""Run a retrain or a deploy in a process that kills itself with SIGKILL at a given step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from benchmarks.chaos.stack import ChaosStack
from rowguard.errors import GateError, RegistryError

# Seconds after the start of a step: immediately, and in the middle of it.
MOMENTS = (0.0, 0.4)
MAX_STEPS = 20


def kill_at_every_step(stack: ChaosStack, command: str, *arguments: str) -> int:
    """Run a command repeatedly, killed one step later each time, until it finishes.

    Returns:
        How often it was killed.
    """
    killed = 0
    for step in range(1, MAX_STEPS):
        for moment in MOMENTS:
            # A separate process group, so that its children are killed too.
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.chaos.kill_at_step",
                    command,
                    str(step),
                    str(moment),
                    *arguments,
                ],
                env=stack.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            _, stderr = process.communicate(timeout=180)
            if process.returncode == 0:
                return killed
            assert process.returncode == -signal.SIGKILL, stderr.decode()[-2000:]
            killed += 1
    raise AssertionError(f"{command} has more than {MAX_STEPS} steps")


def main() -> None:
    """`python -m benchmarks.chaos.kill_at_step COMMAND STEP MOMENT [VERSION]`."""
    from rowguard import local
    from rowguard.settings import settings
    from trainer.retrain import deploy, retrain

    command, kill_step, moment = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    steps = 0

    def on_step(name: str) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_step:
            if moment:
                threading.Timer(moment, _die).start()
            else:
                _die()

    url = local.resolve_database_url(settings())
    if command == "deploy":
        with suppress(RegistryError):  # an earlier attempt may have been killed after its commit
            deploy(url, settings(), sys.argv[4], force=True, progress=on_step)
    else:
        # Other days give another model, so that there is one to deploy.
        start = datetime.now(UTC) - timedelta(days=40) + timedelta(hours=6 * kill_step)
        with suppress(GateError):
            retrain(url, settings(), start=start, progress=on_step)
    os._exit(0)  # a timer may still run


def _die() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
