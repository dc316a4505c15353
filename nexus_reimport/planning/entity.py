"""Plans one entity: its records are converted, matched with rows, and merged into them.

Its rows and records are on the disk meanwhile (``spooled``), one of them in memory at a time; what
stays in memory when it is planned are sums, ids of what FileMaker does not bring back, and the
lines of two lists: values that did not fit, and values that a rule or a hand has set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nexus_reimport import convert
from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.files.spool import Spool
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdPairs, Intake, Records, ids_of
from nexus_reimport.mapping import DefaultRule, Entity, ExclusionRule, OverrideRule
from nexus_reimport.model import ColumnFit, Misfits
from nexus_reimport.planning import matching, merge, misfits, without_time
from nexus_reimport.planning.column import Resolver
from nexus_reimport.planning.feed import Converted, RecordConverter
from nexus_reimport.planning.matching import Matches
from nexus_reimport.planning.merge import Merger, Row
from nexus_reimport.planning.misfits import (
    BESIDE,
    BLOCKED,
    DERIVED,
    EMPTY,
    OTHER_PARTS,
    STAYS,
    Misfit,
)
from nexus_reimport.planning.rows_before import RowsBefore
from nexus_reimport.planning.spooled import ConvertedRecord, SpooledRecords, SpooledRows
from nexus_reimport.planning.unsaid import Unsaid
from nexus_reimport.settings import Cause, EntityDecisions

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

Override = tuple[str, str, str]  # Nexus id, column, why


@dataclass(frozen=True, slots=True)
class Lists:
    """The row files to which each entity adds its lines."""

    misfits: rowfile.Writer
    differences: rowfile.Writer


@dataclass(frozen=True, slots=True)
class ConvertedRecords:
    """The records of an entity: those that a rule leaves out, and the values of the others."""

    fed: SpooledRecords
    left_out: Mapping[Id, str]  # FileMaker id -> rule
    held: Mapping[str, int]  # column -> number of values that FileMaker holds


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows that FileMaker brings, and the rows of Nexus that no record matches."""

    name: str
    spec: Entity
    key: str
    decisions: EntityDecisions
    rows: RowFile  # in the order of their ids; without those of ``candidates``
    before: int  # rows
    candidates: SpooledRows  # rows that are purged unless a row that stays references them
    unmatched: Mapping[str, tuple[Cause, Id]]  # Nexus id -> why, and its FileMaker id
    unpaired: Mapping[str, Id]  # Nexus id -> its FileMaker id, if no other row is brought by that
    left_out: Spool[tuple[str, str]]  # FileMaker id, rule
    paired: Spool[tuple[str, str, bool]]  # FileMaker id, Nexus id, whether it did not exist before
    left_out_by: Mapping[str, int]  # rule -> records
    matched_by: Mapping[str, int]  # rule -> records
    new: int  # rows that did not exist before
    owners: IdPairs  # what FileMaker brings, if records are gathered for it
    ambiguous: tuple[str, ...]
    misfits: tuple[Misfits, ...]
    fits: tuple[ColumnFit, ...]
    overridden: Mapping[str, int]  # rule -> rows
    changed_by: Mapping[str, int]  # the same, of rows in which nothing else changes the value
    overrides: tuple[Override, ...]
    merger: Merger


class _Whose(NamedTuple):
    """The FileMaker id of each row, null if it has none."""

    written: Column
    compared: Column

    def among(self, left_out: Iterable[Id]) -> list[int]:
        """The numbers of the rows of records that are left out: they are of no other record."""
        return columns.numbers_among(self.compared, columns.of(one.compared for one in left_out))


class _Brought(NamedTuple):
    """A record of FileMaker, and the id of the row that it brings."""

    number: int
    key: str
    written: str  # its own id
    converted: ConvertedRecord


class EntityPlanner:
    """Converts, matches and merges one entity."""

    def __init__(
        self, name: str, intake: Intake, decisions: EntityDecisions, converter: RecordConverter
    ) -> None:
        self._name, self._intake, self._converter = name, intake, converter
        self._spec, self._decisions = intake.mapping.entities[name], decisions
        self._key = intake.survey.keys[name]
        columns = intake.survey.columns[name]
        json = {c.name for c in columns if c.is_json}
        fields = intake.mapping.sources[self._spec.source].fields
        numbers = {field for field, spec in fields.items() if spec.type == "number"}
        self._merger = Merger(self._spec, decisions.when_different, json, numbers)
        # Nexus's own tables have no column defaults, so the plan gives each column its value.
        self._new: Row = {
            **{column.name: None for column in columns if not column.generated},
            **intake.survey.defaults.get(name, {}),
            **{n: value for n, value in self._spec.new.items() if isinstance(value, str)},
        }
        takes = self._merger.takes_filemakers
        self._unsaid = Unsaid.of(self._spec, converter.zone, takes)
        # Column -> the one whose value must not be later.
        self._bounded = {n: c.not_before for n, c in self._spec.columns.items() if c.not_before}
        self._rules = {n: r for n, r in self._spec.new.items() if isinstance(r, DefaultRule)}
        self._misfits: list[Misfit] = []
        self._differences: Spool[list[tuple[str, ...]]] = Spool(intake.folder)
        self._differing: list[tuple[str, int]] = []  # FileMaker id, number of its differences
        self._undecided: Mapping[int, str] = {}  # a new row's record -> column: another may be its
        self._overridden: Counter[str] = Counter()
        self._changed_by: Counter[str] = Counter()
        self._overrides: list[Override] = []
        self._before = RowsBefore(intake, name)
        self._going = SpooledRows.of(self._before.columns, intake.folder)

    def merge(
        self, known: Resolver, loaded: IdPairs, pointed_at: frozenset[str], lists: Lists
    ) -> tuple[Merged, IdPairs]:
        """Convert, match and merge; the rows are written as they are made.

        Gives also FileMaker id and Nexus id of every row that will exist after the run.

        ``known`` has the rows of the entities before this one; ``loaded`` is the id map;
        ``pointed_at`` are the rows that tables outside the reimport reference.
        """
        converted = self._convert(known)
        records, before = converted.fed, self._before
        whose = self._whose(loaded)
        matches = matching.match(
            self._name,
            self._spec,
            (records, before),
            loaded,
            self._intake.mapping.namespace,
            whose.among(converted.left_out),
        )
        is_first, zone = not len(loaded.keys), self._converter.zone
        self._undecided = without_time.pair(
            self._spec, (records, before), matches, zone, is_first=is_first
        )
        keys = self._keys(records, matches)
        brought = IdPairs(records.written, records.compared, keys)
        unmatched = dict(self._unmatched(matches, converted, whose.written))
        going = {
            key
            for key, (cause, _) in unmatched.items()
            if self._decisions.of(cause) == "purge" and key not in pointed_at
        }
        # A row file has at least one column, also if the entity has no row.
        stays = len(records) or len(unmatched) > len(going)
        columns = before.columns if stays else (self._key,)
        rows = self._rows(brought, matches, records, going)
        file = write_rows(self._path, columns, rows, self._merger)
        self._write_lists(lists)
        in_filemaker = brought.find(i for _, i in unmatched.values())
        merged = Merged(
            name=self._name,
            spec=self._spec,
            key=self._key,
            decisions=self._decisions,
            rows=file,
            before=len(before),
            candidates=self._going,
            unmatched=unmatched,
            unpaired={
                key: i
                for (key, (_, i)), row in zip(unmatched.items(), in_filemaker, strict=True)
                if i and row is None
            },
            left_out=self._left_out(converted),
            paired=self._paired(brought, matches),
            left_out_by=Counter(converted.left_out.values()),
            matched_by=dict(matches.by_rule),
            new=len(matches.records),
            owners=brought if self._spec.gathered() else IdPairs.of(()),
            ambiguous=matches.ambiguous,
            misfits=tuple(misfits.sums(self._misfits)),
            fits=tuple(misfits.fits(self._spec, converted.held, self._misfits)),
            overridden=self._overridden,
            changed_by=self._changed_by,
            overrides=tuple(self._overrides),
            merger=self._merger,
        )
        # FileMaker's own pairs come first: they win over what a kept row carries.
        kept = ((i, key) for key, (_, i) in reversed(unmatched.items()) if i and key not in going)
        return merged, brought.and_then(IdPairs.of(kept))

    @property
    def _path(self) -> Path:
        return self._intake.folder / f"plan_{self._name}.parquet"

    def _convert(self, known: Resolver) -> ConvertedRecords:
        fields = [rule.source_field for rule in self._rules.values() if rule.source_field]
        fed = SpooledRecords(self._spec.columns, fields, self._intake.folder)
        left_out: dict[Id, str] = {}
        held: Counter[str] = Counter()
        # The first rule that applies counts. Those before one that looks at values need none.
        rules = self._spec.left_out
        first = [*takewhile(lambda rule: not (rule.unresolved or rule.misfit), rules)]
        for page in self._intake.pages(self._spec.source):
            # The misfits of a record that is left out do not count.
            those = _rules_of(first, page, Converted())
            left_out.update(zip(page.only(those).ids(), those.values(), strict=True))
            records = page.without(those)
            if not records.count:
                continue
            converted = self._converter.convert(self._name, records, known)
            those = _rules_of(rules[len(first) :], records, converted)
            left_out.update(zip(records.only(those).ids(), those.values(), strict=True))
            records, converted = records.without(those), converted.without(those)
            held.update({name: sum(counts) for name, counts in converted.held.items()})
            fed.add(records, converted)
        return ConvertedRecords(fed, left_out, held)

    def _whose(self, loaded: IdPairs) -> _Whose:
        """Whose each row is. Notes carry no id of FileMaker's: what the last run noted stands for
        it, if no other row carries that id by now.
        """
        before = self._before
        noted, compared = (
            columns.last(before.ids(), loaded.keys, one)
            for one in (loaded.written, loaded.compared)
        )
        carried = columns.among(compared, before.compared)
        return _Whose(
            columns.first(before.written, columns.unless_any(noted, [carried])),
            columns.first(before.compared, columns.unless_any(compared, [carried])),
        )

    def _keys(self, records: SpooledRecords, matches: Matches) -> Column:
        """Of each record the id of its row: of a new row, if they are whole numbers, the next free
        one in the order of FileMaker's ids.

        Else a version-5 UUID, which is the same in every run and every environment: new random ids
        on every reimport once orphaned 10,190 documents.
        """
        new: list[str | None] = [None] * len(records)
        first, _ = self._intake.survey.next_keys.get(self._name, (None, None))
        written = records.written
        free = columns.whole(matches.records)
        free = free[columns.ranks(columns.at(written, free))]
        spelt = columns.texts(columns.at(written, free))
        derived = self._derived(spelt) if first is None else map(str, count(first))
        for number, key in zip(free.tolist(), derived, strict=False):
            new[number] = key
        return columns.first(
            columns.at(self._before.ids(), columns.whole(matches.rows)), columns.of(new)
        )

    def _derived(self, written: Iterable[str]) -> list[str]:
        """The id of the new row of each FileMaker id; one that no row has."""
        namespace = self._intake.mapping.namespace
        derived = [matching.derived_id(namespace, self._name, one) for one in written]
        while taken := columns.numbers_among(columns.of(derived), self._before.ids()):
            for number in taken:
                derived[number] = matching.next_derived_id(self._name, derived[number])
        return derived

    def _rows(
        self, brought: IdPairs, matches: Matches, records: SpooledRecords, going: set[str]
    ) -> Iterator[Row]:
        """The rows after the run in the order of their ids; those that are ``going`` set aside."""
        before = iter(self._before)
        row = next(before, None)
        for key, several in groupby(self._records(brought, records), key=lambda one: one.key):
            while row is not None and (row[self._key] or "") < key:
                yield from self._unbrought(row, going)
                row = next(before, None)
            was = row if row is not None and row[self._key] == key else None
            if was is not None:
                self._merger.count_before(was)
            merged: Row = {}
            # Two records of one row are a fault that a check stops; the last one is shown.
            for one in several:
                existed = matches.rows[one.number] >= 0
                merged = self._merged_row(one, was if existed else None)
            yield merged
            row = next(before, None) if was is not None else row
        while row is not None:
            yield from self._unbrought(row, going)
            row = next(before, None)

    def _unbrought(self, row: Row, going: set[str]) -> Iterator[Row]:
        """A row that FileMaker does not bring, if it stays."""
        self._merger.count_before(row)
        key = row[self._key] or ""
        if key in going:
            self._going.add(key, tuple(row.values()))
        else:
            yield row

    @staticmethod
    def _records(brought: IdPairs, records: SpooledRecords) -> Iterator[_Brought]:
        """The records in the order of the rows that they bring."""
        order = columns.ranks(brought.keys, brought.written)
        numbers = order.tolist()
        yield from map(
            _Brought,
            numbers,
            columns.texts(columns.at(brought.keys, order)),
            columns.texts(columns.at(brought.written, order)),
            records.converted(numbers),
        )

    def _merged_row(self, one: _Brought, was: Row | None) -> Row:
        if was is not None:
            one = one._replace(converted=self._unsaid.settled(was, one.converted))
            row = self._merger.merge(one.key, was, one.converted.values, existed=True)
            self._note_too_early(one.written, was, row)
        else:
            row = self._new_row(one)
            if column := self._undecided.get(one.number):
                why = without_time.A_ROW_OF_THAT_DAY
                self._misfits.append((column, why, one.written, DERIVED))
        self._override(one.key, row, was)
        self._note_misfits(one.written, one.converted, row, existed=was is not None)
        self._misfits += [(name, BLOCKED, one.written, STAYS) for name in self._merger.blocked]
        self._merger.blocked.clear()
        if differing := self._merger.differences:
            lines = [(k, c, merge.as_text(was), merge.as_text(new)) for k, c, was, new in differing]
            self._differing.append((one.written, self._differences.add([*lines])))
            differing.clear()
        return row

    def _new_row(self, one: _Brought) -> Row:
        row = {**self._new, self._key: one.key}
        row = self._merger.merge(one.key, row, one.converted.values, existed=False)
        for name, rule in self._rules.items():
            if not row.get(name):
                text = one.converted.fields.get(rule.source_field, "")
                default = self._converter.new_value((self._name, name), rule, text, row)
                row[name] = default.value
                self._misfits += [(name, w, one.written, DERIVED) for w in default.derived]
        return row

    def _note_misfits(
        self, filemaker_id: str, fed: ConvertedRecord, row: Row, *, existed: bool
    ) -> None:
        """Note the values that did not fit, and what the column holds instead."""
        for column, reason in fed.misfits:
            spec = self._spec.columns[column]
            part = spec.converter.misfits_in.get(reason)
            holds = self._merger.holds(row, f"{column}.{part}" if part else column)
            has_other_parts = not spec.gather and fed.values[column] is not None
            stays = OTHER_PARTS if has_other_parts else STAYS if existed else EMPTY
            became = (BESIDE if spec.gather else stays) if holds else EMPTY
            # A new row has no value that could stay.
            is_default = became == EMPTY and holds
            why = f"{reason}: the default of a new row is used" if is_default else reason
            self._misfits.append((column, why, filemaker_id, became))
        self._misfits += [(column, why, filemaker_id, DERIVED) for column, why in fed.derived]

    def _note_too_early(self, filemaker_id: str, was: Row, row: Row) -> None:
        """Note where a value of Nexus that stays does not go with one of FileMaker's.

        FileMaker's own are compared with each other before: `feed`.
        """
        for name, other in self._bounded.items():
            before, after = (
                [self._merger.value(one, column) for column in (name, other)] for one in (was, row)
            )
            value, bound = after
            is_early = all(after) and convert.is_before(value, bound, self._converter.zone)
            if is_early and after != before:
                why = f"before {other}: one of the two is Nexus's value"
                self._misfits.append((name, why, filemaker_id, DERIVED))

    def _override(self, key: str, row: Row, was: Row | None) -> None:
        """Apply the named rules to a row that FileMaker brings, and count it.

        A value that Nexus has by the rule already is no difference, though FileMaker has another.
        """
        for rule in self._spec.overrides:
            if row.get(rule.column) != rule.was or not self._applies(rule, row):
                continue
            self._overridden[rule.name] += 1
            if not rule.asks or self._decisions.past_scheduled == rule.becomes:
                row[rule.column] = rule.becomes
                if was is None:
                    continue
                self._overrides.append((key, rule.column, rule.name))
                if was[rule.column] == rule.becomes:
                    self._merger.stays(rule.column)  # as FileMaker's value is not taken
                elif was[rule.column] == rule.was:  # else FileMaker's value is counted
                    self._changed_by[rule.name] += 1

    def _applies(self, rule: OverrideRule, row: Row) -> bool:
        if rule.filled:
            return bool(row.get(rule.filled))
        return self._converter.is_over(row.get(rule.past))

    def _unmatched(
        self, matches: Matches, converted: ConvertedRecords, whose: Column
    ) -> Iterator[tuple[str, tuple[Cause, Id]]]:
        """Why FileMaker does not bring a row back: each row that no record matches, in order."""
        free = columns.whole(number for number, is_free in enumerate(matches.free) if is_free)
        missing, written = (columns.at(one, free) for one in (self._before.ids(), whose))
        for key, filemaker_id in zip(
            columns.texts(missing), ids_of(columns.texts(written)), strict=True
        ):
            if not filemaker_id:
                cause = Cause.NO_FILEMAKER_ID
            elif filemaker_id in converted.left_out:
                cause = Cause.LEFT_OUT_BY_RULE
            else:
                cause = Cause.NOT_IN_FILEMAKER
            yield key, (cause, filemaker_id)

    def _write_lists(self, lists: Lists) -> None:
        """Misfits in their order; differences in the order of FileMaker's ids."""
        self._misfits.sort()
        for misfit in self._misfits:
            lists.misfits.add((self._name, *misfit))
        for _, number in sorted(self._differing):
            for line in self._differences[number]:
                lists.differences.add((self._name, *line))
        self._differences.close()

    def _left_out(self, converted: ConvertedRecords) -> Spool[tuple[str, str]]:
        spool: Spool[tuple[str, str]] = Spool(self._intake.folder)
        for record_id in sorted(converted.left_out, key=lambda record_id: record_id.written):
            spool.add((record_id.written, converted.left_out[record_id]))
        return spool

    def _paired(self, brought: IdPairs, matches: Matches) -> Spool[tuple[str, str, bool]]:
        spool: Spool[tuple[str, str, bool]] = Spool(self._intake.folder)
        order = columns.ranks(brought.written)
        written, keys = (
            columns.texts(columns.at(one, order)) for one in (brought.written, brought.keys)
        )
        for number, record_id, key in zip(order.tolist(), written, keys, strict=True):
            spool.add((record_id, key, matches.rows[number] < 0))
        return spool


def write_rows(
    path: Path, columns: tuple[str, ...], rows: Iterable[Row], merger: Merger
) -> RowFile:
    """The row file of the rows after the run; ``merger`` counts their values."""
    with rowfile.writer(path, columns) as out:
        for row in rows:
            merger.count_after(row)
            out.add([row[column] for column in columns])
    return out.done()


def _rules_of(
    rules: Sequence[ExclusionRule], records: Records, converted: Converted
) -> dict[int, str]:
    """Number of a record -> the first of ``rules`` that leaves it out."""
    named: dict[int, str] = {}
    unresolved, misfits = converted.unresolved.items(), converted.misfits.items()
    for rule in reversed(rules):
        if rule.named_ids:
            those = (n for n, i in enumerate(records.ids()) if i in rule.named_ids)
        elif rule.empty:
            texts = enumerate(records.rows(rule.empty))
            those = (n for n, several in texts if not any(map(str.strip, several)))
        elif rule.unresolved:
            those = (n for n, columns in unresolved if rule.unresolved in columns)
        else:
            those = (n for n, several in misfits if rule.misfit in dict(several))
        named |= dict.fromkeys(those, rule.name)
    return named
