"""What a run's journal can say: its events, and who hears of them while a stage is at work."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol


class Event(StrEnum):
    """One kind of line in the journal. The text is what the file holds: it never changes."""

    # the run
    OPENED = "opened"  # the run was begun: what it is for, who began it, where
    ROLLBACK = "rollback"  # it is a rollback: which run it takes back
    SEALED = "sealed"  # its record is closed, with this verdict; nothing comes after it
    # its stages
    STARTED = "started"  # a stage began, in this process
    STEP = "step"  # a step inside of a stage began
    FINISHED = "finished"  # a stage came to its end
    FAILED = "failed"  # a stage, or a page, ended in an error; or a check after failed it
    VOID = "void"  # values were taken away, since a step that they came from began again
    # other sessions of the database
    WAITING = "waiting"  # for a lock that another session holds
    LET_GO = "let go"  # of what was read, since another session waited for it; it is tried again
    SESSION = "session"  # which session of the server has the lock of one run at a time
    # COMMIT
    COMMITTING = "committing"  # COMMIT is about to be sent
    NOT_COMMITTED = "not committed"  # the server answered COMMIT with an error: nothing was written
    COMMITTED = "committed"  # COMMIT succeeded
    SETTLED = "settled"  # the database was asked whether it was committed, and has answered
    UNSETTLED = "unsettled"  # the database could not be asked
    # the end
    VERIFIED = "verified"  # the checks after passed, and the run was signed off
    UNDONE = "undone"  # this run was taken back, by that rollback
    ANCHORED = "anchored"  # the database got the seal of an earlier run that it did not hold yet
    PAGE = "page"  # an executed page came into the record, and what of it was withheld
    UNTIDY = "untidy"  # an executed page could not be made fit for the record
    # the maintenance window
    WINDOW_ENTERED = "window entered"  # it was put up
    WINDOW_LEFT = "window left"  # it was taken down
    WINDOW_FAILED = "window failed"  # the hook that puts it up, or down, failed


class Journal(Protocol):
    """Hears what happens, as it happens: the run's journal."""

    def __call__(self, event: Event, **facts: Any) -> None: ...


def null_journal(event: Event, **facts: Any) -> None:
    """Nobody is told."""
