"""Private files: readable by the owner only, whole after a crash, locked by one process at a time.

Each file is created with its mode. If the mode were set later, another user could open the file in
between.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from nexus_reimport import disks
from nexus_reimport.errors import mark_as_ours

# The owner alone: such files hold patients' rows, or secrets.
FOLDER, FILE = 0o700, 0o600
_ASKED = 0.2  # seconds in which a lock is tried again: who only asks whether it is held, holds it
_LATER = 0.01
# What a file system says that has no hard links, or no fsync of folders, or no locks (flock(2)):
# such as exFAT, shared folders of virtual machines, NFS without its lock service.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP)
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def make_folder(folder: Path) -> Path:
    """The folder, created if necessary, with those above it; an existing one keeps its mode."""
    for above in (*reversed(folder.parents), folder):
        if not above.exists():  # ``parents=True`` would make those above by the umask alone
            above.mkdir(mode=FOLDER, exist_ok=True)
    return folder


def close_folder(folder: Path) -> Path:
    """The folder, created if necessary, and closed to all other users."""
    make_folder(folder).chmod(FOLDER)
    return folder


def new_folder(folder: Path) -> Path:
    """A new folder.

    Raises:
        FileExistsError: it exists already. It is unchanged.
    """
    make_folder(folder.parent)
    folder.mkdir(mode=FOLDER)
    return folder


def create(path: Path) -> BinaryIO:
    """A new file to write to.

    Raises:
        FileExistsError: it exists already. It is unchanged.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE), "wb")


def append(path: Path) -> BinaryIO:
    """A file to append to, created if necessary."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE), "ab")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """An error of the operating system inside the block names ``path``: a write names no file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        mark_as_ours(error, path)
        raise


def sync(file: BinaryIO) -> None:
    """Put what was written onto the disk before this returns."""
    file.flush()
    os.fsync(file.fileno())


def write_new(path: Path, data: bytes) -> None:
    """Write a new file of ``data``. File and name are on the disk when this returns.

    Raises:
        FileExistsError: it exists already. It is unchanged.
    """
    with named(path), create(path) as file:
        file.write(data)
        sync(file)
    sync_path(path.parent)


def place_new(path: Path, data: bytes) -> None:
    """As ``write_new``, but the file is there with all of ``data``, or not at all.

    A draft that a kill has left beside it begins with a dot.

    Raises:
        FileExistsError: it is there already. It was not touched.
    """
    draft = path.with_name(f".{path.name}.{_writer()}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE)
        with named(path), os.fdopen(handle, "wb") as file:
            file.write(data)
            sync(file)
        _give_name(path, draft)
    finally:
        draft.unlink(missing_ok=True)
    sync_path(path.parent)


def _give_name(path: Path, draft: Path) -> None:
    """Let ``draft`` be there as ``path`` too, or instead.

    A hard link fails if the name is taken; a rename would replace what is there.
    """
    try:
        path.hardlink_to(draft)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        with named(path):
            draft.replace(path)


def link(path: Path, to: Path) -> None:
    """A new name of the file ``to``; a copy of it where the file system has no hard links.

    Raises:
        FileExistsError: the name is taken. What has it is unchanged.
    """
    try:
        path.hardlink_to(to)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with named(path), create(path) as file, to.open("rb") as original:
            shutil.copyfileobj(original, file)


def replace(path: Path, data: bytes) -> None:
    """Replace a file's content by ``data``, on the disk when this returns, or leave it unchanged.

    If a kill leaves a draft in the folder, the next thread with the same id overwrites it.
    """
    # Written beside the file and renamed: a rename is all or nothing, a write is not.
    draft = path.with_name(f"{path.name}.{_writer()}.new")
    try:
        with named(path):
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                sync(file)
            draft.replace(path)
    except BaseException:  # a full disk must not be left with half a draft on it
        draft.unlink(missing_ok=True)
        raise
    sync_path(path.parent)


def _writer() -> str:
    """Who writes a draft: two threads of the page must not write to the same one."""
    return f"{os.getpid()}.{threading.get_native_id()}"


def remove(path: Path) -> None:
    """Remove the file, also from the disk, before this returns. It need not exist."""
    path.unlink(missing_ok=True)
    sync_path(path.parent)


def sync_path(path: Path) -> None:
    """Put what is in this file, or the names in this folder, onto the disk before this returns.

    Some file systems put a folder's names there by themselves, and have no way to ask for it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        with named(path):
            os.fsync(handle)
    except OSError as error:
        if not (error.errno in _NO_SYNC and path.is_dir()):
            raise
    finally:
        os.close(handle)


# ---------------------------------------------------------------- who can read them


@dataclass(frozen=True, slots=True)
class Exposed:
    """What lies in a folder and is not its owner's alone: how much, and the first of it."""

    readable: tuple[Path, ...]  # by other users
    foreign: tuple[Path, ...]  # belongs to another user


def exposed(folder: Path) -> Exposed:
    """What of ``folder``, and of all in it, other users can read, or own. No link is followed."""
    readable, foreign = [], []
    for path in _all_of(folder):
        with suppress(FileNotFoundError):  # another process has just removed it
            facts = path.lstat()
            if facts.st_uid != os.geteuid():
                foreign.append(path)
            # A symbolic link's own mode is always open, and grants nothing.
            elif not stat.S_ISLNK(facts.st_mode) and stat.S_IMODE(facts.st_mode) & 0o077:
                readable.append(path)
    return Exposed(tuple(readable), tuple(foreign))


def _all_of(folder: Path) -> Iterator[Path]:
    if folder.exists():
        yield folder
    for at, folders, files in os.walk(folder):
        yield from (Path(at, name) for name in sorted((*folders, *files)))


def has_other_name(path: Path) -> bool:
    """Whether the file has another name somewhere (a hard link): who opens that changes it here."""
    facts = path.lstat()
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1


# ---------------------------------------------------------------- locks


@contextmanager
def lock(path: Path) -> Iterator[IO[bytes] | None]:
    """The file, locked until the end of the block; None if another process holds its lock.

    The system releases the lock however the process ends.
    """
    make_folder(path.parent)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, FILE), "r+b") as file:
        with named(path):
            is_ours = _taken_within(_ASKED, file.fileno(), fcntl.LOCK_EX)
        yield file if is_ours else None


@contextmanager
def waiting_lock(
    file: BinaryIO, at_most: float | None = None, is_over: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """The open file, locked until the end of the block; who else holds it is waited for.

    ``at_most`` so many seconds, or until ``is_over``, and then the block begins without the lock. A
    process that inherits the file holds the lock with us, and goes on to if we are killed.
    """
    if at_most is None:
        _flock(file.fileno(), fcntl.LOCK_EX)
    else:
        _taken_within(at_most, file.fileno(), fcntl.LOCK_EX, is_over)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """The folder, locked until the end of the block; who else holds its lock is waited for."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with named(folder):
            _flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # and its lock with it


@contextmanager
def settled_folder(folder: Path, seconds: float) -> Iterator[bool]:
    """Nobody who locks the folder changes anything in it during the block.

    Who holds its lock is waited for, so many ``seconds``; False where nobody can be kept away.
    """
    with ExitStack() as stack:
        is_ours = False
        with suppress(OSError):  # it is not there, or its file system has no locks
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            is_ours = _taken_within(seconds, handle, fcntl.LOCK_SH)
        yield is_ours


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of this file. Several processes can ask at the same time."""
    try:
        with named(path), path.open("rb") as file:
            # Shared, so that two processes that ask do not take each other for its holder.
            return not _taken(file.fileno(), fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except OSError as error:  # unknown counts as locked: to continue would be the worse mistake
        if disks.failure(error) is disks.NO_LOCKS:  # nobody can hold one
            raise
        return True


def _taken_within(
    seconds: float, handle: int, kind: int, is_over: Callable[[], bool] = lambda: False
) -> bool:
    end = time.monotonic() + seconds
    while not _taken(handle, kind):
        if time.monotonic() > end or is_over():
            return False
        time.sleep(_LATER)
    return True


def _taken(handle: int, kind: int) -> bool:
    try:
        _flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flock(handle: int, kind: int) -> None:
    """That there are no locks is said by file systems in several ways, and from here on in one."""
    try:
        fcntl.flock(handle, kind)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from None
        raise


# ---------------------------------------------------------------- digests


def sha256(data: bytes) -> str:
    """The SHA-256 of ``data``, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
