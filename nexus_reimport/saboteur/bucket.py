"""The bucket, as a copy of its list shows it: files lost, hidden, overwritten, added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from psycopg import sql

from nexus_reimport.model import Level
from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Object, Objects, Scene
from nexus_reimport.text import composed

SORT = "an object in the bucket"


def _named(scene: Scene) -> set[str]:
    """The keys that a document or an image names."""
    keys = set()
    for spec in scene.database.mapping.attachments.values():
        table = scene.database.catalog.tables[spec.table]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.Identifier(spec.file.column), scene.place(table)
        )
        keys |= {composed(str(key)) for (key,) in scene.rows(query) if key}
    return keys


def _ours(scene: Scene) -> list[Object]:
    """The objects that a document or an image names, in the order of their keys."""
    named = _named(scene)
    return [o for o in scene.objects if composed(o["key"] or "") in named]


def _others(scene: Scene) -> list[Object]:
    """The objects that no row names."""
    named = _named(scene)
    return [o for o in scene.objects if composed(o["key"] or "") not in named]


def _without(objects: Objects, gone: Iterable[Object]) -> Objects:
    keys = {o["key"] for o in gone}
    return tuple(o for o in objects if o["key"] not in keys)


def _remove(scene: Scene, gone: Sequence[Object]) -> int:
    scene.objects = _without(scene.objects, gone)
    return len(gone)


def _change(scene: Scene, chosen: Iterable[Object], column: str, to: Callable[[str], str]) -> int:
    """Give the first of ``chosen`` that has a value in ``column`` another one in it."""
    one = next((o for o in chosen if o[column] and to(o[column] or "") != o[column]), None)
    if one is None:
        return 0
    other = {**one, column: to(one[column] or "")}
    scene.objects = tuple(other if o is one else o for o in scene.objects)
    scene.sample = tuple(other if o is one else o for o in scene.sample)
    return 1


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
    """The list ends before its end: its last page is missing, with a file that a row names."""
    ours = _ours(scene)
    if not ours:
        return 0
    page = len(scene.objects) - max(1, len(scene.objects) // 10)
    return _remove(scene, scene.objects[min(page, scene.objects.index(ours[-1])) :])


@kind(SORT)
def the_bucket_is_empty(scene: Scene) -> int:
    """Nothing is listed at all."""
    return _remove(scene, scene.objects if _ours(scene) else ())


@kind(SORT)
def a_file_is_overwritten_with_the_same_size(scene: Scene) -> int:
    """A file holds something else of the same size."""
    return _change(scene, _ours(scene), "etag", _other_digest)


@kind(SORT)
def nothing_tells_what_a_file_holds(scene: Scene) -> int:
    """A file is listed without the digest that it had."""
    return _change(scene, _ours(scene), "etag", lambda _: "")


@kind(SORT)
def a_file_is_overwritten_with_another_size(scene: Scene) -> int:
    """A file has another size under the same digest."""
    return _change(scene, _ours(scene), "size", lambda size: str(int(size) + 1))


@kind(SORT)
def a_file_is_cut_to_nothing(scene: Scene) -> int:
    """A file is empty."""
    return _change(scene, _ours(scene), "size", lambda _: "0")


@kind(SORT)
def two_files_are_swapped(scene: Scene) -> int:
    """Two files have each other's content: the sums are what they were."""
    ours = _ours(scene)
    other = next((o for o in ours if o["etag"] != ours[0]["etag"]), None)
    if other is None:
        return 0
    one = ours[0]
    swapped = {
        id(one): {**other, "key": one["key"]},
        id(other): {**ours[0], "key": other["key"]},
    }
    scene.objects = tuple(swapped.get(id(o), o) for o in scene.objects)
    return len(swapped)


@kind(SORT)
def a_file_is_under_another_key(scene: Scene) -> int:
    """A file is under another key: nobody finds it."""
    return _change(scene, _ours(scene), "key", lambda key: f"{key}.old")


@kind(SORT)
def a_file_is_under_its_key_in_capitals(scene: Scene) -> int:
    """A file is under its key in other letters' case."""
    return _change(scene, _ours(scene), "key", str.upper)


@kind(SORT, level=Level.REVIEW)
def a_file_that_no_row_names_is_lost(scene: Scene) -> int:
    """A file is gone that no row names: somebody else's, or one that waits for its row."""
    return _remove(scene, _others(scene)[:1])


@kind(SORT, level=Level.REVIEW)
def a_file_that_no_row_names_is_overwritten(scene: Scene) -> int:
    """A file that no row names holds something else."""
    return _change(scene, _others(scene), "etag", _other_digest)


@kind(SORT, level=Level.REVIEW)
def a_file_that_no_row_names_is_added(scene: Scene) -> int:
    """There is a file that was not there."""
    added = tuple({**one, "key": f"{one['key']}.copy"} for one in scene.objects[:1])
    scene.objects = (*scene.objects, *added)
    return len(added)


@kind(SORT, level=Level.REVIEW)
def a_file_is_written_again(scene: Scene) -> int:
    """A file was written again with the same bytes, perhaps as another type; nobody reads it."""
    read = {one["key"] for one in scene.sample}
    unread = [one for one in _ours(scene) if one["key"] not in read]
    return _change(scene, unread, "modified", lambda at: f"{at}0")


@kind(SORT, level=Level.REVIEW)
def a_file_was_missing_before_already(scene: Scene) -> int:
    """A document has no file, and had none before the run: one more than those that are known."""
    read = {one["key"] for one in scene.sample}
    gone = [one for one in _ours(scene) if one["key"] not in read][:1]
    scene.listed_before = _without(scene.listed_before, gone)
    return _remove(scene, gone)


# ---------------------------------------------------------------- what only reading tells


def _read_with_another(scene: Scene, fact: str) -> int:
    """The first file that is read has one more character in ``fact``, whatever it had."""
    written = tuple({**one, fact: f"{one[fact] or ''}0"} for one in scene.sample[:1])
    scene.sample = (*written, *scene.sample[1:])
    return len(written)


@kind(SORT)
def a_file_holds_other_bytes(scene: Scene) -> int:
    """A file that is read in full holds other bytes, and S3 says nothing of it."""
    return _change(scene, scene.sample, "sha256", _other_digest)


@kind(SORT)
def a_file_has_another_version(scene: Scene) -> int:
    """A file was written again with the same content: its version is another one."""
    return _read_with_another(scene, "version")


@kind(SORT)
def a_file_has_another_content_type(scene: Scene) -> int:
    """A file has another content type: the browser does not open it."""
    return _change(scene, scene.sample, "content_type", lambda _: "application/x-nobody-planned")


@kind(SORT)
def a_file_has_other_headers(scene: Scene) -> int:
    """A file is offered to a browser under another name, and holds the same bytes."""
    return _read_with_another(scene, "headers")


@kind(SORT)
def a_file_cannot_be_read(scene: Scene) -> int:
    """A file that is listed is not there when it is read."""
    return _change(scene, scene.sample, "size", lambda _: "gone")
