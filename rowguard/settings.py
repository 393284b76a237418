"""Settings from the environment (or a `.env` file in the checkout), read when asked for and never at import."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
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

    alert_budget: float = Field(default=0.01, gt=0, lt=1)
    """Share of transactions that people can look at; the decision threshold is chosen to fill it."""

    label_delay_days: int = Field(default=7, ge=0)
    """Days until frauds are usually found out; evaluation waits this long."""

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
