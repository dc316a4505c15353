"""Plans one entity: its records are converted, matched with rows, and merged into them.

Then, with all entities known, ``decide`` says what is purged. Each step gives a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nexus_reimport import ids
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdMap, Intake, Record, stored_id
from nexus_reimport.mapping import DefaultRule, Entity, OverrideRule
from nexus_reimport.model import Pointer
from nexus_reimport.planning import matching
from nexus_reimport.planning.feed import Converted, RecordConverter, Resolver
from nexus_reimport.planning.matching import Matches, in_order
from nexus_reimport.planning.merge import Merger, Row
from nexus_reimport.settings import Cause, EntityDecisions

STAYS, EMPTY, DERIVED = "Nexus's value stays", "empty", "derived"
Misfit = tuple[str, str, str, str]  # column, reason, FileMaker id, what became of it
Override = tuple[str, str, str]  # Nexus id, column, why


@dataclass(frozen=True, slots=True)
class ConvertedRecords:
    """The records of an entity: those that a rule leaves out, and the values of the others."""

    fed: Mapping[Id, tuple[Record, Converted]]  # FileMaker id -> its fields, its values
    left_out: Mapping[Id, str]  # FileMaker id -> rule
    held: Mapping[str, int]  # column -> number of values that FileMaker holds


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows that FileMaker brings, and the rows of Nexus that no record matches."""

    name: str
    spec: Entity
    key: str
    decisions: EntityDecisions
    before: Mapping[str, Row]  # Nexus id -> row, as it was
    converted: ConvertedRecords
    matches: Matches
    ids: Mapping[Id, str]  # FileMaker id -> Nexus id
    new: frozenset[Id]  # FileMaker ids of rows that did not exist before
    brought: Mapping[str, Row]  # Nexus id -> row, as FileMaker brings it
    unmatched: Mapping[str, tuple[Cause, Id]]  # Nexus id -> why, and its FileMaker id
    misfits: tuple[Misfit, ...]
    overridden: Mapping[str, int]  # rule -> rows
    overrides: tuple[Override, ...]
    merger: Merger

    def resolvable(self, pointed_at: frozenset[str]) -> dict[Id, str]:
        """FileMaker id -> Nexus id of every row that will exist after the run."""
        kept = {
            self.unmatched[key][1]: key
            for key in sorted(self.unmatched)
            if self.unmatched[key][1] and self._stays(key, pointed_at)
        }
        # FileMaker's own pairs come last: they win over what a kept row carries.
        return {**kept, **self.ids}

    def _stays(self, key: str, pointed_at: frozenset[str]) -> bool:
        cause, _ = self.unmatched[key]
        return self.decisions.of(cause) != "purge" or key in pointed_at


@dataclass(frozen=True, slots=True)
class Decided:
    """An entity after the run: the rows that FileMaker brings, and the rows that are kept."""

    merged: Merged
    purged: frozenset[str]
    referenced: frozenset[str]  # to be purged, but a row that stays points at them
    rows: Mapping[str, Row]  # Nexus id -> row
    by_hand: tuple[Override, ...] = ()

    @property
    def overrides(self) -> list[Override]:
        """The changes that do not come from FileMaker, but from a named rule or a person."""
        return sorted([*self.merged.overrides, *self.by_hand])

    def id_map(self) -> dict[str, str]:
        """FileMaker id (as FileMaker writes it) -> Nexus id, for the next run."""
        paired = self.merged.ids
        kept = {
            filemaker_id.written: key
            for key, (_, filemaker_id) in self.merged.unmatched.items()
            if filemaker_id and key not in self.purged and filemaker_id not in paired
        }
        return {**kept, **{record_id.written: key for record_id, key in paired.items()}}


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
        self._before: dict[str, Row] = {row[self._key] or "": row for row in intake.rows(name)}
        self._merger = Merger(self._spec, decisions.when_different, json)
        self._misfits: list[Misfit] = []
        for row in self._before.values():
            self._merger.count_before(row)

    def merge(self, known: Resolver, loaded: IdMap) -> Merged:
        """Convert, match and merge.

        ``known`` has the rows of the entities before this one; ``loaded`` is the id map.
        """
        converted = self._convert(known)
        matches = matching.match(
            self._name,
            self._spec,
            {filemaker_id: fed.values for filemaker_id, (_, fed) in converted.fed.items()},
            self._before,
            loaded,
            self._intake.mapping.namespace,
        )
        keys = {**matches.pairs, **self._new_ids(converted, matches)}
        brought: dict[str, Row] = {}
        for filemaker_id in in_order(converted.fed):
            record, fed = converted.fed[filemaker_id]
            key = matches.pairs.get(filemaker_id)
            row = (
                self._new_row(keys[filemaker_id], record, fed.values)
                if key is None
                else self._merger.merge(key, self._before[key], fed.values, existed=True)
            )
            self._note_misfits(filemaker_id, fed, row)
            brought[keys[filemaker_id]] = row
        overridden, overrides = self._override(brought)
        return Merged(
            name=self._name,
            spec=self._spec,
            key=self._key,
            decisions=self._decisions,
            before=self._before,
            converted=converted,
            matches=matches,
            ids=keys,
            new=frozenset(keys.keys() - matches.pairs.keys()),
            brought=brought,
            unmatched=dict(self._unmatched(brought, converted, loaded)),
            misfits=tuple(sorted(self._misfits)),
            overridden=overridden,
            overrides=tuple(overrides),
            merger=self._merger,
        )

    def _convert(self, known: Resolver) -> ConvertedRecords:
        fed: dict[Id, tuple[Record, Converted]] = {}
        left_out: dict[Id, str] = {}
        held: Counter[str] = Counter()
        for record in self._intake.records(self._spec.source):
            # By its own fields first: the misfits of a record that is left out do not count.
            rule = _record_rule(self._spec, record)
            values = None if rule else self._converter.convert(self._name, record, known)
            rule = rule or _fed_rule(self._spec, values)
            if rule or values is None:
                left_out[record.id] = rule
                continue
            held.update(values.held)
            fed[record.id] = (record, values)
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

    def _new_row(self, key: str, record: Record, values: dict[str, Any]) -> Row:
        survey = self._intake.survey
        # Nexus's own tables have no column defaults, so the plan gives each column its value.
        row: Row = {c.name: None for c in survey.columns[self._name] if not c.generated}
        fixed = {n: v for n, v in self._spec.new.items() if isinstance(v, str)}
        row = {**row, **survey.defaults.get(self._name, {}), **fixed, self._key: key}
        row = self._merger.merge(key, row, values, existed=False)
        for name, rule in self._spec.new.items():
            if isinstance(rule, DefaultRule) and not row.get(name):
                default = self._converter.new_value(rule, record, row)
                row[name] = default.value
                self._misfits += [(name, w, record.id.written, DERIVED) for w in default.derived]
        return row

    def _note_misfits(self, filemaker_id: Id, fed: Converted, row: Row) -> None:
        """Note the values that did not fit, and what the column holds instead."""
        for column, reason in fed.misfits:
            card_part = self._spec.columns[column].converter.misfits_in
            part = f"{column}.{card_part}" if card_part else column
            became = STAYS if self._merger.holds(row, part) else EMPTY
            self._misfits.append((column, reason, filemaker_id.written, became))
        self._misfits += [
            (column, why, filemaker_id.written, DERIVED) for column, why in fed.derived
        ]

    def _override(self, brought: Mapping[str, Row]) -> tuple[Counter[str], list[Override]]:
        """Apply the named rules to the rows that FileMaker brings; their counts and changes."""
        counts: Counter[str] = Counter()
        overrides = []
        for rule in self._spec.overrides:
            applies = not rule.asks or self._decisions.past_scheduled == rule.becomes
            for key, row in brought.items():
                if row.get(rule.column) != rule.was or not self._applies(rule, row):
                    continue
                counts[rule.name] += 1
                if applies:
                    row[rule.column] = rule.becomes
                    if key in self._before:
                        overrides.append((key, rule.column, rule.name))
        return counts, overrides

    def _applies(self, rule: OverrideRule, row: Row) -> bool:
        if rule.filled:
            return bool(row.get(rule.filled))
        return self._converter.is_over(row.get(rule.past))

    def _unmatched(
        self, brought: Mapping[str, Row], converted: ConvertedRecords, loaded: IdMap
    ) -> Iterator[tuple[str, tuple[Cause, Id]]]:
        """Why FileMaker does not bring a row back: for each row that no record matches."""
        by_row = {nexus_id: filemaker_id for filemaker_id, nexus_id in loaded}
        place = self._spec.filemaker_id
        for key in self._before.keys() - brought.keys():
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


def decide(
    entities: Mapping[str, Merged],
    pointers: tuple[Pointer, ...],
    pointed_at: Mapping[str, frozenset[str]],
) -> dict[str, Decided]:
    """What is purged: as decided, except rows that a surviving row references, transitively.

    ``pointed_at`` are the rows that tables outside the reimport reference. Among the reimported
    tables, an appointment that stays keeps its patient, and so on, until no row is added.
    """
    wanted = {
        name: {k for k, (c, _) in merged.unmatched.items() if merged.decisions.of(c) == "purge"}
        for name, merged in entities.items()
    }
    purged = {name: ids - pointed_at[name] for name, ids in wanted.items()}
    by_table = {merged.spec.table: merged for merged in entities.values()}
    inner = [pointer for pointer in pointers if pointer.table in by_table]
    # Repeated until nothing changes: each row that is kept can reference further rows.
    grew = True
    while grew:
        grew = False
        for pointer in inner:
            source, target = by_table[pointer.table], entities[pointer.entity]
            staying = _staying(source, purged[source.name]).values()
            values = {_values(row, pointer.columns) for row in staying} - {None}
            going = purged[target.name]
            saved = {k for k in going if _values(target.before[k], pointer.to) in values}
            going -= saved
            grew = grew or bool(saved)
    return {
        name: Decided(
            merged=merged,
            purged=frozenset(purged[name]),
            referenced=frozenset(wanted[name] - purged[name]),
            rows=_staying(merged, purged[name]),
        )
        for name, merged in entities.items()
    }


def _staying(merged: Merged, purged: set[str]) -> dict[str, Row]:
    kept = {key: merged.before[key] for key in merged.unmatched if key not in purged}
    return {**merged.brought, **kept}


def _values(row: Row, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """The row's values of a foreign key; None if one is NULL: then the key points at nothing."""
    values = tuple(value for column in columns if (value := row.get(column)) is not None)
    return values if len(values) == len(columns) else None


def _record_rule(spec: Entity, record: Record) -> str:
    """The rule that leaves a record out by its id or its empty fields; ``""`` if none does."""
    return next(
        (
            rule.name
            for rule in spec.left_out
            if record.id in rule.named_ids
            or (rule.empty and not any(record[field].strip() for field in rule.empty))
        ),
        "",
    )


def _fed_rule(spec: Entity, values: Converted | None) -> str:
    """The rule that leaves a record out by its converted values; ``""`` if none does."""
    if values is None:
        return ""
    misfits = {column for column, _ in values.misfits}
    return next(
        (
            rule.name
            for rule in spec.left_out
            if rule.unresolved in values.unresolved or rule.misfit in misfits
        ),
        "",
    )
