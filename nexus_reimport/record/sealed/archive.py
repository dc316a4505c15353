"""A sealed record in an archive that nobody can empty: S3 with Object Lock.

A record goes there as one file (tar, its bytes the same each time), locked until its day, and is
read back and compared. What was archived stands beside the records, in ``.archived.jsonl``.

Source: Amazon S3 User Guide, "Locking objects with Object Lock"; the bucket must have it switched
on, which needs versions. S3 API Reference, GetObject: one version asks for s3:GetObjectVersion, and
the day until which it is locked is shown only with s3:GetObjectRetention.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from http import HTTPStatus
from io import BufferedRandom
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from nexus_reimport import disks, storage, wording
from nexus_reimport.errors import NotNow, OnlySealed, StorageError, refused
from nexus_reimport.files import private
from nexus_reimport.record.sealed import archived, bag, chain, index
from nexus_reimport.record.sealed.archived import Archived
from nexus_reimport.settings import Archive

# Somebody put an object of this name there already: what it holds is compared, not replaced.
_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_RIGHTS = (
    "the bucket needs Object Lock, and the account s3:PutObject, s3:PutObjectRetention,"
    " s3:GetObject, s3:GetObjectVersion and s3:GetObjectRetention"
)
# Servers that keep objects on disks of their own say so in different ways.
_FULL = frozenset(
    {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
)
_BUSY = frozenset({"SlowDown", "RequestTimeout", "OperationAborted"})
_OF_CLOCKS = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_PIECE = 1 << 20  # bytes of a copy that are in memory
_MAKE_ROOM = "give the bucket more room: nobody can delete what is locked in it"
_SET_THE_CLOCK = "set this machine's clock (NTP): it and S3's are more than 15 minutes apart"
_LATER = "wait until the archive works again, or correct endpoint and region of [record.archive]"


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

    @property
    def where(self) -> str:
        return f"{storage.where(self.place)}, key {self.key}"

    def until(self) -> datetime:
        """The day of a copy that is locked now."""
        return datetime.now(UTC) + timedelta(days=self.place.days)

    def failed(self, why: str, fix: str = _RIGHTS) -> StorageError:
        return StorageError(
            f"the record is not in the archive: {why}",
            where=self.where,
            state="the record is sealed and whole; the archive has no copy that can be relied on",
            next=f"{fix}; then: nexus-reimport record archive {self.environment}",
        )

    def differs(self) -> OnlySealed:
        return OnlySealed(
            "the record is not in the archive: what lies there under its key is another file",
            where=self.where,
            state="the record is sealed and whole; the archive's file was not touched",
            next="find out who wrote that file; its versions may hold this record, locked (aws"
            " s3api list-object-versions). Without one, put the records elsewhere: another prefix"
            f" in [record.archive]; then: nexus-reimport record archive {self.environment}",
        )

    def damaged(self, problem: str) -> OnlySealed:
        return OnlySealed(
            f"the record of run {self.run} is not archived, it is not as it was sealed: {problem}",
            where=self.where,
            state="nothing of it was sent: a copy that is locked would pass for the sealed one",
            next=f"find out who changed it: nexus-reimport record check {self.environment}",
        )


def put(folder: Path, place: Archive) -> Archived:
    """Archive the sealed record in ``folder``; one that is there already is compared.

    The page of all records does not tell it yet.

    Raises:
        NotNow: the record is not sealed. Nothing was sent.
        OnlySealed: it is not as it was sealed, or another file lies there under its key.
        StorageError: it is not in the archive, or not as it must be. The record is unchanged.
    """
    seal = bag.digest(folder)
    if not seal:
        raise NotNow(f"run {folder.name} is not sealed", next="only a sealed record is archived")
    copy = _Copy(place, folder.parent.name, folder.name, seal)
    if wrong := bag.problems(folder):
        raise copy.damaged(wrong[0])
    client = storage.opened(place, lists_only=False)
    with _packed(folder, copy) as data:
        try:
            sent = _upload(client, copy, data)
            kept = _read_back(client, copy, data, sent, is_ours=bool(sent))
        except ClientError as error:
            raise copy.failed(*_refused(error, copy.place)) from None
        # HTTPError: TLS broke within an answer
        except (BotoCoreError, HTTPError, OSError) as error:
            disk = disks.behind(error)
            if disk:
                raise copy.failed(disk.what, disk.fix) from None
            raise copy.failed(f"a request failed ({type(error).__name__})", _LATER) from None
    with private.locked_folder(folder.parent):
        archived.note(folder.parent, kept)
    return kept


def _show(runs: Path) -> None:
    """Write the page of all records, which tells what is in the archive. It reads all of them."""
    with private.locked_folder(runs):  # a seal writes the same page
        index.write(runs)


def put_missing(runs: Path, place: Archive | None, *, looks: bool = False) -> list[Archived]:
    """Archive every sealed record of ``runs`` that is not in the list yet; those that were.

    With ``looks`` S3 is asked for each one of the list too, in the bucket that the list names: a
    copy that is not there any more is put into this archive. What is wrong with one record keeps
    none of the others from the archive.

    Raises:
        StorageError: the archive does not work, and records after the first were not tried.
        OnlySealed: one cannot be archived, or several; the others are.
    """
    if place is None:
        return []
    done: list[Archived] = []
    failed: list[StorageError | OnlySealed] = []
    for folder in _lacking(runs, place if looks else None):
        try:
            done.append(put(folder, place))
        except OnlySealed as error:
            failed.append(error)
        except StorageError as error:
            failed.append(error)
            break
    # Once for all of them; where none went there, a kill may have come before it was made anew.
    if done or not (failed or index.is_as_written(runs)):
        with suppress(OnlySealed) if failed else nullcontext():  # what has failed goes first
            _show(runs)
    if len(failed) > 1:
        raise OnlySealed(
            f"{wording.amount(len(failed), 'record is', 'records are')} not in the archive\n"
            + wording.lines([error.what for error in failed]),
            where=storage.where(place),
            state=f"{wording.amount(len(done), 'other record')} went there now",
            next="; ".join(dict.fromkeys(error.next for error in failed)),
        )
    if failed:
        raise failed[0]
    return done


def missing(runs: Path) -> list[Path]:
    """The sealed records that are not in the list, by their numbers."""
    return _lacking(runs, None)


def _sealed(runs: Path) -> Iterator[tuple[Path, str, Archived | None]]:
    """Each sealed record, its seal, and what the list has of it."""
    noted = {(one.run, one.seal): one for one in archived.noted(runs)}
    for folder in filter(chain.is_own, chain.records(runs)):
        if seal := bag.digest(folder):
            yield folder, seal, noted.get((folder.name, seal))


def _lacking(runs: Path, asked: Archive | None) -> list[Path]:
    """The same, and where an archive is ``asked`` those of the list that S3 does not have.

    Raises:
        StorageError: the archive does not say.
    """
    client, lacking = storage.opened(asked, lists_only=False) if asked else None, list[Path]()
    for folder, seal, kept in _sealed(runs):
        if kept and asked:
            is_kept = _is_kept(client, _Copy(asked, runs.name, folder.name, seal), kept)
        else:
            is_kept = kept is not None
        if not is_kept:
            lacking.append(folder)
    return sorted(lacking, key=chain.number)


def _is_kept(client: Any, copy: _Copy, kept: Archived) -> bool:
    """Whether the archive has this version of a copy."""
    try:
        client.head_object(Bucket=kept.bucket, Key=kept.key, VersionId=kept.version)
    except ClientError as error:
        # Without s3:ListBucket S3 refuses what is not there. To put it there tells which it is.
        if storage.http_status(error) in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
            return False
        raise copy.failed(*_refused(error, copy.place)) from None
    except (BotoCoreError, HTTPError, OSError) as error:
        raise copy.failed(f"a request failed ({type(error).__name__})", _LATER) from None
    return True


@contextmanager
def _packed(folder: Path, copy: _Copy) -> Iterator[BufferedRandom]:
    """The record as one file without a name, beside it: it may have hundreds of megabytes."""
    with ExitStack() as held:
        try:
            data = held.enter_context(TemporaryFile(dir=folder.parent))
            pack(folder, data)
        except OSError as error:
            why, fix = refused(error)
            raise copy.failed(f"it could not be packed ({why})", fix) from None
        yield data


def pack(folder: Path, into: BinaryIO) -> None:
    """Write the record as one file: a tar that is the same whenever it is made."""
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            member = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            with path.open("rb") as file:
                member.size, member.mode = os.fstat(file.fileno()).st_size, private.FILE
                tar.addfile(member, file)


def _digest(data: BufferedRandom) -> hashlib._Hash:
    """The hash of all of it."""
    data.seek(0)
    return hashlib.file_digest(data, "sha256")


def _upload(client: Any, copy: _Copy, data: BufferedRandom, *, beside: bool = False) -> str:
    """The version that it became; "" where there is an object of that name already.

    ``beside`` that one, as a newer version, which leaves it as it is.
    """
    only_new = {} if beside else {"IfNoneMatch": "*"}
    checksum = base64.b64encode(_digest(data).digest()).decode()
    data.seek(0)
    try:
        answer = client.put_object(
            Bucket=copy.place.bucket,
            Key=copy.key,
            Body=data,
            ObjectLockMode=copy.place.mode,
            ObjectLockRetainUntilDate=copy.until(),
            ChecksumSHA256=checksum,
            **only_new,
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _EXISTS:
            raise
        return ""
    return str(answer.get("VersionId", ""))


def _lock(client: Any, copy: _Copy, version: str) -> None:
    """Lock a version that somebody else has put there, as ours is from its first moment on."""
    until = {"Mode": copy.place.mode, "RetainUntilDate": copy.until()}
    client.put_object_retention(
        Bucket=copy.place.bucket, Key=copy.key, VersionId=version, Retention=until
    )


def _read_back(
    client: Any, copy: _Copy, data: BufferedRandom, version: str, *, is_ours: bool
) -> Archived:
    """What lies in the archive, compared; this ``version``, whatever came since, if it is given.

    One that is not ours, and was cut, or is not locked, is made as it must be, and read once more.
    """
    bucket, key = copy.place.bucket, copy.key
    wanted = {"VersionId": version} if version else {}
    answer = client.get_object(Bucket=bucket, Key=key, **wanted)
    version, held = str(answer.get("VersionId", "")), _compared(answer["Body"], data)
    if held is not _Held.WHOLE:
        if is_ours:
            raise copy.failed("what was read back is not what was sent", _LATER)
        if held is not _Held.CUT:
            raise copy.differs()
        sent = _upload(client, copy, data, beside=True)
        return _read_back(client, copy, data, sent, is_ours=True)
    until = answer.get("ObjectLockRetainUntilDate")
    if until is None or until <= datetime.now(UTC):
        if is_ours:
            raise copy.failed("it is there, and it is not locked")
        _lock(client, copy, version)
        return _read_back(client, copy, data, version, is_ours=True)
    digest = _digest(data).hexdigest()
    return Archived(copy.run, copy.seal, bucket, key, version, until.isoformat(), digest)


class _Held(Enum):
    """What a copy in the archive holds of a record."""

    WHOLE, CUT, OTHER = "all of it", "its beginning", "something else"


def _compared(body: IO[bytes], data: BufferedRandom) -> _Held:
    """What ``body`` holds of ``data``, a piece of each at a time."""
    data.seek(0)
    while piece := body.read(_PIECE):
        if data.read(len(piece)) != piece:
            return _Held.OTHER
    return _Held.CUT if data.read(1) else _Held.WHOLE


def _refused(error: ClientError, place: Archive) -> tuple[str, str]:
    """Why S3 did not take it, and what a person does about it. Of its answer the code is shown."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = storage.http_status(error)
    answer = f"({code if code.isalnum() else '?'}, HTTP {status})"
    if code in _FULL or status == HTTPStatus.INSUFFICIENT_STORAGE:
        return f"it is full {answer}", _MAKE_ROOM
    if code in _OF_CLOCKS:
        return f"S3 refused it {answer}", _SET_THE_CLOCK
    if wrong := storage.wrong_setting(error, place):
        what, fix = wrong
        return f"{what} {answer}", fix
    if code in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"S3 failed {answer}", _LATER
    return f"S3 refused it {answer}", _RIGHTS
