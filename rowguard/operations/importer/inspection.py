"""Proposes a mapping file and a features.yml for a file of other people, and says what it could not place."""

from __future__ import annotations

import codecs
import gzip
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from rowguard.operations.importer.files import GZIP, CsvSource, ParquetSource, open_source
from rowguard.operations.importer.known_names import APPROVED, COLUMN_NAMES
from rowguard.operations.importer.problems import HistoryFileError
from rowguard.operations.importer.profiles import ColumnProfile, profile
from rowguard.operations.importer.proposed_features import propose_features
from sql_scoring.features.listing import KEYWORDS, RESERVED

SAMPLE_ROWS = 5_000
_SAMPLE_BYTES = 1_000_000
_PLACES = {name: ours for ours, names in COLUMN_NAMES.items() for name in names.split()}
_KINDS: dict[str, tuple[str, ...]] = {
    "occurred_at": ("time", "integer"),
    "labelled_at": ("time", "integer"),
    "amount": ("integer", "number"),
    "is_fraud": ("boolean",),
    "latitude": ("number", "integer"),
    "longitude": ("number", "integer"),
    "currency": ("text",),
}
_REQUIRED = ("occurred_at", "user_id", "amount")


@dataclass
class Inspection:
    """What was proposed: the documents of both files, notes on them, and the columns that have no place."""

    mapping: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unplaced: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    rows: int = 0


def inspect_file(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Inspection:
    """Look at the first rows of a file.

    Args:
        path: CSV or Parquet.
        encoding: Of CSV; by default UTF-8, or else cp1252.
        delimiter: Of CSV; by default found.

    Returns:
        The proposal.

    Raises:
        HistoryFileError: The file cannot be read, or holds no rows.
    """
    source, used_encoding, columns = _read_sample(path, encoding, delimiter)
    profiles = [profile(name, texts) for name, texts in columns.items()]
    result = Inspection(rows=max(map(len, columns.values()), default=0))
    if not result.rows:
        raise HistoryFileError(f"{path.name}: there are no rows in it")
    placed = _place(profiles, result)
    options = (
        {"encoding": used_encoding} if isinstance(source, CsvSource) and used_encoding != "utf-8" else {}
    )
    if isinstance(source, CsvSource) and delimiter:
        options["delimiter"] = delimiter
    result.mapping = ({"file": options} if options else {}) | {"columns": {}}
    for ours, found in placed.items():
        if ours != "currency":
            result.mapping["columns"][ours] = _rule(ours, found, placed, result)
    _propose_currency(placed, result)
    _propose_where(placed, result)
    result.missing = [name for name in _REQUIRED if name not in placed]
    result.features = propose_features(placed)
    return result


def _read_sample(
    path: Path, encoding: str | None, delimiter: str | None
) -> tuple[CsvSource | ParquetSource, str, dict[str, list[str | None]]]:
    encoding = encoding or _find_encoding(path)
    source = open_source(path, delimiter=delimiter, known=(), encoding=encoding)
    batch = next(iter(source.batches(source.column_names)), None)
    return (
        source,
        encoding,
        {} if batch is None else {n: _texts(values) for n, values in batch.columns.items()},
    )


def _find_encoding(path: Path) -> str:
    """Return UTF-16 where a mark says so, UTF-8 where the first bytes are, or else cp1252."""
    try:
        with path.open("rb") as packed:
            is_gzip = packed.read(2) == GZIP
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1252"
    except (OSError, EOFError, zlib.error):
        pass  # opening it says what is wrong
    return "utf-8"


def _texts(values: pa.Array) -> list[str | None]:
    try:
        texts: list[str | None] = pc.utf8_trim_whitespace(values[:SAMPLE_ROWS].cast(pa.string())).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        texts = [None] * len(values[:SAMPLE_ROWS])
    return texts


def _plain(name: str) -> str:
    """Return a name as letters and digits of ASCII in lower case."""
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _place(profiles: Sequence[ColumnProfile], result: Inspection) -> dict[str, ColumnProfile]:
    """Return column of ours → column of the file; the others become notes."""
    placed: dict[str, ColumnProfile] = {}
    order = list(COLUMN_NAMES)
    candidates = []
    for each in profiles:
        ours = _PLACES.get(_plain(each.name))
        if each.kind == "empty":
            result.unplaced[each.name] = f"is empty in the first {result.rows:,} rows"
        elif ours is None:
            result.unplaced[each.name] = f"holds {_described(each)}"
        elif not _fits(ours, each):
            result.unplaced[each.name] = f"could be {ours} by its name, but holds {_described(each)}"
        else:
            names = COLUMN_NAMES[ours].split()
            candidates.append((order.index(ours), names.index(_plain(each.name)), ours, each))
    for _, _, ours, each in sorted(candidates, key=lambda entry: entry[:2]):
        if ours in placed:
            result.unplaced[each.name] = f"could be {ours}, which is {placed[ours].name}"
        else:
            placed[ours] = each
    unplaced = [each for each in profiles if each.name in result.unplaced]
    times = [each for each in unplaced if each.kind == "time"]
    if "occurred_at" not in placed and len(times) == 1:
        placed["occurred_at"] = times[0]
        del result.unplaced[times[0].name]
    if "user_id" not in placed and "card" in placed:
        placed["user_id"] = placed.pop("card")
        result.notes.append(f"no column looks like a user: {placed['user_id'].name} is taken for it")
    if all(name in placed for name in _REQUIRED):
        _place_under_own_names(unplaced, placed, result)
    return placed


def _place_under_own_names(
    unplaced: Sequence[ColumnProfile], placed: dict[str, ColumnProfile], result: Inspection
) -> None:
    """Declare what holds numbers, times, booleans or UUIDs, such as coordinates: features may read it."""
    for each in unplaced:
        plain = unicodedata.normalize("NFKD", each.name).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
        is_free = name not in placed and name not in COLUMN_NAMES and name not in RESERVED | KEYWORDS
        has_type = each.kind in ("integer", "number", "time", "boolean", "uuid")
        if (
            each.name in result.unplaced
            and has_type
            and is_free
            and re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name)
        ):
            placed[name] = each
            del result.unplaced[each.name]
            result.notes.append(f"{each.name} holds {_described(each)}: declared as column {name}")


def _fits(ours: str, found: ColumnProfile) -> bool:
    if ours in ("occurred_at", "labelled_at") and found.kind == "integer":
        return bool(found.epoch or (found.format and found.longest in (8, 14)))
    if ours == "status" and not found.words:
        return False  # too many values
    return found.kind in _KINDS.get(ours, (found.kind,))


def _described(found: ColumnProfile) -> str:
    what = {
        "integer": "whole numbers",
        "number": "numbers",
        "time": "times",
        "boolean": "two words",
        "uuid": "UUIDs",
    }
    some = f" ({', '.join(found.words[:4])}{', …' * (len(found.words) > 4)})" if found.words else ""
    return what.get(found.kind, "text") + some


def _rule(ours: str, found: ColumnProfile, placed: dict[str, ColumnProfile], result: Inspection) -> Any:
    rule: dict[str, Any] = {"from": found.name}
    if ours in ("occurred_at", "labelled_at") or (found.kind == "time" and ours not in COLUMN_NAMES):
        if found.epoch:
            rule["epoch"] = found.epoch
        elif found.format:
            rule["format"] = found.format
            if found.other_format:
                result.notes.append(
                    f"{found.name} fits {found.format} and {found.other_format}: keep the one that is right"
                )
        if not found.epoch and not found.has_offset and "%z" not in (found.format or ""):
            rule["time_zone"] = "UTC"
        if "time_zone" in rule and ours in ("occurred_at", "labelled_at"):
            result.notes.append(f"{found.name} has no offset: name its time_zone, such as Europe/Berlin")
    if found.kind == "number" and found.decimal and (ours == "amount" or ours not in COLUMN_NAMES):
        rule["decimal"] = found.decimal
    if ours == "amount":
        if found.kind == "integer":
            if re.search("cent|minor|pence", found.name.lower()) or "currency" in placed:
                rule["scale"] = "minor_units"
                result.notes.append(f"{found.name} holds whole numbers, taken for minor units such as cents")
            else:
                result.notes.append(f"{found.name} holds whole numbers; if they are cents, add: scale: 100")
        if found.has_negative:
            rule["negative"] = "skip"
            result.notes.append(f"{found.name} has negative numbers, taken for refunds, which are left out")
    if found.kind == "boolean" and found.true_words is not None:
        rule["values"] = {word: str(word in found.true_words).lower() for word in found.words}
    return found.name if len(rule) == 1 else rule


def _propose_currency(placed: dict[str, ColumnProfile], result: Inspection) -> None:
    amount = result.mapping["columns"].get("amount")
    if "currency" not in placed:
        if isinstance(amount, dict) and amount.get("scale") == "minor_units":
            result.mapping["currency"] = {"to": "EUR"}
            result.notes.append("currency.to is a guess: it says how many minor units a unit has")
        return
    codes = [word.upper() for word in placed["currency"].words]
    currency: dict[str, Any] = {"from": placed["currency"].name, "to": codes[0] if codes else "EUR"}
    if len(codes) != 1:
        currency["rates"] = dict.fromkeys(codes[1:], 0)
        result.notes.append(f"currency: fill in how many {currency['to']} one unit of each currency is")
    result.mapping["currency"] = currency


def _propose_where(placed: dict[str, ColumnProfile], result: Inspection) -> None:
    status = placed.get("status")
    if status is None or not status.words:
        return
    approved = [word for word in status.words if _plain(word) in APPROVED]
    listed = ", ".join(status.words)
    if approved:
        result.mapping["where"] = {status.name: approved}
        result.notes.append(
            f"only rows with {status.name} {', '.join(approved)} are loaded; there are: {listed}"
        )
    else:
        result.notes.append(f"{status.name} has the values {listed}; add a where if some are no payments")


def render(found: Inspection) -> dict[str, str]:
    """Return the text of both files by name; comments at the top of the mapping say what to check."""
    comments = [f"Proposed by rowguard inspect from the first {found.rows:,} rows. Check:", *found.notes]
    comments += [f"{name} is missing: no column looks like it" for name in found.missing]
    comments += [f"not placed: {name} {reason}" for name, reason in found.unplaced.items()]

    def text(document: dict[str, Any]) -> str:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)

    return {
        "mapping.yml": "".join(f"# {line}\n" for line in comments) + text(found.mapping),
        "features.yml": text(found.features),
    }
