"""One record of FileMaker -> the values for Nexus's columns."""

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
from nexus_reimport.planning.gathered import Fields, Gathered

Resolver = Mapping[str, Mapping[Id, str]]  # entity -> FileMaker id -> Nexus id


@dataclass(slots=True)
class Converted:
    """The values of one record: column (or column.key) -> PostgreSQL's text, or a JSON value.

    ``unresolved`` are the columns whose entity was not found. ``misfits`` are column and reason of
    values that count as empty, ``derived`` of values that were replaced by others. ``held`` counts
    FileMaker's values for each column; for a card, those of all its records.
    """

    values: dict[str, Any] = field(default_factory=dict)
    unresolved: set[str] = field(default_factory=set)
    misfits: list[tuple[str, str]] = field(default_factory=list)
    derived: list[tuple[str, str]] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)


class RecordConverter:
    """Converts the records of all entities. It holds lookups, joined sources and column types."""

    def __init__(self, intake: Intake, *, zone: ZoneInfo, as_of: datetime) -> None:
        self._intake, self._mapping, self._zone, self._as_of = intake, intake.mapping, zone, as_of
        survey = intake.survey
        self._types = {(n, c.name): c for n, columns in survey.columns.items() for c in columns}
        self._lookups = {
            name: _lookup_table(rowfile.read(intake.folder, file))
            for name, file in survey.lookups.items()
        }
        self._joined = self._read_joined()
        self._gathered: dict[str, Gathered] = {}
        self._last: tuple[str, Id, list[Fields]] | None = None  # an owner's, for its next card

    def convert(self, entity: str, record: Record, known: Resolver) -> Converted:
        """The values of ``record``; one that does not fit is None, and noted with its reason."""
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
        # Last, because it compares two converted columns.
        _refuse_too_early(spec.columns, converted)
        return converted

    def _refuse_unreadable(self, column: ColumnSpec, record: Record, source: str) -> None:
        """Check that a date or time for a text column is one.

        A channel passes on a value that does not fit its type with a remark after it, which must
        not end up in a text.
        """
        if column.converter.keeps_text:
            for name in column.fields_used:
                parse = _PARSERS.get(self._mapping.sources[source].fields[name].type)
                if parse and record[name].strip():
                    parse(record[name])

    def _held(self, column: ColumnSpec, record: Record) -> int:
        """How many values this record has for a column."""
        if not column.gather:
            return any(record[name].strip() for name in column.fields_used)
        details = self._gathered_of(column.gather, record.id)
        wanted = column.with_.get("value", "")
        return sum(bool(d[wanted].strip()) if wanted else True for d in details)

    def gathered_from(self, source: str) -> Iterator[tuple[Id, Id, bool]]:
        """Of each record of a gathered source: its id, its owner's id, whether it holds nothing.

        It holds nothing if no card uses any of its values.
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

    def new_value(
        self, spec: DefaultRule, record: Mapping[str, str], row: Mapping[str, Any]
    ) -> Partial:
        """The value that a named rule gives a new row."""
        as_of = convert.as_text(self._as_of)
        if spec.rule == "as_of":
            return Partial(as_of)
        if spec.rule == "from":
            try:
                given = Given(self._zone, self._as_of, record[spec.source_field], record)
                return Partial(registry.of(spec.convert).make(given) or as_of)
            except ConversionError as error:
                return Partial(as_of, derived=(f"{error}: the time of the plan is used",))
        value = row.get(spec.column)
        is_past = bool(value) if spec.rule == "sent_if" else self.is_over(value)
        return Partial(spec.past if is_past else spec.future)

    def is_over(self, value: str | None) -> bool:
        """Whether an instant, or a date on the clinic's calendar, is before ``as_of``."""
        today = self._as_of.astimezone(self._zone).date().isoformat()
        if not value:
            return False
        # Only an instant has a colon; a date is compared with the clinic's own day.
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
        has_value = several = False
        for step in column.lookup:
            value = record[step.source_field]
            if step.through:
                value = self._joined[step.through, step.take].get(
                    record.id_in(step.source_field), ""
                )
            has_value = has_value or bool(record[step.source_field].strip())
            keys = self._lookups[f"{step.table}.{step.match}"].get(ids.looked_up(value), ())
            if len(keys) == 1:  # two rows of one name: neither is chosen
                return keys[0]
            several = several or len(keys) > 1
        if several:
            converted.misfits.append((name, f"names several rows of {column.lookup[0].table}"))
        elif has_value:
            converted.misfits.append((name, f"names no row of {column.lookup[0].table}"))
        return None

    def _details(self, column: ColumnSpec, owner: Id) -> tuple[Detail, ...]:
        """The contact details for a card of the record ``owner``."""
        details = self._gathered_of(column.gather, owner)
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

    def _gathered_of(self, source: str, owner: Id) -> list[Fields]:
        """The records of ``source`` that belong to ``owner``."""
        if self._last is None or self._last[:2] != (source, owner):
            if source not in self._gathered:
                self._gathered[source] = Gathered.read(self._intake, source)
            self._last = (source, owner, self._gathered[source].of(owner))
        return self._last[2]

    def release(self) -> None:
        """Give up the gathered records; they are read again if they are asked for again."""
        self._gathered.clear()
        self._last = None


def _lookup_table(rows: Iterable[tuple[str | None, ...]]) -> dict[str, list[str]]:
    """Folded value -> the ids of the rows that have it."""
    table: dict[str, list[str]] = {}
    for key, value in rows:
        if key and value:
            table.setdefault(ids.looked_up(value), []).append(key)
    table.pop("", None)  # a value of blanks only must not match an empty field
    return table


def _entry(column: ColumnSpec, detail: Detail) -> object:
    """The entry that a card takes from one contact-detail record; None if it takes nothing."""
    entry = column.converter.entry
    try:
        return entry(detail) if entry else None
    except ConversionError:
        return None


def _refuse_too_early(columns: Mapping[str, ColumnSpec], converted: Converted) -> None:
    """Note a value as a misfit if it is before the value that it must follow."""
    for name, column in columns.items():
        value, other = converted.values[name], converted.values.get(column.not_before)
        # ISO texts within the years 1890 to 2200 compare as their dates do.
        if column.not_before and value and other and value < other:
            converted.misfits.append((name, f"before {column.not_before}"))
            converted.values[name] = None


def _in_its_column(value: str, column: Column, name: str, converted: Converted) -> str | None:
    """``value`` as its column will hold it; None, with a misfit, if the column cannot."""
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
    key = known[column.entity].get(record.id_in(column.source_field))
    if key is None:
        converted.unresolved.add(name)
        if column.may_miss:
            converted.misfits.append((name, f"names no row of {column.entity}"))
    return key


_PARSERS: dict[str, Callable[[str], object]] = {
    "date": convert.iso_date,
    "time": convert.duration,
    # Any zone will do: all that is asked is whether the text is a timestamp.
    "timestamp": lambda raw: convert.timestamp(raw, ZoneInfo("UTC")),
}
