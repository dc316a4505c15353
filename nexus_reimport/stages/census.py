"""Lists what the bucket holds. S3 is read, never written: there is no call here that could.

A listing proves nothing about its own end but by what it says, so each page is looked at: one that
says there is more and not where, that comes twice, or that is no listing at all, stops the run.

Source: Amazon S3 API Reference, "ListObjectsV2" and "Error responses".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from nexus_reimport import settings, storage
from nexus_reimport.errors import StorageError
from nexus_reimport.files import rowfile
from nexus_reimport.model import Census

Progress = Callable[[int, int], None]
COLUMNS = ("key", "size", "etag", "modified")
Found = tuple[int, str, str]  # size, etag, time of the last change
_STRANGE = (
    "check that the endpoint is S3's own, and not a proxy's, a console's or a web page;"
    " then run again"
)


def take(
    place: settings.S3, folder: Path, name: str = "census", progress: Progress | None = None
) -> Census:
    """Every object under the prefixes of ``place``: key, size, etag, time, in the order of keys.

    Markers of folders (an empty object whose key ends with a slash) are no files and left out. Of a
    server that tells no etag the time of an object's last change is compared.

    Raises:
        StorageError: the bucket is missing, refused us, could not be reached, or its listing is not
            one that proves its end.
    """
    at = datetime.now(UTC)
    found: dict[str, Found] = {}
    try:
        client = storage.opened(place)
        for prefix in place.prefixes:
            for page in _pages(client, place, prefix):
                found.update(page)
                if progress:
                    progress(len(found), len(found))
    except ClientError as error:
        raise storage.refused(error, place) from None
    except BotoCoreError as error:
        raise storage.unreached(error, place) from None
    except (storage.NoListing, ResponseParserError, ValueError, TypeError):
        raise _no_listing(place) from None
    with rowfile.writer(folder / f"{name}.parquet", COLUMNS) as out:
        for key in sorted(found):
            size, etag, modified = found[key]
            out.add((key, str(size), etag, modified))
    return Census(place.bucket, at, len(found), sum(s for s, *_ in found.values()), out.done())


def _pages(client: Any, place: settings.S3, prefix: str) -> Iterator[dict[str, Found]]:
    """The objects under ``prefix``, page by page.

    A server that knows the listing's first version alone tells no token: it is asked for what comes
    after the last key.
    """
    seen: set[str] = set()
    follow: dict[str, str] = {}
    asked: list[dict[str, str]] = []
    while True:
        asked.append(follow)
        page = client.list_objects_v2(Bucket=place.bucket, Prefix=prefix, **follow)
        if not {"IsTruncated", "KeyCount", "Contents", "Name"} & page.keys():
            raise _no_listing(place)
        objects = _objects(page, place)
        if not seen.isdisjoint(objects):
            raise _endless(place, "the same object twice")
        seen.update(objects)
        yield {k: v for k, v in objects.items() if not (k.endswith("/") and not v[0])}
        token = page.get("NextContinuationToken", "")
        if not page.get("IsTruncated", bool(token)):
            return
        if not token and not objects:
            raise _endless(place, "that there is more, and neither a key nor where to go on")
        follow = {"ContinuationToken": token} if token else {"StartAfter": max(objects)}
        if follow in asked:
            raise _endless(place, "the same place to go on twice")


def _objects(page: Mapping[str, Any], place: settings.S3) -> dict[str, Found]:
    """Key -> size, etag, time of the last change; what is not told is empty."""
    found = {}
    for item in page.get("Contents", []):
        if "Key" not in item or "Size" not in item:
            raise StorageError(
                "S3's listing holds an object without key or size",
                where=storage.where(place),
                next=_STRANGE,
            )
        at = item.get("LastModified")
        modified = at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""
        found[item["Key"]] = (item["Size"], item.get("ETag", "").strip('"'), modified)
    return found


def _no_listing(place: settings.S3) -> StorageError:
    return StorageError(
        "S3 answered with something that is no listing of a bucket",
        where=storage.where(place),
        next=_STRANGE,
    )


def _endless(place: settings.S3, what: str) -> StorageError:
    return StorageError(
        f"S3's listing cannot be read to its end: it tells {what}",
        where=storage.where(place),
        next="run again; if it stays, the server's listing is at fault: update it, or name another"
        " endpoint",
    )
