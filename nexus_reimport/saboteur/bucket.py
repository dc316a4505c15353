"""The bucket, as a copy of its list shows it: files lost, hidden, overwritten, added."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from psycopg import sql

from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Objects, Scene

SORT = "an object in the bucket"
Object = dict[str, str | None]


def _named(scene: Scene) -> set[str]:
    """The keys that a document or an image names."""
    found = set()
    for spec in scene.database.mapping.attachments.values():
        table = scene.database.catalog.tables[spec.table]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.Identifier(spec.file.column), scene.place(table)
        )
        found |= {unicodedata.normalize("NFC", str(key)) for (key,) in scene.rows(query) if key}
    return found


def _ours(scene: Scene) -> Objects:
    """The objects that a document or an image names, in the order of their keys."""
    named = _named(scene)
    return [o for o in scene.objects if unicodedata.normalize("NFC", o["key"] or "") in named]


def _others(scene: Scene) -> Objects:
    """The objects that no row names."""
    ours = {o["key"] for o in _ours(scene)}
    return [o for o in scene.objects if o["key"] not in ours]


def _remove(scene: Scene, gone: Objects) -> int:
    keys = {o["key"] for o in gone}
    scene.objects[:] = [o for o in scene.objects if o["key"] not in keys]
    return len(keys)


def _change(objects: Objects, column: str, to: Callable[[str], str]) -> int:
    """Give the first object that has ``column`` another value in it."""
    for one in objects:
        value = one.get(column)
        if value and to(value) != value:
            one[column] = to(value)
            return 1
    return 0


def _other_digest(etag: str) -> str:
    return "".join(reversed(etag)) if etag != etag[::-1] else "0" * len(etag)


@kind(SORT)
def a_file_is_deleted(scene: Scene) -> int:
    """The file of a document or an image is gone."""
    return _remove(scene, _ours(scene)[:1])


@kind(SORT)
def a_file_is_hidden(scene: Scene) -> int:
    """A file in the middle of the list is not listed, as behind a delete marker."""
    ours = _ours(scene)
    return _remove(scene, ours[len(ours) // 2 :][:1])


@kind(SORT)
def the_end_of_the_list_is_lost(scene: Scene) -> int:
    """The list ends before its end: its last page is missing."""
    return _remove(scene, scene.objects[-max(1, len(scene.objects) // 10) :])


@kind(SORT)
def the_bucket_is_empty(scene: Scene) -> int:
    """Nothing is listed at all."""
    return _remove(scene, list(scene.objects))


@kind(SORT)
def a_file_is_overwritten_with_the_same_size(scene: Scene) -> int:
    """A file holds something else of the same size."""
    return _change(_ours(scene), "etag", _other_digest)


@kind(SORT)
def a_file_is_overwritten_with_another_size(scene: Scene) -> int:
    """A file has another size under the same digest."""
    return _change(_ours(scene), "size", lambda size: str(int(size) + 1))


@kind(SORT)
def a_file_is_cut_to_nothing(scene: Scene) -> int:
    """A file is empty."""
    return _change(_ours(scene), "size", lambda _: "0")


@kind(SORT)
def two_files_are_swapped(scene: Scene) -> int:
    """Two files have each other's content: the sums are what they were."""
    ours = _ours(scene)
    one = ours[0] if ours else {}
    other = next((o for o in ours if o["etag"] != one.get("etag")), None)
    if other is None:
        return 0
    for column in set(one) - {"key"}:
        one[column], other[column] = other[column], one[column]
    return 2


@kind(SORT)
def a_file_is_under_another_key(scene: Scene) -> int:
    """A file is under another key: nobody finds it."""
    return _change(_ours(scene), "key", lambda key: f"{key}.old")


@kind(SORT)
def a_file_is_under_its_key_in_capitals(scene: Scene) -> int:
    """A file is under its key in other letters' case."""
    return _change(_ours(scene), "key", str.upper)


@kind(SORT)
def a_file_that_no_row_names_is_lost(scene: Scene) -> int:
    """A file is gone that no row names: somebody else's, or one that waits for its row."""
    return _remove(scene, _others(scene)[:1])


@kind(SORT)
def a_file_that_no_row_names_is_overwritten(scene: Scene) -> int:
    """A file that no row names holds something else."""
    return _change(_others(scene), "etag", _other_digest)


def _versions(scene: Scene, name: str) -> Iterator[Object]:
    return (o for o in _ours(scene) if o.get(name))


@kind(SORT)
def a_file_has_another_version(scene: Scene) -> int:
    """A file was written again with the same content: its version is another one."""
    found = list(_versions(scene, "version"))
    return _change(found, "version", lambda version: f"{version}0")


@kind(SORT)
def a_file_has_another_content_type(scene: Scene) -> int:
    """A file has another content type: the browser does not open it."""
    found = list(_versions(scene, "content_type"))
    return _change(found, "content_type", lambda _: "application/x-nobody-planned")
