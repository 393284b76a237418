"""How each declared feature is computed, chosen by rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Literal

from rowguard.declaration import DEFAULT_AT_MOST, Declaration, Feature
from sql_scoring.features.expressions import find_names

Kind = Literal["running_total", "recency", "range", "lookup", "rollup", "derived"]
KINDS: dict[Kind, str] = {
    "running_total": "two rows of an index, however many the window holds",
    "recency": "the user's last row, or one row of an index",
    "range": "a range of an index, at most so many rows",
    "lookup": "one row of an index",
    "rollup": "one row of a table that the nightly build makes",
    "derived": "an expression over the values above",
}


@dataclass(frozen=True)
class PlannedFeature:
    """A feature and how it is computed.

    Attributes:
        feature: As declared.
        kind: How it is computed.
        columns: Columns of its entity; none for a derived feature.
        delay_days: Days between the end of the window and the transaction's day, of a rollup.
    """

    feature: Feature
    kind: Kind
    columns: tuple[str, ...] = ()
    delay_days: int = 0

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.feature.name

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Columns of the entity other than the user."""
        return tuple(column for column in self.columns if column != "user_id")

    @property
    def at_most(self) -> int:
        """Most rows that a range reads."""
        return self.feature.at_most or DEFAULT_AT_MOST

    @property
    def window_days(self) -> int:
        """Length of the window in whole days."""
        return self.feature.length // timedelta(days=1)

    def group(self, plan: Plan) -> str:
        """Return the group that a backtest can leave out; the group `transaction` always remains."""
        if self.kind == "rollup":
            return f"{self.feature.entity}-risk"
        if self.columns:
            others = self.extra_columns if "user_id" in self.columns else (self.feature.entity or "",)
            return "-".join(others).replace("_", "-") or "user-windows"
        names = [name.parts for name in find_names(self.feature.expression or "")]
        columns = [parts[-1] for parts in names if parts[-1] in plan.declaration.columns]
        if columns:
            return columns[0].replace("_", "-")
        if ("occurred_at",) in names:
            return "calendar"
        return "derived" if any(parts[0] in plan.names for parts in names) else "transaction"

    @property
    def read_text(self) -> str:
        """What it reads, in words."""
        if self.kind == "derived":
            names = {".".join(name.parts): None for name in find_names(self.feature.expression or "")}
            return ", ".join(names)
        what = f"{self.feature.aggregate} of {self.feature.of}" if self.feature.of else self.feature.aggregate
        where = f" where {self.feature.where}" if self.feature.where else ""
        delay = f", {self.delay_days} days ago" if self.kind == "rollup" else ""
        bound = f", at most {self.at_most} rows" if self.kind == "range" else ""
        return f"{what}{where}, by {', '.join(self.columns)}, {self.feature.window}{delay}{bound}"


@dataclass(frozen=True)
class RangeRead:
    """One range of an index that several features share: the newest rows of an entity in the longest window."""

    entity: str
    columns: tuple[str, ...]
    at_most: int
    features: tuple[PlannedFeature, ...]

    @property
    def alias(self) -> str:
        """Its name in a query."""
        return f"{self.entity}_rows" + (f"_{self.at_most}" if self.at_most != DEFAULT_AT_MOST else "")

    @property
    def measured(self) -> tuple[str, ...]:
        """Columns, other than the time, that are read of each row."""
        names: dict[str, None] = {}
        for planned in self.features:
            names |= dict.fromkeys([planned.feature.of] if planned.feature.of else [])
            names |= dict.fromkeys(name.parts[0] for name in find_names(planned.feature.where or "true"))
        return tuple(name for name in names if name != "occurred_at")

    @property
    def window(self) -> timedelta:
        """The longest window of its features."""
        return max(planned.feature.length for planned in self.features)


@dataclass(frozen=True)
class LookupRead:
    """One row of an index: the entity's previous row, or its first one in a window."""

    entity: str
    columns: tuple[str, ...]
    is_first: bool
    features: tuple[PlannedFeature, ...]
    measured: tuple[str, ...]
    window: timedelta | None = None

    @property
    def alias(self) -> str:
        """Its name in a query."""
        hours = f"_{minutes(self.window)}m" if self.window else ""
        return f"{self.entity}_first{hours}" if self.is_first else f"{self.entity}_previous"


@dataclass(frozen=True)
class Rollup:
    """The daily sums of one entity that features share."""

    entity: str
    columns: tuple[str, ...]
    features: tuple[PlannedFeature, ...]

    @property
    def model(self) -> str:
        """Name of the dbt model of the type-2 rows, without the list's hash."""
        return f"{self.entity}_risk"

    @property
    def daily_model(self) -> str:
        """Name of the dbt model of the daily sums."""
        return f"int_{self.entity}_daily_sums"

    @property
    def conditions(self) -> tuple[str | None, ...]:
        """The distinct conditions of its features."""
        return tuple(dict.fromkeys(planned.feature.where for planned in self.features))


@dataclass(frozen=True)
class Plan:
    """All features with how they are computed, in the order in which the model sees them."""

    declaration: Declaration
    label_delay_days: int

    @cached_property
    def features(self) -> tuple[PlannedFeature, ...]:
        """The features."""
        return tuple(self._plan(feature) for feature in self.declaration.features)

    def of_kind(self, *kinds: Kind) -> tuple[PlannedFeature, ...]:
        """Return the features of these kinds."""
        return tuple(planned for planned in self.features if planned.kind in kinds)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features."""
        return tuple(planned.name for planned in self.features)

    @cached_property
    def ranges(self) -> tuple[RangeRead, ...]:
        """The index ranges that are read."""
        groups: dict[tuple[str, int], list[PlannedFeature]] = {}
        for planned in self.of_kind("range"):
            groups.setdefault((_entity(planned), planned.at_most), []).append(planned)
        return tuple(
            RangeRead(entity, members[0].columns, at_most, tuple(members))
            for (entity, at_most), members in groups.items()
        )

    @cached_property
    def lookups(self) -> tuple[LookupRead, ...]:
        """The single rows that are read; the user's previous row is among them when an expression names it."""
        groups: dict[tuple[str, timedelta | None], list[PlannedFeature]] = {}
        for planned in self.of_kind("lookup"):
            is_first = planned.feature.aggregate == "minutes_since_first"
            key = (_entity(planned), planned.feature.length if is_first else None)
            groups.setdefault(key, []).append(planned)
        if self.previous_columns:
            groups.setdefault(("user", None), [])
        found = []
        for (entity, window), members in groups.items():
            measured = [planned.feature.of for planned in members if planned.feature.of]
            if entity == "user" and window is None:
                measured += self.previous_columns
            columns = self.declaration.entity_columns(entity)
            names = tuple(dict.fromkeys(name for name in measured if name != "occurred_at"))
            found.append(LookupRead(entity, columns, window is not None, tuple(members), names, window))
        return tuple(found)

    @cached_property
    def rollups(self) -> tuple[Rollup, ...]:
        """The daily sums, one an entity; `overall` counts every transaction."""
        groups: dict[str, list[PlannedFeature]] = {}
        for planned in self.of_kind("rollup"):
            groups.setdefault(_entity(planned), []).append(planned)
        return tuple(Rollup(entity, members[0].columns, tuple(members)) for entity, members in groups.items())

    @cached_property
    def overall(self) -> Rollup | None:
        """The rates of all transactions, towards which rates are smoothed; None where none is."""
        smoothed = tuple(planned for planned in self.of_kind("rollup") if planned.feature.smoothing)
        return Rollup("overall", (), smoothed) if smoothed else None

    @cached_property
    def previous_columns(self) -> tuple[str, ...]:
        """Columns of the user's previous row that expressions name."""
        names: dict[str, None] = {}
        for planned in self.of_kind("derived"):
            for name in find_names(planned.feature.expression or ""):
                if len(name.parts) == 2:
                    names[name.parts[1]] = None
        return tuple(names)

    @cached_property
    def skew_kinds(self) -> dict[str, str]:
        """Return name → how a live value may differ from one that is computed again: window, rollup or shared.

        Of other entities than the user a decision sees what was committed, which cannot be told afterwards.
        """
        kinds = {
            planned.name: "shared" if "user_id" not in planned.columns else "window"
            for planned in self.of_kind("range", "lookup", "running_total", "recency")
        }
        kinds |= {planned.name: "rollup" for planned in self.of_kind("rollup")}
        for planned in self.of_kind("derived"):
            read = {kinds.get(name.parts[0]) for name in find_names(planned.feature.expression or "")}
            kinds[planned.name] = "shared" if "shared" in read else "rollup" if "rollup" in read else "window"
        return kinds

    def is_named_by_derived(self, features: Iterable[PlannedFeature]) -> bool:
        """Return whether an expression of the list names one of these."""
        names = {planned.name for planned in features}
        return any(
            name.parts[0] in names
            for planned in self.of_kind("derived")
            for name in find_names(planned.feature.expression or "")
        )

    @property
    def windowed(self) -> tuple[PlannedFeature, ...]:
        """Features of the user that running totals or the last row give."""
        return self.of_kind("running_total", "recency")

    @property
    def longest_window(self) -> timedelta:
        """The longest window of `windowed`."""
        return longest(self.windowed)

    def _plan(self, feature: Feature) -> PlannedFeature:
        if feature.expression is not None:
            return PlannedFeature(feature, "derived")
        assert feature.entity is not None
        columns = self.declaration.entity_columns(feature.entity)
        if feature.counts_labels:
            return PlannedFeature(feature, "rollup", columns, self.label_delay_days)
        if feature.delay is not None:
            return PlannedFeature(feature, "rollup", columns, int(feature.delay[:-1]))
        is_user = columns == ("user_id",)
        if feature.where is None and feature.at_most is None:
            of_amount = feature.of in (None, "amount")
            if is_user and of_amount and feature.aggregate in ("count", "sum", "mean", "stddev"):
                return PlannedFeature(feature, "running_total", columns)
            if "user_id" in columns and feature.aggregate == "minutes_since_last":
                return PlannedFeature(feature, "recency", columns)
            if feature.aggregate in ("minutes_since_last", "minutes_since_first", "previous"):
                return PlannedFeature(feature, "lookup", columns)
        return PlannedFeature(feature, "range", columns)


def minutes(window: timedelta) -> int:
    """Return the length of a window in minutes."""
    return window // timedelta(minutes=1)


def longest(features: Iterable[PlannedFeature]) -> timedelta:
    """Return the longest window of some features, an hour for none."""
    return max((planned.feature.length for planned in features), default=timedelta(hours=1))


def _entity(planned: PlannedFeature) -> str:
    assert planned.feature.entity is not None
    return planned.feature.entity
