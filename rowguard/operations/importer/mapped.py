"""Rows of a file under a mapping: its columns under our names, its values as our files have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from rowguard.operations.importer.files import CsvSource, ParquetSource, RawBatch
from rowguard.operations.importer.mapping import ImportMapping
from rowguard.operations.importer.problems import HistoryFileError, shown
from rowguard.operations.importer.rewriting import LeftOutError, Rewriting, daily_amounts, rewriting_of
from rowguard.operations.importer.values import TOO_COARSE, Faults, decode, is_coarse


class MappedSource:
    """A file whose columns have our names and forms; rows that `where` leaves out are counted."""

    is_archive = False

    def __init__(self, source: ParquetSource | CsvSource, mapping: ImportMapping) -> None:
        """Check that the file has every column that the mapping reads; HistoryFileError when it lacks one."""
        for place, name in mapping.sources():
            if name not in source.column_names:
                listed = ", ".join(map(str, map(shown, source.column_names[:12])))
                raise mapping.error(
                    place, f"there is no column {shown(name)} in {source.path.name}; its columns are {listed}"
                )
        self.path, self.unit = source.path, source.unit
        self.column_names = list(mapping.columns)
        self.left_out = 0
        self._source, self._mapping = source, mapping
        self._read_names = sorted({name for _, name in mapping.sources()})
        self.ignored_columns = tuple(name for name in source.column_names if name not in self._read_names)
        rates = mapping.daily_rates()
        self._rewritings = {
            name: daily_amounts(rule, mapping.columns["occurred_at"], mapping.currency, rates)
            if name == "amount" and mapping.currency is not None and rates is not None
            else rewriting_of(name, rule, mapping.currency)
            for name, rule in mapping.columns.items()
        }

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """Yield batches of these columns of ours; HistoryFileError when the file cannot be read."""
        self.left_out = 0
        for raw in self._source.batches(self._read_names):
            kept = self._where(raw)
            batch = self._rewrite(kept, columns)
            self.left_out += len(raw.lines) - len(batch.lines)
            yield batch

    def fraction_read(self) -> float:
        """Return the fraction of the file that was read."""
        return self._source.fraction_read()

    def _where(self, raw: RawBatch) -> RawBatch:
        is_kept = pa.array([True] * len(raw.lines), pa.bool_())
        for name, condition in self._mapping.where.items():
            texts = pa.array(_texts(raw.columns[name], Faults({}, {})), pa.string())
            wanted = pa.array(condition.allowed or condition.excluded, pa.string())
            is_in = pc.is_in(texts, wanted)
            is_kept = pc.and_(is_kept, is_in if condition.allowed else pc.invert(is_in))
        return _filter(raw, is_kept)

    def _rewrite(self, raw: RawBatch, columns: Sequence[str]) -> RawBatch:
        result: dict[str, pa.Array] = {}
        faults: dict[str, Faults] = {}
        left_out: set[int] = set()
        for name in columns:
            rewriting = self._rewritings[name]
            if rewriting is None:
                result[name] = raw.columns[self._mapping.columns[name].source]
            else:
                result[name], faults[name], skipped = _apply(rewriting, raw)
                left_out |= skipped
        batch = RawBatch(result, raw.lines, raw.malformed, faults)
        if not left_out:
            return batch
        return _filter(batch, pa.array([position not in left_out for position in range(len(raw.lines))]))


def _filter(raw: RawBatch, is_kept: pa.Array) -> RawBatch:
    flags = is_kept.to_pylist()
    if all(flags):
        return raw
    new_position = {old: new for new, old in enumerate(i for i, flag in enumerate(flags) if flag)}
    faults = {}
    for name, found in raw.faults.items():
        kept = {
            reason: [new_position[position] for position in positions if position in new_position]
            for reason, positions in found.positions.items()
        }
        faults[name] = Faults({reason: some for reason, some in kept.items() if some}, found.examples)
    return RawBatch(
        {name: values.filter(is_kept) for name, values in raw.columns.items()},
        [line for line, flag in zip(raw.lines, flags, strict=True) if flag],
        raw.malformed,
        faults,
    )


def _apply(rewriting: Rewriting, raw: RawBatch) -> tuple[pa.Array, Faults, set[int]]:
    """Return a column of ours, its bad values, and the positions of the rows that are left out."""
    faults = Faults({}, {})
    sources = [_texts(raw.columns[name], faults) for name in rewriting.sources]
    given = raw.columns[rewriting.sources[0]].type
    float_type = given.to_pandas_dtype() if pa.types.is_floating(given) else None
    bad = {position for positions in faults.positions.values() for position in positions}
    left_out: set[int] = set()
    result: list[str | None] = []
    for position, texts in enumerate(zip(*sources, strict=True)):
        value = None
        text = texts[0]
        if text is not None and position not in bad:
            try:
                if float_type and rewriting.step and is_coarse(Decimal(text), float_type, rewriting.step):
                    raise ValueError(TOO_COARSE)
                value = rewriting.rewrite(*texts)
            except LeftOutError:
                left_out.add(position)
            except ValueError as error:
                faults.add(str(error), position, text)
        result.append(value)
    return pa.array(result, pa.string()), faults, left_out


def _texts(values: pa.Array, faults: Faults) -> list[str | None]:
    """Return the values as texts without blanks around them; None where they are missing."""
    texts = decode(values, faults)
    try:
        texts = pc.utf8_trim_whitespace(texts.cast(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise HistoryFileError(
            f"a column that the mapping reads holds {values.type}, not text or numbers"
        ) from None
    return [text or None for text in texts.to_pylist()]
