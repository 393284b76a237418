"""Open-loop load: payments arrive on a schedule, independent of the server. Latency counts from the due time.

Each client keeps its key and retries until it gets a response, over SQL (pooled and direct) and HTTP.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import httpx
import psycopg

from benchmarks.chaos.stack import APP_LOGIN, USERS, ChaosStack
from rowguard import local
from rowguard.local._logins import login_password
from rowguard.queries import load_queries

QUERIES = load_queries("benchmarks.chaos")
GIVE_UP_S = 90.0
PAUSE_S = 0.05
CHANNELS = ("pooled", "direct", "http")
RETRIED = (
    psycopg.OperationalError,  # connections that break, servers that stop, deadlocks, locks, a full disk
    psycopg.InterfaceError,
    psycopg.errors.FeatureNotSupported,  # a cached plan whose table has changed
)


@dataclass(frozen=True)
class Payment:
    """One payment, the same in every attempt."""

    key: str
    user_id: int
    amount: str
    merchant_id: int
    location: str
    occurred_at: datetime | None
    channel: str

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Acknowledged:
    """The response that a client received, and when (monotonic clock)."""

    payment: Payment
    transaction_id: int
    fraud_probability: float | None
    model_version: str | None
    unscored_reason: str | None
    due: float
    answered: float
    attempts: int


@dataclass
class Ledger:
    """Results of a run; `failures` were rejected for good or got no response."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    retries: dict[str, int] = field(default_factory=dict)

    def count_retry(self, error: Exception) -> None:
        name = type(error).__name__
        self.retries[name] = self.retries.get(name, 0) + 1


class Clients:
    """Addresses of the channels."""

    def __init__(self, stack: ChaosStack) -> None:
        self.http = stack.api_url
        self.pooled = local.ensure_login(stack.settings, APP_LOGIN, "rowguard_app")
        password = login_password(
            stack.server, stack.settings.state_dir / "logins", APP_LOGIN, "rowguard_app"
        )
        self.direct = stack.server.url_for_login(APP_LOGIN, password)


class _Client:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._open: dict[str, psycopg.Connection[Any]] = {}
        self._http = httpx.Client(base_url=clients.http, timeout=30, trust_env=False)

    def insert(self, payment: Payment) -> tuple[Any, ...]:
        if payment.channel == "http":
            return self._over_http(payment)
        connection = self._open.get(payment.channel)
        if connection is None or connection.closed:
            connection = psycopg.connect(
                getattr(self._clients, payment.channel),
                autocommit=True,
                connect_timeout=5,
                prepare_threshold=None if payment.channel == "pooled" else 5,
            )
            self._open[payment.channel] = connection
        try:
            values = payment.values()
            row: tuple[Any, ...] | None
            row = connection.execute(QUERIES["insert_if_new"], values).fetchone()
            row = row or connection.execute(QUERIES["select_by_key"], values).fetchone()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            connection.close()
            raise
        assert row is not None, f"neither inserted nor stored: {payment.key}"
        return tuple(row)

    def _over_http(self, payment: Payment) -> tuple[Any, ...]:
        body = {name: getattr(payment, name) for name in ("user_id", "amount", "merchant_id", "location")}
        if payment.occurred_at is not None:
            body["occurred_at"] = payment.occurred_at.isoformat()
        response = self._http.post("/transactions", json=body, headers={"Idempotency-Key": payment.key})
        if response.status_code >= 500:
            raise _RetryableError(f"HTTP {response.status_code}")
        assert response.status_code in (200, 201), response.text
        document = response.json()
        names = ("transaction_id", "fraud_probability", "model_version", "unscored_reason")
        return tuple(document[name] for name in names)

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        self._http.close()


class _RetryableError(Exception):
    """The API could not reach the database."""


class Load:
    """`rate` payments a second for `seconds`, and on until `finish` says, by `threads` clients; `jumps` makes their
    clocks wild."""

    def __init__(
        self,
        stack: ChaosStack,
        run: str,
        *,
        seconds: float,
        rate: float,
        threads: int = 24,
        jumps: bool = False,
        channels: tuple[str, ...] = CHANNELS,
        users: int = USERS,
    ) -> None:
        self._clients = Clients(stack)
        self._payments = _due(_payments(run, jumps, channels, users), rate)
        self._seconds = seconds
        self._until: float | None = None
        self._payments_lock = threading.Lock()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        self.ledger = Ledger()
        self.began = 0.0

    def start(self) -> None:
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def finish(self, until: float = 0.0) -> Ledger:
        """Wait for the payments that are due before `until` (monotonic clock): a long fault has load to its end."""
        self._until = until
        for thread in self._threads:
            thread.join()
        return self.ledger

    def _is_over(self, offset: float) -> bool:
        is_short = self._until is None or self.began + offset < self._until
        return offset >= self._seconds and not is_short

    def _work(self) -> None:
        client = _Client(self._clients)
        try:
            while True:
                with self._payments_lock:
                    offset, payment = next(self._payments, (0.0, None))
                if payment is None:
                    return
                due = self.began + offset
                time.sleep(max(0.0, due - time.monotonic()))
                if self._is_over(offset):
                    return
                self._pay(client, payment, due)
        finally:
            client.close()

    def _pay(self, client: _Client, payment: Payment, due: float) -> None:
        attempts = 0
        while True:
            attempts += 1
            try:
                row = client.insert(payment)
            except (*RETRIED, httpx.TransportError, _RetryableError) as error:
                with self._lock:
                    self.ledger.count_retry(error)
                if time.monotonic() > due + GIVE_UP_S:
                    with self._lock:
                        self.ledger.failures.append(f"{payment.key} got no response: {error}")
                    return
                time.sleep(min(0.5, PAUSE_S * attempts))
                continue
            except Exception as error:
                with self._lock:
                    self.ledger.failures.append(f"{payment.key}: {type(error).__name__}: {error}")
                return
            response = Acknowledged(payment, row[0], row[1], row[2], row[3], due, time.monotonic(), attempts)
            with self._lock:
                self.ledger.acknowledged.append(response)
            return


def _payments(run: str, jumps: bool, channels: tuple[str, ...], users: int) -> Iterator[Payment]:
    """An endless stream, the same for the same run."""
    rng = random.Random(run)
    for number in count():
        at = None
        if jumps and rng.random() < 0.8:
            at = datetime.now(UTC) + timedelta(hours=rng.uniform(-40 * 24, 23))
        yield Payment(
            key=f"{run}-{number}",
            user_id=rng.randint(1, users),
            amount=f"{rng.uniform(1, 500):.2f}",
            merchant_id=rng.randint(1, 120),
            location=rng.choice(("DE", "FR", "US", "JP")),
            occurred_at=at,
            channel=channels[number % len(channels)],
        )


def _due(payments: Iterator[Payment], rate: float) -> Iterator[tuple[float, Payment]]:
    for number, payment in enumerate(payments):
        yield number / rate, payment


class SameKeys:
    """16 clients that all send the same payments concurrently."""

    def __init__(self, stack: ChaosStack, run: str, *, keys: int, seconds: float, clients: int = 16) -> None:
        self.ledger = Ledger()
        self._loads = []
        for number in range(clients):
            # The same run gives the same payments; every client has one channel.
            channel = CHANNELS[number % len(CHANNELS)]
            load = Load(stack, run, seconds=seconds, rate=keys / seconds, threads=1, channels=(channel,))
            load._payments = islice(load._payments, keys)
            self._loads.append(load)

    def start(self) -> None:
        for load in self._loads:
            load.start()

    def finish(self, until: float = 0.0) -> Ledger:
        """Wait until every client has sent every key."""
        for load in self._loads:
            ledger = load.finish(float("inf"))
            self.ledger.acknowledged += ledger.acknowledged
            self.ledger.failures += ledger.failures
            for name, times in ledger.retries.items():
                self.ledger.retries[name] = self.ledger.retries.get(name, 0) + times
        return self.ledger
