"""The undo data of a run: created in its transaction, so it exists only if the run was committed.

For each wiped table it holds the rows as they were, and (key, hash) of each row as the run left it;
for each linking table the fixed links as they were, and (key, hash) of every link afterwards. The
hashes show exactly what was created, edited or deleted since.

Rows are copied, and hashed as they will be, before the first lock, so that nobody waits for it.
Under the locks the rows must be those that were copied, and, at the end, those that were foretold.
What cannot be foretold (generated columns) is hashed under the locks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from psycopg import sql

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.connection.copying import copy_out_in_order
from nexus_reimport.nexus.connection.postgres import Connection, names, none_of, scalar, table_name
from nexus_reimport.nexus.registry import (
    UndoData,
    UndoLinks,
    UndoNames,
    UndoPart,
    UndoTable,
    loaded,
    undo_schema,
)
from nexus_reimport.nexus.structure import fingerprint, references
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.structure.schema import Facts, structure
from nexus_reimport.nexus.structure.tables import mapped_tables
from nexus_reimport.nexus.writing.transaction import Transaction

KEY = "key"  # as the key is called in tables of (key, hash)
Pointers = frozenset[tuple[str, str, int]]  # place, id, rows


def of(
    run: str,
    database: Database,
    entities: Collection[str],
    links: Collection[str],
    facts: Facts,
) -> UndoData:
    """A description of the undo data of ``run``: names, columns and schema; nothing exists yet.

    ``entities`` are those whose tables are wiped, ``links`` the attachments that are re-linked.
    """
    mapping, catalog = database.mapping, database.catalog
    wiped, free = mapping.wiped_tables(), UndoNames().free
    tables = [
        UndoTable(
            table=table,
            key=catalog.tables[table].primary_key[0],
            columns=tuple(sorted(c.name for c in catalog.tables[table].columns)),
            loads=catalog.tables[table].names(),
            kept_as=free(table),
            after=free(f"after_{table}"),
        )
        for table, entity in wiped.items()
        if entity in entities
    ]
    linked = []
    for name in links:
        spec = mapping.attachments[name]
        link = spec.link
        linked.append(
            UndoLinks(
                attachment=name,
                table=spec.link_table,
                key=catalog.tables[spec.link_table].primary_key[0],
                columns=(link.object, link.content_type) if link.content_type else (link.object,),
                kept_as=free(f"links_{name}"),
                after=free(f"after_links_{name}"),
            )
        )
    return UndoData(
        schema=undo_schema(run),
        tables=tuple(tables),
        links=tuple(linked),
        schema_digest=catalog.digest(mapped_tables(mapping)),
        loaded=bool(tables),
        facts=structure(facts),
    )


def make(connection: Connection, undo: UndoData) -> None:
    """Create the schema, with a copy of ``nexus_reimport.loaded`` as it is before the run."""
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(undo.schema)))
    if undo.loaded:
        loaded.keep(connection, undo)


def copy_rows(transaction: Transaction, undo: UndoData) -> None:
    """Copy the rows of wiped tables as they are."""
    for table in undo.tables:
        transaction.let_go_first()
        transaction.execute(
            sql.SQL("CREATE TABLE {} AS TABLE {}").format(
                undo.before(table), table_name(transaction.schema, table.table)
            )
        )


def copy_links(
    transaction: Transaction, undo: UndoData, written: Mapping[str, sql.Composed]
) -> None:
    """Copy those links that are in ``written`` (attachment -> their keys) as they are."""
    for link in undo.links:
        transaction.execute(
            sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WHERE {} IN ({})").format(
                undo.before(link),
                names((link.key, *link.columns)),
                table_name(transaction.schema, link.table),
                sql.Identifier(link.key),
                written[link.attachment],
            )
        )


def foretell(
    transaction: Transaction, undo: UndoData, planned: Mapping[UndoPart, sql.Composable]
) -> dict[UndoPart, Fingerprint]:
    """Write (key, hash) of every row as it will be; ``planned`` gives the rows, whole."""
    foretold = {}
    for part, rows in planned.items():
        transaction.let_go_first()
        query = _hashed(rows, part.key, hashed_columns(part))
        create = sql.SQL("CREATE TABLE {} AS {}").format(undo.after(part), query)
        transaction.analyze_if_large(undo.after(part), transaction.execute(create), KEY)
        foretold[part] = fingerprint_after(transaction.connection, undo, part)
    return foretold


def with_links(schema: str, link: UndoLinks, written: sql.Composable) -> sql.Composed:
    """The links of a table as they will be: (key, the link's columns); ``written`` are fixed."""
    columns = sql.SQL(", ").join(
        sql.SQL("CASE WHEN w.{key} IS NULL THEN t.{0} ELSE w.{0} END AS {0}").format(
            sql.Identifier(column), key=sql.Identifier(link.key)
        )
        for column in link.columns
    )
    return sql.SQL(
        "(SELECT t.{key}, {columns} FROM {table} AS t LEFT JOIN {written} AS w"
        " ON w.{key} = t.{key}) AS linked"
    ).format(
        key=sql.Identifier(link.key),
        columns=columns,
        table=table_name(schema, link.table),
        written=written,
    )


def is_as_foretold(
    transaction: Transaction, undo: UndoData, part: UndoPart, written: sql.Composable
) -> bool:
    """Whether the rows whose keys are in ``written`` are now as they were foretold."""
    query = sql.SQL(
        "SELECT count(*) FROM (SELECT key, hash FROM {foretold} WHERE key IN ({written})) AS f"
        " FULL JOIN ({now} WHERE {key} IN ({written})) AS n ON n.key = f.key"
        " WHERE n.hash IS DISTINCT FROM f.hash"
    ).format(
        foretold=undo.after(part),
        written=written,
        now=hashed_now(transaction.schema, part),
        key=sql.Identifier(part.key),
    )
    transaction.check_time()
    return not scalar(transaction.connection, query)


def fingerprint_now(transaction: Transaction, part: UndoPart) -> Fingerprint:
    """The fingerprint of a table as it is: each row is read and hashed."""
    transaction.check_time()
    place = table_name(transaction.schema, part.table)
    return fingerprint.of(transaction.connection, place, hashed_columns(part), (part.key,))


def hash_now(transaction: Transaction, undo: UndoData, part: UndoPart) -> Fingerprint:
    """Write (key, hash) of each row as it is, of what could not be foretold; its fingerprint.

    Each row is read and hashed only once: the fingerprint is made of these hashes.
    """
    query = hashed_now(transaction.schema, part)
    transaction.execute(sql.SQL("CREATE TABLE {} AS {}").format(undo.after(part), query))
    return fingerprint_after(transaction.connection, undo, part)


def write_down_pointers(
    transaction: Transaction,
    undo: UndoData,
    known: Sequence[Reference],
    created: Mapping[str, sql.Composable],
    fixed: Mapping[str, sql.Composable],
) -> None:
    """Record which rows created by the run are referenced from outside already: place, id, rows.

    A loose reference that dangled before the run may point at a row that the run creates. That is
    no reason to keep the row when the run is undone; a reference made later is. Links that the run
    fixes do not count, because the undo restores them.

    ``created`` are the rows that the run creates, by their table: only references to these count.
    ``fixed`` are the keys of the links that it fixes, by attachment.
    """
    place = undo.pointed_at
    transaction.execute(sql.SQL("CREATE TABLE {} (place text, id text, rows bigint)").format(place))
    if query := _all_pointing(transaction.schema, undo, known, created, fixed):
        transaction.let_go_first()
        transaction.execute(sql.SQL("INSERT INTO {} {}").format(place, query))


def pointers(
    connection: Connection, schema: str, undo: UndoData, known: Iterable[Reference]
) -> tuple[Pointers, Pointers]:
    """What points at rows that the run has made: as it was written down, and as it is."""
    kept = sql.SQL("SELECT place, id, rows FROM {}").format(undo.pointed_at)
    created = {
        part.table: references.without(
            table_name(schema, part.table), undo.before(part), (part.key,)
        )
        for part in undo.tables
    }
    fixed = {link.attachment: _fixed_keys(undo, link) for link in undo.links}
    query = _all_pointing(schema, undo, from_outside(undo, known), created, fixed)
    now = connection.execute(query) if query else ()
    return frozenset(connection.execute(kept)), frozenset(now)


def from_outside(undo: UndoData, known: Iterable[Reference]) -> list[Reference]:
    """Those that point at rows of the wiped tables from outside of them.

    A wiped table's own references are put back with its rows.
    """
    wiped = {part.table for part in undo.tables}
    return [r for r in known if r.target in wiped and r.table not in wiped]


def _all_pointing(
    schema: str,
    undo: UndoData,
    known: Iterable[Reference],
    created: Mapping[str, sql.Composable],
    fixed: Mapping[str, sql.Composable],
) -> sql.Composed | None:
    """One question for all references to the ``created`` rows; None if there are none."""
    each = [
        _pointing(schema, undo, reference, created[reference.target], fixed)
        for reference in known
        if reference.target in created
    ]
    return sql.SQL(" UNION ALL ").join(each) if each else None


def _pointing(
    schema: str,
    undo: UndoData,
    reference: Reference,
    created: sql.Composable,
    fixed: Mapping[str, sql.Composable],
) -> sql.Composed:
    """A query of place, id and rows: which of the ``created`` rows ``reference`` points at."""
    return sql.SQL(
        "SELECT {name}, p.id, count(*) FROM ({pointing}) AS p JOIN ({created}) AS t USING (id)"
        " GROUP BY p.id"
    ).format(
        name=sql.Literal(reference.place),
        pointing=references.pointing(schema, reference, _not_fixed(undo, reference, fixed)),
        created=references.ids(created, reference),
    )


def links_not_fixed(undo: UndoData, reference: Reference) -> sql.Composable:
    """A condition: for a linking table, the link was not fixed by the run; else always true."""
    fixed = {link.attachment: _fixed_keys(undo, link) for link in undo.links}
    return _not_fixed(undo, reference, fixed)


def _fixed_keys(undo: UndoData, link: UndoLinks) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {}").format(sql.Identifier(link.key), undo.before(link))


def _not_fixed(
    undo: UndoData, reference: Reference, fixed: Mapping[str, sql.Composable]
) -> sql.Composable:
    conditions = [
        none_of(sql.Identifier(link.key), fixed[link.attachment])
        for link in undo.links
        if link.table == reference.table
    ]
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def hashed_now(schema: str, part: UndoPart) -> sql.Composed:
    """A query of (key, hash) of each row as it is now."""
    return _hashed(table_name(schema, part.table), part.key, hashed_columns(part))


def hashed_before(undo: UndoData, part: UndoTable) -> sql.Composed:
    """A query of (key, hash) of each row of a wiped table as it was before the run."""
    return _hashed(undo.before(part), part.key, part.columns)


def hashed_columns(part: UndoPart) -> tuple[str, ...]:
    """The columns that the hash of a row covers."""
    return part.columns if isinstance(part, UndoTable) else (part.key, *part.columns)


def _hashed(place: sql.Composable, key: str, columns: Iterable[str]) -> sql.Composed:
    return sql.SQL("SELECT {} AS key, md5(ROW({})::text) AS hash FROM {}").format(
        sql.Identifier(key), names(sorted(columns)), place
    )


def fingerprint_before(connection: Connection, undo: UndoData, part: UndoTable) -> Fingerprint:
    """The fingerprint that a wiped table had before the run, of the rows that are kept."""
    return fingerprint.of(connection, undo.before(part), part.columns, (part.key,))


def fingerprint_after(connection: Connection, undo: UndoData, part: UndoPart) -> Fingerprint:
    """The fingerprint of a table as the run left it, of the (key, hash) that are kept."""
    return fingerprint_of_hashes(connection, undo.after(part))


def dump_keys_after(connection: Connection, undo: UndoData, part: UndoPart, path: Path) -> RowFile:
    """The keys that the kept hashes are of, in order: their fingerprint does not cover them."""
    return copy_out_in_order(connection, undo.after(part), (KEY,), KEY, path)


def fingerprint_of_hashes(connection: Connection, place: sql.Composable) -> Fingerprint:
    """The fingerprint of the rows whose (key, hash) are in ``place``."""
    # The same hashes in the same order as in `fingerprint.of`: the two must be equal.
    row = connection.execute(
        sql.SQL(
            "SELECT count(*), md5(coalesce(string_agg(hash, '' ORDER BY"
            " ROW(key)::text COLLATE \"C\"), '')) FROM {}"
        ).format(place)
    ).fetchone()
    return Fingerprint(*row) if row else Fingerprint(0, "")


def dump_links_before(
    connection: Connection, undo: UndoData, part: UndoLinks, path: Path
) -> RowFile:
    """The links that the run has fixed as they were, in the order of their keys."""
    columns = (part.key, *part.columns)
    return copy_out_in_order(connection, undo.before(part), columns, part.key, path)
