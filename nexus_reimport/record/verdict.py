"""What became of a run and what it has left in the database, judged from its journal alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from nexus_reimport.events import Event
from nexus_reimport.record.journal import (
    APPROVAL,
    CHECKED,
    PROPOSALS,
    WRITING,
    Entry,
    last_failure,
    unfinished,
)

S = TypeVar("S")
FILE = "verdict.json"  # holds it in a sealed record


class Verdict(StrEnum):
    """What became of a run."""

    COMPLETE = "COMPLETE"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    PARTIAL = "PARTIAL"
    WAITING = "WAITING"  # for an approval; the run is open, and nothing was written
    RUNNING = "RUNNING"  # a process is at work on it: never judged from a journal alone
    COMMITTED_UNVERIFIED = "COMMITTED_UNVERIFIED"
    IN_DOUBT = "IN_DOUBT"
    UNDONE = "UNDONE"  # committed, never verified, and taken back by a rollback


EXIT_CODES = {
    Verdict.COMPLETE: 0,
    Verdict.STOPPED: 1,
    Verdict.FAILED: 3,
    Verdict.KILLED: 3,
    Verdict.PARTIAL: 1,
    Verdict.WAITING: 6,
    Verdict.COMMITTED_UNVERIFIED: 4,
    Verdict.IN_DOUBT: 5,
    Verdict.UNDONE: 1,
}


UNFINISHED = (Verdict.COMMITTED_UNVERIFIED, Verdict.IN_DOUBT)  # a person must decide
ENDED = (  # nothing is left to do in the run but to close its record
    Verdict.COMPLETE,
    Verdict.STOPPED,
    Verdict.FAILED,
    Verdict.KILLED,
    Verdict.UNDONE,
)


class State(StrEnum):
    """What a run has left in the database, as its journal and the database have said."""

    AS_IT_WAS = "as it was: nothing was written"
    UNKNOWN = "not known: COMMIT may or may not have happened"
    COMMITTED = "committed"
    TAKEN_BACK = "committed, and taken back since"


# ---------------------------------------------------------------- the tables


class Sign(StrEnum):
    """What one line of the journal means for the verdict."""

    TRIED = "a stage that ends in a COMMIT began"
    SENT = "COMMIT is about to be sent"
    REFUSED = "the server answered COMMIT with an error"
    LOST = "a stage failed in doubt: the connection was lost at COMMIT"
    COMMITTED = "COMMIT succeeded, or the database said so when it was asked"
    NOT_THERE = "the database was asked, and said that nothing was committed"
    PROPOSED = "a proposal was finished"
    APPROVED = "an approval was finished"
    WITHDRAWN = "a proposal was made void"
    SEALED = "the record was sealed"
    VERIFIED = "the run was signed off"
    UNVERIFIED = "a check after failed, or could not be made"
    UNDONE = "the run was taken back"


_WHATEVER_ELSE = {  # a line of this event always means this
    Event.COMMITTING: Sign.SENT,
    Event.NOT_COMMITTED: Sign.REFUSED,
    Event.COMMITTED: Sign.COMMITTED,
    Event.SEALED: Sign.SEALED,
    Event.VERIFIED: Sign.VERIFIED,
    Event.UNDONE: Sign.UNDONE,
}


def signs(entry: Entry) -> Iterator[Sign]:
    """What a line of the journal means for the verdict; most mean nothing for it."""
    match entry.event:
        case Event.STARTED if entry.stage in WRITING:
            yield Sign.TRIED
        case Event.SETTLED:
            yield Sign.COMMITTED if entry.is_commit else Sign.NOT_THERE
        case Event.FINISHED if entry.stage in PROPOSALS:
            yield Sign.PROPOSED
        case Event.FINISHED if entry.stage == APPROVAL:
            yield Sign.APPROVED
        case Event.VOID if PROPOSALS.intersection(entry.line["of"]):
            yield Sign.WITHDRAWN
        case Event.FAILED:
            yield from _of_failure(entry)
        case event if event in _WHATEVER_ELSE:
            yield _WHATEVER_ELSE[event]


def _of_failure(entry: Entry) -> Iterator[Sign]:
    if entry.stage in CHECKED:
        yield Sign.UNVERIFIED
    if entry.text("kind") == "InDoubt":
        yield Sign.LOST


class Commit(StrEnum):
    """What is known of the run's last attempt to write."""

    NONE = "there was none, or it is known to have left nothing"
    TRIED = "it began"
    SENT = "COMMIT was sent"
    REFUSED = "COMMIT was refused"
    LOST = "COMMIT was sent, and the connection lost"
    DONE = "committed"


class Asked(StrEnum):
    """Whether the run waits for an approval."""

    NO = "nothing is proposed, or it was approved"
    YES = "a proposal stands that nobody has approved"


class Review(StrEnum):
    """What was found after a COMMIT."""

    OPEN = "not verified"
    SIGNED = "verified"
    UNDONE = "taken back, not verified"
    SIGNED_UNDONE = "taken back, verified"


# State -> what a sign makes of it. A sign that is not in a row does not change that state.
COMMIT: Mapping[Commit, Mapping[Sign, Commit]] = {
    Commit.NONE: {
        Sign.TRIED: Commit.TRIED,
        Sign.SENT: Commit.SENT,  # whatever else is lost of the journal
        Sign.LOST: Commit.LOST,
        Sign.COMMITTED: Commit.DONE,
    },
    Commit.TRIED: {
        Sign.SENT: Commit.SENT,
        Sign.REFUSED: Commit.REFUSED,
        Sign.LOST: Commit.LOST,
        Sign.COMMITTED: Commit.DONE,
        Sign.NOT_THERE: Commit.NONE,
    },
    # Another attempt says nothing of the COMMIT that was sent: it may fail before it asks.
    Commit.SENT: {
        Sign.REFUSED: Commit.REFUSED,
        Sign.LOST: Commit.LOST,
        Sign.COMMITTED: Commit.DONE,
        Sign.NOT_THERE: Commit.NONE,
    },
    Commit.REFUSED: {
        Sign.TRIED: Commit.TRIED,
        Sign.SENT: Commit.SENT,
        Sign.LOST: Commit.LOST,
        Sign.COMMITTED: Commit.DONE,
        Sign.NOT_THERE: Commit.NONE,
    },
    Commit.LOST: {
        Sign.COMMITTED: Commit.DONE,
        Sign.NOT_THERE: Commit.NONE,
    },
    Commit.DONE: {},  # nothing that comes later takes it away
}
ASKED: Mapping[Asked, Mapping[Sign, Asked]] = {
    Asked.NO: {Sign.PROPOSED: Asked.YES},
    Asked.YES: {Sign.APPROVED: Asked.NO, Sign.WITHDRAWN: Asked.NO, Sign.SEALED: Asked.NO},
}
REVIEW: Mapping[Review, Mapping[Sign, Review]] = {
    Review.OPEN: {Sign.VERIFIED: Review.SIGNED, Sign.UNDONE: Review.UNDONE},
    Review.SIGNED: {Sign.UNVERIFIED: Review.OPEN, Sign.UNDONE: Review.SIGNED_UNDONE},
    Review.UNDONE: {Sign.VERIFIED: Review.SIGNED_UNDONE},
    Review.SIGNED_UNDONE: {Sign.UNVERIFIED: Review.UNDONE},
}
_OF_COMMITTED = {
    Review.OPEN: Verdict.COMMITTED_UNVERIFIED,
    Review.SIGNED: Verdict.COMPLETE,
    Review.UNDONE: Verdict.UNDONE,
    Review.SIGNED_UNDONE: Verdict.COMPLETE,
}


def _walked(table: Mapping[S, Mapping[Sign, S]], entries: Sequence[Entry], start: S) -> S:
    """The state that all of a journal leads to."""
    for entry in entries:
        for sign in signs(entry):
            start = table[start].get(sign, start)
    return start


# ---------------------------------------------------------------- the judgement


def is_cut(entries: Sequence[Entry], *, is_sealed: bool) -> bool:
    """Whether a journal has lost what says the most, so that it has no COMMIT says nothing.

    The seal of a record is the last line of its journal, and that the run was opened the first. An
    open run that has lost it is one again once the database was asked what became of it.
    """
    needed = {Event.SEALED} if is_sealed else {Event.OPENED, Event.SETTLED}
    return not any(entry.event in needed for entry in entries)


def judge(entries: Sequence[Entry], *, is_cut: bool = False) -> Verdict:
    """The verdict that a journal's events give."""
    if is_committed(entries):
        return _OF_COMMITTED[_walked(REVIEW, entries, Review.OPEN)]
    if is_cut or _in_doubt(entries):
        return Verdict.IN_DOUBT
    if unfinished(entries):
        return Verdict.KILLED
    if last := last_failure(entries):
        if last.is_killed:
            return Verdict.KILLED
        return Verdict.STOPPED if last.line.get("exit_code") in (1, 2) else Verdict.FAILED
    waits = _walked(ASKED, entries, Asked.NO) is Asked.YES
    return Verdict.WAITING if waits else Verdict.PARTIAL


def state(entries: Sequence[Entry], judged: Verdict) -> State:
    """What a run of this verdict has left in the database, by its journal's events."""
    if _walked(REVIEW, entries, Review.OPEN) in (Review.UNDONE, Review.SIGNED_UNDONE):
        return State.TAKEN_BACK
    if is_committed(entries):
        return State.COMMITTED
    return State.UNKNOWN if judged is Verdict.IN_DOUBT else State.AS_IT_WAS


def is_committed(entries: Sequence[Entry]) -> bool:
    """Whether the run has been committed, by what it saw itself or by what the database said."""
    return _walked(COMMIT, entries, Commit.NONE) is Commit.DONE


def exit_code(entries: Sequence[Entry], judged: Verdict) -> int:
    """The exit code of a run of this verdict: that of the error where one stopped it."""
    last = last_failure(entries)
    if judged is Verdict.STOPPED and last:
        return int(last.line["exit_code"])
    return EXIT_CODES[judged]


def _in_doubt(entries: Sequence[Entry]) -> bool:
    """Whether the last attempt may have been committed, and nobody has asked the database yet."""
    known = _walked(COMMIT, entries, Commit.NONE)
    if known in (Commit.TRIED, Commit.REFUSED):  # whether its stage has come to an end
        tried = [e.stage for e in entries if Sign.TRIED in signs(e)]
        return tried[-1] in unfinished(entries)
    return known in (Commit.SENT, Commit.LOST)
