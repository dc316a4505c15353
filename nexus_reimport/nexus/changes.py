"""What was created, edited or deleted since a run, and which of it must stay when it is undone.

Works in temporary tables of the open transaction, one set for each table of the undo data:

    was_<n>     key, hash    each row as it was before the run
    now_<n>     key, hash    each row as it is
    newer_<n>   key, what    created, changed or deleted since the run
    stays_<n>   key, why     rows that are not restored: "newer", "pointed at"
    unlike_<n>  key          rows that are not as they were, those that stay aside
    back_<n>    key, hash    each row as the undo must leave it
    ids_<aim>   id, key      of the rows that can go, the ids by which a reference can point at them

Linking tables, whose rows are protected, only have ``now``, ``newer`` and ``back``.

An undo makes all of them before its first lock, and again under the locks if anything that they
were made from has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import none_of, scalar, table_name, temporary_name
from nexus_reimport.nexus.registry import UndoData, UndoLinks, UndoPart, UndoTable
from nexus_reimport.nexus.structure import references
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.writing import undo_data, versions
from nexus_reimport.nexus.writing.transaction import Transaction
from nexus_reimport.nexus.writing.undo_data import KEY, hashed_columns, hashed_now, links_not_fixed

SAMPLE = 5


@dataclass(frozen=True, slots=True)
class NewerRows:
    """One table: how many rows were created, changed, deleted since the run; ids of a few.

    Of a linking table, whose rows are protected, only links are compared. No undo deletes a row of
    it, and of its links only those go back that the run has fixed.
    """

    table: str
    created: int
    changed: int
    deleted: int
    sample: tuple[str, ...]
    fixed: int | None = None  # of a linking table: links among the changed that the run has fixed

    @property
    def rows(self) -> int:
        """All of them."""
        return self.created + self.changed + self.deleted


@dataclass(frozen=True, slots=True)
class PointedAt:
    """Rows that the run created and that must stay, because a row that stays references them."""

    table: str
    by: str  # table.column
    rows: int


@dataclass(frozen=True, slots=True)
class Since:
    """Everything that happened since a run."""

    newer: tuple[NewerRows, ...]
    pointed_at: tuple[PointedAt, ...]

    @property
    def rows(self) -> tuple[NewerRows, ...]:
        """The wiped tables in which something is newer."""
        return tuple(n for n in self.newer if n.rows and n.fixed is None)

    @property
    def links(self) -> tuple[NewerRows, ...]:
        """The linking tables in which something is newer."""
        return tuple(n for n in self.newer if n.rows and n.fixed is not None)

    @property
    def fixed(self) -> int:
        """Links that the run has fixed, and that people have changed since."""
        return sum(n.fixed or 0 for n in self.newer)

    @property
    def asks(self) -> bool:
        """Whether a person must say what becomes of it: a document that was added always stays."""
        return bool(self.rows or self.fixed)

    @property
    def is_quiet(self) -> bool:
        """Whether everything is as the run left it, so that the undo is exact."""
        return not self.pointed_at and not any(n.rows for n in self.newer)


def look_ahead(transaction: Transaction, undo: UndoData) -> frozenset[UndoPart]:
    """Hash the rows as they are, and as they were before the run, while nobody waits for us.

    Gives the parts of which versions tell, under the locks, whether the rows still are so.
    """
    comparable = versions.write_down(transaction, undo.parts)
    for link in undo.links:
        # As of the links that a run writes: a few of the many rows of their table.
        transaction.analyze(undo.before(link), link.key)
    for part in undo.parts:
        transaction.let_go_first()
        _look(transaction, part)
    for table in undo.tables:
        transaction.let_go_first()
        rows = undo_data.hashed_before(undo, table)
        transaction.make_temporary(temporary("was", table), rows, KEY)
    return comparable


def _look(transaction: Transaction, part: UndoPart) -> None:
    rows = hashed_now(transaction.schema, part)
    transaction.make_temporary(temporary("now", part), rows, KEY)


def fingerprints(transaction: Transaction, undo: UndoData) -> dict[str, Fingerprint]:
    """The fingerprints of the tables as they are, of the hashes that were made last."""
    return {
        part.table: undo_data.fingerprint_of_hashes(transaction.connection, temporary("now", part))
        for part in undo.parts
    }


def find(
    transaction: Transaction,
    undo: UndoData,
    known: Sequence[Reference],
    *,
    keep: bool,
    same: Collection[UndoPart] = (),
) -> Since:
    """Compare the rows as they are with what the run left; with ``keep`` newer rows stay.

    The parts ``same`` are as ``look_ahead`` has found them; the others are read again.
    """
    newer = []
    for part in undo.parts:
        if part not in same:
            _look(transaction, part)
        transaction.make_temporary(
            temporary("newer", part),
            sql.SQL(
                "SELECT coalesce(n.key, a.key) AS key, CASE WHEN a.key IS NULL THEN 'created'"
                " WHEN n.key IS NULL THEN 'deleted' ELSE 'changed' END AS what"
                # FULL: a row that only one side has was created, or deleted.
                " FROM {} AS n FULL JOIN {} AS a ON a.key = n.key"
                " WHERE n.hash IS DISTINCT FROM a.hash"
            ).format(temporary("now", part), undo.after(part)),
            KEY,
        )
        newer.append(_counted(transaction, undo, part))
        if isinstance(part, UndoTable):
            condition = sql.SQL("what <> 'deleted'") if keep else sql.SQL("false")
            transaction.make_temporary(
                temporary("stays", part),
                sql.SQL("SELECT key, 'newer' AS why FROM {} WHERE {}").format(
                    temporary("newer", part), condition
                ),
                KEY,
            )
    _remember_ids(transaction, undo, known)
    return Since(tuple(newer), _pointed_at(transaction, undo, known, keep=keep))


def keep_newly_pointed_at(
    transaction: Transaction, undo: UndoData, known: Sequence[Reference], *, keep: bool
) -> bool:
    """Keep what would go and is referenced now, and was not when ``find`` looked; whether any is.

    The rows that reference it are protected, and not locked.
    """
    return bool(_pointed_at(transaction, undo, known, keep=keep))


def temporary(kind: str, part: UndoPart) -> sql.Identifier:
    """The temporary table of one kind for one part of the undo data."""
    return temporary_name(kind, part.after)


def put_back(undo: UndoData, link: UndoLinks, *, keep: bool) -> sql.Composed:
    """A query of the links that the undo restores: (key, the link's columns) as they were.

    With ``keep``, links that a person has changed since the run stay as they are.
    """
    stays = temporary("newer", link) if keep else None
    where = (
        sql.SQL("true")
        if stays is None
        else none_of(sql.Identifier("l", link.key), _keys_of(stays))
    )
    return sql.SQL("SELECT l.* FROM {} AS l WHERE {}").format(undo.before(link), where)


def find_unlike(transaction: Transaction, part: UndoTable) -> None:
    """Write down which rows of a wiped table are not as they were before the run."""
    query = sql.SQL(
        "SELECT key FROM (SELECT coalesce(n.key, w.key) AS key FROM {} AS n"
        " FULL JOIN {} AS w ON w.key = n.key WHERE {} OR n.hash IS DISTINCT FROM w.hash) AS u"
        " WHERE {}"
    ).format(
        temporary("now", part),
        temporary("was", part),
        sql.Literal(not is_comparable(part)),
        none_of(sql.Identifier("u", "key"), _keys_of(temporary("stays", part))),
    )
    transaction.make_temporary(temporary("unlike", part), query, KEY)


def is_comparable(part: UndoTable) -> bool:
    """Whether a row that is as it was may be left alone: the database fills no column by itself."""
    return {*part.columns} == {*part.loads}


def foretell(
    transaction: Transaction, undo: UndoData, *, keep: bool
) -> dict[UndoPart, Fingerprint]:
    """Write (key, hash) of each row as the undo must leave it; gives the fingerprints of that."""
    foretold = {}
    for part in undo.parts:
        transaction.let_go_first()
        rows = _expected(undo, part, keep=keep)
        place = temporary("back", part)
        transaction.make_temporary(place, rows, KEY)
        foretold[part] = undo_data.fingerprint_of_hashes(transaction.connection, place)
    return foretold


def unlike(part: UndoTable, place: sql.Composable) -> sql.Composed:
    """Those rows of ``place`` that are not as they were before the run, and do not stay."""
    return sql.SQL("(SELECT t.* FROM {} AS t JOIN {} AS u ON u.key = t.{})").format(
        place, temporary("unlike", part), sql.Identifier(part.key)
    )


def _counted(transaction: Transaction, undo: UndoData, part: UndoPart) -> NewerRows:
    newer, ask = temporary("newer", part), transaction.connection.execute
    each = sql.SQL("SELECT what, count(*) FROM {} GROUP BY what").format(newer)
    counts = Counter(dict(ask(each).fetchall()))
    first = sql.SQL("SELECT key::text, what FROM {} ORDER BY key::text LIMIT {}").format(
        newer, SAMPLE
    )
    sample = tuple(f"{key} ({what})" for key, what in (ask(first) if counts else ()))
    fixed = None
    if isinstance(part, UndoLinks):
        links = sql.SQL("({})").format(newer_links(transaction, undo, part))
        fixed = _count(transaction, links)
    return NewerRows(
        part.table, counts["created"], counts["changed"], counts["deleted"], sample, fixed
    )


def _pointed_at(
    transaction: Transaction, undo: UndoData, known: Sequence[Reference], *, keep: bool
) -> tuple[PointedAt, ...]:
    """Add to ``stays`` the rows that the run created and that a staying row references.

    Repeated until nothing is added: an appointment that stays keeps its patient.
    """
    counts: Counter[tuple[str, str]] = Counter()
    parts = {part.table: part for part in undo.tables}
    chosen = [r for r in known if r.target in parts]
    grew = True
    while grew:
        grew = False
        for reference in that_point(
            transaction, chosen, lambda one: _staying(undo, one, keep=keep)
        ):
            target = parts[reference.target]
            where = _staying(undo, reference, keep=keep)
            added = transaction.execute(
                sql.SQL(
                    "INSERT INTO {stays} SELECT n.key, 'pointed at' FROM {now} AS n"
                    " JOIN ({pointing}) AS p USING (id)"
                    # Pointers that were there when the run was committed do not count.
                    " LEFT JOIN {before} AS b ON b.id = p.id AND b.place = {place}"
                    " WHERE NOT EXISTS (SELECT FROM {kept} AS k WHERE k.{key} = n.key)"
                    " AND NOT EXISTS (SELECT FROM {stays} AS s WHERE s.key = n.key)"
                    " GROUP BY n.key, b.rows HAVING count(*) > coalesce(b.rows, 0)"
                ).format(
                    stays=temporary("stays", target),
                    now=_ids(reference),
                    pointing=references.pointing(transaction.schema, reference, where),
                    kept=undo.before(target),
                    key=sql.Identifier(target.key),
                    before=undo.pointed_at,
                    place=sql.Literal(reference.place),
                )
            )
            counts[target.table, f"{reference.table}.{reference.column}"] += added
            grew = grew or bool(added)
    return tuple(PointedAt(t, by, n) for (t, by), n in sorted(counts.items()) if n)


def that_point(
    transaction: Transaction,
    known: Sequence[Reference],
    rows: Callable[[Reference], sql.Composable],
) -> list[Reference]:
    """Those of ``known`` by which a row points at one that the undo may delete.

    ``rows`` gives the condition for the rows that are meant.
    """
    transaction.check_time()
    asked = [(one, rows(one), _ids(one)) for one in known]
    return references.that_point(transaction.connection, transaction.schema, asked)


def _ids(reference: Reference) -> sql.Identifier:
    # Quoted, so that no two aims have one name.
    aim = sql.Identifier(reference.target, *reference.target_columns)
    return temporary_name("ids", aim.as_string())


def _remember_ids(transaction: Transaction, undo: UndoData, known: Sequence[Reference]) -> None:
    """Keep the ids by which ``known`` can point at the rows that an undo may delete.

    Those are the rows that are not among the rows from before the run, or have another id there.
    """
    parts = {part.table: part for part in undo.tables}
    # Several references point at the same columns of the same table.
    aims = {r.aim: r for r in known if r.target in parts}
    for reference in aims.values():
        part, place = parts[reference.target], _ids(reference)
        columns = tuple(dict.fromkeys((part.key, *reference.target_columns)))
        present = table_name(transaction.schema, part.table)
        rows = references.without(present, undo.before(part), columns)
        transaction.make_temporary(place, references.ids(rows, reference, part.key), "id")


def _staying(undo: UndoData, reference: Reference, *, keep: bool) -> sql.Composable:
    """The condition for rows of a referencing table that stay as they are now."""
    for part in undo.tables:
        if part.table == reference.table:
            return sql.SQL("{} IN (SELECT key FROM {})").format(
                sql.Identifier(part.key), temporary("stays", part)
            )
    conditions = [
        none_of(
            sql.Identifier(link.key),
            sql.SQL("SELECT {} FROM ({}) AS back").format(
                sql.Identifier(link.key), put_back(undo, link, keep=keep)
            ),
        )
        for link in undo.links
        if link.table == reference.table
    ]
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def newer_rows(transaction: Transaction, part: UndoTable) -> sql.Composed:
    """A query of the rows created or changed since the run: every column, as it is now."""
    return sql.SQL("SELECT t.* FROM {} AS t JOIN {} AS n ON n.key = t.{}").format(
        table_name(transaction.schema, part.table),
        temporary("newer", part),
        sql.Identifier(part.key),
    )


def newer_links(transaction: Transaction, undo: UndoData, link: UndoLinks) -> sql.Composed:
    """A query of the links that the run has fixed and people have changed since, as they are now.

    Shape: key, the link's columns.
    """
    return sql.SQL(
        "SELECT {columns} FROM {table} AS t JOIN {newer} AS n ON n.key = t.{key}"
        " JOIN {fixed} AS f ON f.{key} = t.{key}"
    ).format(
        columns=sql.SQL(", ").join(
            sql.SQL("t.{}").format(sql.Identifier(c)) for c in (link.key, *link.columns)
        ),
        table=table_name(transaction.schema, link.table),
        newer=temporary("newer", link),
        key=sql.Identifier(link.key),
        fixed=undo.before(link),
    )


def misplaced(transaction: Transaction, part: UndoPart) -> int:
    """The number of rows that differ from what the undo must leave; run after the undo.

    Wiped tables must hold the rows from before the run, plus what stays. Linking tables must hold
    the restored links, and every other link unchanged.
    """
    query = sql.SQL(
        "SELECT count(*) FROM {} AS w FULL JOIN ({}) AS t ON t.key = w.key"
        " WHERE t.hash IS DISTINCT FROM w.hash"
    ).format(temporary("back", part), hashed_now(transaction.schema, part))
    return int(scalar(transaction.connection, query))


def _expected(undo: UndoData, part: UndoPart, *, keep: bool) -> sql.Composed:
    """A query of (key, hash) of each row as the undo must leave it."""
    if isinstance(part, UndoTable):
        return sql.SQL(
            "SELECT w.key, w.hash FROM {was} AS w WHERE {gone}"
            " UNION ALL SELECT n.key, n.hash FROM {now} AS n JOIN {stays} AS s ON s.key = n.key"
        ).format(
            was=temporary("was", part),
            gone=none_of(sql.Identifier("w", "key"), _keys_of(temporary("stays", part))),
            stays=temporary("stays", part),
            now=temporary("now", part),
        )
    columns, back = sorted(hashed_columns(part)), put_back(undo, part, keep=keep)
    return sql.SQL(
        "SELECT b.{key} AS key, md5(ROW({columns})::text) AS hash FROM ({back}) AS b"
        " WHERE b.{key} IN (SELECT key FROM {now})"
        " UNION ALL SELECT n.key, n.hash FROM {now} AS n WHERE {left_alone}"
    ).format(
        key=sql.Identifier(part.key),
        back=back,
        left_alone=none_of(
            sql.Identifier("n", "key"),
            sql.SQL("SELECT {} FROM ({}) AS again").format(sql.Identifier(part.key), back),
        ),
        now=temporary("now", part),
        columns=sql.SQL(", ").join(sql.SQL("b.{}").format(sql.Identifier(c)) for c in columns),
    )


def _keys_of(place: sql.Identifier) -> sql.Composed:
    return sql.SQL("SELECT key FROM {}").format(place)


def written_links(undo: UndoData, link: UndoLinks, *, keep: bool) -> sql.Composed:
    """The links that the undo writes, as they must be: those whose row is there."""
    return sql.SQL("(SELECT * FROM ({}) AS b WHERE {} IN (SELECT key FROM {}))").format(
        put_back(undo, link, keep=keep), sql.Identifier(link.key), temporary("now", link)
    )


def restored_links(transaction: Transaction, undo: UndoData, link: UndoLinks, *, keep: bool) -> int:
    """How many links the undo restores."""
    return _count(transaction, written_links(undo, link, keep=keep))


def _count(transaction: Transaction, rows: sql.Composed) -> int:
    query = sql.SQL("SELECT count(*) FROM {} AS counted").format(rows)
    return int(scalar(transaction.connection, query))


def gone(transaction: Transaction, reference: Reference) -> tuple[str, ...]:
    """The ids by which ``reference`` can point at rows that the undo has deleted."""
    query = sql.SQL(
        "SELECT DISTINCT w.id FROM {was} AS w LEFT JOIN ({now}) AS n USING (id)"
        " WHERE n.id IS NULL AND w.id IS NOT NULL"
    ).format(
        was=_ids(reference),
        now=references.ids(table_name(transaction.schema, reference.target), reference),
    )
    return tuple(one for (one,) in transaction.connection.execute(query))


def lost(
    transaction: Transaction, undo: UndoData, reference: Reference, gone: Sequence[str]
) -> int:
    """The number of rows whose ``reference`` points at one of the ids ``gone``.

    References that were already dangling before the run do not count.
    """
    if not gone:
        return 0
    query = sql.SQL(
        "SELECT coalesce(sum(rows), 0) FROM (SELECT count(*) - coalesce(b.rows, 0) AS rows"
        " FROM ({pointing}) AS p LEFT JOIN {before} AS b ON b.id = p.id AND b.place = {place}"
        " WHERE p.id = ANY (%s) GROUP BY p.id, b.rows HAVING count(*) > coalesce(b.rows, 0)"
        ") AS more"
    ).format(
        pointing=references.pointing(
            transaction.schema, reference, links_not_fixed(undo, reference)
        ),
        before=undo.pointed_at,
        place=sql.Literal(reference.place),
    )
    return int(scalar(transaction.connection, query, (list(gone),)))
