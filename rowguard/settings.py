"""Settings from the environment, or from a `.env` file in the working folder. Nothing is read at import."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rowguard.errors import SettingsError
from rowguard.resources import IS_CHECKOUT, working_folder
from rowguard.resources import PROJECT_ROOT as PROJECT_ROOT


class Settings(BaseSettings):
    """The settings of one process; `.env.example` explains each."""

    model_config = SettingsConfigDict(
        env_prefix="ROWGUARD_", env_file=working_folder() / ".env", extra="ignore", populate_by_name=True
    )

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """Direct connection. Without it the command line starts and uses the embedded server."""

    pooled_url: SecretStr | None = Field(default=None, validation_alias="POOLED_DATABASE_URL")
    """The same database through PgBouncer; the API prefers it."""

    schema_name: str = Field(default="public", validation_alias="ROWGUARD_SCHEMA")
    """Schema of transactions, users and everything that callers name. Fixed at the first migration."""

    pgbouncer_admin_url: SecretStr | None = None
    """Admin console of a PgBouncer (its database `pgbouncer`). A deployment then replaces the pooled connections."""

    state_dir: Path = Field(default_factory=lambda: working_folder() / ".rowguard")
    """Folder of all state: data of the embedded server, logs, passwords, artifacts."""

    models_dir: Path = Path()
    """Folder of the generated model revisions; by default `migrations/models` of a checkout, else in `state_dir`.
    Unless it is set, a database named by DATABASE_URL gets a separate folder below it."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8001, ge=1, le=65535)

    api_workers: int = Field(default=1, ge=1, le=64)
    """Server processes. Each has its own pool and its own limits, and uses one core."""

    api_pool_size: int = Field(default=10, ge=1, le=200)
    """Largest number of database connections per worker."""

    api_max_insert_batch: int = Field(default=32, ge=1, le=256)
    """Largest number of transactions that one micro-batched statement stores; 1 turns batching off."""

    api_max_concurrent_requests: int = Field(default=100, ge=1)
    """Largest number of requests in flight per worker; more are shed with 503."""

    api_max_connections_per_address: int = Field(default=256, ge=1)
    """Largest number of open connections of one address per worker; trusted proxies may open more."""

    api_max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    """Largest request body."""

    api_request_timeout_s: float = Field(default=10.0, gt=0)
    """Time after which a request fails with 503."""

    api_rate_limit: str | None = None
    """Rate limit per client and worker, such as 500/second or 10000/minute. Unset: 1000/second where calls need a
    token, none on an open loopback."""

    api_trusted_proxies: str | None = None
    """Comma-separated addresses of proxies whose X-Forwarded-For is trusted; none by default."""

    api_access_log: Literal["all", "problems"] = "all"
    """Log every request, or only those that failed or were slow."""

    api_tls_cert_file: Path | None = None
    api_tls_key_file: Path | None = None
    api_tls_key_password: SecretStr | None = None

    jwt_jwks_file: Path | None = None
    """Public keys (JWKS) for RS256 tokens; read again when the file changes."""

    jwt_secret: SecretStr | None = None
    """Shared secret for HS256 tokens, at least 32 bytes; or in a file, as containers mount secrets."""
    jwt_secret_file: Path | None = None

    console_secret: SecretStr | None = None
    """Signs the sessions of the console, at least 32 bytes; by default a file of `state_dir` holds one."""

    console_session_hours: float = Field(default=12, gt=0, le=168)
    """Hours until a user of the console logs in again."""

    oidc_issuer: str | None = None
    """OpenID Connect provider of the console's users; without it `rowguard console` prints links to log in."""

    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    """Without a secret the client is public, and relies on PKCE."""

    oidc_scope: str = "openid profile email"
    oidc_roles_claim: str = Field(default="roles", min_length=1)
    """Claim of the id token that holds the user's roles; dots lead into objects, as in realm_access.roles."""

    oidc_role_names: str | None = None
    """The provider's names of roles, as analyst=fraud-ops,administrator=fraud-admins."""

    jwt_audience: str = Field(default="rowguard", min_length=1)
    jwt_issuer: str | None = None

    review_due_hours: float = Field(default=24, gt=0, le=8_760)
    """Hours until a review case is due."""

    alert_budget: float = Field(default=0.01, gt=0, lt=1)
    """Largest alert rate that analysts can review; the decision threshold is chosen to fill it."""

    features: Path | None = None
    """The features.yml of this database; by default the one that ships."""

    rules_need_approval: bool = False
    """Whether a draft of a rule set is published only with the approval of another person than its editor."""

    publish_database_url: SecretStr | None = None
    """Address by which the API publishes rule sets, as the owner; unset, only the command line publishes."""

    model_family: Literal["forest", "xgboost", "lightgbm", "hist"] = "forest"
    """Which models `rowguard train` and the nightly run fit; xgboost and lightgbm are extras of the package."""

    calibration: Literal["none", "isotonic"] = "none"
    """Whether scores of new models are calibrated to rates of fraud, by an exact step function."""

    label_delay_days: int = Field(default=7, ge=0)
    """Days until most frauds are reported. Evaluation uses only transactions older than this."""

    gate_min_frauds: int = Field(default=10, ge=1)
    """Fewest labeled frauds in a candidate's evaluation."""

    gate_max_nodes: int = Field(default=50_000, ge=1)
    """Most nodes of a forest that passes the gates."""

    gate_max_sql_mb: float = Field(default=10, gt=0)
    """Longest function text that passes the gates, in megabytes."""

    gate_max_first_call_ms: float = Field(default=1_000, gt=0)
    """Slowest first call in a connection that passes the gates."""

    gate_max_call_ms: float = Field(default=5, gt=0)
    """Slowest median call that passes the gates."""

    explain_against: Literal["training", "passed"] = "training"
    """What explanations of new models compare with: the training rows along each path, or a fixed sample of rows that
    passed."""

    keep_versions: int = Field(default=10, ge=1)
    """Retired models whose functions are kept; older ones are pruned, their history is kept."""

    @field_validator("database_url", "pooled_url")
    @classmethod
    def _require_address(cls, value: SecretStr | None) -> SecretStr | None:
        """Check the form of an address; the message does not repeat it, as it holds a password."""
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        if value is None:
            return None
        try:
            options = conninfo_to_dict(value.get_secret_value())
            int(str(options.get("port") or 0).split(",")[0])
            if not options:
                raise ValueError  # libpq would use the server that its defaults name
        except (psycopg.ProgrammingError, ValueError):
            raise ValueError(
                "is not a PostgreSQL address such as postgresql://user:password@host:5432/database"
            ) from None
        return value

    @field_validator("schema_name")
    @classmethod
    def _require_schema_name(cls, value: str) -> str:
        """Check the name: it becomes part of statements."""
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
            raise ValueError(f"{value!r} is no schema name: lower-case letters, digits and _, at most 63")
        if value in ("scoring", "features", "information_schema") or value.startswith("pg_"):
            raise ValueError(f"cannot be {value!r}: that schema has another use")
        return value

    @model_validator(mode="after")
    def _one_models_folder_per_database(self) -> Settings:
        if "models_dir" in self.model_fields_set:
            return self
        self.models_dir = self.state_dir / "revisions"
        if IS_CHECKOUT:
            self.models_dir = PROJECT_ROOT / "migrations" / "models"
        if self.database_url is not None:
            parts = urlsplit(self.database_url.get_secret_value())
            name = re.sub(
                r"[^A-Za-z0-9.-]+", "_", f"{parts.hostname or 'local'}-{parts.port or 5432}{parts.path}"
            )
            self.models_dir = self.models_dir / name.strip("_")
        return self


@lru_cache
def settings() -> Settings:
    """Return the settings of this process, read once.

    Raises:
        SettingsError: A variable is malformed; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "value_error":  # of a validator above
            raise SettingsError(f"{where} {first['msg'].removeprefix('Value error, ')}") from None
        raise SettingsError(f"setting {where}: {first['msg']}") from None


def require_database_url(config: Settings) -> str:
    """Return the address of the database that the settings name.

    Raises:
        SettingsError: DATABASE_URL is not set.
    """
    if config.database_url is None:
        raise SettingsError("DATABASE_URL is not set; for the embedded server see: rowguard status --json")
    return config.database_url.get_secret_value()
