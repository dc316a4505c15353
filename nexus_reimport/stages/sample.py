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
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

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
# In the place of the size; ENCRYPTED: with a key that only whoever stored the object has (SSE-C).
GONE, REFUSED, ENCRYPTED = "gone", "refused", "encrypted"
_OF_ITS_CLASS, _OF_ITS_KEY = "InvalidObjectState", "KMS."
# Of AWS and others, where an object is asked for by its name alone: only SSE-C needs more.
_LACKS_ITS_KEY = frozenset({"InvalidRequest", "InvalidArgument"})
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

    One that is not there, or that cannot be read, has no hash. Of one whose storage
    class is an archive everything but the bytes is asked for.

    Raises:
        StorageError: S3 could not be reached, the reading was cut off, or this account may read
            none of them.
    """
    wanted, rows = list(keys), []
    with _in_our_words(place), ThreadPoolExecutor(_READERS) as readers:
        client = storage.opened(place, lists_only=False)
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
        StorageError: objects were refused to this account, are encrypted with a key of somebody
            else, or are gone since S3 was listed.
    """
    counted = Counter(row["size"] for row in rowfile.read_dicts(folder, taken.file))
    refused, encrypted, gone = counted[REFUSED], counted[ENCRYPTED], counted[GONE]
    if not refused + encrypted + gone:
        return
    whys = {"refused to this account": refused, NO_KEY: encrypted, "gone since S3 was listed": gone}
    parts = ", ".join(f"{count:,} {why}" for why, count in whys.items() if count)
    raise StorageError(
        f"{wording.part(refused + encrypted + gone, taken.objects)} files that verification reads"
        f" could not be read: {parts}",
        where=f"{storage.where(place)}; their keys: {taken.file.name} in the private folder",
        next=_GIVE
        if refused
        else STORE_ANEW
        if encrypted
        else "find out who deletes files, then run 01_preflight again",
    )


def why_unread(place: settings.S3, key: str) -> str:
    """Why the object ``key`` cannot be read, as in the place of its size; "" where it can.

    Nothing of it is read. To ask for its head alone would give no reason.

    Raises:
        StorageError: S3 could not be reached, or refused for another reason.
    """
    with _in_our_words(place):
        try:
            client = storage.opened(place, lists_only=False)
            client.get_object(Bucket=place.bucket, Key=key)["Body"].close()
        except ClientError as error:
            if storage.code_of(error) != _OF_ITS_CLASS:
                return _why_not(error)
    return ""


@contextmanager
def _in_our_words(place: settings.S3) -> Iterator[None]:
    """What S3, or the library that asks it, says against the reading of an object."""
    try:
        yield
    except ClientError as error:
        raise storage.refused(error, place, "to let us read an object") from None
    # HTTPError: TLS broke within an answer, or it took too long
    except (BotoCoreError, HTTPError, OSError) as error:
        if is_forbidden(error):
            raise
        raise storage.unreached(error, place) from None


_NONE = (
    "write sample = 0 under [s3]: then no file is read, and verification rests on what the listing"
    " says"
)
_GIVE = (
    "give it s3:GetObject on every file, and kms:Decrypt on the keys that they are encrypted with;"
    f" or {_NONE}"
)
NO_KEY = "encrypted with a key that S3 does not keep (SSE-C)"
STORE_ANEW = (
    f"have the encrypted files stored anew with SSE-S3 or SSE-KMS, since S3 gives them only to who"
    f" sends their key; or {_NONE}"
)


def keys_of(sample: Sample, folder: Path) -> Iterator[str]:
    """The objects of a sample, to be read again."""
    return (row[0] or "" for row in rowfile.read(folder, sample.file))


def _read(client: Any, bucket: str, key: str) -> tuple[str, ...]:
    try:
        return _in_full(client, bucket, key)
    except ClientError as error:
        # A result, not an error: the check says which object is gone or refused.
        return key, _why_not(error), *[""] * (len(COLUMNS) - 2)


def _why_not(error: ClientError) -> str:
    """Why an object cannot be read, as in the place of its size.

    Raises:
        ClientError: S3 has refused for another reason.
    """
    status, code = storage.http_status(error), storage.code_of(error)
    if status == HTTPStatus.NOT_FOUND:
        return GONE
    if status == HTTPStatus.FORBIDDEN or code.startswith(_OF_ITS_KEY):
        return REFUSED
    if status == HTTPStatus.BAD_REQUEST and code in _LACKS_ITS_KEY:
        return ENCRYPTED
    raise error


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
