"""FileMaker's records -> the values for Nexus's columns, some thousands of records at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress
from typing import Any
from zoneinfo import ZoneInfo

from nexus_reimport import convert, ids
from nexus_reimport.convert import ConversionError, Partial
from nexus_reimport.files import rowfile
from nexus_reimport.ids import Id
from nexus_reimport.intake import Intake, Records
from nexus_reimport.mapping import ColumnSpec, DefaultRule, Entity
from nexus_reimport.model import KEY
from nexus_reimport.planning.column import ColumnConverter, ConvertedValue, Lookups, Resolver
from nexus_reimport.planning.gathered import Detail, Gathered

Noted = dict[int, list[tuple[str, str]]]  # number of a record -> column and reason


@dataclass(slots=True)
class Converted:
    """Some records: for each column (or column.key) a value of each record, and how many it holds.

    The others are by the numbers of the records: ``unresolved`` are the columns whose entity was
    not found. ``misfits`` are column and reason of values that count as empty, ``derived`` of
    values that were replaced by others.
    """

    values: dict[str, list[Any]] = field(default_factory=dict)
    held: dict[str, list[int]] = field(default_factory=dict)
    unresolved: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    misfits: Noted = field(default_factory=lambda: defaultdict(list))
    derived: Noted = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, outcomes: list[ConvertedValue]) -> None:
        """Add a column."""
        values, held, misfits, derived, unresolved = zip(*outcomes, strict=True)
        self.values[name], self.held[name] = [*values], [*held]
        for noted, reasons in ((self.misfits, misfits), (self.derived, derived)):
            for number, several in enumerate(reasons) if any(reasons) else ():
                if several:
                    noted[number] += [(name, reason) for reason in several]
        for number, is_unresolved in enumerate(unresolved) if any(unresolved) else ():
            if is_unresolved:
                self.unresolved[number].add(name)

    def without(self, numbers: Mapping[int, object]) -> Converted:
        """The same without the records with these numbers."""
        if not numbers:
            return self
        count = len(next(iter(self.values.values())))
        stay = [number not in numbers for number in range(count)]
        now = {number: n for n, number in enumerate(compress(range(count), stay))}
        return Converted(
            {name: [*compress(values, stay)] for name, values in self.values.items()},
            {name: [*compress(held, stay)] for name, held in self.held.items()},
            {now[n]: columns for n, columns in self.unresolved.items() if n in now},
            {now[n]: noted for n, noted in self.misfits.items() if n in now},
            {now[n]: noted for n, noted in self.derived.items() if n in now},
        )


class RecordConverter:
    """Converts the records of all entities. It holds lookups, joined sources and column types."""

    def __init__(self, intake: Intake, *, zone: ZoneInfo, as_of: datetime) -> None:
        self._intake, self._mapping, self.zone, self._as_of = intake, intake.mapping, zone, as_of
        tables = {
            name: _lookup_table(rowfile.read(intake.folder, file))
            for name, file in intake.survey.lookups.items()
        }
        self._lookups = Lookups(tables, self._read_joined())
        self._columns = {
            name: self._of_entity(name, e, e.columns) for name, e in self._mapping.entities.items()
        }
        # A field that a rule reads for a new row is converted like any other.
        self._of_new = {
            name: self._of_entity(name, e, _read_for_new(e))
            for name, e in self._mapping.entities.items()
        }
        self._gathered: dict[str, Gathered] = {}

    def _of_entity(
        self, name: str, entity: Entity, specs: Mapping[str, ColumnSpec]
    ) -> dict[str, ColumnConverter]:
        holds = {column.name: column for column in self._intake.survey.columns.get(name, ())}
        fields = self._mapping.sources[entity.source].fields
        types = {field: spec.type for field, spec in fields.items()}
        return {
            column: ColumnConverter(
                spec, types, holds.get(column), self._lookups, self.zone, self._as_of
            )
            for column, spec in specs.items()
        }

    def convert(self, entity: str, records: Records, known: Resolver) -> Converted:
        """The values of ``records``; one that does not fit is None, and noted with its reason."""
        converted = Converted()
        spec, gathered = self._mapping.entities[entity], self._gathered_of(entity, records)
        for name, column in self._columns[entity].items():
            source = column.spec.gather
            if source:
                converted.add(name, column.of_cards(gathered[source]))
            else:
                converted.add(name, column.of_records(records, known))
        # Last, because it compares two converted columns.
        _refuse_too_early(spec.columns, converted, self.zone)
        return converted

    def _gathered_of(self, entity: str, records: Records) -> dict[str, list[list[Detail]]]:
        """Source -> the records of it that belong to each of ``records``."""
        sources = self._mapping.entities[entity].gathered()
        owners = records.ids() if sources else []
        for source in sources:
            if source not in self._gathered:
                self._gathered[source] = Gathered.read(self._intake, source)
        return {source: self._gathered[source].of(owners) for source in sources}

    def gathered_from(self, source: str) -> Iterator[tuple[list[str], list[Id], list[bool]]]:
        """Of records of a gathered source: ids, their owners' ids, whether they hold nothing.

        A record holds nothing if no card uses any of its values.
        """
        gathering = [
            column
            for entity in self._mapping.entities.values()
            for column in entity.columns.values()
            if column.gather == source
        ]
        link = self._mapping.sources[source].links[0].field
        for records in self._intake.pages(source):
            entries = zip(*(_entries(column, records) for column in gathering), strict=True)
            holds_nothing = [not any(of_cards) for of_cards in entries]
            yield records[KEY], records.ids(link), holds_nothing

    def new_value(
        self, place: tuple[str, str], spec: DefaultRule, text: str, row: Mapping[str, Any]
    ) -> Partial:
        """The value that a named rule gives a new row; ``text`` is that of the field it reads.

        ``place`` are the entity and the column.
        """
        as_of = convert.as_text(self._as_of)
        if spec.rule == "as_of":
            return Partial(as_of)
        if spec.rule == "from":
            entity, column = place
            records = Records({spec.source_field: [text]})
            (default,) = self._of_new[entity][column].of_records(records, {})
            if default.value:
                return Partial(default.value, derived=default.derived)
            why = "; ".join(default.misfits) or f"no {spec.source_field}"
            return Partial(as_of, derived=(f"{why}: the time of the plan is used",))
        value = row.get(spec.column)
        if spec.rule == "sent_if":
            return Partial(spec.past if value else spec.future)
        # Nothing says that it is over: a person may know.
        untold = () if value else (f"no {spec.column}: taken as still to come",)
        return Partial(spec.past if self.is_over(value) else spec.future, derived=untold)

    def is_over(self, value: str | None) -> bool:
        """Whether an instant, or a date on the clinic's calendar, is before ``as_of``."""
        return convert.is_over(value, self._as_of, self.zone)

    def _read_joined(self) -> dict[tuple[str, str], dict[Id, str]]:
        """(source, field) -> id -> value, for lookups through another source."""
        steps = {
            (step.through, step.take)
            for entity in self._mapping.entities.values()
            for column in entity.columns.values()
            for step in column.lookup
            if step.through
        }
        return {(source, take): self._joined(source, take) for source, take in steps}

    def _joined(self, source: str, take: str) -> dict[Id, str]:
        return {
            record_id: value
            for records in self._intake.pages(source, take)
            for record_id, value in zip(records.ids(), records[take], strict=True)
        }

    def release(self) -> None:
        """Give up the gathered records; they are read again if they are asked for again."""
        self._gathered.clear()


def _read_for_new(entity: Entity) -> dict[str, ColumnSpec]:
    """The columns that a new row gets from a field, by a rule."""
    rules = {n: r for n, r in entity.new.items() if isinstance(r, DefaultRule) and r.source_field}
    return {
        name: ColumnSpec.model_validate({"from": rule.source_field, "convert": rule.convert})
        for name, rule in rules.items()
    }


def _lookup_table(rows: Iterable[tuple[str | None, ...]]) -> dict[str, list[str]]:
    """Folded value -> the ids of the rows that have it."""
    table: dict[str, list[str]] = {}
    for key, value in rows:
        if key and value:
            table.setdefault(ids.looked_up(value), []).append(key)
    table.pop("", None)  # a value of blanks only must not match an empty field
    return table


def _entries(column: ColumnSpec, records: Records) -> Iterator[object]:
    """The entry that a card takes from each contact-detail record; None if it takes nothing."""
    entry, fields = column.converter.entry, [*column.with_.values()]
    for texts in records.rows(fields):
        try:
            yield entry(column.detail(dict(zip(fields, texts, strict=True)))) if entry else None
        except ConversionError:
            yield None


def _refuse_too_early(
    columns: Mapping[str, ColumnSpec], converted: Converted, zone: ZoneInfo
) -> None:
    """Note a value as a misfit if it is before the value that it must follow."""
    for name, column in columns.items():
        if column.not_before not in converted.values:
            continue
        values = converted.values[name]
        both = zip(values, converted.values[column.not_before], strict=True)
        early = [n for n, (v, o) in enumerate(both) if v and o and convert.is_before(v, o, zone)]
        for number in early:
            converted.misfits[number].append((name, f"before {column.not_before}"))
            values[number] = None
            if number in converted.derived:  # what was derived is not stored
                noted = converted.derived[number]
                converted.derived[number] = [one for one in noted if one[0] != name]
