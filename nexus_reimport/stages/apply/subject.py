"""What the steps of an apply have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import differences, incoming, sequences, undo_data
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.differences import Wanted
from nexus_reimport.nexus.postgres import Connection
from nexus_reimport.nexus.registry import UndoData
from nexus_reimport.nexus.sequences import Sequence
from nexus_reimport.nexus.transaction import Transaction
from nexus_reimport.settings import Write
from nexus_reimport.stages.apply.request import ApplyRequest


@dataclass(frozen=True, slots=True)
class Subject:
    """What the steps have in common: the transaction, the request, and the database as it is.

    ``wanted`` has, by table, the planned rows, and how the table can be written.
    """

    transaction: Transaction
    request: ApplyRequest
    database: Database
    undo: UndoData
    sequences: tuple[Sequence, ...]  # that give keys to rows of the wiped tables
    wanted: Mapping[str, Wanted]

    @property
    def connection(self) -> Connection:
        """The transaction's."""
        return self.transaction.connection

    @property
    def mapping(self) -> FieldMapping:
        """Which field feeds which column."""
        return self.request.intake.mapping

    def has_all_columns(self, table: str, columns: Collection[str]) -> bool:
        """Whether ``columns`` are all that the table has: the database fills none by itself."""
        return {c.name for c in self.database.catalog.tables[table].columns} == {*columns}


def read(transaction: Transaction, request: ApplyRequest) -> Subject:
    """The subject of an apply; every table of the survey must be there."""
    plan, intake = request.plan, request.intake
    database = Database.read(transaction.connection, intake.mapping)
    undo = undo_data.of(request.run, database, plan.entities, plan.links, intake.survey.schema)
    wiped = [part.table for part in undo.tables]
    counted = sequences.behind(database.connection, intake.mapping.schema_name, wiped)
    bare = Subject(transaction, request, database, undo, counted, {})
    wanted = {plan.entities[name].table: _wanted_of(name, bare) for name in plan.entities}
    return replace(bare, wanted=wanted)


def _wanted_of(name: str, subject: Subject) -> Wanted:
    """The planned rows of an entity, and how its table can be written."""
    entity, request = subject.request.plan.entities[name], subject.request
    return Wanted(
        name=name,
        table=entity.table,
        key=subject.database.catalog.tables[entity.table].primary_key[0],
        columns=entity.file.columns,
        place=incoming.rows(name),
        fixed=differences.fixed_columns(
            subject.connection, subject.mapping.schema_name, entity.table
        ),
        # What the database fills by itself is only the same if it does it again, in every row.
        whole=request.write is Write.ALL
        or not subject.has_all_columns(entity.table, entity.file.columns),
    )
