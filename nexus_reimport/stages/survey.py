"""Reads Nexus at one moment: schema, references, links, counts, fingerprints, rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from nexus_reimport import naming, progress
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Pointer, Survey, TableState
from nexus_reimport.nexus import registry, rights
from nexus_reimport.nexus.connection.copying import copy_out
from nexus_reimport.nexus.connection.postgres import Connection, scalar
from nexus_reimport.nexus.reading import inventory, row_hashes
from nexus_reimport.nexus.reading.row_hashes import Hashed
from nexus_reimport.nexus.registry import loaded
from nexus_reimport.nexus.rights import Task
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure import (
    defaults,
    fit,
    links,
    obstacles,
    references,
    schema,
    sequences,
    tables,
)
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.obstacles import Problem
from nexus_reimport.nexus.structure.tables import Role

# The last number that a sequence behind such a column can give.
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def read(
    connection: Connection, mapping: FieldMapping, folder: Path, task: Task = Task.RUN
) -> Survey:
    """Everything that later stages need of Nexus, as the connection's transaction sees it.

    Call it inside ``postgres.exported_snapshot``, so that the backup shows the same moment.
    ``task`` is the task that the role needs rights for.

    Raises:
        MappingError: the mapping does not fit the live schema. Only private files were written.
    """
    obstacles.refuse_hidden_rows(connection)  # every count and fingerprint below would be wrong
    catalog = catalogs.read(connection, mapping.schema_name)
    progress.tell(0, 0, "schema and rights")
    # Before anything names a table: PostgreSQL would tell no more than the first that is missing.
    fit.check(connection, mapping, catalog)
    types = catalogs.content_types(connection, mapping)
    database = Database(connection, mapping, catalog, types)
    known = references.declared(database)
    described = schema.describe(connection, mapping)
    filled, unused = defaults.read(database)
    beside = obstacles.beside(database)
    progress.tell(0, 0, "references")
    scanned, hits = references.unexplained(database, known)
    own, others = _protected(database), row_hashes.elsewhere(connection, mapping)
    hashes, prints = row_hashes.dump(connection, (*own, *others), folder / "protected.parquet")
    return Survey(
        database=str(scalar(connection, "SELECT current_database()")),
        server_version=str(scalar(connection, "SHOW server_version")),
        taken_at=datetime.now(UTC),
        schema_digest=schema.digest(described),
        content_types=types,
        tables={t: _state(database, catalog.tables[t], prints) for t in sorted(catalog.tables)},
        pointers=_pointers(database, known),
        attachments=links.attachment_states(database),
        problems=(
            *obstacles.find(database, hits),
            *_missing_rights(connection, mapping, task),
        ),
        scanned_columns=scanned,
        rows={n: _rows(database, n, folder / f"before_{n}.parquet") for n in mapping.entities},
        attachment_rows={
            n: links.dump_attachment(database, a, folder / f"attached_{n}.parquet")
            for n, a in mapping.attachments.items()
        },
        lookups=_lookups(database, folder),
        pointed_at=_pointed_at(database, known, folder),
        id_map=loaded.read(connection, folder / "id_map_before.parquet"),
        next_keys=_next_keys(database),
        columns={n: catalog.tables[e.table].columns for n, e in mapping.entities.items()},
        unique_keys={n: catalog.tables[e.table].unique_keys for n, e in mapping.entities.items()},
        undo=tuple(registry.undo_sizes(connection)),
        keys={n: database.key(e.table) for n, e in mapping.entities.items()},
        schema=described,
        notices=(*obstacles.notices(database, beside), *unused),
        to_refresh=obstacles.to_refresh(database, beside),
        defaults=filled,
        linking={
            t: tables.dump(database, catalog.tables[t], folder / f"linking_{t}.parquet")
            for t in mapping.linking_tables()
        },
        linking_keys={t: database.key(t) for t in mapping.linking_tables()},
        runs=registry.dump_fixed(registry.fixed(connection), folder / "runs.parquet"),
        inventory=inventory.dump(connection, folder / "inventory.parquet"),
        positions=inventory.positions(connection),
        external_ids={n: _external_ids(database, n, folder) for n in mapping.external_ids},
        protected=hashes,
        elsewhere={table.name: prints[table.name] for table in others},
    )


def _rows(database: Database, entity: str, path: Path) -> RowFile:
    progress.tell(0, 0, naming.rows(entity))
    table = database.mapping.entities[entity].table
    return tables.dump(database, database.catalog.tables[table], path)


def _protected(database: Database) -> tuple[Hashed, ...]:
    """The application's tables that nothing of a run is for, linking tables aside."""
    mapping, linking = database.mapping, database.mapping.linking_tables()
    hashed = []
    for name, table in sorted(database.catalog.tables.items()):
        columns, role, _ = tables.fingerprinted(mapping, table)
        if role is Role.PROTECTED and columns and name not in linking:
            hashed.append(row_hashes.of_table(mapping, table))
    return tuple(hashed)


def _state(database: Database, table: Table, prints: Mapping[str, Fingerprint]) -> TableState:
    _, role, left_out = tables.fingerprinted(database.mapping, table)
    progress.tell(0, 0, table.name)
    # A table that was hashed row by row is not read a second time.
    fingerprint = prints.get(table.name) or tables.fingerprint_of(database, table)
    return TableState(table.name, role, fingerprint.rows, fingerprint, left_out, table.primary_key)


def _pointers(database: Database, known: list[references.Reference]) -> tuple[Pointer, ...]:
    shared = [(r.table, r.columns) for r in known if r.kind == "id in a column"]
    pointers = []
    for r in known:
        rows, dangling = references.count(database.connection, database.schema, r)
        if shared.count((r.table, r.columns)) > 1:
            dangling = 0  # the column names several tables: an id that misses one may be in another
        pointers.append(
            Pointer(r.table, r.columns, r.kind, r.entity, rows, dangling, r.target_columns)
        )
    return tuple(pointers)


def _pointed_at(
    database: Database,
    known: list[references.Reference],
    folder: Path,
) -> RowFile:
    """The wiped rows that a reference from another table points at: entity, id, table, column."""
    outside = [r for r in known if r.table not in database.mapping.wiped_tables()]
    columns = ("entity", "id", "table", "column")
    parts = [
        sql.SQL(
            "SELECT {} AS entity, t.key::text AS id, {}, {} FROM ({}) AS p"
            " JOIN ({}) AS t USING (id)"
        ).format(
            sql.Literal(r.entity),
            sql.Literal(r.table),
            sql.Literal(r.column),
            references.pointing(database.schema, r),
            references.ids(
                database.place(r.target),
                r,
                database.key(r.target),
            ),
        )
        for r in outside
    ]
    if not parts:
        return rowfile.write(folder / "pointed_at.parquet", columns)
    query = sql.SQL("SELECT DISTINCT * FROM ({}) AS pointed ORDER BY 1, 2, 3, 4").format(
        sql.SQL(" UNION ALL ").join(parts)
    )
    return copy_out(database.connection, query, folder / "pointed_at.parquet", columns)


def _lookups(database: Database, folder: Path) -> dict[str, RowFile]:
    """``table.column`` -> (id, value) of each row, by which lookups, and people, choose one."""
    files = {}
    for table, column in sorted(database.mapping.chosen_from()):
        query = sql.SQL("SELECT {0}, {1} FROM {2} WHERE {1} IS NOT NULL ORDER BY 1").format(
            sql.Identifier(database.key(table)), sql.Identifier(column), database.place(table)
        )
        path = folder / f"lookup_{table}_{column}.parquet"
        files[f"{table}.{column}"] = copy_out(database.connection, query, path, ("id", "value"))
    return files


def _external_ids(database: Database, name: str, folder: Path) -> RowFile:
    """Owner and id of each row of Nexus's table that the application uses."""
    spec = database.mapping.external_ids[name]
    query = sql.SQL("SELECT {0}, {1} FROM {2} WHERE {0} IS NOT NULL AND {1} IS NOT NULL{3}").format(
        sql.Identifier(spec.owner),
        sql.Identifier(spec.column),
        database.place(spec.table),
        sql.SQL(" AND {}").format(sql.Identifier(spec.active)) if spec.active else sql.SQL(""),
    )
    ordered = sql.SQL("{} ORDER BY 1, 2").format(query)
    path = folder / f"external_ids_{name}.parquet"
    return copy_out(database.connection, ordered, path, ("owner", "id"))


def _next_keys(database: Database) -> dict[str, tuple[int, int]]:
    """Entity with integer keys -> the first key that was never given out; the last possible key.

    A key that was given out may be in use although no row has it: a sequence is never rolled back.
    """
    keys = {}
    behind = sequences.behind(database.connection, database.schema, database.mapping.wiped_tables())
    for name, entity in database.mapping.entities.items():
        table = database.catalog.tables[entity.table]
        key = table.column(table.primary_key[0])
        if key is not None and key.stored_as in _LARGEST:
            query = sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(
                sql.Identifier(key.name), database.place(entity.table)
            )
            rising = [
                s
                for s in behind
                if (s.table, s.column) == (entity.table, key.name) and s.rises and s.may_read
            ]
            given_out = [sequences.given_out(database.connection, s) or 0 for s in rising]
            limits = [s.largest - s.increment + 1 for s in rising if not s.cycles]
            keys[name] = (
                max(int(scalar(database.connection, query)), *given_out, 0) + 1,
                min([*limits, _LARGEST[key.stored_as]]),
            )
    return keys


def _missing_rights(connection: Connection, mapping: FieldMapping, task: Task) -> list[Problem]:
    lacking = rights.missing(rights.read(connection, mapping), task)
    problems = [Problem(f"missing right: {one.what}", one.grant) for one in rights.lines(lacking)]
    if scalar(connection, "SELECT pg_is_in_recovery()"):
        problems.append(Problem("the server is a replica in recovery", "name the primary server"))
    return problems
