"""Every error that the package raises, as one tree.

    ReimportError
    ├── SettingsError    an environment file, a secret, a parameter: nothing was read or written
    ├── MappingError     the mapping is wrong, or does not fit the schema or FileMaker
    ├── SourceError      FileMaker: unreachable, or read incompletely
    │   ├── SourceRefused      the account may not read something
    │   ├── TransientError     it may be temporary, and was tried again (``filemaker.http``)
    │   └── ExportError  an exported file cannot be read as it is
    ├── TargetError      PostgreSQL
    │   ├── Busy         another run or another session holds a lock that we need
    │   │   └── LockConflict   our reading and another session blocked each other
    │   ├── TargetRefused      a wrong password or role, or no such database
    │   │   └── Denied   the role lacks a right (SQLSTATE 42501)
    │   └── InDoubt      the connection was lost at COMMIT: whether it happened is not yet known
    ├── StorageError     S3
    │   └── StorageRefused     wrong keys, no such bucket, or a right is missing
    ├── ApplicationError Nexus's own HTTP API
    │   └── ApplicationRefused a wrong account or password, or it may not see patients
    ├── StopError        a check or a gate failed
    │   └── MissingRights      the role in PostgreSQL lacks rights: all of them at once
    ├── RecordError      a run's folder, journal or seal
    │   ├── NotNow       the run that is meant is not there, is not that far, or is over
    │   ├── OnlySealed   a record is sealed and whole, and not signed or archived as it should be
    │   ├── NotClean     a record holds what identifies a person, or a secret: it is not sealed
    │   ├── RecordGone   a run's record is not there any more, and with it what is known of it
    │   └── NotSaved     a page was stepped through by hand and is not saved: nothing is sealed
    └── SandboxError     the made-up clinic
        └── SandboxRefused     its folder is not the right one, or it is not running

Each says what happened, with numbers, where, which state is left, and what to do next. None ever
holds a field's value, because it would end up in a saved notebook.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from dataclasses import dataclass
from os import PathLike
from typing import TypeVar

from nexus_reimport import disks

NOTHING_WRITTEN = "nothing was written"
NOT_BY_THIS_STEP = "nothing was written by this step"  # an earlier one may have committed
COMMITTED_BEFORE = f"committed; {NOT_BY_THIS_STEP}"
ROLLED_BACK = "rolled back, the database is as it was"
CHANGED_FILE = "run 01_preflight again; a run never continues with a changed file"
LINES = ("where", "state", "next")  # of an error, below what happened


class ReimportError(Exception):
    """The root: what, where, state and next, for the engineer on duty."""

    exit_code = 3  # of the command, so that a script can tell the kinds apart
    title = "Failed"  # above the lines, where a page shows them

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        state: str = NOTHING_WRITTEN,
        next: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.state = state
        self.next = next

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {n + ':':<7}{text}" for n in LINES if (text := getattr(self, n))]
        return "\n".join(lines)


E = TypeVar("E", bound=ReimportError)


def as_kind(error: ReimportError, kind: type[E]) -> E:
    """The same error, of another kind."""
    return kind(error.what, where=error.where, state=error.state, next=error.next)


def repair(error: ReimportError) -> str:
    """What an error says to do, without the step to run again, where something else comes then."""
    return _AGAIN.sub("", error.next)


def continued(error: ReimportError, command: str) -> ReimportError:
    """The error, whose ``next`` says ``command`` where it said to run its step again."""
    error.next = _THE_STEP.sub(lambda _: command, error.next)
    return error


def begun_anew(error: ReimportError, command: str) -> ReimportError:
    """As ``continued``, and also where it said to run the run's first page again."""
    error.next = _THE_FIRST_PAGE.sub(lambda _: command, error.next)
    return continued(error, command)


def is_ours(error: BaseException) -> bool:
    """Whether an error is one of this package's, by its class itself: a name can be anybody's."""
    kind = type(error)
    if not isinstance(error, ReimportError) or kind.__module__.split(".")[0] != __package__:
        return False
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def unforeseen(error: Exception, state: str = NOTHING_WRITTEN) -> ReimportError:
    """An error that is not ours as one of ours, without its text: that may hold a patient's value.

    ``where`` names the line of code that raised it, or the file that was refused.
    """
    if disk := disks.failure(error):
        where = file_of(error) or line_of(error)
        return ReimportError(disk.what, where=where, state=state, next=f"{disk.fix}, {AGAIN}")
    if file := file_failure(error):
        if file.what == FORBIDDEN:
            return SettingsError(
                FORBIDDEN, where=file.where, state=state, next=f"{ALLOW_IT}, then try again"
            )
        return ReimportError(
            OTHERWISE, where=file.where, state=state, next=f"{PUT_IT_RIGHT}, then try again"
        )
    return ReimportError(
        f"an unforeseen {type(error).__name__}",
        where=line_of(error),
        state=state,
        next=REPORT,
    )


def line_of(error: BaseException) -> str:
    """The line of code that raised an error, by its function: what both are called is no value."""
    lines = traceback.extract_tb(error.__traceback__)
    return f"{lines[-1].name}, line {lines[-1].lineno}" if lines else ""


def refused(error: OSError) -> tuple[str, str]:
    """Why a file could not be written, and what to do: parts of what is told of it."""
    if disk := disks.failure(error):
        return disk.what, disk.fix
    return os.strerror(error.errno or 0), ALLOW_IT


def is_forbidden(error: BaseException) -> bool:
    """Whether the system does not let this account read or write a file, which the error names."""
    file = file_failure(error)
    return file is not None and file.what == FORBIDDEN


def is_of_system(error: BaseException) -> bool:
    """Whether a disk, a limit or this account's rights are the cause, and not what lies there.

    What cannot be read then is neither missing nor changed, and nobody is to be told so.
    """
    return disks.failure(error) is not None or is_forbidden(error)


@dataclass(frozen=True, slots=True)
class FileFailure:
    """What is wrong with a file or folder, in the system's words: the error's own may hold data."""

    what: str
    where: str
    fix: str


def file_failure(error: BaseException) -> FileFailure | None:
    """What is wrong with the file or folder that an error of the system names, if it is one.

    Of a disk: ``disks.failure``, which is asked first. Any name may be a patient's: of a file that
    is missing, or is another kind of thing, only one that was marked as ours is told.
    """
    if not isinstance(error, OSError):
        return None
    if error.errno in _FORBIDDEN and (named := file_of(error)):
        return FileFailure(FORBIDDEN, f"{named}: {os.strerror(error.errno)}", ALLOW_IT)
    if error.errno in _OTHERWISE and (named := error.__dict__.get(_OURS, "")):
        return FileFailure(OTHERWISE, f"{named}: {os.strerror(error.errno)}", PUT_IT_RIGHT)
    return None


def mark_as_ours(error: OSError, path: PathLike[str]) -> None:
    """Remember with ``error`` that ``path``, of which it is, was named by this package."""
    error.__dict__.setdefault(_OURS, str(path))


def file_of(error: BaseException) -> str:
    """The file that an error of the operating system names; "" where it names none."""
    named = error.filename if isinstance(error, OSError) else None
    return str(named) if isinstance(named, str | PathLike) else ""


FORBIDDEN = "a file or folder may not be used"
ALLOW_IT = "let this account read and write it (ls -ld shows owner and mode)"
_FORBIDDEN = (errno.EACCES, errno.EPERM)
OTHERWISE = "a file or folder is not as it must be"
PUT_IT_RIGHT = "put it right (ls -ld shows what is there; if nobody has touched it, report this)"
_OURS = "file_of_ours"
_OTHERWISE = (
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENOENT,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)
AGAIN = "then run this step again"
REPORT = "report these lines; the error's own text is hidden, because it may hold data"
WAS_KILLED = (
    "Linux ends a program like this where memory runs out (dmesg): free some memory, or find out"
    " who ended it"
)
_AGAIN = re.compile(r"(?:, then|; then|\. Then) run (?:this(?: step)? )?again$")
_THE_STEP = re.compile(r"\brun (?:this step |this |03_verify )?again\b")
_THE_FIRST_PAGE = re.compile(r"\brun (?:01_preflight|90_rollback) again\b(?! \()")


class SettingsError(ReimportError):
    """An environment file, a secret or a parameter is missing or wrong."""

    exit_code = 2
    title = "A setting must be corrected"


class MappingError(ReimportError):
    """The mapping contradicts itself, or does not fit the live schema or FileMaker."""

    exit_code = 2
    title = "The mapping must be corrected"


class SourceError(ReimportError):
    """FileMaker could not be reached, or the records that arrived are incomplete."""

    title = "FileMaker could not be read"


class SourceRefused(SourceError):
    """FileMaker's account may not read something that the run needs."""

    exit_code = 2
    title = "FileMaker refused us"


class ExportError(SourceError):
    """An exported file is missing, or cannot be read as it is: somebody must correct it."""

    exit_code = 2
    title = "An exported file must be corrected"


class TargetError(ReimportError):
    """PostgreSQL refused a statement. Holds SQLSTATE and names, never a value."""

    sqlstate = ""  # of PostgreSQL's answer, if there was one
    title = "PostgreSQL could not be used"


class Busy(TargetError):
    """Another run or session holds a lock that the run needs."""

    exit_code = 1
    title = "Something else is at work"


class LockConflict(Busy):
    """Another session waited for our read locks, or holds locks itself; ours are released."""


class TargetRefused(TargetError):
    """PostgreSQL let nobody in: a wrong password or role, or no such database."""

    exit_code = 2
    title = "PostgreSQL refused us"


class Denied(TargetRefused):
    """The role lacks a right: SQLSTATE 42501, or the same from pg_dump."""


class InDoubt(TargetError):
    """The connection was lost while COMMIT was on its way."""

    exit_code = 5
    title = "In doubt: whether the run was committed is not known yet"


class StorageError(ReimportError):
    """S3 could not be reached, or failed."""

    title = "S3 could not be used"


class StorageRefused(StorageError):
    """S3 refused us: wrong keys, no such bucket, or a right is missing."""

    exit_code = 2
    title = "S3 refused us"


class ApplicationError(ReimportError):
    """Nexus's own HTTP API could not be asked, or did not answer as Nexus does."""

    title = "Nexus's API could not be used"


class ApplicationRefused(ApplicationError):
    """Nexus's own HTTP API refused the account, or the account may not see patients."""

    exit_code = 2
    title = "Nexus's API refused us"


class StopError(ReimportError):
    """A check or a gate failed."""

    exit_code = 1
    title = "Stopped"


class MissingRights(StopError):
    """The role in PostgreSQL lacks rights. All of them are named at once."""

    exit_code = 2
    title = "Rights are missing in PostgreSQL"


class RecordError(ReimportError):
    """A run's folder, journal or seal is missing, open elsewhere, or was changed."""

    exit_code = 2
    title = "The record cannot be used"


class NotNow(RecordError):
    """The run that is meant is not there, is not that far, or is over."""

    title = "That cannot be done now"


class OnlySealed(RecordError):
    """A record is sealed and whole, and could not be signed or archived as it should be."""

    title = "The record is sealed; something beside it failed"


class NotClean(RecordError):
    """A record holds what identifies a person, or a secret: it is not sealed."""

    title = "The record is not sealed"


class RecordGone(RecordError):
    """A run's record is not there any more: what the run has left cannot be told without it."""

    exit_code = InDoubt.exit_code
    title = "In doubt: the run's record is gone"


class NotSaved(RecordError):
    """A page that was stepped through by hand is not saved as it was executed."""

    title = "The record is not sealed: a page is not saved"


class SandboxError(ReimportError):
    """The made-up clinic could not be started or stopped."""

    title = "The made-up clinic could not be used"


class SandboxRefused(SandboxError):
    """The made-up clinic's folder is not the right one, or the clinic is not running."""

    exit_code = 2
