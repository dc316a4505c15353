"""The run that can be undone: the latest, if its undo data is there and the schema the same."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_reimport import wording
from nexus_reimport.errors import NOTHING_WRITTEN, StopError
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection.postgres import Connection, scalar
from nexus_reimport.nexus.registry import Committed, UndoData
from nexus_reimport.nexus.structure import references, schema
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.structure.schema import Facts
from nexus_reimport.nexus.structure.tables import mapped_tables


def latest(database: Database, run: str) -> tuple[Committed, UndoData]:
    """The run that can be undone, and its undo data; ``run`` must name it, or be empty.

    Raises:
        StopError: there is none, another run is the latest, or it cannot be undone exactly.
            Nothing was written.
    """
    connection = database.connection
    every = registry.runs(connection)
    _refuse_what_is_of_no_run(connection, every)
    # a rollback has no undo data: it cannot be undone itself
    standing = registry.still_standing(every)
    if run and (not standing or run != standing[0].run):
        raise _not_this_one(run, every, standing)
    if not standing:
        raise StopError(
            "no run was committed here that could be undone" + _of_the_last(every),
            where=f"database {scalar(connection, 'SELECT current_database()')}",
            next="see nexus-reimport record list",
        )
    last = standing[0]
    restore = f"nexus-reimport restore {last.run} --into NAME gives the whole database back"
    if last.undo is None:
        raise StopError(f"run {last.run} has made no undo data", next=restore)
    if gone := registry.missing(connection, last.undo):
        raise StopError(
            f"the undo data of run {last.run} no longer exists: {wording.some(gone)}",
            where="it was purged, or the database was restored from a dump since",
            next=restore,
        )
    _refuse_another_mapping(database.mapping, last, last.undo)
    require_same_schema(connection, database.mapping, last, NOTHING_WRITTEN)
    return last, last.undo


def _of_the_last(every: Sequence[Committed]) -> str:
    """By what the last run was undone, for somebody who looks for it; "" if none was."""
    undone = (f": the last one, {r.run}, was undone by {r.undone_by}" for r in every if r.undone_by)
    return next(undone, "")


def _refuse_another_mapping(mapping: FieldMapping, last: Committed, undo: UndoData) -> None:
    """Stop if the mapping, edited since, wipes or links other tables than the run did."""
    ours = {*(mapping.wiped_tables() if undo.tables else ()), *mapping.link_tables()}
    if others := sorted(ours ^ last.before.keys()):
        raise StopError(
            f"the mapping was edited since run {last.run}: of what a run wipes or links, they"
            f" differ in {wording.some(others)}",
            next="put the mapping back as it was for that run, undo it, then edit it again;"
            f" or nexus-reimport restore {last.run} --into NAME gives the whole database back",
        )


def _refuse_what_is_of_no_run(connection: Connection, every: Sequence[Committed]) -> None:
    """Stop if a run has left undo data and no row: an older one would be undone below it."""
    if lost := registry.undo_of_no_run(connection, every):
        raise StopError(
            f"undo data is here whose run is not: {wording.some(lost)}",
            where=f"{registry.OWN_SCHEMA}.{registry.RUNS_NAME} has no row of that run: somebody has"
            " deleted it, or put an older state of that table back",
            next="nexus-reimport restore RUN --into NAME, with the run whose id the schema bears,"
            " gives the whole database back as it was before that run. To undo an older run"
            " beneath its rows, first drop its undo data: nexus-reimport purge-undo",
        )


def _not_this_one(run: str, every: Sequence[Committed], standing: Sequence[Committed]) -> StopError:
    """Why ``run`` cannot be undone; ``standing`` are those that are not undone, the latest first.

    Who repeats a rollback must not be sent on to undo the run before it.
    """
    known = next((r for r in every if r.run == run), None)
    latest = f"the latest is {standing[0].run}" if standing else "no other run can be undone"
    if known is not None and known.kind != "rollback" and not known.undone_by:
        return StopError(
            f"run {run} is not the latest; {latest}",
            next=f"only the latest can be undone: nexus-reimport rollback {standing[0].run};"
            f" the whole database as before {run}: nexus-reimport restore {run} --into NAME",
        )
    before = ""
    if standing:
        before = f"only to undo run {standing[0].run} too: nexus-reimport rollback"
        before += f" {standing[0].run}"
    if known is None:
        return StopError(
            f"this database knows no run {run} that was committed, so there is nothing to undo;"
            f" {latest}",
            next=before or "see nexus-reimport record list",
        )
    again = f"nexus-reimport run {known.environment} imports again"
    todo = "; ".join(filter(None, (again, before)))
    if known.kind == "rollback":
        return StopError(
            f"run {run} is a rollback, which cannot be undone itself; {latest}", next=todo
        )
    return StopError(
        f"run {run} was undone by {known.undone_by} already: nothing is left to do; {latest}",
        next=todo,
    )


def require_same_schema(
    connection: Connection, mapping: FieldMapping, undoes: Committed, state: str
) -> Facts:
    """Stop unless the schema is the one before the run: else its rows cannot be put back exactly.

    Gives its description.

    Raises:
        StopError: the schema was changed. ``state`` is left.
    """
    since_run = f"since run {undoes.run}"
    advice = (
        "revert the change and try again; or nexus-reimport restore"
        f" {undoes.run} --into NAME gives the whole database back"
    )
    now, kept = described(connection, mapping, undoes.undo), undoes.undo
    if kept is None or not (kept.facts or _has_digest(connection, mapping, kept.schema_digest)):
        raise StopError(
            f"the schema of the tables was changed {since_run}",
            where="columns, types or foreign keys of mapped tables, or the mapping itself",
            state=state,
            next=advice,
        )
    if kept.facts:
        schema.require_same(kept.facts, schema.structure(now), since_run, state=state, next=advice)
    return now


def described(connection: Connection, mapping: FieldMapping, undo: UndoData | None) -> Facts:
    """The tables that the run has described, as they are now: the mapping may name others since."""
    if undo is None or not undo.facts:
        return schema.describe(connection, mapping)
    tables = schema.tables_in(undo.facts, mapping.schema_name)
    return schema.of_tables(connection, mapping.schema_name, tables)


def _has_digest(connection: Connection, mapping: FieldMapping, digest: str) -> bool:
    """Whether the tables are those of a run that has not kept what the catalog said of them."""
    return Database.read(connection, mapping).catalog.digest(mapped_tables(mapping)) == digest


def references_to_wiped(database: Database, undo: UndoData) -> tuple[Reference, ...]:
    """The references that can point at a row of a wiped table."""
    wiped = {part.table for part in undo.tables}
    return tuple(r for r in references.declared(database) if r.target in wiped)
