"""One entity on its way through the plan: its records are converted, matched with rows, and merged.

Then, with all entities known, it is decided what is purged. Each step gives a value.
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
    """The records of an entity: those that a rule leaves out, and what the others feed."""

    fed: Mapping[Id, tuple[Record, Converted]]  # FileMaker id -> its fields, its values
    left_out: Mapping[Id, str]  # FileMaker id -> rule
    held: Mapping[str, int]  # column -> how many values FileMaker holds


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows that FileMaker brings, and the rows of Nexus that nothing was matched with."""

    name: str
    spec: Entity
    key: str
    decisions: EntityDecisions
    before: Mapping[str, Row]  # Nexus id -> row, as it was
    converted: ConvertedRecords
    matches: Matches
    ids: Mapping[Id, str]  # FileMaker id -> Nexus id
    new: frozenset[Id]  # FileMaker ids of rows that were not there
    brought: Mapping[str, Row]  # Nexus id -> row, as FileMaker brings it
    unmatched: Mapping[str, tuple[Cause, Id]]  # Nexus id -> why, and its FileMaker id
    misfits: tuple[Misfit, ...]
    overridden: Mapping[str, int]  # rule -> rows
    overrides: tuple[Override, ...]
    merger: Merger

    def resolvable(self, pointed_at: frozenset[str]) -> dict[Id, str]:
        """FileMaker id -> Nexus id of every row that will be there under it."""
        kept = {
            self.unmatched[key][1]: key
            for key in sorted(self.unmatched)
            if self.unmatched[key][1] and self._stays(key, pointed_at)
        }
        return {**kept, **self.ids}

    def _stays(self, key: str, pointed_at: frozenset[str]) -> bool:
        cause, _ = self.unmatched[key]
        return self.decisions.of(cause) != "purge" or key in pointed_at


@dataclass(frozen=True, slots=True)
class Decided:
    """An entity with all that will be there: what FileMaker brings, and what is kept beside it."""

    merged: Merged
    purged: frozenset[str]
    referenced: frozenset[str]  # would be purged, if nothing that stays pointed at them
    rows: Mapping[str, Row]  # Nexus id -> row
    by_hand: tuple[Override, ...] = ()

    @property
    def overrides(self) -> list[Override]:
        """What was changed beside FileMaker, by a named rule or by a person."""
        return sorted([*self.merged.overrides, *self.by_hand])

    def id_map(self) -> dict[str, str]:
        """FileMaker id, as FileMaker writes it -> Nexus id, for the next run."""
        paired = self.merged.ids
        kept = {
            filemaker_id.written: key
            for key, (_, filemaker_id) in self.merged.unmatched.items()
            if filemaker_id and key not in self.purged and filemaker_id not in paired
        }
        return {**kept, **{one.written: key for one, key in paired.items()}}


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
        """All steps. ``known`` resolves the entities before it, ``loaded`` is the last run's."""
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
        """A key for each record that no row was matched with.

        With whole-number keys the next ones, in the order of FileMaker's ids; else a version-5
        UUID, which is the same in every run and every environment.
        """
        new = in_order(converted.fed.keys() - matches.pairs.keys())
        first, _ = self._intake.survey.next_keys.get(self._name, (None, None))
        if first is not None:
            return {filemaker_id: str(first + n) for n, filemaker_id in enumerate(new)}
        namespace = self._intake.mapping.namespace
        return {i: matching.derived_id(namespace, self._name, i) for i in new}

    def _new_row(self, key: str, record: Record, values: dict[str, Any]) -> Row:
        survey = self._intake.survey
        row: Row = {c.name: None for c in survey.columns[self._name] if not c.generated}
        fixed = {n: v for n, v in self._spec.new.items() if isinstance(v, str)}
        row = {**row, **survey.defaults.get(self._name, {}), **fixed, self._key: key}
        row = self._merger.merge(key, row, values, existed=False)
        for name, rule in self._spec.new.items():
            if isinstance(rule, DefaultRule) and not row.get(name):
                made = self._converter.new_value(rule, record, row)
                row[name] = made.value
                self._misfits += [(name, why, record.id.written, DERIVED) for why in made.derived]
        return row

    def _note_misfits(self, filemaker_id: Id, fed: Converted, row: Row) -> None:
        """What did not fit, and what became of it."""
        for column, reason in fed.misfits:
            alone = self._spec.columns[column].converter.misfits_in  # the part of a card
            part = f"{column}.{alone}" if alone else column
            became = STAYS if self._merger.holds(row, part) else EMPTY
            self._misfits.append((column, reason, filemaker_id.written, became))
        self._misfits += [
            (column, why, filemaker_id.written, DERIVED) for column, why in fed.derived
        ]

    def _override(self, brought: Mapping[str, Row]) -> tuple[Counter[str], list[Override]]:
        """What named rules make of the rows that FileMaker brings."""
        counts: Counter[str] = Counter()
        overrides = []
        for rule in self._spec.overrides:
            wanted = not rule.asks or self._decisions.past_scheduled == rule.becomes
            for key, row in brought.items():
                if row.get(rule.column) != rule.was or not self._applies(rule, row):
                    continue
                counts[rule.name] += 1
                if wanted:
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
        """Why each row that nothing was matched with is not brought back."""
        by_row = {nexus_id: filemaker_id for filemaker_id, nexus_id in loaded}
        place = self._spec.filemaker_id
        for key in self._before.keys() - brought.keys():
            stored = stored_id(self._before[key], place) if place else ids.NONE
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
    """What is purged: what was decided so, except rows that a surviving row references.

    ``pointed_at`` are rows that are referenced from outside. Inside, an appointment that stays
    keeps its patient, and so on until nothing is added any more.
    """
    wanted = {
        name: {k for k, (c, _) in one.unmatched.items() if one.decisions.of(c) == "purge"}
        for name, one in entities.items()
    }
    purged = {name: ids - pointed_at[name] for name, ids in wanted.items()}
    by_table = {one.spec.table: one for one in entities.values()}
    inner = [pointer for pointer in pointers if pointer.table in by_table]
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
            merged=one,
            purged=frozenset(purged[name]),
            referenced=frozenset(wanted[name] - purged[name]),
            rows=_staying(one, purged[name]),
        )
        for name, one in entities.items()
    }


def _staying(one: Merged, purged: set[str]) -> dict[str, Row]:
    kept = {key: one.before[key] for key in one.unmatched if key not in purged}
    return {**one.brought, **kept}


def _values(row: Row, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """What ``row`` holds there; None where a column is NULL: such a key points at nothing."""
    found = tuple(value for column in columns if (value := row.get(column)) is not None)
    return found if len(found) == len(columns) else None


def _record_rule(spec: Entity, record: Record) -> str:
    """The rule that leaves out a record by what it is, or by its fields."""
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
    """The rule that leaves out a record by what came of its fields."""
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
