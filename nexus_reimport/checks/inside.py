"""Checks inside the writing transaction, before COMMIT: one that fails rolls everything back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.files import rowfile
from nexus_reimport.intake import OfIntake
from nexus_reimport.model import Level, Plan
from nexus_reimport.nexus.connection.postgres import table_name
from nexus_reimport.nexus.registry import OWN_SCHEMA, UndoData, UndoTable
from nexus_reimport.nexus.structure import links, references
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.writing.table_locks import locked_elsewhere

_HOW_TO_GIVE_AN_END = (
    "give each an end: in FileMaker, where misfits.csv names its end as one that does not fit;"
    " in Nexus, where FileMaker does not have the appointment"
)


@dataclass(frozen=True, slots=True)
class Inside(OfIntake):
    """What the checks inside look at: the transaction's own view, and what was read before."""

    database: Database
    plan: Plan
    after: Mapping[str, Fingerprint]
    writes: Mapping[str, tuple[int, int, int]]  # inserted, updated, deleted by this transaction
    undo: UndoData
    planned: Mapping[str, tuple[int, int, int]]  # the same, as the plan differs from the tables


@check(Inside, Level.STOP, serves=("R1", "R2", "R3", "D1", "D2", "D3", "D4", "D5", "D6"))
def tables_hold_as_many_rows_as_planned(inside: Inside) -> Finding:
    """Every wiped table holds exactly as many rows as the plan says."""
    off = [
        f"{e.table}: {wording.amount(inside.after[e.table].rows, 'row')}, planned {e.rows_after:,}"
        for e in inside.plan.entities.values()
        if inside.after[e.table].rows != e.rows_after
    ]
    return Finding(sum(e.rows_after for e in inside.plan.entities.values()), off)


@check(
    Inside,
    Level.STOP,
    serves=("K3", "K4", "K5", "K6", "K7", "K8", "K9", "K10", "K11", "K12", "K13"),
    links=True,
)
def protected_tables_were_not_written(inside: Inside) -> Finding:
    """This transaction wrote exactly what the plan says, and to no other table of any schema."""
    planned = {link.table: link.file.rows for link in inside.plan.links.values()}
    wiped = {part.table: inside.planned[part.table] for part in inside.undo.tables}
    ours = {OWN_SCHEMA, inside.undo.schema}  # written by the run itself, about itself
    off = []
    for name in sorted({*inside.survey.tables, *inside.writes}):
        wrote = inside.writes.get(name, (0, 0, 0))
        wanted = wiped.get(name, (0, planned.get(name, 0), 0))
        if wrote != wanted and name.partition(".")[0] not in ours:
            off.append(
                f"{name}: {wording.amount(sum(wrote), 'row')} written, planned {sum(wanted):,}"
            )
    # the counters can be switched off by a setting; a lock cannot be hidden
    may, database = {*wiped, *inside.mapping.link_tables()}, inside.database
    off += locked_elsewhere(database.connection, database.schema, may, ours)
    return Finding(len(inside.survey.tables), off)


@check(Inside, Level.STOP, serves=("K11", "R6"))
def everything_that_pointed_still_points(inside: Inside) -> Finding:
    """No reference points at a row that the run has deleted, even if made since the preflight."""
    known = references.declared(inside.database)
    before = {(p.table, p.column, p.entity): p for p in inside.survey.pointers}
    looked, off = 0, []
    wiped = {part.table: part for part in inside.undo.tables}
    connection, schema = inside.database.connection, inside.mapping.schema_name
    chosen = [reference for reference in known if reference.target in wiped]
    aims = {reference.aim: reference for reference in chosen}
    # Of each aim once: most often none is gone.
    gone = {aim: _gone(inside, wiped[one.target], one) for aim, one in aims.items()}
    for reference in chosen:
        then = before.get((reference.table, reference.column, reference.entity))
        lost = references.lost(connection, schema, reference, gone[reference.aim])
        # A reference that no row uses was looked at, too.
        looked += (then.rows if then else 0) + 1
        if lost:
            pointing = wording.amount(lost, "row points", "rows point")
            off.append(f"{reference.table}.{reference.column}: {pointing} at deleted rows")
    return Finding(looked, off, empty="" if known else "no column can point at a wiped table")


def _gone(inside: Inside, part: UndoTable, reference: Reference) -> tuple[str, ...]:
    """The ids of rows of ``part`` that ``reference`` could point at before the run, and cannot now.

    Only a row that was deleted can take one away: no UPDATE changes what tells rows apart.
    """
    _, _, deleted = inside.planned[part.table]
    if not deleted:
        return ()
    connection, schema = inside.database.connection, inside.mapping.schema_name
    return references.gone(connection, schema, reference, inside.undo.before(part))


@check(Inside, Level.STOP, serves=("R4", "R5", "R6", "A5", "A6"), links=True)
def attachments_hang_as_planned(inside: Inside) -> Finding:
    """As many documents and images as planned belong to an existing patient.

    An image that somebody has put into a batch since is no reason to stop: the batch is as it was.
    """
    now, off, note = links.attachment_states(inside.database), [], ""
    for name, p in inside.plan.links.items():
        seen, added = now[name], now[name].rows - p.rows
        if added < 0 or not 0 <= seen.linked - p.reachable_after <= added:
            planned = f"planned {p.reachable_after:,} of {p.rows:,}"
            off.append(f"{name}: {seen.linked:,} linked of {seen.rows:,}, {planned}")
            note = "some were added or deleted since the preflight: run it again" if added else note
    # a clinic without documents and images has truly nothing to look at
    return Finding(max(1, sum(s.rows for s in now.values())), off, note=note)


@check(Inside, Level.STOP, serves=("A4",))
def no_appointment_of_a_patient_lacks_its_end(inside: Inside) -> Finding:
    """Every appointment of a patient has an end: the application's calendar fails without one."""
    mapping = inside.mapping
    calendar = mapping.application.calendar
    table = table_name(mapping.schema_name, mapping.entities[calendar.entity].table)
    entity = calendar.entity
    query = sql.SQL(
        "SELECT {}::text FROM {} WHERE {} IS NULL AND {} IS NOT NULL ORDER BY 1"
    ).format(
        sql.Identifier(inside.survey.keys[entity]),
        table,
        sql.Identifier(calendar.end),
        sql.Identifier(calendar.patient),
    )
    without = [str(key) for (key,) in inside.database.connection.execute(query)]
    id_map = rowfile.read(inside.folder, inside.plan.id_map) if without else ()
    written = {key: filemaker_id for of, filemaker_id, key in id_map if of == entity}
    off = [written.get(key) or f"Nexus id {key}" for key in without]
    looked = max(1, inside.survey.rows[entity].rows)
    return Finding(looked, off, note=_HOW_TO_GIVE_AN_END if off else "")
