"""What is wrong with a disk, by the number of an error or by what a program says, and what to do.

A disk is each file system, and what a system allows us of it: a network drive and a quota, too.
Beside disks, of the errors of this program itself: that the system gives it no more memory, opens
no more files, or starts no more threads.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiskFailure:
    """What is wrong with a disk of this machine, or of PostgreSQL's server, and what to do."""

    ails: str
    fix: str
    on_server: str = ""  # what to do there, where it is something else

    @property
    def what(self) -> str:
        """What is told of a disk of this machine."""
        return f"a disk of this machine {self.ails}"

    @property
    def servers_what(self) -> str:
        """What is told of the server's."""
        return f"the disk of PostgreSQL's server {self.ails}"

    @property
    def servers_fix(self) -> str:
        """What to do there."""
        return self.on_server or f"on that server: {self.fix}"


@dataclass(frozen=True, slots=True)
class LimitReached(DiskFailure):
    """What the system does not give this program any more, and what to do."""

    @property
    def what(self) -> str:
        """What is told of it."""
        return f"the system {self.ails}"


MEMORY = LimitReached(
    "gives this program no more memory",
    "free some, or raise its limit (free -h, ulimit -v; MemoryMax= or LimitAS= of a service)",
)
FILES = LimitReached(
    "lets this program open no more files",
    "raise that limit to 1024 or more (ulimit -n; LimitNOFILE= of a service)",
)
THREADS = LimitReached(
    "lets this program start no more threads",
    "raise the limit on processes, or on memory (ulimit -u, ulimit -v; TasksMax= of a service)",
)
FULL = DiskFailure(
    "is full",
    "free some space where the environment's [folders] or the temporary files are (df -h, df -i)",
    "free some space on that server (data directory, pg_wal, tablespaces)",
)
QUOTA = DiskFailure(
    "has no room left in the account's quota",
    "free some of it, or have the quota raised (quota -s)",
)
TOO_LONG = DiskFailure(
    "takes no file of this size",
    "raise the limit on the size of a file (ulimit -f; LimitFSIZE= of a service), or have a file"
    " system that takes larger ones",
)
READ_ONLY = DiskFailure(
    "is read-only",
    "find out why (dmesg, findmnt: many systems do that to a disk that failed), and make it"
    " writable again",
)
FAILED = DiskFailure(
    "failed",
    "have it looked at and repaired, or the network drive mounted again (dmesg, findmnt)",
)
NO_LOCKS = DiskFailure(
    "has no locks",
    "put the environment's [folders] on one that has them: a disk of this machine, or NFS with its"
    " lock service (findmnt; mount option lock, rpc.statd)",
    "have its data directory on a file system that has them",
)
# Of the server's files alone: PostgreSQL gives it the SQLSTATE of a role's missing right.
FORBIDDEN = DiskFailure(
    "does not let it open one of its files",
    "give its data directory and tablespaces back to the account that PostgreSQL runs as (ls -l,"
    " chown, chmod; SELinux and AppArmor can forbid it, too)",
)
_FAILURES = {
    "ENOSPC": FULL,
    "EDQUOT": QUOTA,
    "EFBIG": TOO_LONG,
    "EROFS": READ_ONLY,
    "EIO": FAILED,
    "ESTALE": FAILED,
    "EUCLEAN": FAILED,  # what Linux calls a file system that is damaged
    "ENXIO": FAILED,
    "ENODEV": FAILED,
    "ENOLCK": NO_LOCKS,
}
# Those of a network drive, of which a connection says the same: they count where a file is named.
_OF_DRIVES = ("ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EREMOTEIO", "ESHUTDOWN")
_FORBIDDING = ("EACCES", "EPERM")
_LIMITS = {"EMFILE": FILES, "ENFILE": FILES, "ENOMEM": MEMORY}
_NO_THREAD = "can't start new thread"  # what Python says of it
_UNMAPPED = "failed to map segment"  # what the loader of libraries says of memory
KINDS = tuple(dict.fromkeys(_FAILURES.values()))


_FILES_OF_A_RUN, _MEMORY_OF_A_RUN = 128, 1536 << 20  # the smallest clinic's run fails with less


def too_low() -> LimitReached | None:
    """Which limit of the system lets no run of this program come to its end, if one does."""
    files, memory = (
        limit if (limit := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY else None
        for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS)
    )
    if files is not None and files < _FILES_OF_A_RUN:
        most = f"limits the open files of this program to {files:,}; a run needs {_FILES_OF_A_RUN}"
        return LimitReached(most, FILES.fix)
    if memory is not None and memory < _MEMORY_OF_A_RUN:
        most = f"limits the memory of this program to {memory >> 20:,} MiB; a run needs"
        return LimitReached(
            f"{most} {_MEMORY_OF_A_RUN >> 20:,}",
            "raise that limit to 4 GiB or more (ulimit -v 4194304; LimitAS= of a service)",
        )
    return None


def failure(error: BaseException) -> DiskFailure | None:
    """What is wrong with a disk of this machine, or which limit of it is reached, if an error says
    that.
    """
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, ImportError) and _UNMAPPED in str(error):
        return MEMORY
    if type(error) is RuntimeError and error.args == (_NO_THREAD,):
        return THREADS
    # A library's own errors have the system's numbers, too.
    name = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
    if name in _LIMITS or not isinstance(error, OSError):
        return _LIMITS.get(name)
    return FAILED if name in _OF_DRIVES and error.filename else _FAILURES.get(name)


def behind(error: BaseException | None) -> DiskFailure | None:
    """The same of a library's own error, which an error of the system was the cause of."""
    known: set[int] = set()
    while error is not None and id(error) not in known:
        if disk := failure(error):
            return disk
        known.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def limit_words() -> dict[DiskFailure, list[str]]:
    """The limits of the system, and what a program says of each, in English."""
    words_of: dict[DiskFailure, list[str]] = {}
    for name, limit in _LIMITS.items():
        words_of.setdefault(limit, []).append(os.strerror(getattr(errno, name)))
    return words_of


def words() -> dict[str, DiskFailure]:
    """What a program says of a disk, in English, and what is wrong with it."""
    known = ((getattr(errno, name, None), failed) for name, failed in _FAILURES.items())
    return {os.strerror(number): failed for number, failed in known if number is not None}


def told_by(lines: Iterable[str]) -> DiskFailure | None:
    """What is wrong with a disk, where one of these lines of a program ends with it.

    What stands in quotation marks may be a value, and ends no line so.
    """
    return _ending(lines, words())


def told_by_server(lines: Iterable[str]) -> DiskFailure | None:
    """The same, of lines that PostgreSQL's server wrote."""
    forbidding = {os.strerror(getattr(errno, name)): FORBIDDEN for name in _FORBIDDING}
    return _ending(lines, words() | forbidding)


def _ending(lines: Iterable[str], known: Mapping[str, DiskFailure]) -> DiskFailure | None:
    ends = {f": {text}": failed for text, failed in known.items()}
    return next((f for line in lines for end, f in ends.items() if line.endswith(end)), None)
