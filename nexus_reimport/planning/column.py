"""The values for one column of Nexus, from some records of FileMaker at a time.

Each different text is converted once: dates, choices and names repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from nexus_reimport import convert, ids
from nexus_reimport.convert import ConversionError, Partial
from nexus_reimport.convert.registry import Given
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdPairs, Record, Records
from nexus_reimport.mapping.columns import ColumnSpec, Lookup
from nexus_reimport.nexus.structure.catalog import Column
from nexus_reimport.planning.gathered import Detail

Resolver = Mapping[str, IdPairs]  # entity -> the ids of its rows
_FIRST, _NEXT = "the first field that names one row counts", "the next field counts"


class ConvertedValue(NamedTuple):
    """What FileMaker's fields give for one column of one record.

    ``value`` is PostgreSQL's text, or a JSON value. ``held`` is how many values FileMaker has; for
    a card, those of all its records. ``misfits`` are the reasons of values that count as empty,
    ``derived`` of values that were replaced by others.
    """

    value: Any
    held: int
    misfits: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    is_unresolved: bool = False  # its entity was not found


@dataclass(frozen=True, slots=True)
class Lookups:
    """The rows of Nexus that fields name, and the sources through which they are found."""

    tables: Mapping[str, Mapping[str, Sequence[str]]]  # table.column -> folded value -> ids of rows
    joined: Mapping[tuple[str, str], Mapping[Id, str]]  # source and field -> id -> value

    def find(self, column: ColumnSpec, record: Record) -> Partial:
        """The id of the row that ``record`` names: the first field that names one row counts.

        What another field says is told where it contradicts that, such as the name of another
        clinic; and where a field before it names no row, such as the id of an unknown clinic.
        """
        table = column.lookup[0].table
        steps = [(step.source_field, self._keys(step, record)) for step in column.lookup]
        # Two rows of one name: neither is chosen.
        place = next((n for n, (_, keys) in enumerate(steps) if len(keys) == 1), len(steps))
        naming = {field for field, keys in steps if keys}
        is_lost = any(record[f].strip() for f, _ in steps[:place] if f not in naming)
        if place == len(steps):
            why = f"names several rows of {table}" if naming else f"names no row of {table}"
            return Partial(None, misfits=(why,) if naming or is_lost else ())
        key = steps[place][1][0]
        if any(keys and key not in keys for _, keys in steps):
            return Partial(key, derived=(f"names different rows of {table}: {_FIRST}",))
        derived = (f"names no row of {table} in one field: {_NEXT}",) if is_lost else ()
        return Partial(key, derived=derived)

    def _keys(self, step: Lookup, record: Record) -> Sequence[str]:
        """The ids of the rows that one field names."""
        value = record[step.source_field]
        if step.through:
            joined = self.joined[step.through, step.take]
            value = joined.get(record.id_in(step.source_field), "")
        return self.tables[f"{step.table}.{step.match}"].get(ids.looked_up(value), ())


@dataclass(frozen=True, slots=True)
class ColumnConverter:
    """Converts the values for one column, or one key of a JSON column.

    ``types`` are those of its source's fields; ``holds`` is the column of Nexus, None for a key.
    """

    spec: ColumnSpec
    types: Mapping[str, str]
    holds: Column | None
    lookups: Lookups
    zone: ZoneInfo
    as_of: datetime

    def of_records(self, records: Records, known: Resolver) -> list[ConvertedValue]:
        """The outcome for each record, of fields of its own."""
        fields = self.spec.fields_used
        texts = records.rows(fields)
        different = list(set(texts))
        each = [Record(zip(fields, one, strict=True)) for one in different]
        if self.spec.entity:
            wanted = (record.id_in(self.spec.source_field) for record in each)
            outcomes = map(self._entity, each, known[self.spec.entity].find(wanted))
        else:
            outcomes = map(self._outcome, each)
        by_texts = dict(zip(different, outcomes, strict=True))
        return [by_texts[one] for one in texts]

    def of_cards(self, gathered: Sequence[Sequence[Detail]]) -> list[ConvertedValue]:
        """The outcome for each record's card, of the records that are gathered into it."""
        return list(map(self._card, gathered))

    def _card(self, gathered: Sequence[Detail]) -> ConvertedValue:
        details = tuple(map(self.spec.detail, gathered))
        held = sum(map(self._holds, details))
        card = self.spec.converter.make(Given(self.zone, self.as_of, details=details))
        return self._fitting(card, held)

    def _holds(self, detail: convert.Detail) -> bool:
        """Whether a detail holds a value for the card, be it one that does not fit."""
        entry = self.spec.converter.entry
        try:
            return entry is not None and entry(detail) is not None
        except ConversionError:
            return True

    def _outcome(self, record: Record) -> ConvertedValue:
        held = any(map(str.strip, record.values()))
        record, unfit = self._in_one_form(record)
        try:
            if self.spec.lookup:
                outcome = self._fitting(self.lookups.find(self.spec, record), held)
            else:
                outcome = self._fitting(self.spec.converter.make(self._given(record)), held)
                if outcome.value is None and outcome.misfits:
                    outcome = self._instead(record, outcome)
        except ConversionError as error:
            return ConvertedValue(None, held, (*unfit, str(error)))
        return outcome._replace(misfits=(*unfit, *outcome.misfits)) if unfit else outcome

    def _instead(self, record: Record, outcome: ConvertedValue) -> ConvertedValue:
        """What the converter has for a value that does not fit, if that fits; else as it was."""
        instead = self.spec.converter.instead
        if instead is None:
            return outcome
        partial = instead(self._given(record), outcome.misfits[-1])
        other = self._fitting(partial, outcome.held)
        return outcome if partial.value is not None and other.value is None else other

    def _given(self, record: Record) -> Given:
        spec = self.spec
        value = record[spec.source_field]
        return Given(self.zone, self.as_of, value, record, spec.with_, spec.choices)

    def _in_one_form(self, record: Record) -> tuple[Record, tuple[str, ...]]:
        """``record``; for a text column each date and time as every channel's would be written.

        A channel passes on a value that does not fit its type with a remark after it, which must
        not end up in a text: it counts as empty, and the reason is given. What other fields say
        stays in the text.
        """
        if not self.spec.converter.keeps_text:
            return record, ()
        written, unfit = {}, []
        for name, text in record.items():
            if self.types[name] not in _WRITTEN or not text.strip():
                continue
            try:
                written[name] = _WRITTEN[self.types[name]](text) or ""
            except ConversionError as error:
                written[name] = ""
                unfit.append(str(error))
        return (Record(record | written) if written else record), tuple(unfit)

    def _entity(self, record: Record, key: str | None) -> ConvertedValue:
        held = any(map(str.strip, record.values()))
        if not record[self.spec.source_field].strip():
            return ConvertedValue(None, held, is_unresolved=True)
        if key is None:
            # Counted whether the link may stay empty or not: if no rule leaves the record out, and
            # the column takes NULL, it would be loaded without its owner, and nobody told.
            misfits = (f"names no row of {self.spec.entity}",)
            return ConvertedValue(None, held, misfits, is_unresolved=True)
        return self._fitting(key, held)

    def _fitting(self, value: Any, held: int) -> ConvertedValue:
        """``value`` as its column will hold it; None, with a misfit, if the column cannot.

        Then nothing is told as derived: it is not stored.
        """
        misfits: tuple[str, ...] = ()
        derived: tuple[str, ...] = ()
        if isinstance(value, Partial):
            value, misfits, derived = value.value, value.misfits, value.derived
        column = self.holds
        if isinstance(value, str) and column is not None:
            if column.max_length is not None and len(value) > column.max_length:
                too_long = f"longer than {column.max_length} characters"
                return ConvertedValue(None, held, (*misfits, too_long))
            try:
                stored = convert.for_type(value, column.stored_as)
            except ConversionError as error:
                return ConvertedValue(None, held, (*misfits, str(error)))
            derived += convert.derived_for_type(value, column.stored_as)
            return ConvertedValue(stored, held, misfits, derived)
        return ConvertedValue(value, held, misfits, derived)


_WRITTEN: dict[str, Callable[[str], str | None]] = {
    "date": convert.iso_date,
    "time": convert.clock,
    "timestamp": convert.stamp,
}
