"""The faults, one function each; it returns once the fault is over and every ended program runs again.

Only the supervisor helps: it restarts programs that ended, and repairs nothing.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command

from benchmarks.chaos.kill_at_step import kill_at_every_step
from benchmarks.chaos.stack import USERS, ChaosStack, train_candidate
from rowguard.errors import RowguardError
from rowguard.queries import load_queries
from sql_scoring.deployment import migrations
from sql_scoring.features.build import build_features
from trainer.retrain import deploy as deploy_model
from trainer.retrain import retrain, rollback

QUERIES = load_queries("benchmarks.chaos")
LOCKED_S = 4.0
FULL_S = 3.0
REVISION = '''"""A schema change under load."""
from alembic import op
revision = "chaos"
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TABLE public.transactions ADD COLUMN chaos_note text DEFAULT 'x'")
    op.execute("CREATE INDEX chaos_idx ON public.transactions (user_id, received_at)")
    op.execute("CREATE OR REPLACE TRIGGER chaos AFTER INSERT ON public.transactions"
               " FOR EACH ROW WHEN (false) EXECUTE FUNCTION scoring.invalidate_totals_on_update()")
    op.execute("DROP TRIGGER chaos ON public.transactions")


def downgrade():
    op.execute("ALTER TABLE public.transactions DROP COLUMN chaos_note")
    op.execute("DROP INDEX public.chaos_idx")
'''


class Skipped(Exception):
    """This fault cannot be injected on this machine."""


@dataclass(frozen=True)
class Fault:
    """A name for the table, the action, and the kind of load that it needs."""

    name: str
    inject: Callable[[ChaosStack], None]
    jumps: bool = False
    same_keys: bool = False
    needs_disk: bool = False


def inject_nothing(stack: ChaosStack) -> None:
    time.sleep(1)


def kill_postmaster(stack: ChaosStack) -> None:
    stack.signal_postmaster(signal.SIGKILL)
    stack.restart_ended()


def shut_down_immediately(stack: ChaosStack) -> None:
    stack.signal_postmaster(signal.SIGQUIT)
    while stack.server.is_running():
        time.sleep(0.05)
    stack.restart_ended()


def kill_a_backend(stack: ChaosStack) -> None:
    """PostgreSQL ends every session and recovers without help."""
    with stack.connect() as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT%' OR query LIKE '-- %'"
            " ORDER BY state_change DESC LIMIT 1"
        ).fetchone()
    assert row is not None, "no session inserts"
    os.kill(row[0], signal.SIGKILL)
    time.sleep(1)


def end_sessions(stack: ChaosStack) -> None:
    """Terminate every session of every client, four times."""
    for _ in range(4):
        with stack.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        time.sleep(0.4)


def kill_pgbouncer(stack: ChaosStack) -> None:
    stack.kill_pgbouncer()
    time.sleep(0.5)
    stack.restart_ended()


def kill_api(stack: ChaosStack) -> None:
    stack.kill_api()
    time.sleep(0.5)
    stack.restart_ended()


def end_everything_between_retries(stack: ChaosStack) -> None:
    end_sessions(stack)
    kill_pgbouncer(stack)
    end_sessions(stack)


def build_full_refresh(stack: ChaosStack) -> None:
    build_features(stack.url, stack.settings, full_refresh=True)


def deploy(stack: ChaosStack) -> None:
    """Deploy without the gates, which a model of so small a world need not pass."""
    deploy_model(stack.url, stack.settings, stack.candidates[0], force=True)


def roll_back(stack: ChaosStack) -> None:
    rollback(stack.url, stack.settings)


def deploy_two_concurrently(stack: ChaosStack) -> None:
    errors: list[Exception] = []

    def deploy_version(version: str) -> None:
        try:
            deploy_model(stack.url, stack.settings, version, force=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=deploy_version, args=(version,)) for version in stack.candidates[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def migrate_schema(stack: ChaosStack) -> None:
    """Add and remove a column, an index and a trigger, with Alembic."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "chaos.py").write_text(REVISION.format(down=migrations.schema_head()))
        for change, target in ((command.upgrade, "chaos"), (command.downgrade, "schema@-1")):
            with migrations.transaction(stack.url) as connection:
                change(migrations.config(connection, [stack.settings.models_dir, path]), target)


def lock_the_table(stack: ChaosStack) -> None:
    with stack.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE public.transactions IN EXCLUSIVE MODE")
        time.sleep(LOCKED_S)


def lock_every_user(stack: ChaosStack) -> None:
    """Hold the locks of all users in a hanging session; the others' rows are decided without them."""
    with stack.connect() as connection, connection.transaction():
        connection.execute(QUERIES["lock_users"], [USERS])
        time.sleep(LOCKED_S)


def fill_the_disk(stack: ChaosStack) -> None:
    """Fill it completely for a while; the server may stop when it cannot write WAL."""
    if stack.disk is None:
        raise Skipped("no small file system can be mounted here (root only)")
    ballast = stack.disk / "ballast"
    deadline = time.monotonic() + FULL_S
    with ballast.open("wb") as file:
        while time.monotonic() < deadline:  # repeatedly, to take what other processes free
            for piece in (2**24, 2**20, 2**16, 2**12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, piece)
            # Ask for new WAL segments now rather than in some minutes.
            with suppress(psycopg.Error, RowguardError), stack.connect() as connection:
                connection.execute("SELECT pg_switch_wal()")
            time.sleep(0.05)
    ballast.unlink()
    stack.restart_ended()


def jump_clocks(stack: ChaosStack) -> None:
    """Wait; the load itself sends `occurred_at` from 40 days ago to a day ahead."""
    time.sleep(1)


def kill_retrain(stack: ChaosStack) -> None:
    """SIGKILL at the start and in the middle of each step; then one undisturbed run."""
    kill_at_every_step(stack, "retrain")
    with suppress(RowguardError):  # a rejected candidate is a valid result too
        retrain(stack.url, stack.settings)


def kill_deploy(stack: ChaosStack) -> None:
    """The same for a deployment; then one undisturbed run."""
    version = train_candidate(stack, seed=9)
    kill_at_every_step(stack, "deploy", version)
    with stack.connect() as connection:
        row = connection.execute("SELECT state FROM scoring.models WHERE version = %s", [version]).fetchone()
    if row != ("champion",):  # it may have been killed after its commit
        deploy_model(stack.url, stack.settings, version, force=True)


ALL = (
    Fault("nothing (for comparison)", inject_nothing),
    Fault("PostgreSQL: SIGKILL", kill_postmaster),
    Fault("PostgreSQL: immediate shutdown", shut_down_immediately),
    Fault("a backend: SIGKILL", kill_a_backend),
    Fault("all sessions terminated, 4 times", end_sessions),
    Fault("PgBouncer: SIGKILL", kill_pgbouncer),
    Fault("API: SIGKILL", kill_api),
    Fault(
        "16 clients, same keys; sessions and PgBouncer killed", end_everything_between_retries, same_keys=True
    ),
    Fault("dbt: full build", build_full_refresh),
    Fault("deploy", deploy),
    Fault("rollback", roll_back),
    Fault("two concurrent deploys", deploy_two_concurrently),
    Fault("schema migration, up and down", migrate_schema),
    Fault("table locked for 4 s", lock_the_table),
    Fault("locks of all users held for 4 s", lock_every_user),
    Fault("clocks jump", jump_clocks, jumps=True),
    Fault("disk full for 3 s", fill_the_disk, needs_disk=True),
    Fault("retrain killed at every step", kill_retrain),
    Fault("deploy killed at every step", kill_deploy),
)
QUICK = (
    "PostgreSQL: SIGKILL",
    "16 clients, same keys; sessions and PgBouncer killed",
    "deploy",
    "locks of all users held for 4 s",
    "clocks jump",
)
__all__ = ["ALL", "QUICK", "Fault", "Skipped"]
