"""Plans one entity: its records are converted, matched with rows, and merged into them.

Its rows and records are on the disk meanwhile (``spooled``), one of them in memory at a time; what
stays in memory when it is planned are ids of what FileMaker does not bring back, and sums.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from nexus_reimport import ids
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.files.spool import Spool
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdMap, Intake, Page, stored_id
from nexus_reimport.mapping import DefaultRule, Entity, OverrideRule
from nexus_reimport.model import ColumnFit, Misfits
from nexus_reimport.planning import matching, merge, misfits
from nexus_reimport.planning.column import Resolver
from nexus_reimport.planning.feed import Converted, RecordConverter
from nexus_reimport.planning.matching import Matches, in_order
from nexus_reimport.planning.merge import Merger, Row
from nexus_reimport.planning.misfits import DERIVED, EMPTY, STAYS, Misfit
from nexus_reimport.planning.spooled import ConvertedRecord, SpooledRecords, SpooledRows
from nexus_reimport.settings import Cause, EntityDecisions

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
    owners: Mapping[Id, str]  # FileMaker id -> Nexus id of what it brings, if records are gathered
    ambiguous: tuple[str, ...]
    misfits: tuple[Misfits, ...]
    fits: tuple[ColumnFit, ...]
    overridden: Mapping[str, int]  # rule -> rows
    overrides: tuple[Override, ...]
    merger: Merger


class EntityPlanner:
    """Converts, matches and merges one entity."""

    def __init__(
        self, name: str, intake: Intake, decisions: EntityDecisions, converter: RecordConverter
    ) -> None:
        self._name, self._intake, self._converter = name, intake, converter
        self._spec, self._decisions = intake.mapping.entities[name], decisions
        self._key = intake.survey.keys[name]
        columns = intake.survey.columns[name]
        json = {c.name for c in columns if c.type in ("jsonb", "json")}
        self._merger = Merger(self._spec, decisions.when_different, json)
        # Nexus's own tables have no column defaults, so the plan gives each column its value.
        self._new: Row = {
            **{column.name: None for column in columns if not column.generated},
            **intake.survey.defaults.get(name, {}),
            **{n: value for n, value in self._spec.new.items() if isinstance(value, str)},
        }
        self._rules = {n: r for n, r in self._spec.new.items() if isinstance(r, DefaultRule)}
        self._misfits: list[Misfit] = []
        self._differences: Spool[list[tuple[str, ...]]] = Spool(intake.folder)
        self._differing: list[tuple[str, int]] = []  # FileMaker id, number of its differences
        self._overridden: Counter[str] = Counter()
        self._overrides: list[Override] = []
        self._before = self._read_rows()

    def _read_rows(self) -> SpooledRows:
        """The rows before the run, their values counted."""
        file = self._intake.survey.rows[self._name]
        at = file.columns.index(self._key)
        rows = SpooledRows.of(file.columns, self._intake.folder)
        for values in rowfile.read(self._intake.folder, file):
            rows.add(values[at] or "", values)
            self._merger.count_before(dict(zip(file.columns, values, strict=True)))
        return rows

    def merge(
        self, known: Resolver, loaded: IdMap, pointed_at: frozenset[str], lists: Lists
    ) -> tuple[Merged, dict[Id, str]]:
        """Convert, match and merge; the rows are written as they are made.

        Gives also FileMaker id -> Nexus id of every row that will exist after the run.

        ``known`` has the rows of the entities before this one; ``loaded`` is the id map;
        ``pointed_at`` are the rows that tables outside the reimport reference.
        """
        converted = self._convert(known)
        matches = matching.match(
            self._name,
            self._spec,
            converted.fed,
            self._before,
            loaded,
            self._intake.mapping.namespace,
        )
        keys = {**matches.pairs, **self._new_ids(converted, matches)}
        brought = set(keys.values())
        unmatched = dict(self._unmatched(brought, converted, loaded))
        going = {
            key
            for key, (cause, _) in unmatched.items()
            if self._decisions.of(cause) == "purge" and key not in pointed_at
        }
        rows = heapq.merge(
            self._merge(keys, converted.fed, matches),
            ((key, self._before[key]) for key in sorted(unmatched.keys() - going)),
            key=lambda pair: pair[0],
        )
        # A row file has at least one column, also if the entity has no row.
        columns = self._before.columns if brought or len(unmatched) > len(going) else (self._key,)
        file = write_rows(self._path, columns, (row for _, row in rows), self._merger)
        self._write_lists(lists)
        merged = Merged(
            name=self._name,
            spec=self._spec,
            key=self._key,
            decisions=self._decisions,
            rows=file,
            before=len(self._before),
            candidates=self._before.only(going),
            unmatched=unmatched,
            unpaired={key: i for key, (_, i) in unmatched.items() if i and i not in keys},
            left_out=self._left_out(converted),
            paired=self._paired(keys, matches),
            left_out_by=Counter(converted.left_out.values()),
            matched_by=dict(matches.by_rule),
            new=len(keys) - len(matches.pairs),
            owners=keys if self._spec.gathered() else {},
            ambiguous=tuple(i.written for i in in_order(matches.ambiguous)),
            misfits=tuple(misfits.sums(self._misfits)),
            fits=tuple(misfits.fits(self._spec, converted.held, self._misfits)),
            overridden=self._overridden,
            overrides=tuple(self._overrides),
            merger=self._merger,
        )
        return merged, _resolvable(keys, unmatched, going)

    @property
    def _path(self) -> Path:
        return self._intake.folder / f"plan_{self._name}.parquet"

    def _convert(self, known: Resolver) -> ConvertedRecords:
        fields = [rule.source_field for rule in self._rules.values() if rule.source_field]
        fed = SpooledRecords(self._spec.columns, fields, self._intake.folder)
        left_out: dict[Id, str] = {}
        held: Counter[str] = Counter()
        for page in self._intake.pages(self._spec.source):
            # By its own fields first: the misfits of a record that is left out do not count.
            rules = _rules_of_fields(self._spec, page)
            left_out.update((i, rules[n]) for n, i in enumerate(page.ids()) if n in rules)
            records = page.without(rules)
            if not records.count:
                continue
            converted = self._converter.convert(self._name, records, known)
            rules = _rules_of_values(self._spec, converted)
            left_out.update((i, rules[n]) for n, i in enumerate(records.ids()) if n in rules)
            records, converted = records.without(rules), converted.without(rules)
            held.update({name: sum(counts) for name, counts in converted.held.items()})
            fed.add(records, converted)
        return ConvertedRecords(fed, left_out, held)

    def _new_ids(self, converted: ConvertedRecords, matches: Matches) -> dict[Id, str]:
        """A key for each record that matches no row.

        If keys are whole numbers: the next free ones, in the order of FileMaker's ids. Else a
        version-5 UUID, which is the same in every run and every environment: new random ids on
        every reimport once orphaned 10,190 documents.
        """
        new = in_order(converted.fed.keys() - matches.pairs.keys())
        first, _ = self._intake.survey.next_keys.get(self._name, (None, None))
        if first is not None:
            return {filemaker_id: str(first + n) for n, filemaker_id in enumerate(new)}
        namespace = self._intake.mapping.namespace
        return {i: matching.derived_id(namespace, self._name, i) for i in new}

    def _merge(
        self, keys: Mapping[Id, str], fed: SpooledRecords, matches: Matches
    ) -> Iterator[tuple[str, Row]]:
        """The rows that FileMaker brings, by their ids and in the order of these."""
        pairs = sorted(keys.items(), key=lambda pair: (pair[1], pair[0].written))
        records = zip(pairs, fed.converted([record_id for record_id, _ in pairs]), strict=True)
        for key, several in groupby(records, key=lambda record: record[0][1]):
            row: Row = {}
            # Two records of one row are a fault that a check stops; the last one is shown.
            for (record_id, _), converted in several:
                row = self._merged_row(
                    key, record_id, converted, existed=record_id in matches.pairs
                )
            self._override(key, row)
            yield key, row

    def _merged_row(
        self, key: str, record_id: Id, converted: ConvertedRecord, *, existed: bool
    ) -> Row:
        if existed:
            row = self._merger.merge(key, self._before[key], converted.values, existed=True)
        else:
            row = self._new_row(key, record_id, converted)
        self._note_misfits(record_id, converted, row)
        if differing := self._merger.differences:
            lines = [(k, c, merge.as_text(was), merge.as_text(new)) for k, c, was, new in differing]
            self._differing.append((record_id.written, self._differences.add([*lines])))
            differing.clear()
        return row

    def _new_row(self, key: str, record_id: Id, converted: ConvertedRecord) -> Row:
        row = {**self._new, self._key: key}
        row = self._merger.merge(key, row, converted.values, existed=False)
        for name, rule in self._rules.items():
            if not row.get(name):
                text = converted.fields.get(rule.source_field, "")
                default = self._converter.new_value(rule, text, row)
                row[name] = default.value
                self._misfits += [(name, w, record_id.written, DERIVED) for w in default.derived]
        return row

    def _note_misfits(self, filemaker_id: Id, fed: ConvertedRecord, row: Row) -> None:
        """Note the values that did not fit, and what the column holds instead."""
        for column, reason in fed.misfits:
            card_part = self._spec.columns[column].converter.misfits_in
            part = f"{column}.{card_part}" if card_part else column
            became = STAYS if self._merger.holds(row, part) else EMPTY
            self._misfits.append((column, reason, filemaker_id.written, became))
        self._misfits += [
            (column, why, filemaker_id.written, DERIVED) for column, why in fed.derived
        ]

    def _override(self, key: str, row: Row) -> None:
        """Apply the named rules to a row that FileMaker brings, and count it."""
        for rule in self._spec.overrides:
            if row.get(rule.column) != rule.was or not self._applies(rule, row):
                continue
            self._overridden[rule.name] += 1
            if not rule.asks or self._decisions.past_scheduled == rule.becomes:
                row[rule.column] = rule.becomes
                if key in self._before:
                    self._overrides.append((key, rule.column, rule.name))

    def _applies(self, rule: OverrideRule, row: Row) -> bool:
        if rule.filled:
            return bool(row.get(rule.filled))
        return self._converter.is_over(row.get(rule.past))

    def _unmatched(
        self, brought: set[str], converted: ConvertedRecords, loaded: IdMap
    ) -> Iterator[tuple[str, tuple[Cause, Id]]]:
        """Why FileMaker does not bring a row back: for each row that no record matches."""
        missing = self._before.keys() - brought
        by_row = {nexus_id: i for i, nexus_id in loaded if nexus_id in missing}
        place = self._spec.filemaker_id
        for key in sorted(missing):
            stored = stored_id(self._before[key], place) if place else ids.NONE
            # Notes carry no id of FileMaker's: what the last run noted stands for it.
            filemaker_id = stored or by_row.get(key, ids.NONE)
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
        for record_id in in_order(converted.left_out):
            spool.add((record_id.written, converted.left_out[record_id]))
        return spool

    def _paired(self, keys: Mapping[Id, str], matches: Matches) -> Spool[tuple[str, str, bool]]:
        spool: Spool[tuple[str, str, bool]] = Spool(self._intake.folder)
        for record_id in in_order(keys):
            spool.add((record_id.written, keys[record_id], record_id not in matches.pairs))
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


def _resolvable(
    keys: Mapping[Id, str], unmatched: Mapping[str, tuple[Cause, Id]], going: set[str]
) -> dict[Id, str]:
    """``keys``, with the rows besides that stay whatever is decided about others."""
    kept = {unmatched[k][1]: k for k in sorted(unmatched) if unmatched[k][1] and k not in going}
    # FileMaker's own pairs come last: they win over what a kept row carries.
    return {**kept, **keys}


def _rules_of_fields(spec: Entity, records: Page) -> dict[int, str]:
    """Number of a record -> the rule that leaves it out by its id or its empty fields."""
    rules: dict[int, str] = {}
    for rule in reversed(spec.left_out):  # the first that applies counts
        if rule.named_ids:
            rules |= {n: rule.name for n, i in enumerate(records.ids()) if i in rule.named_ids}
        elif rule.empty:
            texts = enumerate(records.rows(rule.empty))
            rules |= {n: rule.name for n, several in texts if not any(map(str.strip, several))}
    return rules


def _rules_of_values(spec: Entity, converted: Converted) -> dict[int, str]:
    """Number of a record -> the rule that leaves it out by its converted values."""
    rules: dict[int, str] = {}
    for rule in reversed(spec.left_out):
        unresolved, misfits = converted.unresolved.items(), converted.misfits.items()
        rules |= {n: rule.name for n, columns in unresolved if rule.unresolved in columns}
        rules |= {n: rule.name for n, several in misfits if rule.misfit in dict(several)}
    return rules
