"""The mapping file: which columns of a file of other people become ours, and how their values are read."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from rowguard.operations.importer.columns import FileSchema
from rowguard.operations.importer.problems import HistoryFileError, shown
from rowguard.operations.importer.rates import DailyRates, read_rates
from rowguard.yaml_places import find_position, find_repeated_key

_TIME_TYPES, _NUMBER_TYPES = ("timestamptz",), ("numeric", "amount", "double precision")
# Which options a column may have by its SQL type; `values` fits all.
_OPTIONS = {
    "format": _TIME_TYPES,
    "epoch": _TIME_TYPES,
    "time_zone": _TIME_TYPES,
    "decimal": _NUMBER_TYPES,
    "scale": _NUMBER_TYPES,
    "negative": _NUMBER_TYPES,
}
Place = Sequence[str | int]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _list_of(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[list[str], BeforeValidator(_list_of), Field(min_length=1)]


class FileOptions(_Strict):
    """How the bytes of the file are read."""

    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None

    @field_validator("encoding")
    @classmethod
    def _require_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(f"{value!r} is no encoding such as utf-8, cp1252 or utf-16") from None
        return value


class ColumnRule(_Strict):
    """Where a column of ours comes from, and what its values look like there.

    Attributes:
        source: The file's column.
        format: Of times, as strptime has it, such as `%d.%m.%Y %H:%M:%S`.
        epoch: The unit of times that are numbers.
        time_zone: Of times without an offset; by default UTC.
        decimal: The decimal mark; the other one, blanks and apostrophes may then group thousands.
        scale: What a number is divided by; `minor_units` is the one of the row's currency.
        negative: Rows with a negative number are left out, such as refunds.
        values: Their value → ours; others are rejected.
    """

    source: str = Field(alias="from", min_length=1)
    format: str | None = None
    epoch: Literal["s", "ms", "us", "ns"] | None = None
    time_zone: str | None = None
    decimal: Literal[".", ","] | None = None
    scale: Annotated[int, Field(ge=1, le=10**9)] | Literal["minor_units"] | None = None
    negative: Literal["skip"] | None = None
    values: Annotated[dict[str, str], Field(min_length=1)] | None = None

    @field_validator("time_zone")
    @classmethod
    def _require_zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (ValueError, OSError, LookupError):
            raise ValueError(f"{value!r} is no time zone such as Europe/Berlin") from None
        return value

    @field_validator("epoch")
    @classmethod
    def _one_form_of_time(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and info.data.get("format"):
            raise ValueError("a time has either a format or an epoch")
        return value


def _rule_of(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


class Currency(_Strict):
    """The currency of each amount. A database has one: `to`.

    Attributes:
        source: The file's column of currency codes; without it all amounts are in `to`.
        to: The currency of the database.
        rates: Units of `to` for one unit of each other currency.
        rate_from: The file's column of that rate, for rates that change.
        rates_file: A CSV file of rates by day, next to the mapping file; the day is that of occurred_at in UTC.
    """

    source: str | None = Field(default=None, alias="from")
    to: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    rates: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Annotated[Decimal, Field(gt=0)]] = Field(
        default_factory=dict
    )
    rate_from: str | None = None
    rates_file: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("rates_file")
    @classmethod
    def _one_form_of_rates(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and (info.data.get("rates") or info.data.get("rate_from")):
            raise ValueError("rates come from one of rates, rate_from and rates_file")
        return value


class Condition(_Strict):
    """Which values of a column its rows must have, or must not have."""

    allowed: Texts | None = Field(default=None, alias="in")
    excluded: Texts | None = Field(default=None, alias="not")

    @field_validator("excluded")
    @classmethod
    def _one_form(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if value and info.data.get("allowed"):
            raise ValueError("a condition has either values or `not`")
        return value


def _condition_of(value: Any) -> Any:
    return {"in": value} if isinstance(value, str | list) else value


class ImportMapping(_Strict):
    """A whole mapping file."""

    file: FileOptions = FileOptions()
    columns: Annotated[dict[str, Annotated[ColumnRule, BeforeValidator(_rule_of)]], Field(min_length=1)]
    currency: Currency | None = None
    where: dict[str, Annotated[Condition, BeforeValidator(_condition_of)]] = Field(default_factory=dict)
    _path: Path = PrivateAttr(default=Path("mapping"))
    _root: yaml.Node | None = PrivateAttr(default=None)

    def error(self, place: Place, message: str) -> HistoryFileError:
        """Return the error of an entry: one line with the file, its line and its column."""
        return _error(self._path, self._root, place, message)

    def daily_rates(self) -> DailyRates | None:
        """Return the rates of the currency's `rates_file`; HistoryFileError when it is wrong."""
        if self.currency is None or self.currency.rates_file is None:
            return None
        return read_rates(self._path.parent / self.currency.rates_file)

    def sources(self) -> Iterator[tuple[Place, str]]:
        """Yield the place and the name of each of the file's columns that the mapping reads."""
        for name, rule in self.columns.items():
            yield ("columns", name, "from"), rule.source
        if self.currency is not None:
            if self.currency.source:
                yield ("currency", "from"), self.currency.source
            if self.currency.rate_from:
                yield ("currency", "rate_from"), self.currency.rate_from
        for name in self.where:
            yield ("where", name), name


def read_mapping(path: Path, schema: FileSchema) -> ImportMapping:
    """Read a mapping file.

    Args:
        path: YAML.
        schema: The columns to map to.

    Returns:
        The mapping.

    Raises:
        HistoryFileError: It cannot be read, or an entry is wrong; names line, column and reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # All scalars stay text: `no` is a word of the file, not a boolean.
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except OSError as error:
        raise HistoryFileError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise HistoryFileError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise HistoryFileError(f"{path}{where}: {getattr(error, 'problem', None) or error}") from None
    if key := find_repeated_key(root):
        mark = key.start_mark
        raise HistoryFileError(
            f"{path}, line {mark.line + 1}, column {mark.column + 1}: {shown(key.value)} is there twice"
        )
    try:
        mapping = ImportMapping.model_validate(document)
    except ValidationError as error:
        # A misspelled entry explains why another one is missing.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        place = [part for part in first["loc"] if part != "[key]"]
        name = ".".join(map(str, place))
        reason = first["msg"].removeprefix("Value error, ")
        raise _error(path, root, place, f"{name}: {reason}" if name else reason) from None
    mapping._path, mapping._root = path, root
    _check_columns(mapping, schema)
    return mapping


def _check_columns(mapping: ImportMapping, schema: FileSchema) -> None:
    types = {column.name: column.type for column in schema.columns}
    for name, rule in mapping.columns.items():
        if name not in types:
            raise mapping.error(
                ("columns", name), f"cannot map to {shown(name)}; the columns are {', '.join(types)}"
            )
        for option, fitting in _OPTIONS.items():
            if getattr(rule, option) is not None and types[name] not in fitting:
                raise mapping.error(
                    ("columns", name, option), f"{option} does not fit {name}, which is {types[name]}"
                )
        if rule.values and (others := [option for option in _OPTIONS if getattr(rule, option) is not None]):
            raise mapping.error(("columns", name, others[0]), f"values and {others[0]} exclude each other")
        if rule.scale == "minor_units" and (name != "amount" or mapping.currency is None):
            raise mapping.error(
                ("columns", name, "scale"),
                "minor_units needs an entry `currency`, such as currency: {to: EUR}, and the column amount",
            )
    if mapping.currency is not None and "amount" not in mapping.columns:
        raise mapping.error(("currency",), "a currency needs the column amount")
    if mapping.currency is not None and mapping.currency.rates_file and "occurred_at" not in mapping.columns:
        raise mapping.error(("currency", "rates_file"), "rates by day need the column occurred_at")
    for column in schema.columns:
        if column.is_required and column.name not in mapping.columns:
            raise mapping.error(("columns",), f"the column {column.name} is missing")


def _error(path: Path, root: yaml.Node | None, place: Place, message: str) -> HistoryFileError:
    """Return an error with the position of an entry, or of the nearest one around it."""
    line, column = find_position(root, place)
    return HistoryFileError(f"{path}, line {line}, column {column}: {' '.join(message.split())}")
