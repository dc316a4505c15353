"""The states of an apply: before, as it is foretold, and after; each is proven or the run stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.errors import ROLLED_BACK, StopError
from nexus_reimport.files import side_by_side
from nexus_reimport.model import EntityPlan
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection.driver_errors import constraint_of
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.registry import UndoPart
from nexus_reimport.nexus.structure import schema
from nexus_reimport.nexus.structure.fingerprint import Fingerprint, moved
from nexus_reimport.nexus.structure.tables import fingerprints_of
from nexus_reimport.nexus.writing import incoming, undo_data, versions
from nexus_reimport.nexus.writing.versions import Written
from nexus_reimport.stages.apply.request import ApplyRequest
from nexus_reimport.stages.apply.subject import Subject, has_all_columns


def require_same_schema(connection: Connection, request: ApplyRequest) -> None:
    """Stop unless the schema is the surveyed one; under the locks nobody can change it."""
    intake = request.intake
    was, now = intake.survey.schema, schema.describe(connection, intake.mapping)
    # A copy does without owners, grants, policies, publications and event triggers.
    if request.scratch is not None:
        was, now = schema.structure(was), schema.structure(now)
    schema.require_same(
        was,
        now,
        "since the preflight",
        state=ROLLED_BACK,
        next="run 01_preflight again: it shows what the change means",
    )


def copied(subject: Subject) -> dict[str, Fingerprint]:
    """The state before, where rows were copied aside that of the copies."""
    rows = {
        part.table: undo_data.fingerprint_before(subject.connection, subject.undo, part)
        for part in subject.undo.tables
    }
    others = subject.request.plan.before.keys() - rows.keys()
    return fingerprints_of(subject.database, others) | rows


def compare_before(subject: Subject, same: Collection[str]) -> None:
    """Stop unless the state is the planned one; the tables ``same`` are as they were copied."""
    subject.transaction.check_time()
    plan = subject.request.plan
    others = fingerprints_of(subject.database, plan.before.keys() - same)
    require_before(subject, {table: plan.before[table] for table in same} | others)


def require_before(subject: Subject, now: Mapping[str, Fingerprint]) -> None:
    """Stop unless the tables are as the plan found them.

    Raises:
        StopError: Nexus was changed since the preflight. The transaction is rolled back.
    """
    differ = moved(subject.request.plan.before, now)
    if differ:
        # A value whose type was changed meanwhile is printed otherwise, and nobody has edited it.
        require_same_schema(subject.connection, subject.request)
        raise StopError(
            f"Nexus was changed since the preflight\n{wording.lines(differ.values())}",
            state=ROLLED_BACK,
            next="run 01_preflight again: the plan must include what people have changed since",
        )


def require_printed_as_planned(subject: Subject) -> None:
    """Stop if PostgreSQL prints a planned value otherwise: no verification could ever succeed.

    Only a dry run looks for it: on a copy, the verification itself is rehearsed.
    """
    other = [
        f"    {entity.table}.{column}: {wording.amount(count, 'row')}"
        for entity in subject.request.plan.entities.values()
        for column, count in sorted(_printed_otherwise(subject, entity).items())
    ]
    if other:
        raise StopError(
            "PostgreSQL stores planned values in another form than the plan's\n" + "\n".join(other),
            state=ROLLED_BACK,
            next="take these columns out of the mapping, and report their types: the verification"
            " would fail after COMMIT",
        )


def _printed_otherwise(subject: Subject, entity: EntityPlan) -> Counter[str]:
    """Column -> rows whose value is printed otherwise; JSON is compared by what it says."""
    folder, wanted = subject.request.intake.folder, subject.wanted[entity.table]
    survey = subject.request.intake.survey
    texts = {c.name for c in survey.columns[entity.entity] if not c.is_json}
    path = folder / f"printed_{entity.file.name}"
    counts: Counter[str] = Counter()
    try:
        printed = incoming.print_rows(subject.transaction, wanted, path)
        rows = side_by_side.of(folder, entity.file, printed, wanted.key)
        if rows.gone:
            return Counter({wanted.key: len(rows.gone)})
        for planned, now in rows.batches():
            for _, was, row in side_by_side.what_differs(
                planned, now, wanted.key, texts & {*wanted.columns}
            ):
                counts.update(column for column in was if was[column] != row[column])
    finally:
        path.unlink(missing_ok=True)
    return counts


def rows_to_come(subject: Subject) -> Iterator[tuple[UndoPart, sql.Composable]]:
    """The rows of each table as they will be; without those that nobody can know before."""
    for part in subject.undo.tables:
        wanted = subject.wanted[part.table]
        if has_all_columns(subject.database, part.table, wanted.columns):
            yield part, wanted.place
    for link in subject.undo.links:
        written = incoming.links(link.attachment)
        yield link, undo_data.with_links(subject.mapping.schema_name, link, written)


def after(
    subject: Subject, part: UndoPart, foretold: Mapping[UndoPart, Fingerprint], *, is_same: bool
) -> Fingerprint:
    """The fingerprint of a table as the run leaves it, with every row proven.

    Of a table whose rows were of the ``same`` versions under the locks as when they were
    copied, a row that was not written must still be of that version, and one that was written
    must be as it was foretold. Else every row is hashed again.
    """
    # Nobody could know its rows before: see ``rows_to_come``.
    if part not in foretold:
        return undo_data.hash_now(subject.transaction, subject.undo, part)
    written = _written(subject, part)
    if is_same and written is not None and _is_as_foretold(subject, part, written):
        return foretold[part]
    return undo_data.fingerprint_now(subject.transaction, part)


def _is_as_foretold(subject: Subject, part: UndoPart, written: Written) -> bool:
    astray = versions.astray(subject.transaction, part, written)
    # Two values may be stored in two ways, and be printed as one.
    return not astray.moved and (
        not astray.unlike
        or undo_data.is_as_foretold(subject.transaction, subject.undo, part, written.keys(part.key))
    )


def _written(subject: Subject, part: UndoPart) -> Written | None:
    """The rows that are written, as the plan has them, which were hashed; None where all are."""
    if isinstance(part, registry.UndoLinks):
        return Written(incoming.links(part.attachment), undo_data.hashed_columns(part))
    wanted = subject.wanted[part.table]
    return None if wanted.whole else wanted.written


@contextmanager
def foreign_keys_hold(subject: Subject) -> Iterator[None]:
    """Encloses the writing; a foreign key that does not hold was one when the plan was rehearsed.

    In a rehearsal, which looks for the rows afterwards, the error stays as it is.
    """
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        if subject.request.proposal is None:
            raise
        raise StopError(
            "a row that planned rows point at is gone"
            if error.diag.table_name in subject.wanted
            else "since the preflight another row refers to a row that the plan deletes",
            where=constraint_of(error),
            state=ROLLED_BACK,
            next="run 01_preflight again: the plan must include what people have changed since",
        ) from None


def require_rehearsed(subject: Subject, after: Mapping[str, Fingerprint]) -> None:
    """Stop unless the result is the one that was approved; a rehearsal has none.

    Raises:
        StopError: it is another one. The transaction is rolled back.
    """
    if subject.request.proposal is None:
        return
    differ = moved(subject.request.proposal.after, after)
    if differ:
        raise StopError(
            "the result differs from the one that was rehearsed and approved\n"
            + wording.lines(differ.values()),
            state=ROLLED_BACK,
            next="keep this record, run 01_preflight again, and compare both records",
        )


def require_foretold(
    after: Mapping[str, Fingerprint], foretold: Mapping[UndoPart, Fingerprint]
) -> None:
    """Stop unless each written row is as it was foretold.

    Raises:
        StopError: something in the database has changed one. The transaction is rolled back.
    """
    other = [part.table for part, expected in foretold.items() if after[part.table] != expected]
    if other:
        raise StopError(
            f"the result differs from the plan: {', '.join(sorted(other))}",
            state=ROLLED_BACK,
            next="something in the database changes rows: look for triggers and rules",
        )
