"""The faults, one function each; it returns once the fault is over and what ended was started again.

The supervisor's part is the only help that anything gets: programs that ended are started as they are.
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

from benchmarks.chaos.house import House, train_candidate
from benchmarks.chaos.killed import kill_at_every_step
from rowguard.errors import RowguardError
from rowguard.local._postmaster import find_postmaster
from rowguard.local._processes import wait_until
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.features.build import build_features
from trainer.retrain import deploy as deploy_model
from trainer.retrain import retrain, rollback

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
               " FOR EACH ROW WHEN (false) EXECUTE FUNCTION scoring.fold_late_row()")
    op.execute("DROP TRIGGER chaos ON public.transactions")


def downgrade():
    op.execute("ALTER TABLE public.transactions DROP COLUMN chaos_note")
    op.execute("DROP INDEX public.chaos_idx")
'''


class Skipped(Exception):
    """This fault cannot be made here."""


@dataclass(frozen=True)
class Fault:
    """A name for the table, the deed, and what the load must be like for it."""

    name: str
    happen: Callable[[House], None]
    jumps: bool = False
    same_keys: bool = False
    needs_disk: bool = False


def nothing(house: House) -> None:
    time.sleep(1)


def kill_postmaster(house: House) -> None:
    house.signal_postmaster(signal.SIGKILL)
    house.start_what_ended()


def shut_down_immediately(house: House) -> None:
    house.signal_postmaster(signal.SIGQUIT)
    assert wait_until(lambda: find_postmaster(house.server.data) is None, 30)
    house.start_what_ended()


def kill_a_backend(house: House) -> None:
    """PostgreSQL ends every session and recovers by itself."""
    with house.connect() as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT%' OR query LIKE '-- %'"
            " ORDER BY state_change DESC LIMIT 1"
        ).fetchone()
    assert row is not None, "nobody inserts"
    os.kill(row[0], signal.SIGKILL)
    time.sleep(1)


def end_sessions(house: House) -> None:
    """Every session of every client, four times."""
    for _ in range(4):
        with house.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        time.sleep(0.4)


def kill_pgbouncer(house: House) -> None:
    house.kill_pgbouncer()
    time.sleep(0.5)
    house.start_what_ended()


def kill_api(house: House) -> None:
    house.kill_api()
    time.sleep(0.5)
    house.start_what_ended()


def end_everything_between_retries(house: House) -> None:
    end_sessions(house)
    kill_pgbouncer(house)
    end_sessions(house)


def build_from_nothing(house: House) -> None:
    build_features(house.url, house.settings, full_refresh=True)


def deploy(house: House) -> None:
    """By force: what the gates say of a model of a small world is not the question here."""
    deploy_model(house.url, house.settings, house.candidates[0], force=True)


def roll_back(house: House) -> None:
    rollback(house.url, house.settings)


def deploy_two_at_once(house: House) -> None:
    errors: list[Exception] = []

    def go(version: str) -> None:
        try:
            deploy_model(house.url, house.settings, version, force=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=go, args=(version,)) for version in house.candidates[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def migrate_schema(house: House) -> None:
    """A column, an index and a trigger come and go, by Alembic."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "benchmarks.chaos.py").write_text(REVISION.format(down=migrations.schema_head()))
        for change, target in ((migrations.upgrade, "chaos"), (migrations.downgrade, "schema@-1")):
            with migrations.transaction(house.url) as connection:
                change(connection, target, [house.settings.models_dir, path])


def lock_the_table(house: House) -> None:
    with house.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE public.transactions IN EXCLUSIVE MODE")
        time.sleep(LOCKED_S)


def lock_every_user(house: House) -> None:
    """A session that hangs while it holds the locks of all users: the policy decides the rows of the others."""
    with house.connect() as connection:
        connection.execute("SELECT scoring.set_policy(p_lock_timeout_ms => 1000)")
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(7265, n) FROM generate_series(0, 4095) AS n")
            time.sleep(LOCKED_S)
        connection.execute("SELECT scoring.set_policy(p_lock_timeout_ms => 5000)")


def fill_the_disk(house: House) -> None:
    """To the last byte, for a while; the server may give up when it cannot write its log."""
    if house.disk is None:
        raise Skipped("no small file system can be mounted here (root only)")
    ballast = house.disk / "ballast"
    deadline = time.monotonic() + FULL_S
    with ballast.open("wb") as file:
        while time.monotonic() < deadline:  # again and again: what others free is taken too
            for piece in (2**24, 2**20, 2**16, 2**12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, piece)
            # New segments of the log are wanted now, and not in some minutes.
            with suppress(psycopg.Error, RowguardError), house.connect() as connection:
                connection.execute("SELECT pg_switch_wal()")
            time.sleep(0.05)
    ballast.unlink()
    house.start_what_ended()


def jump_clocks(house: House) -> None:
    """The load does it: `occurred_at` from 40 days ago to a day ahead."""
    time.sleep(1)


def kill_retrain(house: House) -> None:
    """SIGKILL at the beginning of each step and in its midst; then one that is left alone."""
    kill_at_every_step(house, "retrain")
    with suppress(RowguardError):  # a refused candidate is an answer too
        retrain(house.url, house.settings)


def kill_deploy(house: House) -> None:
    """The same for a deployment; then one that is left alone."""
    version = train_candidate(house, seed=9)
    kill_at_every_step(house, "deploy", version)
    with house.connect() as connection:
        row = connection.execute("SELECT state FROM scoring.models WHERE version = %s", [version]).fetchone()
    if row != ("champion",):  # it may have been killed after its commit
        deploy_model(house.url, house.settings, version, force=True)


ALL = (
    Fault("nothing (for comparison)", nothing),
    Fault("PostgreSQL: SIGKILL", kill_postmaster),
    Fault("PostgreSQL: immediate shutdown", shut_down_immediately),
    Fault("a backend: SIGKILL", kill_a_backend),
    Fault("all sessions terminated, 4 times", end_sessions),
    Fault("PgBouncer: SIGKILL", kill_pgbouncer),
    Fault("API: SIGKILL", kill_api),
    Fault(
        "16 clients, same keys; sessions and PgBouncer killed", end_everything_between_retries, same_keys=True
    ),
    Fault("dbt: full build", build_from_nothing),
    Fault("deploy", deploy),
    Fault("rollback", roll_back),
    Fault("two deploys at once", deploy_two_at_once),
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
