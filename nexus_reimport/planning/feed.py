"""One record of FileMaker -> the values that it feeds to Nexus's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from nexus_reimport import convert, ids
from nexus_reimport.convert import ConversionError, Detail, Partial, registry
from nexus_reimport.convert.registry import Given
from nexus_reimport.files import rowfile
from nexus_reimport.ids import Id
from nexus_reimport.intake import Intake, Record
from nexus_reimport.mapping import ColumnSpec, DefaultRule
from nexus_reimport.nexus.catalog import Column

Resolver = Mapping[str, Mapping[Id, str]]  # entity -> FileMaker id -> Nexus id


@dataclass(slots=True)
class Converted:
    """What one record feeds: column (or column.key) -> PostgreSQL's text, or a JSON value.

    ``unresolved`` are the columns whose entity was not found. ``misfits`` are column and reason
    where FileMaker's value counts as empty, ``derived`` where another one stands for it. ``held``
    counts the values that FileMaker holds for a column: of a card, those of all its records.
    """

    values: dict[str, Any] = field(default_factory=dict)
    unresolved: set[str] = field(default_factory=set)
    misfits: list[tuple[str, str]] = field(default_factory=list)
    derived: list[tuple[str, str]] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)


class RecordConverter:
    """Converts the records of all entities; knows lookups, joined sources and columns' types."""

    def __init__(self, intake: Intake, *, zone: ZoneInfo, as_of: datetime) -> None:
        self._intake, self._mapping, self._zone, self._as_of = intake, intake.mapping, zone, as_of
        survey = intake.survey
        self._types = {(n, c.name): c for n, found in survey.columns.items() for c in found}
        self._lookups = {
            name: _lookup_table(rowfile.read(intake.folder, file))
            for name, file in survey.lookups.items()
        }
        self._joined = self._read_joined()
        self._gathered = self._read_gathered()

    def convert(self, entity: str, record: Record, known: Resolver) -> Converted:
        """The values that ``record`` feeds; what does not fit is None and told."""
        converted = Converted()
        spec = self._mapping.entities[entity]
        for name, column in spec.columns.items():
            converted.held[name] += self._held(column, record)
            try:
                self._refuse_unreadable(column, record, spec.source)
                value = self._value(column, record, name, known, converted)
            except ConversionError as error:
                converted.misfits.append((name, str(error)))
                value = None
            if isinstance(value, Partial):
                converted.misfits += [(name, reason) for reason in value.misfits]
                converted.derived += [(name, reason) for reason in value.derived]
                value = value.value
            if isinstance(value, str) and (entity, name) in self._types:
                value = _in_its_column(value, self._types[entity, name], name, converted)
            converted.values[name] = value
        _refuse_too_early(spec.columns, converted)
        return converted

    def _refuse_unreadable(self, column: ColumnSpec, record: Record, source: str) -> None:
        """A date or time that is put into a text must be one, as everywhere.

        A channel passes on what has not its form with a remark behind it.
        """
        if column.converter.keeps_text:
            for name in column.fields_used:
                look = _READERS.get(self._mapping.sources[source].fields[name].type)
                if look and record[name].strip():
                    look(record[name])

    def _held(self, column: ColumnSpec, record: Record) -> int:
        """How many values FileMaker holds for a column of this record."""
        if not column.gather:
            return any(record[name].strip() for name in column.fields_used)
        details = self._gathered.get((column.gather, record.id), ())
        wanted = column.with_.get("value", "")
        return sum(bool(d[wanted].strip()) if wanted else True for d in details)

    def gathered_from(self, source: str) -> Iterator[tuple[Id, Id, bool]]:
        """Of each record of a gathered source: its id, its owner's, and whether it holds nothing.

        It holds nothing where no card has a place for any of it.
        """
        gathering = [
            column
            for entity in self._mapping.entities.values()
            for column in entity.columns.values()
            if column.gather == source
        ]
        link = self._mapping.sources[source].links[0].field
        for record in self._intake.records(source):
            holds = any(
                _entry(column, {k: record[f] for k, f in column.with_.items()})
                for column in gathering
            )
            yield record.id, record.id_in(link), not holds

    def new_value(self, spec: DefaultRule, record: Record, row: Mapping[str, Any]) -> Partial:
        """What a named rule gives a new row."""
        as_of = convert.as_text(self._as_of)
        if spec.rule == "as_of":
            return Partial(as_of)
        if spec.rule == "from":
            try:
                given = Given(self._zone, self._as_of, record[spec.source_field], record)
                return Partial(registry.of(spec.convert).make(given) or as_of)
            except ConversionError as error:
                return Partial(as_of, derived=(f"{error}: the moment of the plan",))
        value = row.get(spec.column)
        is_past = bool(value) if spec.rule == "sent_if" else self.is_over(value)
        return Partial(spec.past if is_past else spec.future)

    def is_over(self, value: str | None) -> bool:
        """Whether an instant, or a date on the clinic's calendar, lies before the plan's moment."""
        today = self._as_of.astimezone(self._zone).date().isoformat()
        if not value:
            return False
        limit = convert.as_text(self._as_of) if ":" in value else today
        return convert.chronological(value) < convert.chronological(limit)

    def _value(
        self, column: ColumnSpec, record: Record, name: str, known: Resolver, converted: Converted
    ) -> Any:
        if column.lookup:
            return self._look_up(column, record, name, converted)
        if column.entity:
            return _entity(column, record, name, known, converted)
        return column.converter.make(
            Given(
                zone=self._zone,
                as_of=self._as_of,
                value="" if column.gather else record[column.source_field],
                record=record,
                named=column.with_,
                choices=column.choices,
                details=self._details(column, record.id) if column.gather else (),
            )
        )

    def _look_up(
        self, column: ColumnSpec, record: Record, name: str, converted: Converted
    ) -> str | None:
        asked = several = False
        for step in column.lookup:
            value = record[step.source_field]
            if step.through:
                value = self._joined[step.through, step.take].get(
                    record.id_in(step.source_field), ""
                )
            asked = asked or bool(record[step.source_field].strip())
            found = self._lookups[f"{step.table}.{step.match}"].get(ids.looked_up(value), ())
            if len(found) == 1:
                return found[0]
            several = several or len(found) > 1
        if several:
            converted.misfits.append((name, f"names several rows of {column.lookup[0].table}"))
        elif asked:
            converted.misfits.append((name, f"names no row of {column.lookup[0].table}"))
        return None

    def _details(self, column: ColumnSpec, owner: Id) -> tuple[Detail, ...]:
        """What a card of the record ``owner`` gathers."""
        details = self._gathered.get((column.gather, owner), ())
        return tuple({k: d[f] for k, f in column.with_.items()} for d in details)

    def _read_joined(self) -> dict[tuple[str, str], dict[Id, str]]:
        """(source, field) -> id -> value, for lookups through another source."""
        steps = {
            (step.through, step.take)
            for entity in self._mapping.entities.values()
            for column in entity.columns.values()
            for step in column.lookup
            if step.through
        }
        return {
            (source, take): {r.id: r[take] for r in self._intake.records(source)}
            for source, take in steps
        }

    def _read_gathered(self) -> dict[tuple[str, Id], list[Record]]:
        """(source, owner's id) -> its records, in the order of their own keys."""
        sources = {c.gather for e in self._mapping.entities.values() for c in e.columns.values()}
        found: dict[tuple[str, Id], list[Record]] = {}
        for source in sorted(sources - {""}):
            link = self._mapping.sources[source].links[0].field
            for record in sorted(self._intake.records(source), key=lambda r: r.id.written):
                found.setdefault((source, record.id_in(link)), []).append(record)
        return found


def _lookup_table(rows: Iterable[tuple[str | None, ...]]) -> dict[str, list[str]]:
    """Folded value -> the ids of the rows that have it."""
    found: dict[str, list[str]] = {}
    for key, value in rows:
        if key and value:
            found.setdefault(ids.looked_up(value), []).append(key)
    found.pop("", None)
    return found


def _entry(column: ColumnSpec, detail: Detail) -> object:
    """What a card takes from one contact-detail record; None where nothing fits."""
    entry = column.converter.entry
    try:
        return entry(detail) if entry else None
    except ConversionError:
        return None


def _refuse_too_early(columns: Mapping[str, ColumnSpec], converted: Converted) -> None:
    """What comes before the value that it must follow does not fit."""
    for name, column in columns.items():
        value, other = converted.values[name], converted.values.get(column.not_before)
        if column.not_before and value and other and value < other:
            converted.misfits.append((name, f"before {column.not_before}"))
            converted.values[name] = None


def _in_its_column(value: str, column: Column, name: str, converted: Converted) -> str | None:
    """``value`` as its column will hold it; None where it cannot."""
    if column.max_length is not None and len(value) > column.max_length:
        converted.misfits.append((name, f"longer than {column.max_length} characters"))
        return None
    try:
        return convert.for_type(value, column.type)
    except ConversionError as error:
        converted.misfits.append((name, str(error)))
        return None


def _entity(
    column: ColumnSpec, record: Record, name: str, known: Resolver, converted: Converted
) -> str | None:
    if not record[column.source_field].strip():
        converted.unresolved.add(name)
        return None
    found = known[column.entity].get(record.id_in(column.source_field))
    if found is None:
        converted.unresolved.add(name)
        if column.may_miss:
            converted.misfits.append((name, f"names no row of {column.entity}"))
    return found


_READERS: dict[str, Callable[[str], object]] = {
    "date": convert.iso_date,
    "time": convert.duration,
    "timestamp": lambda raw: convert.timestamp(raw, ZoneInfo("UTC")),
}
