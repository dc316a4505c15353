"""Decides what each row becomes, and why, and changes nothing.

It reads the row files of an intake and writes row files for ``stages.apply``. The same intake,
decisions and ``as_of`` give the same digest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from math import ceil
from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdMap, Intake, stored_id
from nexus_reimport.model import (
    Account,
    ByHand,
    ColumnFit,
    EntityPlan,
    Misfits,
    Outcome,
    OverriddenRows,
    Plan,
    Scope,
    UnmatchedRows,
    digest,
)
from nexus_reimport.nexus.tables import Role
from nexus_reimport.planning import attachments, entity, ledger, manual, merge
from nexus_reimport.planning.attachments import OwnerRows
from nexus_reimport.planning.entity import DERIVED, EMPTY, STAYS, Decided, EntityPlanner, Merged
from nexus_reimport.planning.feed import RecordConverter
from nexus_reimport.planning.ledger import Ledger
from nexus_reimport.planning.matching import in_order
from nexus_reimport.settings import Cause, Settings

Progress = Callable[[int, int], None]
COLUMNS = {  # of the row files that are not an entity's
    "id_map": ("entity", "filemaker_id", "nexus_id"),
    "misfits": ("entity", "column", "reason", "filemaker_id", "became"),
    "differences": ("entity", "nexus_id", "column", "nexus", "filemaker"),
    "overrides": ("entity", "nexus_id", "column", "why"),
}
SAMPLE = 5
# How many values of a column may be misfits if the mapping does not say: five, or 1% if that is
# more. 1% alone would allow less than one misfit in a column with few values.
FEW, BUDGET = 5, 0.01


def make(
    intake: Intake,
    settings: Settings,
    *,
    as_of: datetime,
    given: manual.Given | None = None,
    progress: Progress | None = None,
) -> Plan:
    """The plan for what was read, its row files in the intake's folder.

    ``given`` are the values that people have put into the by-hand sheet.

    Raises:
        StopError: a line of the sheet cannot be used. Nothing was written to the database.
    """
    mapping, survey, folder = intake.mapping, intake.survey, intake.folder
    converter = RecordConverter(intake, zone=settings.zone, as_of=as_of)
    loaded, pointed_at = intake.ids(), intake.pointed_at()
    merged: dict[str, Merged] = {}
    # The rows of the entities so far. The mapping lists parents first: later rows look them up.
    known: dict[str, dict[Id, str]] = {}
    for number, name in enumerate(mapping.entities):
        planner = EntityPlanner(name, intake, settings.decisions_for(name), converter)
        merged[name] = planner.merge(known, loaded[name])
        known = {**known, name: merged[name].resolvable(pointed_at[name])}
        if progress:
            progress(number + 1, len(mapping.entities) + 1)
    # Values by hand come last: they go only into columns that are still empty.
    before_by_hand = entity.decide(merged, survey.pointers, pointed_at)
    by_hand, entities = _by_hand(given or manual.Given(), before_by_hand, intake, settings)
    owners = {
        name: OwnerRows(frozenset(decided.merged.before), frozenset(decided.rows), known[name])
        for name, decided in entities.items()
    }
    accounts, lines = _write_ledger(entities, intake, converter, owners)
    plan = Plan(
        scope=Scope.REIMPORT,
        as_of=as_of,
        entities={name: _finish(decided, folder) for name, decided in entities.items()},
        links=attachments.plan_all(intake, owners),
        accounts=accounts,
        by_hand=by_hand,
        sheet=given.sha256 if given else "",
        ledger=lines,
        id_map=_write_id_map({name: d.id_map() for name, d in entities.items()}, folder),
        misfits=_write(folder, "misfits", _each(entities, lambda decided: decided.merged.misfits)),
        differences=_write(folder, "differences", _each(entities, _differences)),
        overrides=_write(folder, "overrides", _each(entities, lambda decided: decided.overrides)),
        # Compared again with the locks held: a difference there voids the plan.
        before=survey.fingerprints(Role.WIPED, Role.LINK),
        digest="",
    )
    if progress:
        progress(len(mapping.entities) + 1, len(mapping.entities) + 1)
    return replace(plan, digest=digest(plan))


def relink(intake: Intake, *, as_of: datetime) -> Plan:
    """The plan of a run that only fixes the links of documents and images.

    Owners are the existing rows, by the FileMaker id that they carry or under which the last run
    loaded them. An id that two rows carry identifies no owner.
    """
    loaded, folder = intake.ids(), intake.folder
    owners: dict[str, OwnerRows] = {}
    id_map: dict[str, dict[str, str]] = {}
    for name in intake.mapping.entities:
        owners[name], id_map[name] = _existing(intake, name, loaded[name])
    with ledger.opened(intake.mapping, folder / "ledger.parquet") as (book, done):
        _add_attachments(book, intake, owners)
    plan = Plan(
        scope=Scope.RELINK,
        as_of=as_of,
        entities={},
        links=attachments.plan_all(intake, owners),
        accounts=book.accounts(),
        by_hand=(),
        sheet="",
        ledger=done(),
        id_map=_write_id_map(id_map, folder),
        misfits=_write(folder, "misfits"),
        differences=_write(folder, "differences"),
        overrides=_write(folder, "overrides"),
        before=intake.survey.fingerprints(Role.LINK),
        digest="",
    )
    return replace(plan, digest=digest(plan))


def _existing(intake: Intake, name: str, loaded: IdMap) -> tuple[OwnerRows, dict[str, str]]:
    """The existing rows of one entity, and FileMaker id (as FileMaker writes it) -> Nexus id."""
    spec, key_column = intake.mapping.entities[name], intake.survey.keys[name]
    carried: dict[Id, list[str]] = defaultdict(list)
    spelt = {filemaker_id: filemaker_id for filemaker_id, _ in loaded}
    keys = set()
    for row in intake.rows(name):
        key = row[key_column] or ""
        keys.add(key)
        filemaker_id = stored_id(row, spec.filemaker_id) if spec.filemaker_id else None
        if filemaker_id:
            carried[filemaker_id].append(key)
            spelt.setdefault(filemaker_id, filemaker_id)
    # The id map may name rows that people have deleted since.
    remembered = {filemaker_id: key for filemaker_id, key in loaded if key in keys}
    # What a row itself carries wins over what the last run noted.
    known = remembered | {i: rows[0] for i, rows in carried.items() if len(rows) == 1}
    owners = OwnerRows(frozenset(keys), frozenset(keys), known)
    return owners, {spelt[i].written: key for i, key in known.items()}


# ---------------------------------------------------------------- by hand


def _by_hand(
    given: manual.Given, entities: Mapping[str, Decided], intake: Intake, settings: Settings
) -> tuple[tuple[ByHand, ...], dict[str, Decided]]:
    """Put the values by hand into the rows that lack them, and count them kind by kind."""
    kinds = manual.kinds(intake)
    shower = manual.Shower(
        intake, settings.zone, lambda entity, key: entities[entity].rows.get(key)
    )
    manual.refuse_unusable(given, kinds, shower.line)
    counts, filled = [], dict(entities)
    for kind in kinds:
        name = kind.spec.entity
        rows, overrides = dict(filled[name].rows), list(filled[name].by_hand)
        used = not_needed = gone = 0
        for (of, key, column), cell in given.cells.items():
            if of != kind.name:
                continue
            row = rows.get(key)
            if row is None or row.get(column):
                not_needed, gone = not_needed + (row is not None), gone + (row is None)
                continue
            rows[key] = {**row, column: cell.value}
            overrides.append((key, column, manual.BY_HAND))
            used += 1
        filled[name] = replace(filled[name], rows=rows, by_hand=tuple(overrides))
        waiting = sum(manual.lacks(kind.spec, row) for row in rows.values())
        counts.append(
            ByHand(kind.name, name, waiting, used + not_needed + gone, used, not_needed, gone)
        )
    return tuple(counts), filled


# ---------------------------------------------------------------- sums and row files


def _finish(decided: Decided, folder: Path) -> EntityPlan:
    """Write the planned rows in the order of their keys; the entity's sums."""
    merged, decisions = decided.merged, decided.merged.decisions
    rows = {row[merged.key] or "": row for row in decided.rows.values()}
    # A row file has at least one column, also if the entity has no row.
    columns = tuple(next(iter(rows.values()))) if rows else (merged.key,)
    # In the order of the keys: the digest must not depend on the order in which rows were made.
    planned = ([rows[key][column] for column in columns] for key in sorted(rows))
    file = rowfile.write(folder / f"plan_{merged.name}.parquet", columns, planned)
    for row in rows.values():
        merged.merger.count_after(row)
    causes = Counter(cause for cause, _ in merged.unmatched.values())
    referenced = Counter(merged.unmatched[key][0] for key in decided.referenced)
    left_out = merged.converted.left_out
    return EntityPlan(
        entity=merged.name,
        table=merged.spec.table,
        file=file,
        source_rows=len(left_out) + len(merged.ids),
        left_out=dict(sorted(Counter(left_out.values()).items())),
        matched=dict(merged.matches.by_rule),
        rows_before=len(merged.before),
        replaced=len(merged.ids) - len(merged.new),
        new=len(merged.new),
        kept=len(merged.unmatched) - len(decided.purged),
        purged=len(decided.purged),
        unmatched=tuple(
            UnmatchedRows(cause, causes[cause], decisions.of(cause), referenced[cause])
            for cause in Cause
            if causes[cause]
        ),
        changes=merged.merger.changes(),
        overridden=tuple(
            OverriddenRows(
                rule.name,
                rule.column,
                rule.becomes,
                merged.overridden[rule.name],
                rule.asks,
                decisions.past_scheduled if rule.asks else None,
            )
            for rule in merged.spec.overrides
        ),
        misfits=tuple(_misfits(merged)),
        fits=tuple(_fits(merged)),
        ambiguous=tuple(i.written for i in in_order(merged.matches.ambiguous)),
    )


def _misfits(merged: Merged) -> Iterator[Misfits]:
    """The sums by column and reason."""
    by_reason: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for column, reason, filemaker_id, became in merged.misfits:
        by_reason[column, reason].append((filemaker_id, became))
    for (column, reason), cases in sorted(by_reason.items()):
        counts = Counter(became for _, became in cases)
        sample = tuple(sorted({filemaker_id for filemaker_id, _ in cases})[:SAMPLE])
        yield Misfits(column, reason, counts[STAYS], counts[EMPTY], counts[DERIVED], sample)


def _fits(merged: Merged) -> Iterator[ColumnFit]:
    """Of each column: how many values FileMaker holds, how many do not fit, and how many may."""
    misfits = Counter(column for column, _, _, became in merged.misfits if became != DERIVED)
    for name, column in merged.spec.columns.items():
        held, most = merged.converted.held.get(name, 0), column.misfits_at_most
        budget = max(FEW, ceil(BUDGET * held)) if most is None else ceil(most * held)
        yield ColumnFit(name, held, misfits[name], budget, most == 1)


def _differences(decided: Decided) -> Iterator[tuple[str, ...]]:
    """Where the two sides differ: for the person who decides, in the private folder only."""
    return (
        (key, column, merge.as_text(was), merge.as_text(fed))
        for key, column, was, fed in decided.merged.merger.differences
    )


def _write_id_map(id_map: Mapping[str, Mapping[str, str]], folder: Path) -> RowFile:
    lines = ((name, *pair) for name, pairs in id_map.items() for pair in sorted(pairs.items()))
    return _write(folder, "id_map", lines)


def _each(
    entities: Mapping[str, Decided], lines: Callable[[Decided], Iterable[rowfile.Row]]
) -> Iterator[rowfile.Row]:
    """The lines of all entities, each with the entity's name in front."""
    return ((name, *line) for name, decided in entities.items() for line in lines(decided))


def _write(folder: Path, name: str, rows: Iterable[rowfile.Row] = ()) -> RowFile:
    return rowfile.write(folder / f"{name}.parquet", COLUMNS[name], rows)


# ---------------------------------------------------------------- the ledger


def _write_ledger(
    entities: Mapping[str, Decided],
    intake: Intake,
    converter: RecordConverter,
    owners: Mapping[str, OwnerRows],
) -> tuple[tuple[Account, ...], RowFile]:
    """A line for every record of FileMaker and every row of Nexus; the sums of all sources."""
    mapping = intake.mapping
    with ledger.opened(mapping, intake.folder / "ledger.parquet") as (book, done):
        for decided in entities.values():
            _add_entity(book, decided)
        for name, decided in entities.items():
            for source in decided.merged.spec.gathered():
                details = converter.gathered_from(source)
                book.add_all(source, name, ledger.merged(details, decided.merged.ids))
        _add_attachments(book, intake, owners)
        used = mapping.used_sources()
        for source in (s for s in intake.snapshot.extracts if s not in used):
            for record in intake.records(source):
                book.add(source, "", Outcome.LOOKED_UP, filemaker_id=record.id.written)
    return book.accounts(), done()


def _add_entity(book: Ledger, decided: Decided) -> None:
    merged = decided.merged
    source, name = merged.spec.source, merged.name
    book.open(source, name)
    left_out = merged.converted.left_out
    for record_id in in_order(left_out):
        book.add(source, name, Outcome.LEFT_OUT, left_out[record_id], record_id.written)
    for record_id in in_order(merged.ids):
        outcome = Outcome.NEW if record_id in merged.new else Outcome.REPLACED
        book.add(source, name, outcome, "", record_id.written, merged.ids[record_id])
    for key in sorted(merged.unmatched):
        cause, filemaker_id = merged.unmatched[key]
        outcome = Outcome.PURGED if key in decided.purged else Outcome.KEPT
        why = f"{cause}, something points at it" if key in decided.referenced else str(cause)
        book.add(source, name, outcome, why, filemaker_id.written, key)


def _add_attachments(book: Ledger, intake: Intake, owners: Mapping[str, OwnerRows]) -> None:
    for name, spec in intake.mapping.attachments.items():
        known = owners[spec.owner.entity].by_filemaker_id
        book.add_all(spec.source, name, attachments.outcomes(intake, name, known))
