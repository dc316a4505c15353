"""Reads some objects of the bucket in full, before and after: a listing says, and proves nothing.

Which ones is decided by the plan's digest, so that nobody chooses them, and so that they are the
same both times. S3 is read, never written.

Source: Amazon S3 API Reference, "GetObject".
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from nexus_reimport import progress, settings, storage, wording
from nexus_reimport.errors import StorageError, is_forbidden
from nexus_reimport.files import columns, rowfile
from nexus_reimport.model import Census, Sample
from nexus_reimport.model.snapshot import ARCHIVED
from nexus_reimport.nexus.reading import questions

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

COLUMNS = ("key", "size", "etag", "version", "content_type", "headers", "sha256")
# What S3 keeps beside the bytes, and gives a browser with them: it decides how a file is shown.
_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ExpiresString",  # as it was sent, which need not be a date
    "Metadata",
)
GONE, REFUSED = "gone", "refused"  # in the place of the size
_OF_ITS_CLASS, _OF_ITS_KEY = "InvalidObjectState", "KMS."
_CHUNK = 1 << 20  # bytes of a file in memory at a time
_READERS = 4


def choose(census: Census, folder: Path, named: Column, seed: str, size: int) -> list[str]:
    """``size`` of the objects that rows name, those alone that the census has found.

    ``named`` are keys as the bucket spells them; ``seed`` is the plan's digest.
    """
    stored = columns.column(folder, census.file, "key")
    wanted = columns.texts(stored.filter(columns.among(stored, named)))
    return sorted(questions.drawn(wanted, seed, size))


def take(
    place: settings.S3,
    keys: Iterable[str],
    folder: Path,
    name: str = "sample",
) -> Sample:
    """Each object of ``keys`` read in full: size, etag, version, type, hashes of headers and bytes.

    One that is not there, or that this account may not read, has no hash. Of one whose storage
    class is an archive everything but the bytes is asked for.

    Raises:
        StorageError: S3 could not be reached, the reading was cut off, or this account may read
            none of them.
    """
    wanted, rows = list(keys), []
    with _in_our_words(place), ThreadPoolExecutor(_READERS) as readers:
        client = storage.opened(place)
        for row in readers.map(partial(_read, client, place.bucket), wanted):
            rows.append(row)
            progress.tell(len(rows), len(wanted), "files")
    if rows and all(row[1] == REFUSED for row in rows):
        raise StorageError(
            f"this account may not read the bucket's objects: all of {len(rows):,} were refused",
            where=storage.where(place),
            next=_GIVE,
        )
    read = sum(int(row[1]) for row in rows if row[1].isdecimal() and row[-1] != ARCHIVED)
    return Sample(len(rows), read, rowfile.write(folder / f"{name}.parquet", COLUMNS, rows))


def require_read(place: settings.S3, taken: Sample, folder: Path) -> None:
    """Stop where an object could not be read: verification would find that after COMMIT.

    Raises:
        StorageError: objects were refused to this account, or are gone since S3 was listed.
    """
    counted = Counter(row["size"] for row in rowfile.read_dicts(folder, taken.file))
    refused, gone = counted[REFUSED], counted[GONE]
    if not refused and not gone:
        return
    whys = {"refused to this account": refused, "gone since S3 was listed": gone}
    parts = ", ".join(f"{count:,} {why}" for why, count in whys.items() if count)
    raise StorageError(
        f"{wording.part(refused + gone, taken.objects)} files that verification reads could not be"
        f" read: {parts}",
        where=f"{storage.where(place)}; their keys: {taken.file.name} in the private folder",
        next=_GIVE if refused else "find out who deletes files, then run 01_preflight again",
    )


def may_read(place: settings.S3, key: str) -> bool:
    """Whether this account may read the object ``key``; nothing of it is read.

    Raises:
        StorageError: S3 could not be reached, or refused for another reason.
    """
    with _in_our_words(place):
        try:
            storage.opened(place).head_object(Bucket=place.bucket, Key=key)
        except ClientError as error:
            if storage.http_status(error) == 403:
                return False
            raise
    return True


@contextmanager
def _in_our_words(place: settings.S3) -> Iterator[None]:
    """What S3, or the library that asks it, says against the reading of an object."""
    try:
        yield
    except ClientError as error:
        raise storage.refused(error, place, "to let us read an object") from None
    except (BotoCoreError, OSError) as error:
        if is_forbidden(error):
            raise
        raise storage.unreached(error, place) from None


_GIVE = (
    "give it s3:GetObject on every file, and kms:Decrypt on the keys that they are encrypted with;"
    " or write sample = 0 under [s3]: then no file is read, and verification rests on what the"
    " listing says"
)


def keys_of(sample: Sample, folder: Path) -> Iterator[str]:
    """The objects of a sample, to be read again."""
    return (row[0] or "" for row in rowfile.read(folder, sample.file))


def _read(client: Any, bucket: str, key: str) -> tuple[str, ...]:
    try:
        return _in_full(client, bucket, key)
    except ClientError as error:
        status = storage.http_status(error)
        # A result, not an error: the check says which object is gone or refused.
        if status not in (403, 404) and not storage.code_of(error).startswith(_OF_ITS_KEY):
            raise
        return key, GONE if status == 404 else REFUSED, *[""] * (len(COLUMNS) - 2)


def _in_full(client: Any, bucket: str, key: str) -> tuple[str, ...]:
    try:
        with progress.answering("S3"):
            answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if storage.code_of(error) != _OF_ITS_CLASS:
            raise
        answer = client.head_object(Bucket=bucket, Key=key)
        return _row(key, answer, answer["ContentLength"], ARCHIVED)
    hashed, size = hashlib.sha256(), 0
    # A body that is not closed keeps its connection from the next request.
    with closing(answer["Body"]) as body:
        for chunk in body.iter_chunks(_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
    return _row(key, answer, size, hashed.hexdigest())


def _row(key: str, answer: dict[str, Any], size: int, of_bytes: str) -> tuple[str, ...]:
    return (
        key,
        str(size),
        answer.get("ETag", "").strip('"'),
        answer.get("VersionId", ""),
        answer.get("ContentType", ""),
        _digest({name: answer[name] for name in _HEADERS if answer.get(name)}),
        of_bytes,
    )


def _digest(headers: dict[str, Any]) -> str:
    """Of ``headers``, whose values may be a patient's; "" where there are none."""
    text = json.dumps(headers, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest() if headers else ""
