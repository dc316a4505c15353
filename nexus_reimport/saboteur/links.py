"""Documents, images and their batches: whose they are, which file they open, what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.mapping import Attachment
from nexus_reimport.model import Level
from nexus_reimport.nexus.connection.postgres import in_default, none_of
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Field, Scene

SORT = "the link of a document or an image"
_FILE = "the file of a document or an image"
_ROW = "a row of documents, images or batches"
Act = Callable[[Scene, Attachment], int]


def _holder(scene: Scene, spec: Attachment) -> Table:
    """The table that holds the link."""
    return scene.database.catalog.tables[spec.link_table]


def _own(scene: Scene, spec: Attachment) -> Table:
    return scene.database.catalog.tables[spec.table]


def _column(table: Table, name: str) -> Field:
    column = table.column(name)
    if column is None:
        raise LookupError(f"{table.name} has no {name}")
    return Field(table, column)


def _linked(scene: Scene, spec: Attachment) -> list[str]:
    """The keys of the linking rows that hang on a live owner and hold a file."""
    owner = scene.entity(spec.owner.entity)
    condition: sql.Composable = sql.SQL("EXISTS (SELECT FROM {} AS o WHERE o.{} = t.{})").format(
        scene.place(owner), sql.Identifier(owner.primary_key[0]), sql.Identifier(spec.link.object)
    )
    if spec.link.content_type:
        condition += sql.SQL(" AND t.{} = {}").format(
            sql.Identifier(spec.link.content_type),
            sql.Literal(scene.content_type(spec.owner.entity)),
        )
    if spec.through:
        condition += sql.SQL(" AND EXISTS (SELECT FROM {} AS m WHERE m.{} = t.{})").format(
            scene.place(spec.table),
            sql.Identifier(spec.through.column),
            sql.Identifier(_holder(scene, spec).primary_key[0]),
        )
    return scene.keys(_holder(scene, spec), condition)


def _owners(scene: Scene, spec: Attachment, keys: list[str]) -> dict[str, str]:
    """Linking row -> its owner."""
    table = _holder(scene, spec)
    query = sql.SQL("SELECT {key}::text, {}::text FROM {} WHERE {key}::text = ANY (%s)").format(
        sql.Identifier(spec.link.object),
        scene.place(table),
        key=sql.Identifier(table.primary_key[0]),
    )
    return {str(key): str(owner) for key, owner in scene.rows(query, keys)}


def _moved(scene: Scene, spec: Attachment) -> int:
    keys = _linked(scene, spec)
    owners = _owners(scene, spec, keys)
    others = [owner for owner in owners.values() if keys and owner != owners[keys[0]]]
    return scene.set(_holder(scene, spec), keys[0], spec.link.object, others[-1]) if others else 0


def _swapped(scene: Scene, spec: Attachment) -> int:
    keys = _linked(scene, spec)
    owners = _owners(scene, spec, keys)
    other = next((k for k in reversed(keys) if owners[k] != owners[keys[0]]), None)
    if other is None:
        return 0
    table, one, column = _holder(scene, spec), keys[0], spec.link.object
    return scene.set(table, one, column, owners[other]) + scene.set(
        table, other, column, owners[one]
    )


def _dangling(scene: Scene, spec: Attachment) -> int:
    """Let the first link that is to a live owner name nobody."""
    table, keys = _holder(scene, spec), _linked(scene, spec)
    where = _column(table, spec.link.object)
    query = sql.SQL("UPDATE {} SET {column} = {to} WHERE {}::text = %s").format(
        scene.place(table),
        where.key,
        column=where.name,
        to=sql.SQL(where.nowhere).format(where.name),
    )
    return scene.do(query, keys[0]) if keys else 0


def _of_another_type(scene: Scene, spec: Attachment) -> int:
    keys = _linked(scene, spec)
    own = scene.content_type(spec.owner.entity)
    others = [n for n in scene.database.content_types.values() if n != own]
    if not keys or not others or not spec.link.content_type:
        return 0
    return scene.set(_holder(scene, spec), keys[0], spec.link.content_type, others[0])


def _may_be_known(spec: Attachment) -> sql.Composed:
    """The condition that a document or image (called m) may name a FileMaker record."""
    named = [
        sql.SQL("{} ~ {}").format(
            in_default(sql.SQL("{}::text").format(column)), sql.Literal(identity.pattern)
        )
        if identity.pattern
        else sql.SQL("{} IS NOT NULL").format(column)
        for identity in spec.identity
        for column in [sql.Identifier("m", identity.column)]
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(named))


def _unknown_moved(scene: Scene, spec: Attachment) -> int:
    """Of those that FileMaker does not know, move the first that is somebody's."""
    table, own = _holder(scene, spec), _own(scene, spec)
    rows = sql.SQL("SELECT {} FROM {} AS m WHERE {}").format(
        sql.Identifier(spec.through.column if spec.through else own.primary_key[0]),
        scene.place(own),
        _may_be_known(spec),
    )
    key = sql.Identifier("t", table.primary_key[0])
    unknown = set(scene.keys(table, none_of(key, rows)))
    linked = _linked(scene, spec)
    owners = _owners(scene, spec, linked)
    for one in linked:
        others = [owner for owner in owners.values() if owner != owners[one]]
        if one in unknown and others:
            return scene.set(table, one, spec.link.object, others[-1])
    return 0


def _lost(scene: Scene, spec: Attachment) -> int:
    return scene.delete(_own(scene, spec), scene.keys(_own(scene, spec))[-1:])


def _doubled(scene: Scene, spec: Attachment) -> int:
    return scene.double(_own(scene, spec), scene.keys(_own(scene, spec))[:1])


def _fabricated(scene: Scene, spec: Attachment) -> int:
    table = _own(scene, spec)
    keys = scene.keys(table)
    added = scene.double(table, keys[:1]) if len(keys) > 1 else 0
    return scene.delete(table, keys[-1:]) if added else 0


def _changed(name: Callable[[Attachment], str], to: LiteralString) -> Act:
    """A change of one named column of the attachment's own table."""
    return lambda scene, spec: scene.change(_column(_own(scene, spec), name(spec)), to)


def _exchanged(name: Callable[[Attachment], str]) -> Act:
    return lambda scene, spec: scene.swap(_column(_own(scene, spec), name(spec)))


def _identities(scene: Scene, spec: Attachment) -> Iterator[Field]:
    return (_column(_own(scene, spec), i.column) for i in spec.identity)


def _renumbered(scene: Scene, spec: Attachment) -> int:
    """Give one row another FileMaker id."""
    return scene.first(partial(scene.change, f, f.nowhere) for f in _identities(scene, spec))


def _each_others_record(scene: Scene, spec: Attachment) -> int:
    return scene.swap_first(_identities(scene, spec))


def _key(spec: Attachment) -> str:
    return spec.file.column


def _rest(scene: Scene, spec: Attachment, *types: str) -> Iterator[Field]:
    """The attachment's columns that are neither key, link, file nor identity."""
    taken = {spec.link.object, spec.link.content_type, spec.file.column, *spec.file.also}
    taken |= {i.column for i in spec.identity}
    table = _own(scene, spec)
    return (f for f in scene.fields(table) if f.column.name not in taken and f.is_of(*types))


def _other(to: LiteralString, *types: str, condition: LiteralString = "true") -> Act:
    """A change of the first other column of ``types`` that can be changed so."""
    return lambda scene, spec: scene.change_first(_rest(scene, spec, *types), to, condition)


_TEXT = ("text", "character")
# name ({0}: a document, an image), what it means, what it corrupts, the act
_BOTH: tuple[tuple[str, str, str, Act], ...] = (
    ("{0}_is_under_another_patient", "{0} hangs on another patient.", SORT, _moved),
    ("two_patients_have_each_others_{1}", "Two patients have each other's {1}.", SORT, _swapped),
    (
        "{0}_hangs_on_a_patient_that_is_not_there",
        "{0} hangs on a patient that does not exist.",
        SORT,
        _dangling,
    ),
    (
        "{0}_hangs_on_another_kind_of_thing",
        "{0} hangs on the same id, as another type.",
        SORT,
        _of_another_type,
    ),
    (
        "{0}_that_filemaker_does_not_know_is_moved",
        "{0} that FileMaker does not know hangs on another patient.",
        SORT,
        _unknown_moved,
    ),
    ("{0}_is_lost", "The row of {0} is gone.", _ROW, _lost),
    ("{0}_is_doubled", "The row of {0} is there twice.", _ROW, _doubled),
    ("{0}_is_fabricated", "One row is there twice and another one is gone.", _ROW, _fabricated),
    (
        "{0}_opens_another_file",
        "{0} names another file, which is not there.",
        _FILE,
        _changed(_key, "{0} || '.bak'"),
    ),
    (
        "{0}_names_its_file_in_capitals",
        "{0} names its file in other letters' case.",
        _FILE,
        _changed(_key, "upper({0})"),
    ),
    (
        "two_{1}s_open_each_others_file",
        "Two of them open each other's files.",
        _FILE,
        _exchanged(_key),
    ),
    (
        "{0}_is_another_record",
        "{0} has another FileMaker id.",
        _ROW,
        _renumbered,
    ),
    (
        "two_{1}s_are_each_others_record",
        "Two of them have each other's FileMaker id.",
        _ROW,
        _each_others_record,
    ),
    (
        "{0}_has_another_type",
        "{0} has another media type: the browser does not show it.",
        _ROW,
        _other("reverse({0})", *_TEXT, condition="{0} ~ '^[a-z]+/[a-z0-9.+-]+$'"),
    ),
    (
        "{0}_has_another_size",
        "{0} has another size or number.",
        _ROW,
        _other("{0} + 1", "integer", "bigint", "smallint"),
    ),
    (
        "{0}_has_another_day",
        "{0} was uploaded on another day.",
        _ROW,
        _other("{0} + interval '1 day'", "timestamp"),
    ),
)


def _on_any(act: Act, *, through: bool) -> Callable[[Scene], int]:
    """The act on the first attachment of its sort that can be corrupted so."""
    return lambda scene: scene.first(
        partial(act, scene, spec) for spec in scene.attachments(through=through)
    )


for _who, _noun, _through in (("a_document", "document", False), ("an_image", "image", True)):
    for _name, _meaning, _corrupts, _act in _BOTH:
        _words = _who.replace("_", " ")
        _told = _meaning.format(_words, _noun)
        declare(
            Kind(
                _name.format(_who, _noun),
                _told[0].upper() + _told[1:],
                _corrupts,
                _on_any(_act, through=_through),
                Level.REVIEW if _act is _doubled else Level.STOP,
            )
        )


@kind(SORT)
def a_document_is_orphaned(scene: Scene) -> int:
    """A document hangs on nothing."""

    def attempt(spec: Attachment) -> int:
        keys = _linked(scene, spec)[:1]
        return sum(scene.set(_holder(scene, spec), k, spec.link.object, None) for k in keys)

    return scene.first_of(attempt, scene.attachments(through=False))


@kind(_ROW)
def a_document_is_inactive(scene: Scene) -> int:
    """A document has a flag turned: it is hidden, or shown again."""
    return scene.first(
        partial(_other("NOT {0}", "boolean"), scene, spec)
        for spec in scene.attachments(through=False)
    )


def _images(scene: Scene) -> Iterator[tuple[Attachment, Table, Table]]:
    """Images, their own table and that of their batches."""
    for spec in scene.attachments(through=True):
        yield spec, _own(scene, spec), _holder(scene, spec)


@kind(SORT)
def an_image_is_in_another_batch(scene: Scene) -> int:
    """An image is in another batch: its owner's page shows it among others, or another's does."""

    def attempt(spec: Attachment, own: Table, batches: Table) -> int:
        column = spec.through.column if spec.through else ""
        used = scene.texts_of(_column(own, column))
        others = [key for key in scene.keys(batches) if used and key != used[0][1]]
        return scene.set(own, used[0][0], column, others[-1]) if others else 0

    return scene.first(partial(attempt, *tables) for tables in _images(scene))


@kind(SORT)
def two_images_are_in_each_others_batch(scene: Scene) -> int:
    """Two images are in each other's batch."""
    return scene.first(
        partial(scene.swap, _column(own, spec.through.column))
        for spec, own, _ in _images(scene)
        if spec.through
    )


@kind(_ROW)
def a_batch_is_lost_with_its_images(scene: Scene) -> int:
    """A batch is gone with all its images."""

    def attempt(spec: Attachment, own: Table, batches: Table) -> int:
        keys = _linked(scene, spec)[:1]
        column = sql.Identifier(spec.through.column if spec.through else "")
        scene.do(
            sql.SQL("DELETE FROM {} WHERE {}::text = ANY (%s)").format(scene.place(own), column),
            keys,
        )
        return scene.delete(batches, keys)

    return scene.first(partial(attempt, *tables) for tables in _images(scene))


@kind(_ROW, level=Level.REVIEW)
def a_batch_is_doubled(scene: Scene) -> int:
    """A batch is there twice."""
    return scene.first(
        partial(lambda table: scene.double(table, scene.keys(table)[:1]), batches)
        for _, _, batches in _images(scene)
    )


@kind(_ROW)
def a_batch_is_called_otherwise(scene: Scene) -> int:
    """A column of a batch that is no link has another value."""

    def fields() -> Iterator[Field]:
        for spec, _, batches in _images(scene):
            taken = (spec.link.object, spec.link.content_type)
            yield from (f for f in scene.texts(batches) if f.column.name not in taken)

    return scene.change_first(fields(), "{0} || '.'")


@kind(_FILE)
def two_thumbnails_are_swapped(scene: Scene) -> int:
    """Two images show each other's small picture."""
    return scene.swap_first(
        _column(own, name) for spec, own, _ in _images(scene) for name in spec.file.also
    )


@kind(_FILE)
def a_thumbnail_is_lost(scene: Scene) -> int:
    """An image has lost the key of its small picture."""
    return scene.change_first(
        (_column(own, name) for spec, own, _ in _images(scene) for name in spec.file.also), "''"
    )


@kind(SORT)
def every_link_is_shifted(scene: Scene) -> int:
    """Every document hangs on the patient of the one before: each has as many as before."""

    def attempt(spec: Attachment) -> int:
        where = _column(_holder(scene, spec), spec.link.object)
        # What hangs on something else, or on nobody, stays where it is.
        linked = sql.SQL("{}::text = ANY ({}::text[])").format(
            where.key, sql.Literal(_linked(scene, spec))
        )
        return scene.shift(where, linked)

    return scene.first(
        partial(attempt, spec) for spec in scene.database.mapping.attachments.values()
    )
