"""What references the rows that will be wiped: foreign keys, generic keys, ids in other columns.

It also searches for references that nothing explains: every column of UUIDs or short texts is
compared with the ids that will be wiped, if they are UUIDs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import LiteralString

from psycopg import sql

from nexus_reimport import convert
from nexus_reimport.nexus.connection.postgres import Connection, names, scalar, table_name
from nexus_reimport.nexus.structure.catalog import Catalog, Column, ForeignKey
from nexus_reimport.nexus.structure.database import Database

# Columns that one query looks at: the ids to be wiped are gathered once for all of them, not once
# for each. Of a database of thousands of tables PostgreSQL would refuse a query of all (54001).
_AT_ONCE = 1_000
LONGEST_ID_COLUMN = 512  # characters; longer columns hold prose, and are not searched for ids
_ALL = sql.SQL("true")
# A UUID as text has 36 characters; some columns of Nexus hold it in upper case.
_TEXT_ID: LiteralString = "CASE WHEN length({0}::text) = 36 THEN lower({0}::text) END"


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns whose values identify a row of an entity: one, or as many as a foreign key has.

    ``content_type`` restricts a generic key to the rows that mean this entity. A ``table`` outside
    of the mapping's schema is named with its schema, and ``elsewhere`` is that schema and table.
    ``are_uuids``: both sides are of that type, and can be compared as they are.
    """

    table: str
    columns: tuple[str, ...]
    kind: str
    entity: str
    target: str
    target_columns: tuple[str, ...]
    content_type_column: str = ""
    content_type: int | None = None
    elsewhere: tuple[str, str] | None = None
    are_uuids: bool = False

    @property
    def column(self) -> str:
        """Its columns, for a message."""
        return ", ".join(self.columns)

    @property
    def aim(self) -> tuple[str, tuple[str, ...]]:
        """The table that it points at, and the columns there; several references have one aim."""
        return self.target, self.target_columns

    @property
    def place(self) -> str:
        """Where it is, and what it points at: a unique name for each reference."""
        return f"{self.table}.{self.column} -> {self.entity}"


def declared(database: Database) -> list[Reference]:
    """What references an entity: the catalog's foreign keys, the mapping's loose references."""
    wiped, catalog = database.mapping.wiped_tables(), database.catalog
    keys = (k for k in catalog.foreign_keys if k.target in wiped)
    known = [*(_of_key(k, wiped[k.target], catalog.schema) for k in keys), *_loose(database)]
    # Such as a foreign key and the one that shall take its place: each row points once.
    once = {one.place: one for one in reversed(known)}
    return [replace(one, are_uuids=_are_uuids(catalog, one)) for one in reversed(once.values())]


def _loose(database: Database) -> Iterator[Reference]:
    for reference in database.mapping.references:
        if reference.table not in database.catalog.tables:
            continue
        for name, entity in database.mapping.entities.items():
            key = database.catalog.tables[entity.table].primary_key[0]
            is_generic = bool(reference.content_type)
            if entity.model in database.content_types if is_generic else name in reference.entities:
                yield Reference(
                    reference.table,
                    (reference.object,),
                    "generic key" if is_generic else "id in a column",
                    name,
                    entity.table,
                    (key,),
                    reference.content_type,
                    database.content_types[entity.model] if is_generic else None,
                )


def _are_uuids(catalog: Catalog, reference: Reference) -> bool:
    if reference.elsewhere or len(reference.columns) > 1:
        return False
    sides = ((reference.table, reference.columns), (reference.target, reference.target_columns))
    columns = (catalog.tables[table].column(of[0]) for table, of in sides)
    return all(column is not None and column.type == "uuid" for column in columns)


def _of_key(key: ForeignKey, entity: str, schema: str) -> Reference:
    elsewhere = (key.schema, key.table) if key.schema != schema else None
    return Reference(
        ".".join(elsewhere) if elsewhere else key.table,
        key.columns,
        "foreign key",
        entity,
        key.target,
        key.target_columns,
        elsewhere=elsewhere,
    )


def pointing(schema: str, reference: Reference, where: sql.Composable = _ALL) -> sql.Composed:
    """The ids (as lower-case text) that ``reference`` holds, one row each: id.

    ``where`` restricts the referencing rows. A key of several columns counts if none is NULL.
    """
    return sql.SQL("SELECT {} AS id FROM {}").format(
        _id(reference.columns), _pointing_rows(schema, reference, where)
    )


def _pointing_rows(schema: str, reference: Reference, where: sql.Composable) -> sql.Composed:
    """The table of the rows that ``reference`` is in, and the condition that they hold an id."""
    condition: sql.Composable = sql.SQL(" AND ").join(
        sql.SQL("{} IS NOT NULL").format(sql.Identifier(column)) for column in reference.columns
    )
    if reference.content_type is not None:
        condition += sql.SQL(" AND {} = {}").format(
            sql.Identifier(reference.content_type_column), sql.Literal(reference.content_type)
        )
    place = table_name(*(reference.elsewhere or (schema, reference.table)))
    return sql.SQL("{} WHERE {} AND {}").format(place, condition, where)


def that_point(
    connection: Connection,
    schema: str,
    asked: Sequence[tuple[Reference, sql.Composable, sql.Composable]],
) -> list[Reference]:
    """Those references by which any row points at one of some ids: one question about all of them.

    Each comes with a condition for its rows, and with the place of the ids (as lower-case text).
    """
    if not asked:
        return []
    # Counted: for the first row alone PostgreSQL would compare each row with each id.
    question = "SELECT {} FROM {} AND {} IN (SELECT {} FROM {}) HAVING count(*) > 0"
    each = [
        sql.SQL(question).format(
            sql.Literal(place),
            _pointing_rows(schema, reference, where),
            names(reference.columns) if reference.are_uuids else _id(reference.columns),
            sql.SQL("id::uuid" if reference.are_uuids else "id"),
            ids,
        )
        for place, (reference, where, ids) in enumerate(asked)
    ]
    rows = connection.execute(sql.SQL(" UNION ALL ").join(each)).fetchall()
    return [asked[place][0] for (place,) in rows]


def ids(place: sql.Composable, reference: Reference, key: str = "") -> sql.Composed:
    """The ids by which ``reference`` can point at rows of ``place``: id, and their ``key``."""
    shown = sql.SQL(", {} AS key").format(sql.Identifier(key)) if key else sql.SQL("")
    return sql.SQL("SELECT {} AS id{} FROM {}").format(_id(reference.target_columns), shown, place)


def _id(columns: Sequence[str]) -> sql.Composed:
    """The value of these columns as one lower-case text."""
    # A uuid is printed in small letters; a column of text may hold it in capitals. In "C", lower()
    # and the joins look at bytes, which is several times as fast: no id has other letters.
    text = sql.SQL('lower({}::text COLLATE "C")')
    if len(columns) > 1:
        text = sql.SQL('lower(ROW({})::text COLLATE "C")')
    return text.format(names(columns))


def _target(schema: str, reference: Reference) -> sql.Identifier:
    return table_name(schema, reference.target)


def count(connection: Connection, schema: str, reference: Reference) -> tuple[int, int]:
    """How many rows point at an existing row by ``reference``, and how many at none.

    Rows of a loose reference to several entities may mean another entity. So only the rows that
    point here are counted, and none is called dangling.
    """
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FILTER (WHERE target.id IS NOT NULL),"
            # In a column of text, '' points at nothing.
            " count(*) FILTER (WHERE target.id IS NULL AND pointing.id <> '')"
            " FROM ({}) AS pointing LEFT JOIN ({}) AS target USING (id)"
        ).format(pointing(schema, reference), ids(_target(schema, reference), reference))
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def gone(
    connection: Connection, schema: str, reference: Reference, was: sql.Composable
) -> tuple[str, ...]:
    """The ids by which ``reference`` can point at rows ``was``, that its table has no more."""
    query = sql.SQL("SELECT DISTINCT id FROM ({}) AS gone WHERE id IS NOT NULL").format(
        ids(without(was, _target(schema, reference), reference.target_columns), reference)
    )
    return tuple(row for (row,) in connection.execute(query))


def without(place: sql.Composable, other: sql.Composable, columns: Sequence[str]) -> sql.Composed:
    """The rows of ``place`` whose values in ``columns`` no row of ``other`` has.

    Compared as values, not as texts: the two have the same columns.
    """
    equal = sql.SQL(" AND ").join(
        sql.SQL("o.{0} = p.{0}").format(sql.Identifier(column)) for column in columns
    )
    return sql.SQL(
        "(SELECT p.* FROM {} AS p WHERE NOT EXISTS (SELECT FROM {} AS o WHERE {})) AS without"
    ).format(place, other, equal)


def lost(connection: Connection, schema: str, reference: Reference, missing: Sequence[str]) -> int:
    """How many rows point by ``reference`` at one of the ids ``missing``."""
    query = sql.SQL("SELECT count(*) FROM ({}) AS pointing WHERE id = ANY (%s)").format(
        pointing(schema, reference)
    )
    return int(scalar(connection, query, (list(missing),))) if missing else 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A column that holds ids of rows to be wiped although no reference explains it."""

    table: str
    column: str
    rows: int
    entities: tuple[str, ...]  # those whose ids it holds


def unexplained(database: Database, known: list[Reference]) -> tuple[int, list[Hit]]:
    """How many columns were searched, and those that hold ids to be wiped without explanation.

    Integer keys are not searched for: an equal number in another column means nothing.
    """
    every_id = _every_id(database)
    if every_id is None:
        return 0, []
    explained = {(r.table, column) for r in known for column in r.columns}
    places = list(_candidates(database.catalog, database.mapping.wiped_tables(), explained))
    if not places:
        return 0, []
    hits: dict[int, dict[str, int]] = {}
    for first in range(0, len(places), _AT_ONCE):
        query = sql.SQL(
            "SELECT held.place, known.entity, count(*) FROM ({}) AS held JOIN ({}) AS known"
            " USING (id) GROUP BY 1, 2 ORDER BY 1, 2"
        ).format(
            sql.SQL(" UNION ALL ").join(
                _held(database.catalog.schema, place, table, column)
                for place, (table, column) in enumerate(places[first : first + _AT_ONCE], first)
            ),
            every_id,
        )
        for place, entity, count in database.connection.execute(query):
            hits.setdefault(place, {})[entity] = count
    return len(places), [
        Hit(places[p][0], places[p][1].name, sum(counts.values()), tuple(counts))
        for p, counts in hits.items()
    ]


def _held(schema: str, place: int, table: str, column: Column) -> sql.Composed:
    """What a column holds that may be an id, one row each: place, id."""
    return sql.SQL("SELECT {} AS place, {} AS id FROM {}").format(
        sql.Literal(place), _as_id(column), table_name(schema, table)
    )


def _every_id(database: Database) -> sql.Composed | None:
    parts = []
    for table, entity in database.mapping.wiped_tables().items():
        key = database.catalog.tables[table].primary_key
        column = database.catalog.tables[table].column(key[0]) if len(key) == 1 else None
        if column is not None and _may_hold_ids(column):
            parts.append(
                sql.SQL("SELECT {} AS id, {} AS entity FROM {}").format(
                    _as_id(column),
                    sql.Literal(entity),
                    table_name(database.catalog.schema, table),
                )
            )
    return sql.SQL(" UNION ALL ").join(parts) if parts else None


def _may_hold_ids(column: Column) -> bool:
    """Whether its type, or the one under its domain, can hold a UUID, also as a text."""
    kind = column.stored_as
    is_prose = column.max_length is not None and column.max_length > LONGEST_ID_COLUMN
    return kind in ("uuid", "citext") or (convert.is_text(kind) and not is_prose)


def _as_id(column: Column) -> sql.Composed:
    """Its value as an id; NULL for a text that is none.

    Compared byte by byte: two columns may have collations that PostgreSQL does not compare.
    """
    shape = "{0}::text" if column.stored_as == "uuid" else _TEXT_ID
    return sql.SQL("(" + shape + ') COLLATE "C"').format(sql.Identifier(column.name))


def _candidates(
    catalog: Catalog, wiped: Iterable[str], explained: set[tuple[str, str]]
) -> Iterator[tuple[str, Column]]:
    keys = [k for k in catalog.foreign_keys if k.schema == catalog.schema]
    known = explained | {(k.table, c) for k in keys for c in k.columns}
    # The key of a table that hangs on a patient's row one to one may be that row's.
    known |= {(name, c) for name in wiped for c in catalog.tables[name].primary_key}
    for table in catalog.tables.values():
        for column in table.columns:
            if (table.name, column.name) not in known and _may_hold_ids(column):
                yield table.name, column
