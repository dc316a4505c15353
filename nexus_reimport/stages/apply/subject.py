"""What the steps of an apply have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.registry import UndoData
from nexus_reimport.nexus.structure import sequences
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.sequences import Sequence
from nexus_reimport.nexus.writing import differences, incoming, undo_data
from nexus_reimport.nexus.writing.differences import Wanted
from nexus_reimport.nexus.writing.transaction import Transaction
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


def read(transaction: Transaction, request: ApplyRequest) -> Subject:
    """The subject of an apply; every table of the survey must be there."""
    plan, intake = request.plan, request.intake
    database = Database.read(transaction.connection, intake.mapping)
    undo = undo_data.of(request.run, database, plan.entities, plan.links, intake.survey.schema)
    wiped = [part.table for part in undo.tables]
    counted = sequences.behind(database.connection, intake.mapping.schema_name, wiped)
    wanted = {e.table: _wanted_of(name, request, database) for name, e in plan.entities.items()}
    return Subject(transaction, request, database, undo, counted, wanted)


def has_all_columns(database: Database, table: str, columns: Collection[str]) -> bool:
    """Whether ``columns`` are all that the table has: the database fills none by itself."""
    return {c.name for c in database.catalog.tables[table].columns} == {*columns}


def _wanted_of(name: str, request: ApplyRequest, database: Database) -> Wanted:
    """The planned rows of an entity, and how its table can be written."""
    entity, schema_name = request.plan.entities[name], request.intake.mapping.schema_name
    table, columns = entity.table, entity.file.columns
    return Wanted(
        name=name,
        table=table,
        key=database.catalog.tables[table].primary_key[0],
        columns=columns,
        place=incoming.rows(name),
        limits=differences.limits(database.connection, schema_name, table),
        # What the database fills by itself is only the same if it does it again, in every row.
        whole=request.write is Write.ALL or not has_all_columns(database, table, columns),
    )
