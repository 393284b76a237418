"""A data directory: made by initdb, configured, and checked before a server is started on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local._account import Account, run_as
from rowguard.local._binaries import OVERRIDE, major, server_version
from rowguard.local._files import telling_line
from rowguard.local._ports import LOOPBACK
from rowguard.local._sql import QUERIES

_CONFIG = "rowguard.conf"
_INITDB_SECONDS = 300
_BUILTIN_LOCALE_SINCE = 17
_MEGABYTE = 1024 * 1024
# Docker gives 64 MB of shared memory unless told otherwise, and parallel queries then fail.
_SMALL_SHARED_MEMORY = 512 * _MEGABYTE


def server_environment() -> dict[str, str]:
    """The environment for PostgreSQL's programs: none of the caller's PG* variables, messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def is_initialised(data: Path) -> bool:
    """Whether initdb has been completed there."""
    return (data / "PG_VERSION").exists() and (data / "global" / "pg_control").exists()


def check_version(data: Path, binaries: Path) -> None:
    """Refuse a data directory of another major version.

    Raises:
        LocalStackError: the versions differ; names both.
    """
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    programs = server_version(binaries)
    if made_by != str(major(programs)):
        raise LocalStackError(
            f"the data directory {data} was made by PostgreSQL {made_by}, but the programs in {binaries} are "
            f"PostgreSQL {programs}: name the programs of version {made_by} in {OVERRIDE}, "
            "or move that directory away to begin with an empty database"
        )


def set_aside(data: Path) -> Path | None:
    """Move away what is no complete data directory; an empty directory is just removed."""
    if not data.exists():
        return None
    if not any(data.iterdir()):
        data.rmdir()
        return None
    aside = data.with_name(f"{data.name}.incomplete-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    data.rename(aside)
    return aside


def initialise(data: Path, *, binaries: Path, account: Account | None, user: str, password: str) -> None:
    """Make a data directory whole or not at all: it gets its name when initdb is through.

    Raises:
        LocalStackError: initdb failed.
    """
    # Of an interrupted attempt: nothing was in it yet.
    for left_over in data.parent.glob(f"{data.name}.partial-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(dir=data.parent, prefix=f"{data.name}.partial-"))
    fresh, password_file = partial / "data", partial / "password"
    try:
        fresh.mkdir(mode=0o700)
        file_descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file_descriptor, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        if account is not None:
            for path in (partial, fresh, password_file):
                os.chown(path, account.uid, account.gid)
        _run_initdb(fresh, password_file, binaries=binaries, account=account, user=user)
        password_file.unlink()
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.write(f"\ninclude_if_exists = '{_CONFIG}'  # written by rowguard at every start\n")
        fresh.rename(data)
    except OSError as error:
        raise LocalStackError(f"cannot make the data directory {data}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _locale_options(binaries: Path) -> list[list[str]]:
    """Ways to ask for UTF-8 with code point order, best first."""
    if major(server_version(binaries)) >= _BUILTIN_LOCALE_SINCE:
        # Inside the server, so that Linux and macOS sort and fold alike.
        return [["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]]
    return [["--locale=C.UTF-8"], ["--locale=C"]]


def _run_initdb(
    fresh: Path, password_file: Path, *, binaries: Path, account: Account | None, user: str
) -> None:
    output = ""
    for locale_options in _locale_options(binaries):
        try:
            finished = subprocess.run(
                [
                    binaries / "initdb",
                    "-D",
                    fresh,
                    "-U",
                    user,
                    "-A",
                    "scram-sha-256",
                    f"--pwfile={password_file}",
                    "--encoding=UTF8",
                    *locale_options,
                    "--no-sync",
                    "--no-instructions",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_INITDB_SECONDS,
                check=False,
                cwd="/",
                env=server_environment(),
                **run_as(account),
            )
        except subprocess.TimeoutExpired as error:
            raise LocalStackError(
                f"initdb did not finish in {_INITDB_SECONDS} s in {fresh.parent}"
            ) from error
        if finished.returncode == 0:
            return
        output = finished.stdout
        if "locale" not in output.lower():
            break
    raise LocalStackError(f"initdb could not make the data directory for PostgreSQL: {telling_line(output)}")


def write_config(data: Path, *, port: int, durable: bool, account: Account | None) -> None:
    """Write the settings of the next start.

    Raises:
        LocalStackError: the file cannot be written.
    """
    lines = [f"{name} = '{value}'" for name, value in _config(port=port, durable=durable).items()]
    path = data / _CONFIG
    try:
        path.write_text(
            "# Written by rowguard at every start; changes belong into postgresql.auto.conf (ALTER SYSTEM).\n"
            + "\n".join(lines)
            + "\n",
            encoding="utf-8",
        )
        path.chmod(0o600)
        if account is not None:
            os.chown(path, account.uid, account.gid)
    except OSError as error:
        raise LocalStackError(f"cannot write {path}: {error.strerror}") from error


def _config(*, port: int, durable: bool) -> Mapping[str, str]:
    memory = _memory_bytes()
    config = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        # Loopback only: a socket's path may be too long, and its directory is one more thing to protect.
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": _megabytes(memory / 8, least=128, most=1024),
        "effective_cache_size": _megabytes(memory / 2, least=256, most=16_384),
        "maintenance_work_mem": _megabytes(memory / 16, least=64, most=512),
        "work_mem": _megabytes(memory / 128, least=8, most=64),
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "dynamic_shared_memory_type": _shared_memory_type(),
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # The embedded build has no JIT; an installed server then behaves alike.
        "jit": "off",
    }
    if not durable:
        config |= {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "shared_buffers": "128MB",
        }
    return config


def _megabytes(wanted_bytes: float, *, least: int, most: int) -> str:
    return f"{min(most, max(least, int(wanted_bytes / _MEGABYTE)))}MB"


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 2048 * _MEGABYTE


def _shared_memory_type() -> str:
    try:
        small = shutil.disk_usage("/dev/shm").total < _SMALL_SHARED_MEMORY
    except OSError:
        small = False  # no such file system (macOS): POSIX shared memory has no such limit there
    return "mmap" if small else "posix"


def reset_password(data: Path, *, binaries: Path, account: Account | None, user: str, verifier: str) -> None:
    """Give the owner a new password while the server is down: for when the file with the old one is lost.

    Raises:
        LocalStackError: the server's single-user mode failed.
    """
    statement = QUERIES["reset_password"]
    # Single-user mode takes a line for a statement; neither value can hold a quote.
    line = " ".join(part for part in statement.splitlines() if not part.startswith("--"))
    finished = subprocess.run(
        [binaries / "postgres", "--single", "-D", data, "postgres"],
        input=line.replace("{role}", user).replace("{verifier}", verifier) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_INITDB_SECONDS,
        check=False,
        cwd="/",
        env=server_environment(),
        **run_as(account),
    )
    if finished.returncode != 0 or "ERROR" in finished.stdout:
        raise LocalStackError(
            f"the password file beside {data} is gone and a new password could not be set: "
            f"{telling_line(finished.stdout)}"
        )
