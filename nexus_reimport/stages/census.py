"""Lists what the bucket holds. S3 is only read: no call in this module can write.

Only the pages themselves can show that a listing is complete, so each page is checked. A page that
announces more without saying where, that comes twice, or that is no listing at all stops the run.

Source: Amazon S3 API Reference, "ListObjectsV2" and "Error responses".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from nexus_reimport import progress, settings, storage, wording
from nexus_reimport.errors import StorageError
from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.spool import Spool
from nexus_reimport.model import Census

COLUMNS = ("key", "size", "etag", "modified")
Stored = tuple[int, str, str]  # size, etag, time of the last change
_STRANGE = (
    "check that the endpoint is S3 itself, not a proxy, a console or a web page; then run again"
)


_NOT_TO_BE_READ = (
    storage.NoListing,
    ResponseParserError,
    ValueError,
    TypeError,
    LookupError,  # an encoding that nobody knows
    OverflowError,  # a time before the year 1
    RecursionError,  # a redirect to what is no address: botocore follows it to itself
)


def take(place: settings.S3, folder: Path, name: str = "census") -> Census:
    """Every object under the prefixes of ``place``: key, size, etag, time, in the order of keys.

    Folder markers (empty objects whose key ends with a slash) are not files and are left out. Some
    servers send no etag; then the time of an object's last change is compared.

    Raises:
        StorageError: the bucket is missing, refused us, cannot be reached, or its listing does not
            show where it ends. Nothing was written.
    """
    at = datetime.now(UTC)
    objects: Spool[tuple[str, Stored]] = Spool(folder)  # in memory are the keys, as columns
    keys = [columns.of(())]
    client = storage.opened(place)
    for prefix in place.prefixes:
        with _in_our_words(place, prefix):
            for page in _pages(client, place, prefix):
                keys.append(columns.of(page))
                for one in page.items():
                    objects.add(one)
                progress.tell(0, 0, f"{wording.amount(len(objects), 'file')} so far")
    order, count, bytes_stored = columns.ranks(columns.together(keys)).tolist(), 0, 0
    with rowfile.writer(folder / f"{name}.parquet", COLUMNS) as out:
        last = ""
        for key, (size, etag, modified) in objects.in_order(order):
            if key != last:  # prefixes may overlap, and come in any order
                out.add((key, str(size), etag, modified))
                count, bytes_stored, last = count + 1, bytes_stored + size, key
    objects.close()
    return Census(place.bucket, at, count, bytes_stored, out.done())


def ask(place: settings.S3) -> tuple[float, str]:
    """That the bucket lets itself be listed: the seconds for the first page, and one key of it.

    The key is "" where that page has no object. A person waits for the answer: it is tried once.

    Raises:
        StorageError: as ``take``.
    """
    prefix = place.prefixes[0]
    with _in_our_words(place, prefix):
        client = storage.opened(place, retries=0)
        began = time.monotonic()
        first = next(_pages(client, place, prefix))
    return time.monotonic() - began, next(iter(first), "")


@contextmanager
def _in_our_words(place: settings.S3, prefix: str) -> Iterator[None]:
    """What S3, or the library that asks it, says against a listing, in our words."""
    try:
        yield
    except ClientError as error:
        raise storage.refused(error, place, prefix=prefix) from None
    except BotoCoreError as error:
        raise storage.unreached(error, place) from None
    except _NOT_TO_BE_READ:
        raise _no_listing(place) from None


def _pages(client: Any, place: settings.S3, prefix: str) -> Iterator[dict[str, Stored]]:
    """The objects under ``prefix``, page by page.

    Where a server announces more and sends no token, the next page is asked for by the last key.
    One that knows only version 1 of the listing gives the first page again: the read stops.
    """
    seen: set[int] = set()  # hashes: of a million keys they take a third of the memory
    follow: dict[str, str] = {}
    asked: set[tuple[tuple[str, str], ...]] = set()
    while True:
        asked.add(tuple(follow.items()))
        with progress.answering("S3"):
            page = client.list_objects_v2(Bucket=place.bucket, Prefix=prefix, **follow)
        if not {"IsTruncated", "KeyCount", "Contents", "Name"} & page.keys():
            raise _no_listing(place)
        objects = _objects(page, place)
        if (count := page.get("KeyCount", 0)) > (arrived := len(page.get("Contents", ()))):
            keys = wording.amount(count, "key")
            raise _endless(place, f"announces {keys} on a page that has {arrived:,}")
        if not seen.isdisjoint(map(hash, objects)):
            raise _endless(place, "gives the same object twice")
        seen.update(map(hash, objects))
        yield {k: v for k, v in objects.items() if not (k.endswith("/") and not v[0])}
        token = page.get("NextContinuationToken", "")
        if not page.get("IsTruncated", bool(token)):
            return
        if not token and not objects:
            raise _endless(place, "announces more, but gives neither a key nor a token for it")
        follow = {"ContinuationToken": token} if token else {"StartAfter": max(objects)}
        if tuple(follow.items()) in asked:
            raise _endless(place, "gives the same continuation twice")


def _objects(page: Mapping[str, Any], place: settings.S3) -> dict[str, Stored]:
    """Key -> size, etag, time of the last change; what the server does not send is empty."""
    objects = {}
    for item in page.get("Contents", []):
        if not item.get("Key") or "Size" not in item:
            raise StorageError(
                "S3's listing has an object without key or size",
                where=storage.where(place),
                next=_STRANGE,
            )
        at = item.get("LastModified")
        modified = at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""
        etag = item.get("ETag", "").strip('"')  # S3 sends it in quotes
        objects[item["Key"]] = (item["Size"], etag, modified)
    return objects


def _no_listing(place: settings.S3) -> StorageError:
    return StorageError(
        "S3 answered with something that is not a listing of a bucket",
        where=storage.where(place),
        next=_STRANGE,
    )


def _endless(place: settings.S3, what: str) -> StorageError:
    return StorageError(
        f"S3's listing cannot be read to its end: it {what}",
        where=storage.where(place),
        next="run again; if it happens again, the server is at fault: update it, or name another"
        " endpoint",
    )
