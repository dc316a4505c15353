"""Files that nobody else may read, that a crash leaves whole, and that one process holds at a time.

Each is made with its mode, never closed afterwards: between the two another user could open it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

FOLDER, FILE = 0o700, 0o600


def make_folder(folder: Path) -> Path:
    """The folder, made where it is not there; one that is there keeps the mode that it has."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER)
    return folder


def close_folder(folder: Path) -> Path:
    """The folder, made where it is not there, and closed to everybody else."""
    make_folder(folder).chmod(FOLDER)
    return folder


def new_folder(folder: Path) -> Path:
    """A folder that was not there.

    Raises:
        FileExistsError: it is there already. It was not touched.
    """
    folder.mkdir(parents=True, mode=FOLDER)
    return folder


def create(path: Path) -> BinaryIO:
    """A new file to write to.

    Raises:
        FileExistsError: it is there already. It was not touched.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE), "wb")


def append(path: Path) -> BinaryIO:
    """A file to add to, made where it is not there."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE), "ab")


def sync(file: BinaryIO) -> None:
    """What was written is on the disk when this returns."""
    file.flush()
    os.fsync(file.fileno())


def write_new(path: Path, data: bytes) -> None:
    """A new file of ``data``, on the disk when this returns: the file, and its name in the folder.

    Raises:
        FileExistsError: it is there already. It was not touched.
    """
    with create(path) as file:
        file.write(data)
        sync(file)
    sync_folder(path.parent)


def place_new(path: Path, data: bytes) -> None:
    """As ``write_new``, but the file is there with all of ``data``, or not at all.

    A draft that a kill has left beside it begins with a dot.

    Raises:
        FileExistsError: it is there already. It was not touched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            sync(file)
        path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """The file holds ``data``, on the disk when this returns; cut short, it holds what it held.

    A draft that a kill has left beside it is overwritten by the next one of that process id.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            sync(file)
        draft.replace(path)
    except BaseException:  # a full disk must not be left with half a draft on it
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """The file is gone, from the disk too, when this returns; it need not have been there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in the folder are on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---------------------------------------------------------------- locks


@contextmanager
def lock(path: Path) -> Iterator[IO[bytes] | None]:
    """The file, locked until the end of the block; None where another process holds its lock.

    The system lets go of the lock when the process ends in any way.
    """
    make_folder(path.parent)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, FILE), "r+b") as file:
        yield file if _taken(file, fcntl.LOCK_EX) else None


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of this file; whoever looks at the same time holds none."""
    try:
        with path.open("rb") as file:
            return not _taken(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except OSError:  # where it cannot be known, nobody may go on
        return True


def _taken(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# ---------------------------------------------------------------- digests


def sha256(data: bytes) -> str:
    """The SHA-256 of ``data``, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
