"""What `features.yml` declares: keys, columns, entities, references and features, as validated data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from rowguard.errors import FeatureBuildError
from rowguard.resources import dbt_project
from rowguard.settings import Settings, settings

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
# dbt reads descriptions as templates.
Description = Annotated[str, Field(min_length=1, pattern=r"^([^{]|\{[^{%#])*$")]
Window = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mhd]$")]
Days = Annotated[str, Field(pattern=r"^[0-9]{1,3}d$")]
ColumnType = Literal[
    "bigint", "integer", "double precision", "numeric", "boolean", "text", "uuid", "inet", "timestamptz"
]
KeyType = Literal["bigint", "uuid", "text"]
NUMERIC_TYPES = ("bigint", "integer", "double precision", "numeric")
Aggregate = Literal[
    "count",
    "sum",
    "mean",
    "stddev",
    "min",
    "max",
    "distinct",
    "share",
    "minutes_since_last",
    "minutes_since_first",
    "previous",
    "fraud_count",
    "fraud_rate",
]
# What every transaction brings, in the order of scoring.scoring_request; declared columns follow.
BASE_COLUMNS: dict[str, str] = {"user_id": "bigint", "amount": "numeric", "occurred_at": "timestamptz"}
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LONGEST_WINDOW = timedelta(days=366)
DEFAULT_AT_MOST = 1000
# How each pattern reads, for messages.
PATTERNS = {
    "name": "lowercase letters, digits and _, starting with a letter, at most 63",
    "window": "a number and m, h or d, such as 10m, 1h or 30d",
    "delay": "whole days, such as 7d",
    "description": "text without the marks {{, {% and {# of dbt",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keys(_Strict):
    """Types of the keys. They are fixed by the first `rowguard migrate`."""

    user_id: KeyType = "bigint"


class Column(_Strict):
    """A column of transactions next to user_id, amount and occurred_at, or of a reference table."""

    type: ColumnType
    description: Description
    allowed: Annotated[list[str | int | float | bool], Field(min_length=1)] | None = None
    max_length: Annotated[int, Field(ge=1, le=10_000)] | None = None
    personal: bool = False
    """Personal data: messages and logs hold no value of it."""

    @property
    def length(self) -> int:
        """The longest text that the column takes, in characters."""
        return self.max_length or 256


class Reference(_Strict):
    """A small table with one row per key, read live; its history is kept for the training set."""

    key: Name
    description: Description
    columns: Annotated[dict[Name, Column], Field(min_length=1)]


EntityColumns = Annotated[list[Name], Field(min_length=1, max_length=4)]


class Entity(_Strict):
    """What features count rows by; a list of columns is an entity that is not serialized."""

    columns: EntityColumns
    serialize: bool = False
    """Whether its rows wait for each other, as those of a user do: a decision then reads every earlier one."""


def _entity_of(value: Any) -> Any:
    return {"columns": value} if isinstance(value, list) else value


class Reason(_Strict):
    """The English words by which a feature is a reason; reasons.en.yml has those of the default list."""

    theme: Name
    label: Description
    unit: str = ""
    high: Description
    low: Description
    missing: Description


class Feature(_Strict):
    """One value that the model sees: an aggregate over an entity's earlier transactions, or an expression."""

    name: Name
    description: Description
    entity: Name | None = None
    aggregate: Aggregate | None = None
    of: Name | None = None
    where: Annotated[str, Field(min_length=1)] | None = None
    window: Window | None = None
    delay: Days | None = None
    at_most: Annotated[int, Field(ge=1, le=100_000)] | None = None
    smoothing: Annotated[float, Field(gt=0, le=1e9)] | None = None
    expression: Annotated[str, Field(min_length=1)] | None = None
    reason: Reason | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Feature:
        if self.expression is not None:
            extra = [
                name
                for name in ("entity", "aggregate", "of", "where", "window", "delay", "at_most", "smoothing")
                if getattr(self, name) is not None
            ]
            if extra:
                raise ValueError(f"has an expression, so {', '.join(extra)} must be left out")
            return self
        missing = [name for name in ("entity", "aggregate", "window") if getattr(self, name) is None]
        if missing:
            raise ValueError(f"needs {', '.join(missing)}, or an expression")
        return self

    @property
    def length(self) -> timedelta:
        """The length of the window."""
        return parse_window(self.window or "1h")

    @property
    def counts_labels(self) -> bool:
        """Whether the feature counts frauds."""
        return self.aggregate in ("fraud_count", "fraud_rate")


class Declaration(_Strict):
    """The whole of features.yml."""

    keys: Keys = Keys()
    columns: dict[Name, Column] = Field(default_factory=dict)
    entities: dict[
        Name, Annotated[Entity, BeforeValidator(_entity_of, json_schema_input_type=EntityColumns | Entity)]
    ] = Field(default_factory=dict)
    references: dict[Name, Reference] = Field(default_factory=dict)
    features: Annotated[list[Feature], Field(min_length=1, max_length=500)]

    def request_types(self) -> dict[str, str]:
        """Return name and SQL type of each column of scoring.scoring_request, in its order."""
        base = BASE_COLUMNS | {"user_id": self.keys.user_id}
        return base | {name: column.type for name, column in self.columns.items()}

    def reference_columns(self) -> Iterator[tuple[str, Reference, str, Column]]:
        """Yield table, reference, name and column of each column that a reference table has."""
        for table, reference in self.references.items():
            for name, column in reference.columns.items():
                yield table, reference, name, column

    def row_types(self) -> dict[str, str]:
        """Return name and SQL type of all that an expression may read of the transaction itself."""
        return self.request_types() | {name: column.type for _, _, name, column in self.reference_columns()}

    def entity_columns(self, entity: str) -> tuple[str, ...]:
        """Return the columns of an entity; `user` is always there."""
        return ("user_id",) if entity == "user" else tuple(self.entities[entity].columns)

    def serialized_entities(self) -> dict[str, tuple[str, ...]]:
        """Return name → columns of the entities that are locked as users are, in the order of their locks."""
        return {name: tuple(entity.columns) for name, entity in self.entities.items() if entity.serialize}


def features_file(used_settings: Settings) -> Path:
    """Return the path of features.yml: the setting ROWGUARD_FEATURES, or the one that ships."""
    return used_settings.features or dbt_project() / "features.yml"


def parse_window(window: str) -> timedelta:
    """Return the length of a window such as `10m`, `1h` or `30d`."""
    match = re.fullmatch(r"(\d+)([mhd])", window)
    assert match is not None
    return timedelta(**{UNITS[match[2]]: int(match[1])})


@lru_cache
def read_declaration(path: Path) -> Declaration:
    """Read features.yml without checking its expressions: what serving needs to know of it.

    Args:
        path: The file.

    Returns:
        What it declares.

    Raises:
        FeatureBuildError: The file cannot be read, or is not as its JSON schema says.
    """
    import yaml

    try:
        return Declaration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        reason = (
            error.errors()[0]["msg"] if isinstance(error, ValidationError) else " ".join(str(error).split())
        )
        raise FeatureBuildError(f"{path}: {reason}") from None


def declared() -> Declaration:
    """Return what the features.yml of this process's settings declares."""
    return read_declaration(features_file(settings()))


def declared_reasons(used_settings: Settings) -> dict[str, Reason]:
    """Return the words of each feature whose declaration has them."""
    features = read_declaration(features_file(used_settings)).features
    return {feature.name: feature.reason for feature in features if feature.reason is not None}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of features.yml, by which editors complete and check it."""
    schema = Declaration.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "features.yml of rowguard"
    return schema


def json_schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(json_schema(), indent=2) + "\n"
