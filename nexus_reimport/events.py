"""The events of a run's journal, and the interface by which a stage reports them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol


class Event(StrEnum):
    """One kind of line in the journal. Its text is in the files, so it never changes."""

    # the run
    OPENED = "opened"  # the run began: its purpose, who began it, where
    ROLLBACK = "rollback"  # the run is a rollback: which run it undoes
    SEALED = "sealed"  # its record is closed, with this verdict; no event follows
    # its stages
    STARTED = "started"  # a stage began, in this process
    STEP = "step"  # a step within a stage began
    FINISHED = "finished"  # a stage ended without an error
    FAILED = "failed"  # a stage, or a page, ended with an error; or a check after COMMIT failed
    KEPT = "kept"  # a value was written: its file, and the hash of that
    VOID = "void"  # values were removed, because a step that they come from began again
    # other sessions of the database
    WAITING = "waiting"  # we wait for a lock that another session holds
    LET_GO = "let go"  # we released our read locks, because another session waited; we try again
    SESSION = "session"  # the server's session that holds the run lock, and its timeline
    # COMMIT
    COMMITTING = "committing"  # COMMIT is about to be sent; when, as the run's row says
    NOT_COMMITTED = "not committed"  # the server answered COMMIT with an error: nothing was written
    COMMITTED = "committed"  # COMMIT succeeded
    SETTLED = "settled"  # the database answered whether the run was committed
    UNSETTLED = "unsettled"  # the database could not be asked
    # the end
    VERIFIED = "verified"  # the checks after COMMIT passed, and the run was signed off
    UNDONE = "undone"  # this run was undone, by that rollback
    ANCHORED = "anchored"  # the seal of an earlier run was written to the database, which lacked it
    NOT_KEPT = "not kept"  # of an earlier record: its signature, anchor, archive or end failed
    BY_HAND = "by hand"  # the run is stepped through in JupyterLab, in this folder
    UNSAVED = "unsaved"  # pages that were stepped through came in without their last outputs
    PAGE = "page"  # an executed page came into the record, and how many outputs were withheld
    SWEPT = "swept"  # every file was searched for what identifies a person
    REDACTED = "redacted"  # what was found was taken out of earlier lines, or of pages
    UNTIDY = "untidy"  # an executed page could not be cleaned for the record
    # in the register beside the records
    PURGING = "purging"  # somebody begins to delete the private files of a run, or of a lab
    PURGED = "purged"  # the private files of a run, or of a lab, were deleted
    RESTORED = "restored"  # a person says that the database was restored from before these runs
    RECORDS_LOST = "records lost"  # a person says that the records of these runs are lost for good
    SIGNED = "signed"  # a person signed a line of the sign-off: who, and with which words
    FOUND_CHANGED = "found changed"  # the register was not as its last line was noted
    WITHDRAWN = "withdrawn"  # a person took a signature back: who, and why
    # the maintenance window
    WINDOW_ENTERED = "window entered"  # it was put up
    WINDOW_LEFT = "window left"  # it was taken down
    WINDOW_FAILED = "window failed"  # the hook that puts it up, or down, failed


class Journal(Protocol):
    """Receives each event when it happens: the run's journal."""

    def __call__(self, event: Event, **facts: Any) -> None: ...


def null_journal(event: Event, **facts: Any) -> None:
    """Discards the event."""
