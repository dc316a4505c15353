"""Keys of new rows that the database itself gives out: whole numbers from a sequence."""

from __future__ import annotations

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.errors import ROLLED_BACK, StopError
from nexus_reimport.nexus.connection.postgres import scalar, table_name
from nexus_reimport.nexus.structure import sequences
from nexus_reimport.nexus.writing import incoming
from nexus_reimport.stages.apply.subject import Subject


def require_new(subject: Subject) -> None:
    """Stop if the database gave out a key of a new row since the preflight.

    A session that got it may still use it: a sequence does not show who took a number. On a
    copy only we take numbers: the plan is applied to it twice.
    """
    if subject.request.scratch is not None:
        return
    entities = subject.mapping.wiped_tables()
    for sequence in subject.sequences:
        key = subject.database.catalog.tables[sequence.table].primary_key
        if not sequence.rises or key != (sequence.column,):
            continue
        query = sql.SQL(
            "SELECT min(i.{key}) FROM {} AS i LEFT JOIN {} AS t USING ({key}) WHERE t.{key} IS NULL"
        ).format(
            incoming.rows(entities[sequence.table]),
            table_name(subject.mapping.schema_name, sequence.table),
            key=sql.Identifier(sequence.column),
        )
        first = scalar(subject.connection, query)
        given_out = sequences.given_out(subject.connection, sequence)
        if first is None or given_out is None or given_out < first:
            continue
        raise StopError(
            f"since the preflight Nexus has used {wording.amount(given_out - first + 1, 'key')}"
            " that the plan gives to new rows",
            where=sequence.what,
            state=ROLLED_BACK,
            next="run 01_preflight again: somebody added rows, or tried to, or this plan was"
            " executed and its COMMIT was lost",
        )


def move_past(subject: Subject) -> None:
    """Move sequences past the loaded keys; the last step: a sequence is not rolled back."""
    for sequence in subject.sequences:
        subject.transaction.check_time()
        sequences.move_past_keys(subject.connection, subject.mapping.schema_name, sequence)
