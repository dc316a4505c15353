"""A sealed record in an archive that nobody can empty: S3 with Object Lock.

A record goes there as one file (tar, its bytes the same each time), locked until its day, and is
read back and compared. What was archived stands beside the records, in ``.archived.jsonl``.

Source: Amazon S3 User Guide, "Locking objects with Object Lock"; the bucket must have it switched
on, which needs versions.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from nexus_reimport import storage
from nexus_reimport.errors import RecordError, StorageError
from nexus_reimport.files import private
from nexus_reimport.record.sealed import archived, bag, chain, index
from nexus_reimport.record.sealed.archived import Archived
from nexus_reimport.settings import Archive

# Somebody put an object of this name there already: what it holds is compared, not replaced.
_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True, slots=True)
class _Copy:
    """The copy of one sealed record: in which archive, of which environment and run."""

    place: Archive
    environment: str
    run: str
    seal: str

    @property
    def key(self) -> str:
        return f"{self.place.prefix}{self.environment}/{self.run}-{self.seal[:12]}.tar"

    def failed(self, why: str) -> StorageError:
        return StorageError(
            f"the record is not in the archive: {why}",
            where=f"{storage.where(self.place)}, key {self.key}",
            state="the record is sealed and whole; the archive has no copy that can be relied on",
            next="the bucket needs Object Lock, and the account s3:PutObject,"
            " s3:PutObjectRetention and s3:GetObject; then:"
            f" nexus-reimport record archive {self.environment}",
        )


def put(folder: Path, place: Archive) -> Archived:
    """Archive the sealed record in ``folder``; one that is there already is compared.

    Raises:
        RecordError: the record is not sealed.
        StorageError: it is not in the archive, or not as it must be. The record is unchanged.
    """
    seal = bag.digest(folder)
    if not seal:
        raise RecordError(
            f"run {folder.name} is not sealed", next="only a sealed record is archived"
        )
    data, copy = packed(folder), _Copy(place, folder.parent.name, folder.name, seal)
    client = storage.opened(place, lists_only=False)
    try:
        _upload(client, copy, data)
        kept = _read_back(client, copy, data)
    except ClientError as error:
        raise copy.failed(_refused(error)) from None
    except (BotoCoreError, OSError) as error:
        raise copy.failed(f"a request failed ({type(error).__name__})") from None
    with private.locked_folder(folder.parent):  # a seal writes the same page
        archived.note(folder.parent, kept)
        index.write(folder.parent)
    return kept


def put_missing(runs: Path, place: Archive | None) -> list[Archived]:
    """Archive every sealed record of ``runs`` that is not in the list yet; those that were.

    Raises:
        StorageError: one is not in the archive, and those after it were not tried.
    """
    if place is None:
        return []
    in_archive = {(one.run, one.seal) for one in archived.noted(runs)}
    sealed = [f for f in chain.records(runs) if bag.digest(f)]
    missing = [f for f in sealed if (f.name, bag.digest(f)) not in in_archive]
    return [put(folder, place) for folder in sorted(missing, key=chain.number)]


def packed(folder: Path) -> bytes:
    """The record as one file: a tar that is the same whenever it is made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            member = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            data = path.read_bytes()
            member.size, member.mode = len(data), private.FILE
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _upload(client: Any, copy: _Copy, data: bytes) -> None:
    until = datetime.now(UTC) + timedelta(days=copy.place.days)
    try:
        client.put_object(
            Bucket=copy.place.bucket,
            Key=copy.key,
            Body=data,
            IfNoneMatch="*",
            ObjectLockMode=copy.place.mode,
            ObjectLockRetainUntilDate=until,
            ChecksumSHA256=base64.b64encode(hashlib.sha256(data).digest()).decode(),
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _EXISTS:
            raise


def _read_back(client: Any, copy: _Copy, data: bytes) -> Archived:
    bucket, key = copy.place.bucket, copy.key
    answer = client.get_object(Bucket=bucket, Key=key)
    digest = private.sha256(answer["Body"].read())
    if digest != private.sha256(data):
        raise copy.failed("what was read back is not what was sent")
    until = answer.get("ObjectLockRetainUntilDate")
    if until is None or until <= datetime.now(UTC):
        raise copy.failed("it is there, and it is not locked")
    version = str(answer.get("VersionId", ""))
    return Archived(copy.run, copy.seal, bucket, key, version, until.isoformat(), digest)


def _refused(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return f"S3 refused it ({code if code.isalnum() else '?'}, HTTP {status})"
