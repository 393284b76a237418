"""Settings from the environment (or a `.env` file in the checkout), read when asked for and never at import."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rowguard.errors import SettingsError

CHECKOUT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What can be set from outside; `.env.example` explains each for people."""

    model_config = SettingsConfigDict(
        env_prefix="ROWGUARD_", env_file=CHECKOUT / ".env", extra="ignore", populate_by_name=True
    )

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """Direct connection; without it the embedded server of this checkout is used, started on demand."""

    pooled_url: SecretStr | None = Field(default=None, validation_alias="POOLED_DATABASE_URL")
    """The same database through PgBouncer; the API prefers it."""

    pooler_admin_url: SecretStr | None = None
    """Admin console of a PgBouncer (database `pgbouncer`): a deploy has it replace its connections, so that new ones
    warm themselves. The local stack's own needs no setting."""

    state_dir: Path = CHECKOUT / ".rowguard"
    """Everything this checkout keeps: the embedded server's data, logs, passwords, artifacts."""

    models_dir: Path = CHECKOUT / "migrations" / "models"
    """Where generated model revisions are written and read. A database named by DATABASE_URL has a folder of its own
    below it unless this is set: what the embedded database decides with has no business there."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8001, ge=1, le=65535)

    api_workers: int = Field(default=1, ge=1, le=64)
    """Processes that serve; each has its own pool, limits of its own and one core's worth of Python."""

    api_pool_size: int = Field(default=10, ge=1, le=200)
    """Database connections of each worker."""

    api_max_insert_batch: int = Field(default=32, ge=1, le=256)
    """Transactions of several callers that one statement may store. 1: each by itself, as a distributed database asks
    (docs/distribution.md)."""

    api_max_concurrent_requests: int = Field(default=100, ge=1)
    """Requests under way in each worker; more are turned away at once with 503."""

    api_max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    api_request_timeout_s: float = Field(default=10.0, gt=0)

    api_rate_limit: str | None = None
    """Requests of one client in each worker, such as 500/second or 10000/minute. Unset: 1000/second where calls
    need a token, none on an open loopback."""

    api_trusted_proxies: str | None = None
    """Addresses of proxies whose X-Forwarded-For is believed, with commas; nobody's by default."""

    api_access_log: Literal["all", "problems"] = "all"
    """Log every request, or only those that failed or were slow."""

    api_tls_cert_file: Path | None = None
    api_tls_key_file: Path | None = None
    api_tls_key_password: SecretStr | None = None

    jwt_jwks_file: Path | None = None
    """Public keys (JWKS) that RS256 tokens are checked with; read again when the file changes."""

    jwt_secret: SecretStr | None = None
    """Shared secret for HS256 tokens, at least 32 bytes; or in a file, as containers mount secrets."""
    jwt_secret_file: Path | None = None

    jwt_audience: str = Field(default="rowguard", min_length=1)
    jwt_issuer: str | None = None

    alert_budget: float = Field(default=0.01, gt=0, lt=1)
    """Share of transactions that people can look at; the decision threshold is chosen to fill it."""

    label_delay_days: int = Field(default=7, ge=0)
    """Days until frauds are usually found out; evaluation waits this long."""

    gate_min_frauds: int = Field(default=10, ge=1)
    """Labelled frauds that a candidate must have been evaluated on."""

    gate_max_nodes: int = Field(default=50_000, ge=1)
    gate_max_sql_mb: float = Field(default=10, gt=0)
    """Largest forest, and longest function text, that may go live."""

    gate_max_first_call_ms: float = Field(default=1_000, gt=0)
    gate_max_call_ms: float = Field(default=5, gt=0)
    """Slowest function that may go live: its first call in a connection, and the median of later ones."""

    keep_versions: int = Field(default=10, ge=1)
    """Former champions and challengers whose functions stay; older ones are pruned, their history is kept."""

    @model_validator(mode="after")
    def _one_models_folder_per_database(self) -> Settings:
        if self.database_url is not None and "models_dir" not in self.model_fields_set:
            parts = urlsplit(self.database_url.get_secret_value())
            name = re.sub(
                r"[^A-Za-z0-9.-]+", "_", f"{parts.hostname or 'local'}-{parts.port or 5432}{parts.path}"
            )
            self.models_dir = self.models_dir / name.strip("_")
        return self


@lru_cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SettingsError: a variable is malformed; names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {where}: {first['msg']}") from None
