"""Checks of a rollback: inside its transaction, before COMMIT, and again after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexus_reimport import wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.model import Level
from nexus_reimport.nexus import changes
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.registry import OWN_SCHEMA, Committed, UndoData
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint, differing
from nexus_reimport.nexus.structure.links import AttachmentState
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.writing import undo_data
from nexus_reimport.nexus.writing.table_locks import locked_elsewhere
from nexus_reimport.nexus.writing.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Undoing:
    """What the checks inside look at: the transaction's own view, and what the run left."""

    transaction: Transaction
    database: Database
    undoes: Committed
    undo: UndoData
    since: Since
    keep: bool
    known: tuple[Reference, ...]
    relinked: Mapping[str, int]  # attachment -> links put back
    after: Mapping[str, Fingerprint]
    planned: Mapping[str, tuple[int, int, int]]  # table -> rows to insert, to update, to delete
    misplaced: Mapping[str, int]  # table -> rows that are not as the undo must leave them


@dataclass(frozen=True, slots=True)
class Restored:
    """What the checks after look at: the state as read again, and as the transaction left it."""

    after: Mapping[str, Fingerprint]  # as the transaction wrote it down
    fingerprints: Mapping[str, Fingerprint]
    states: Mapping[str, AttachmentState]


@check(Undoing, Level.STOP, serves=("M1", "S6"), links=True)
def every_row_is_what_it_was(undoing: Undoing) -> Finding:
    """Every row and every fixed link is as it was before the run; kept rows are unchanged."""
    off = [
        f"{table}: {wording.amount(rows, 'row')}"
        for table, rows in undoing.misplaced.items()
        if rows
    ]
    looked = sum(undoing.after[t].rows for t in undoing.undoes.before)
    return Finding(max(1, looked), off)


@check(Undoing, Level.STOP, serves=("M1", "S6"), links=True)
def the_state_is_the_one_before_the_run(undoing: Undoing) -> Finding:
    """If nobody has written since the run, the fingerprints are those from before it."""
    before = undoing.undoes.before
    if not undoing.since.is_quiet:
        stays = sum(n.created + n.changed for n in undoing.since.newer)
        note = (
            f"people have written since: {wording.amount(stays, 'newer row')}, compared row by row"
        )
        return Finding(len(before), note=note)
    differ = differing(before, undoing.after)
    return Finding(
        max(1, len(before)), differ, note=f"{wording.amount(len(before), 'table')} compared"
    )


@check(
    Undoing,
    Level.STOP,
    serves=("K3", "K4", "K5", "K6", "K7", "K8", "K9", "K10", "K11", "K12", "K13"),
    links=True,
)
def the_rollback_wrote_to_nothing_else(undoing: Undoing) -> Finding:
    """The rollback wrote only to wiped tables and to links that the run had fixed."""
    writes = undoing.transaction.writes()
    wiped = {part.table for part in undoing.undo.tables}
    links = {link.table: undoing.relinked[link.attachment] for link in undoing.undo.links}
    off = []
    ours = {OWN_SCHEMA, undoing.undo.schema}
    for name in sorted({*undoing.database.catalog.tables, *writes} - wiped):
        wrote, fixed = writes.get(name, (0, 0, 0)), links.get(name, 0)
        if name.partition(".")[0] not in ours and wrote != (0, fixed, 0):
            wrote_here = wording.amount(sum(wrote), "row")
            off.append(f"{name}: {wrote_here}, {wording.amount(fixed, 'link')}")
    for name in sorted(wiped):
        wrote, wanted = writes.get(name, (0, 0, 0)), undoing.planned[name]
        if wrote != wanted:
            off.append(
                f"{name}: {wording.amount(sum(wrote), 'row')} written, {sum(wanted):,} differed"
            )
    may = {*wiped, *links}
    off += locked_elsewhere(undoing.transaction.connection, undoing.database.schema, may, ours)
    return Finding(len(undoing.database.catalog.tables), off)


@check(Undoing, Level.STOP, serves=("K11", "R6"))
def nothing_points_at_what_was_taken_back(undoing: Undoing) -> Finding:
    """No reference points at a row that the rollback has deleted."""
    transaction, off = undoing.transaction, []
    wiped = {part.table for part in undoing.undo.tables}
    # The rows of a wiped table are put back with the rows that they point at.
    chosen = [reference for reference in undoing.known if reference.table not in wiped]
    pointing = changes.that_point(
        transaction, chosen, lambda one: undo_data.links_not_fixed(undoing.undo, one)
    )
    aims = {reference.aim: reference for reference in pointing}
    gone = {aim: changes.gone(transaction, one) for aim, one in aims.items()}
    for reference in pointing:
        lost = changes.lost(transaction, undoing.undo, reference, gone[reference.aim])
        if lost:
            rows = wording.amount(lost, "row points", "rows point")
            off.append(f"{reference.table}.{reference.column}: {rows} at deleted rows")
    return Finding(max(1, len(chosen)), off)


@check(Restored, Level.STOP, serves=("M1", "S6"), links=True)
def the_rollback_is_what_was_committed(restored: Restored) -> Finding:
    """Read again, every table is as the rollback's transaction left it."""
    after = restored.after
    differ = differing(after, restored.fingerprints)
    return Finding(max(1, len(after)), differ)


@check(Restored, Level.INFO, serves=("M1", "T1"), links=True)
def the_state_after_the_rollback_is_written_down(restored: Restored) -> Finding:
    """Counts of rows, and of documents and images of an existing patient, are recorded."""
    counts = [f"{table} {f.rows:,}" for table, f in restored.fingerprints.items()]
    counts += [f"{n} {s.linked:,} of {s.rows:,} linked" for n, s in restored.states.items()]
    return Finding(len(counts), note=", ".join(counts))
