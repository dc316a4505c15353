"""Decides everything, does nothing: what each row becomes, and why.

Pure: it reads row files of the snapshot and of the survey, and writes row files for ``reimport``.
The same inputs and the same ``as_of`` give the same digest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

from nexus_reimport.files import rowfile
from nexus_reimport.mapping import Entity, Mapping, NewValue, Settled
from nexus_reimport.model import (
    Account,
    ByHand,
    ColumnFit,
    EntityPlan,
    Misfits,
    Outcome,
    Plan,
    Scope,
    SettledRows,
    Snapshot,
    Survey,
    Unreturned,
    digest,
)
from nexus_reimport.nexus.tables import Role
from nexus_reimport.planning import attachments, ledger, manual, matching, merge
from nexus_reimport.planning.feed import Fed, Feeder
from nexus_reimport.planning.ledger import Ledger
from nexus_reimport.planning.merge import Merger, Row
from nexus_reimport.settings import Cause, EntityDecisions, Settings
from nexus_reimport.text import by_id, id_key

Progress = Callable[[int, int], None]
COLUMNS = {  # of the row files beside those of the entities
    "memory": ("entity", "filemaker_id", "nexus_id"),
    "misfits": ("entity", "column", "reason", "filemaker_id", "became"),
    "differences": ("entity", "nexus_id", "column", "nexus", "filemaker"),
    "beyond": ("entity", "nexus_id", "column", "why"),
}
SAMPLE = 5
FEW, BUDGET = 5, 0.01  # values of a column that may not fit where the mapping does not say
STAYS, EMPTY, DERIVED = "Nexus's value stays", "empty", "derived"


@dataclass(slots=True)
class _Work:
    """One entity while it is being planned."""

    name: str
    spec: Entity
    key: str
    rows: dict[str, Row]
    merger: Merger
    left_out: dict[str, str] = field(default_factory=dict)  # FileMaker id -> rule
    pairs: dict[str, str] = field(default_factory=dict)  # FileMaker id -> Nexus id
    new: set[str] = field(default_factory=set)
    made: dict[str, Row] = field(default_factory=dict)
    unreturned: dict[str, tuple[Cause, str]] = field(default_factory=dict)  # id -> cause, FM id
    purged: set[str] = field(default_factory=set)
    closure: set[str] = field(default_factory=set)
    by_rule: Counter[str] = field(default_factory=Counter)
    ambiguous: tuple[str, ...] = ()
    held: Counter[str] = field(default_factory=Counter)  # column -> values that FileMaker holds
    misfits: list[tuple[str, str, str, str]] = field(default_factory=list)  # as in COLUMNS
    settled: Counter[str] = field(default_factory=Counter)  # rule -> rows
    beyond: list[tuple[str, str, str]] = field(default_factory=list)  # Nexus id, column, why

    def row(self, key: str) -> Row | None:
        """The row that will be there under ``key``; before what is purged is decided, any row."""
        return self.made.get(key) or (self.rows.get(key) if key not in self.purged else None)


def make(
    mapping: Mapping,
    settings: Settings,
    snapshot: Snapshot,
    survey: Survey,
    folder: Path,
    *,
    as_of: datetime,
    given: manual.Given | None = None,
    progress: Progress | None = None,
) -> Plan:
    """The plan for what ``snapshot`` and ``survey`` saw, its row files beside theirs.

    ``given`` are values that people have put into the sheet.

    Raises:
        StopError: a line of the sheet cannot be used.
    """
    feeder = Feeder(mapping, snapshot, survey, folder, zone=settings.zone, as_of=as_of)
    remembered = _remembered(survey, folder)
    outside = _pointed_at(survey, folder)
    works: dict[str, _Work] = {}
    known: dict[str, dict[str, str]] = {}
    for number, name in enumerate(mapping.entities):
        work = _begin(name, mapping, survey, settings, folder)
        _plan_entity(work, mapping, feeder, remembered.get(name, {}), known, survey)
        decisions = settings.decisions_for(name)
        _settle(work, decisions, feeder)
        known[name] = _resolvable(work, decisions, outside.get(name, set()))
        works[name] = work
        if progress:
            progress(number + 1, len(mapping.entities) + 1)
    _decide(works, settings, survey, outside)
    by_hand = _put_in(given or manual.Given(), works, mapping, settings, survey, folder)
    entities = {name: _finish(work, settings, folder) for name, work in works.items()}
    before = {name: frozenset(work.rows) for name, work in works.items()}
    after = {name: frozenset(_after_ids(work)) for name, work in works.items()}
    links = attachments.plan_all(mapping, snapshot, survey, before, after, known, folder)
    accounts, lines = _write_ledger(works, mapping, snapshot, survey, feeder, known, folder)
    made = Plan(
        scope=Scope.REIMPORT,
        as_of=as_of,
        entities=entities,
        links=links,
        accounts=accounts,
        by_hand=by_hand,
        sheet=given.sha256 if given else "",
        ledger=lines,
        memory=_write_memory({n: _remembered_next(w) for n, w in works.items()}, folder),
        misfits=_write(folder, "misfits", _each(works, lambda work: sorted(work.misfits))),
        differences=_write(folder, "differences", _each(works, _differences)),
        beyond=_write(folder, "beyond", _each(works, lambda work: sorted(work.beyond))),
        before=survey.fingerprints(Role.WIPED, Role.LINK),
        digest="",
    )
    if progress:
        progress(len(mapping.entities) + 1, len(mapping.entities) + 1)
    return replace(made, digest=digest(made))


def relink(
    mapping: Mapping, snapshot: Snapshot, survey: Survey, folder: Path, *, as_of: datetime
) -> Plan:
    """The plan of a run that mends the links of documents and images, and nothing else.

    Owners are the rows that are there, by the FileMaker id that they carry, or under which the
    last run has loaded them; an id that two rows carry names nobody.
    """
    remembered = _remembered(survey, folder)
    rows: dict[str, frozenset[str]] = {}
    known: dict[str, dict[str, str]] = {}
    memory: dict[str, dict[str, str]] = {}
    for name, spec in mapping.entities.items():
        carried: dict[str, list[str]] = defaultdict(list)
        spelt = by_id((f, f) for f in remembered.get(name, {}))
        keys = set()
        for row in rowfile.read_dicts(folder, survey.rows[name]):
            key = row[survey.keys[name]] or ""
            keys.add(key)
            filemaker_id = matching.stored_id(row, spec.filemaker_id) if spec.filemaker_id else ""
            if filemaker_id:
                carried[id_key(filemaker_id)].append(key)
                spelt.setdefault(id_key(filemaker_id), filemaker_id)
        rows[name] = frozenset(keys)
        loaded = by_id((f, k) for f, k in remembered.get(name, {}).items() if k in keys)
        known[name] = loaded | {f: k[0] for f, k in carried.items() if len(k) == 1}
        memory[name] = {spelt.get(f, f): k for f, k in known[name].items()}
    with ledger.opened(mapping, folder / "ledger.parquet") as (book, done):
        _add_attachments(book, mapping, snapshot, survey, known, folder)
    made = Plan(
        scope=Scope.RELINK,
        as_of=as_of,
        entities={},
        links=attachments.plan_all(mapping, snapshot, survey, rows, rows, known, folder),
        accounts=book.accounts(),
        by_hand=(),
        sheet="",
        ledger=done(),
        memory=_write_memory(memory, folder),
        misfits=_write(folder, "misfits"),
        differences=_write(folder, "differences"),
        beyond=_write(folder, "beyond"),
        before=survey.fingerprints(Role.LINK),
        digest="",
    )
    return replace(made, digest=digest(made))


def _begin(name: str, mapping: Mapping, survey: Survey, settings: Settings, folder: Path) -> _Work:
    spec, key = mapping.entities[name], survey.keys[name]
    json = {c.name for c in survey.columns[name] if c.type in ("jsonb", "json")}
    rows = {row[key] or "": row for row in rowfile.read_dicts(folder, survey.rows[name])}
    merger = Merger(spec, settings.decisions_for(name).when_different, json)
    return _Work(name, spec, key, rows, merger)


def _remembered(survey: Survey, folder: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for entity, filemaker_id, nexus_id in rowfile.read(folder, survey.remembered):
        found[entity or ""][filemaker_id or ""] = nexus_id or ""
    return found


def _pointed_at(survey: Survey, folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for entity, key, _, _ in rowfile.read(folder, survey.pointed_at):
        found[entity or ""].add(key or "")
    return found


def _plan_entity(
    work: _Work,
    mapping: Mapping,
    feeder: Feeder,
    remembered: dict[str, str],
    known: dict[str, dict[str, str]],
    survey: Survey,
) -> None:
    """Feed, leave out by rule, match, merge: one entity."""
    spec = work.spec
    records: dict[str, dict[str, str]] = {}
    fed: dict[str, Fed] = {}
    for record in feeder.records(spec.source):
        filemaker_id = feeder.key(record)
        rule = _record_rule(spec, filemaker_id, record)
        values = None if rule else feeder.feed(work.name, record, known)
        rule = rule or _fed_rule(spec, values)
        if rule or values is None:
            work.left_out[filemaker_id] = rule
            continue
        work.held.update(values.held)
        records[filemaker_id], fed[filemaker_id] = record, values
    found = matching.match(
        work.name,
        spec,
        {i: f.values for i, f in fed.items()},
        work.rows,
        remembered,
        mapping.namespace,
    )
    work.pairs, work.by_rule = found.pairs, found.by_rule
    work.ambiguous = tuple(sorted(found.ambiguous))
    _make_rows(work, mapping, feeder, records, fed, survey)
    _name_causes(work, remembered)


def _record_rule(spec: Entity, filemaker_id: str, record: dict[str, str]) -> str:
    """The rule that leaves out a record by what it is, or by its fields."""
    return next(
        (
            rule.name
            for rule in spec.left_out
            if (rule.records and id_key(filemaker_id) in map(id_key, rule.records))
            or (rule.empty and not any(record[field].strip() for field in rule.empty))
        ),
        "",
    )


def _fed_rule(spec: Entity, values: Fed | None) -> str:
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


def _make_rows(
    work: _Work,
    mapping: Mapping,
    feeder: Feeder,
    records: dict[str, dict[str, str]],
    fed: dict[str, Fed],
    survey: Survey,
) -> None:
    next_key, _ = survey.next_keys.get(work.name, (None, None))
    for row in work.rows.values():
        work.merger.count_before(row)
    for filemaker_id in sorted(fed):
        values, existing = fed[filemaker_id].values, work.pairs.get(filemaker_id)
        if existing is not None:
            made = work.merger.merge(existing, work.rows[existing], values, existed=True)
        else:
            if next_key is None:
                key = matching.derived_id(mapping.namespace, work.name, filemaker_id)
            else:
                key, next_key = str(next_key), next_key + 1
            made = _new_row(work, survey, feeder, key, records[filemaker_id], values)
            work.new.add(filemaker_id)
            work.pairs[filemaker_id] = key
        _tell_misfits(work, filemaker_id, fed[filemaker_id], made)
        work.made[made[work.key] or ""] = made


def _tell_misfits(work: _Work, filemaker_id: str, fed: Fed, made: Row) -> None:
    """What did not fit, and what became of it."""
    for column, reason in fed.misfits:
        is_card = work.spec.columns[column].convert == "contact_card"  # e-mails alone may not fit
        held = work.merger.holds(made, f"{column}.emails" if is_card else column)
        became = STAYS if held else EMPTY
        work.misfits.append((column, reason, filemaker_id, became))
    for column, reason in fed.derived:
        work.misfits.append((column, reason, filemaker_id, DERIVED))


def _settle(work: _Work, decisions: EntityDecisions, feeder: Feeder) -> None:
    """What named rules make of the rows that FileMaker brings."""
    for rule in work.spec.settled:
        wanted = decisions.past_scheduled == rule.becomes if rule.asks else True
        for key, row in work.made.items():
            if row.get(rule.column) != rule.was or not _applies(rule, row, feeder):
                continue
            work.settled[rule.name] += 1
            if wanted:
                row[rule.column] = rule.becomes
                if key in work.rows:
                    work.beyond.append((key, rule.column, rule.name))


def _applies(rule: Settled, row: Row, feeder: Feeder) -> bool:
    if rule.filled:
        return bool(row.get(rule.filled))
    return feeder.is_over(row.get(rule.past))


# ---------------------------------------------------------------- by hand


def _put_in(
    given: manual.Given,
    works: dict[str, _Work],
    mapping: Mapping,
    settings: Settings,
    survey: Survey,
    folder: Path,
) -> tuple[ByHand, ...]:
    """Put what people gave into the rows that lack it, and count, kind by kind."""
    kinds = manual.kinds(mapping, survey, folder)
    shower = manual.Shower(
        mapping, survey.columns, settings.zone, lambda entity, key: works[entity].row(key)
    )
    manual.refuse_unusable(given, kinds, shower.line)
    counts = []
    for kind in kinds:
        work = works[kind.spec.entity]
        used = there = gone = 0
        for (name, key, column), cell in given.cells.items():
            if name != kind.name:
                continue
            row = work.row(key)
            if row is None or row.get(column):
                there, gone = there + (row is not None), gone + (row is None)
                continue
            row[column] = cell.value
            work.beyond.append((key, column, manual.BY_HAND))
            used += 1
        waiting = sum(manual.lacks(kind.spec, row) for row in _staying(work))
        told = used + there + gone
        counts.append(ByHand(kind.name, kind.spec.entity, waiting, told, used, there, gone))
    return tuple(counts)


def _new_row(
    work: _Work,
    survey: Survey,
    feeder: Feeder,
    key: str,
    record: dict[str, str],
    values: dict[str, Any],
) -> Row:
    row: Row = {c.name: None for c in survey.columns[work.name] if not c.generated}
    fixed = {n: v for n, v in work.spec.new.items() if isinstance(v, str)}
    row = {**row, **survey.defaults.get(work.name, {}), **fixed, work.key: key}
    row = work.merger.merge(key, row, values, existed=False)
    for name, rule in work.spec.new.items():
        if isinstance(rule, NewValue) and not row.get(name):
            made = feeder.new_value(rule, record, row)
            row[name] = made.value
            work.misfits += [(name, why, feeder.key(record), DERIVED) for why in made.derived]
    return row


def _name_causes(work: _Work, remembered: dict[str, str]) -> None:
    """Why each row that nothing matched is not brought back."""
    by_row = {nexus_id: filemaker_id for filemaker_id, nexus_id in remembered.items()}
    left_out = {id_key(filemaker_id) for filemaker_id in work.left_out}
    for key in work.rows.keys() - work.made.keys():
        place = work.spec.filemaker_id
        filemaker_id = (place and matching.stored_id(work.rows[key], place)) or by_row.get(key, "")
        if not filemaker_id:
            cause = Cause.NO_FILEMAKER_ID
        elif id_key(filemaker_id) in left_out:
            cause = Cause.LEFT_OUT_BY_RULE
        else:
            cause = Cause.NOT_IN_FILEMAKER
        work.unreturned[key] = (cause, filemaker_id)


def _resolvable(work: _Work, decisions: EntityDecisions, pointed_at: set[str]) -> dict[str, str]:
    """FileMaker id, as ids compare -> Nexus id of every row that will be there under that id."""
    kept = by_id(
        (filemaker_id, key)
        for key, (cause, filemaker_id) in sorted(work.unreturned.items())
        if filemaker_id and (decisions.of(cause) != "purge" or key in pointed_at)
    )
    return kept | by_id(work.pairs.items())


def _decide(
    works: dict[str, _Work], settings: Settings, survey: Survey, outside: dict[str, set[str]]
) -> None:
    """What is purged: what was decided so, and nothing that stays points at, to the last row."""
    for name, work in works.items():
        decisions = settings.decisions_for(name)
        work.purged = {k for k, (c, _) in work.unreturned.items() if decisions.of(c) == "purge"}
        work.closure = work.purged & outside.get(name, set())
        work.purged -= work.closure
    by_table = {work.spec.table: work for work in works.values()}
    inner = [pointer for pointer in survey.pointers if pointer.table in by_table]
    grew = True
    while grew:
        grew = False
        for pointer in inner:
            source, target = by_table[pointer.table], works[pointer.entity]
            pointed = {_values(row, pointer.columns) for row in _staying(source)} - {None}
            saved = {k for k in target.purged if _values(target.rows[k], pointer.to) in pointed}
            target.purged -= saved
            target.closure |= saved
            grew = grew or bool(saved)


def _values(row: Row, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """What ``row`` holds there; None where a column is NULL: such a key points at nothing."""
    found = tuple(value for column in columns if (value := row.get(column)) is not None)
    return found if len(found) == len(columns) else None


def _staying(work: _Work) -> list[Row]:
    kept = [work.rows[key] for key in work.unreturned if key not in work.purged]
    return [*work.made.values(), *kept]


def _finish(work: _Work, settings: Settings, folder: Path) -> EntityPlan:
    """The rows that will be there, in the order of their keys, and the entity's sums."""
    rows = {row[work.key] or "": row for row in _staying(work)}
    columns = tuple(next(iter(rows.values()))) if rows else (work.key,)
    planned = ([rows[key][column] for column in columns] for key in sorted(rows))
    file = rowfile.write(folder / f"plan_{work.name}.parquet", columns, planned)
    for row in rows.values():
        work.merger.count_after(row)
    decisions = settings.decisions_for(work.name)
    causes = Counter(cause for cause, _ in work.unreturned.values())
    closed = Counter(work.unreturned[key][0] for key in work.closure)
    return EntityPlan(
        entity=work.name,
        table=work.spec.table,
        file=file,
        source_rows=len(work.left_out) + len(work.pairs),
        left_out=dict(sorted(Counter(work.left_out.values()).items())),
        matched=dict(work.by_rule),
        rows_before=len(work.rows),
        replaced=len(work.pairs) - len(work.new),
        new=len(work.new),
        kept=len(work.unreturned) - len(work.purged),
        purged=len(work.purged),
        unreturned=tuple(
            Unreturned(cause, causes[cause], decisions.of(cause), closed[cause])
            for cause in Cause
            if causes[cause]
        ),
        changes=work.merger.changes(),
        settled=tuple(
            SettledRows(
                r.name,
                r.column,
                r.becomes,
                work.settled[r.name],
                r.asks,
                decisions.past_scheduled if r.asks else None,
            )
            for r in work.spec.settled
        ),
        misfits=tuple(_misfits(work)),
        fits=tuple(_fits(work)),
        ambiguous=work.ambiguous,
    )


def _misfits(work: _Work) -> Iterator[Misfits]:
    """The sums by column and reason."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for column, reason, filemaker_id, became in work.misfits:
        found[column, reason].append((filemaker_id, became))
    for (column, reason), cases in sorted(found.items()):
        counts = Counter(became for _, became in cases)
        sample = tuple(sorted({filemaker_id for filemaker_id, _ in cases})[:SAMPLE])
        yield Misfits(column, reason, counts[STAYS], counts[EMPTY], counts[DERIVED], sample)


def _fits(work: _Work) -> Iterator[ColumnFit]:
    """How many values of each column do not fit, of how many, and how many may."""
    misfits = Counter(column for column, _, _, became in work.misfits if became != DERIVED)
    for name, column in work.spec.columns.items():
        held, most = work.held[name], column.misfits_at_most
        budget = max(FEW, ceil(BUDGET * held)) if most is None else ceil(most * held)
        yield ColumnFit(name, held, misfits[name], budget, most == 1)


def _after_ids(work: _Work) -> set[str]:
    return set(work.made) | (work.unreturned.keys() - work.purged)


def _write_ledger(
    works: dict[str, _Work],
    mapping: Mapping,
    snapshot: Snapshot,
    survey: Survey,
    feeder: Feeder,
    known: dict[str, dict[str, str]],
    folder: Path,
) -> tuple[tuple[Account, ...], rowfile.RowFile]:
    """A line for every record of FileMaker and every row of Nexus, and the sums of all sources."""
    with ledger.opened(mapping, folder / "ledger.parquet") as (book, done):
        for work in works.values():
            _add_entity(book, work)
        for name, work in works.items():
            for source in work.spec.gathered():
                records = feeder.gathered_from(source)
                book.add_all(source, name, ledger.merged(records, by_id(work.pairs.items())))
        _add_attachments(book, mapping, snapshot, survey, known, folder)
        for source in (s for s in snapshot.extracts if s not in mapping.used_sources()):
            for record in feeder.records(source):
                book.add(source, "", Outcome.LOOKED_UP, filemaker_id=feeder.key(record))
    return book.accounts(), done()


def _add_entity(book: Ledger, work: _Work) -> None:
    source, name = work.spec.source, work.name
    book.open(source, name)
    for filemaker_id, rule in sorted(work.left_out.items()):
        book.add(source, name, Outcome.LEFT_OUT, rule, filemaker_id)
    for filemaker_id, key in sorted(work.pairs.items()):
        outcome = Outcome.NEW if filemaker_id in work.new else Outcome.REPLACED
        book.add(source, name, outcome, "", filemaker_id, key)
    for key, (cause, filemaker_id) in sorted(work.unreturned.items()):
        outcome = Outcome.PURGED if key in work.purged else Outcome.KEPT
        why = f"{cause}, something points at it" if key in work.closure else str(cause)
        book.add(source, name, outcome, why, filemaker_id, key)


def _add_attachments(
    book: Ledger,
    mapping: Mapping,
    snapshot: Snapshot,
    survey: Survey,
    known: dict[str, dict[str, str]],
    folder: Path,
) -> None:
    for name, spec in mapping.attachments.items():
        fates = attachments.fates(
            spec, snapshot, survey.attachment_rows[name], known[spec.owner.entity], folder
        )
        book.add_all(spec.source, name, fates)


def _differences(work: _Work) -> Iterator[tuple[str, ...]]:
    """Where both sides hold another value: for the person who decides, in the private folder."""
    return (
        (key, column, merge.as_text(was), merge.as_text(fed))
        for key, column, was, fed in work.merger.differences
    )


def _remembered_next(work: _Work) -> dict[str, str]:
    """FileMaker id, as FileMaker writes it -> Nexus id, for the next run."""
    paired = by_id(work.pairs.items())
    kept = {
        filemaker_id: key
        for key, (_, filemaker_id) in work.unreturned.items()
        if filemaker_id and key not in work.purged and id_key(filemaker_id) not in paired
    }
    return {**kept, **work.pairs}


def _write_memory(found: dict[str, dict[str, str]], folder: Path) -> rowfile.RowFile:
    lines = ((name, *pair) for name, pairs in found.items() for pair in sorted(pairs.items()))
    return _write(folder, "memory", lines)


def _each(
    works: dict[str, _Work], lines: Callable[[_Work], Iterable[rowfile.Row]]
) -> Iterator[rowfile.Row]:
    """The lines of every entity, its name before them."""
    return ((name, *line) for name, work in works.items() for line in lines(work))


def _write(folder: Path, name: str, rows: Iterable[rowfile.Row] = ()) -> rowfile.RowFile:
    return rowfile.write(folder / f"{name}.parquet", COLUMNS[name], rows)
