"""Decides what each row becomes, and why, and changes nothing.

It reads the row files of an intake and writes row files for ``stages.apply``. The same intake,
decisions and ``as_of`` give the same digest. Rows are read and written one by one, entity by
entity: in memory are ids.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from nexus_reimport import naming, progress
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdMap, IdPairs, Intake, stored_id
from nexus_reimport.mapping import DefaultRule, Entity, FieldMapping
from nexus_reimport.model import (
    Account,
    EntityPlan,
    Outcome,
    OverriddenRows,
    Plan,
    Scope,
    UnmatchedRows,
    digest,
)
from nexus_reimport.nexus.structure.tables import Role
from nexus_reimport.planning import attachments, ledger, manual, purging
from nexus_reimport.planning.attachments import OwnerRows
from nexus_reimport.planning.entity import EntityPlanner, Lists, Merged
from nexus_reimport.planning.feed import RecordConverter
from nexus_reimport.planning.ledger import Ledger
from nexus_reimport.planning.manual import filling
from nexus_reimport.planning.purging import Decided
from nexus_reimport.settings import Cause, Settings

COLUMNS = {  # of the row files that are not an entity's
    "id_map": ("entity", "filemaker_id", "nexus_id"),
    "misfits": ("entity", "column", "reason", "filemaker_id", "became"),
    "differences": ("entity", "nexus_id", "column", "nexus", "filemaker"),
    "overrides": ("entity", "nexus_id", "column", "why"),
}
Stays = Mapping[str, Mapping[str, str]]  # attachment -> key -> why its link stays as it is


def make(
    intake: Intake,
    settings: Settings,
    *,
    as_of: datetime,
    given: manual.Given | None = None,
) -> Plan:
    """The plan for what was read, its row files in the intake's folder.

    ``given`` are the values that people have put into the by-hand sheet.

    Raises:
        StopError: a line of the sheet cannot be used. Nothing was written to the database.
    """
    mapping, survey, folder = intake.mapping, intake.survey, intake.folder
    converter = RecordConverter(intake, zone=settings.zone, as_of=as_of)
    pointed_at = intake.pointed_at()
    merged: dict[str, Merged] = {}
    # The rows of the entities so far. The mapping lists parents first: later rows look them up.
    known: dict[str, IdPairs] = {}
    steps = progress.Steps(len(mapping.entities) + 1)
    with _lists(folder) as lists:
        for number, name in enumerate(mapping.entities):
            steps.begin(naming.rows(name))
            planner = EntityPlanner(name, intake, settings.decisions_for(name), converter)
            loaded = IdPairs.read(folder, survey.id_map, name)
            merged[name], resolvable = planner.merge(known, loaded, pointed_at[name], lists)
            converter.release()
            still = _looked_up(mapping, [*mapping.entities][number + 1 :])
            known = {n: ids for n, ids in {**known, name: resolvable}.items() if n in still}
    steps.begin("what goes, ledger, links")
    # Values by hand come last: they go only into columns that are still empty.
    decided = purging.decide(merged, survey.pointers, folder)
    by_hand, entities = filling.fill(given or manual.Given(), decided, intake, settings.zone)
    id_map = _write_id_map({name: d.id_map() for name, d in entities.items()}, folder)
    owners = _owners(entities, id_map, intake)
    links, stays = attachments.plan_all(intake, owners)
    accounts, lines = _write_ledger(entities, intake, converter, owners, stays)
    plan = Plan(
        scope=Scope.REIMPORT,
        as_of=as_of,
        entities={name: _summed(decided) for name, decided in entities.items()},
        links=links,
        accounts=accounts,
        by_hand=by_hand,
        sheet=given.sha256 if given else "",
        ledger=lines,
        id_map=id_map,
        misfits=lists.misfits.done(),
        differences=lists.differences.done(),
        overrides=_write(folder, "overrides", _each(entities, lambda decided: decided.overrides)),
        # Compared again with the locks held: a difference there voids the plan.
        before=survey.fingerprints(Role.WIPED, Role.LINK),
        digest="",
    )
    return replace(plan, digest=digest(plan))


@contextmanager
def _lists(folder: Path) -> Iterator[Lists]:
    with (
        rowfile.writer(folder / "misfits.parquet", COLUMNS["misfits"]) as misfits,
        rowfile.writer(folder / "differences.parquet", COLUMNS["differences"]) as differences,
    ):
        yield Lists(misfits, differences)


def _looked_up(mapping: FieldMapping, later: Iterable[str]) -> set[str]:
    """The entities whose rows ``later`` entities still look up."""
    return {c.entity for name in later for c in mapping.entities[name].columns.values()}


def _owners(
    entities: Mapping[str, Decided], id_map: RowFile, intake: Intake
) -> dict[str, OwnerRows]:
    """The rows to which documents and images can belong: all that there will be, saved ones too.

    Of an entity that owns none, those at which one points all the same.
    """
    survey, folder = intake.survey, intake.folder
    owning = {attachment.owner.entity for attachment in intake.mapping.attachments.values()}
    named = attachments.named(intake)

    def keys(name: str, file: RowFile) -> frozenset[str]:
        rows = rowfile.read_columns(folder, file, (survey.keys[name],))
        every = (row[survey.keys[name]] or "" for row in rows)
        return frozenset(key for key in every if name in owning or key in named)

    return {
        name: OwnerRows(
            before=keys(name, survey.rows[name]) if name in owning else frozenset(),
            after=keys(name, decided.merged.rows),
            pairs=IdPairs.read(folder, id_map, name) if name in owning else IdPairs.of(()),
        )
        for name, decided in entities.items()
    }


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
    links, stays = attachments.plan_all(intake, owners)
    with ledger.opened(intake.mapping, folder / "ledger.parquet") as (book, done):
        _add_attachments(book, intake, owners, stays)
    plan = Plan(
        scope=Scope.RELINK,
        as_of=as_of,
        entities={},
        links=links,
        accounts=book.accounts(),
        by_hand=(),
        sheet="",
        ledger=done(),
        id_map=_write_id_map({n: sorted(i.items()) for n, i in id_map.items()}, folder),
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
    # What a row itself carries wins over what the last run noted of that row, and of that id: else
    # a row whose id was changed would get the documents of two patients.
    carrying = {key for rows in carried.values() for key in rows}
    noted = ((i, key) for i, key in loaded if i not in carried and key not in carrying)
    # The id map may name rows that people have deleted since.
    remembered = {i: key for i, key in noted if key in keys}
    known = remembered | {i: rows[0] for i, rows in carried.items() if len(rows) == 1}
    owners = OwnerRows(frozenset(keys), frozenset(keys), IdPairs.of(known.items()))
    return owners, {spelt[i].written: key for i, key in known.items()}


# ---------------------------------------------------------------- sums and row files


def _summed(decided: Decided) -> EntityPlan:
    """The entity's sums."""
    merged, decisions = decided.merged, decided.merged.decisions
    causes = Counter(cause for cause, _ in merged.unmatched.values())
    referenced = Counter(merged.unmatched[key][0] for key in decided.referenced)
    return EntityPlan(
        entity=merged.name,
        table=merged.spec.table,
        file=merged.rows,
        source_rows=len(merged.left_out) + len(merged.paired),
        left_out=dict(sorted(merged.left_out_by.items())),
        matched=dict(merged.matched_by),
        rows_before=merged.before,
        replaced=len(merged.paired) - merged.new,
        new=merged.new,
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
                merged.changed_by[rule.name],
            )
            for rule in merged.spec.overrides
        ),
        misfits=merged.misfits,
        fits=merged.fits,
        ambiguous=merged.ambiguous,
        unfed=_unfed(merged.spec),
    )


def _unfed(spec: Entity) -> dict[str, str]:
    """What a new row gets where FileMaker feeds nothing, as people read it."""
    fed = {column.partition(".")[0] for column in spec.columns}
    own = {column: new for column, new in spec.new.items() if column not in fed}
    return {c: n.words if isinstance(n, DefaultRule) else n or "empty" for c, n in own.items()}


def _write_id_map(id_map: Mapping[str, Iterable[tuple[str, str]]], folder: Path) -> RowFile:
    """``id_map``: entity -> FileMaker id and Nexus id, in order."""
    lines = ((name, *pair) for name, pairs in id_map.items() for pair in pairs)
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
    stays: Stays,
) -> tuple[tuple[Account, ...], RowFile]:
    """A line for every record of FileMaker and every row of Nexus; the sums of all sources."""
    mapping = intake.mapping
    with ledger.opened(mapping, intake.folder / "ledger.parquet") as (book, done):
        for decided in entities.values():
            _add_entity(book, decided)
        for name, decided in entities.items():
            for source in decided.merged.spec.gathered():
                details = converter.gathered_from(source)
                book.add_all(source, name, ledger.merged(details, decided.merged.owners))
        _add_attachments(book, intake, owners, stays)
        used = mapping.used_sources()
        for source in (s for s in intake.snapshot.extracts if s not in used):
            book.open(source, "")
            for record in intake.records(source):
                book.add(source, "", Outcome.LOOKED_UP, filemaker_id=record.id.written)
    return book.accounts(), done()


def _add_entity(book: Ledger, decided: Decided) -> None:
    merged = decided.merged
    source, name = merged.spec.source, merged.name
    book.open(source, name)
    for written, rule in merged.left_out:
        book.add(source, name, Outcome.LEFT_OUT, rule, written)
    for written, key, is_new in merged.paired:
        book.add(source, name, Outcome.NEW if is_new else Outcome.REPLACED, "", written, key)
    for key in sorted(merged.unmatched):
        cause, filemaker_id = merged.unmatched[key]
        outcome = Outcome.PURGED if key in decided.purged else Outcome.KEPT
        why = f"{cause}, something points at it" if key in decided.referenced else str(cause)
        book.add(source, name, outcome, why, filemaker_id.written, key)


def _add_attachments(
    book: Ledger, intake: Intake, owners: Mapping[str, OwnerRows], stays: Stays
) -> None:
    for name, spec in intake.mapping.attachments.items():
        pairs = owners[spec.owner.entity].pairs
        book.add_all(spec.source, name, attachments.outcomes(intake, name, pairs, stays[name]))
