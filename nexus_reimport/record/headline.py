"""What became of a run, in one line: the same wherever people read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from nexus_reimport import wording
from nexus_reimport.events import Event
from nexus_reimport.record import journal, verdict
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.verdict import Verdict

_WORDS = {
    Verdict.COMMITTED_UNVERIFIED: "COMMITTED, NOT VERIFIED",
    Verdict.IN_DOUBT: "IN DOUBT",
}
_NOTHING = "nothing was written"
TAKEN_OVER = (
    "but another server has taken over since, or a backup was restored: the server of before may"
    " hold the run, and must not come back with its data"
)
_DECIDE = "a person must decide"
_SENTENCES: Mapping[Verdict, str] = {
    Verdict.COMPLETE: "reimported and verified",
    Verdict.STOPPED: _NOTHING,
    Verdict.FAILED: _NOTHING,
    Verdict.KILLED: f"it was interrupted; {_NOTHING}",
    Verdict.PARTIAL: f"not finished; {_NOTHING}",
    Verdict.WAITING: f"nobody has approved it yet; {_NOTHING}",
    Verdict.IN_DOUBT: "its journal does not say whether it was committed",
    Verdict.UNDONE: "it was committed, and taken back since",
}
_OF_A_ROLLBACK = {
    Verdict.COMPLETE: "run {undone} was undone, and verified",
    Verdict.IN_DOUBT: "its journal does not say whether the run was taken back",
}
_NO_ROW = {  # of what was complete without a row that had to be written
    "reimport": "verified; all was already as imported, and no row had to be written",
    "relink": "verified; all was already linked so, and no link had to be written",
}


class Tense(StrEnum):
    """Whether what a run has planned is still to come, was done, or was not and will not be."""

    WILL = "does"
    DID = "did"
    WOULD = "would do"


def tense(entries: Sequence[Entry], judged: Verdict) -> Tense:
    """How to speak of what a run has planned."""
    if verdict.is_committed(entries):
        return Tense.DID
    is_over = judged in _OVER or bool(journal.only(entries, Event.SEALED))
    return Tense.WOULD if is_over and judged is not Verdict.IN_DOUBT else Tense.WILL


_OVER = (Verdict.STOPPED, Verdict.FAILED, Verdict.KILLED)


def of(entries: Sequence[Entry], judged: Verdict, meaning: str = "") -> str:
    """The verdict and what it means, or this ``meaning`` by what else is known."""
    stopped = "it was stopped; " if _is_no_go(entries, judged) and not meaning else ""
    return f"{word(entries, judged)}: {stopped}{meaning or sentence(entries, judged)}"


def word(entries: Sequence[Entry], judged: Verdict) -> str:
    """The verdict as people read it."""
    if _is_no_go(entries, judged):
        return "NO-GO"
    text = _WORDS.get(judged, str(judged))
    return text.replace("COMMITTED", "TAKEN BACK") if _is_rollback(entries) else text


def sentence(entries: Sequence[Entry], judged: Verdict) -> str:
    """What the verdict means for this run."""
    kind = journal.kind(entries)
    match judged:
        case Verdict.COMMITTED_UNVERIFIED:
            text = _of_unverified(entries)
        case Verdict.PARTIAL:
            text = _of_what_did_nothing(entries)
        case Verdict.COMPLETE if kind in _NO_ROW and _wrote_no_row(entries):
            text = _NO_ROW[kind]
        case Verdict.COMPLETE if kind == "relink":
            text = "linked anew and verified"
        case _:
            text = _SENTENCES[judged]
    if _NOTHING in text and journal.is_taken_over(entries):
        text = f"{text}, {TAKEN_OVER}"
    if not _is_rollback(entries):
        return text
    of_a_rollback = _OF_A_ROLLBACK.get(judged, text)
    undone = journal.undoes(entries)
    return of_a_rollback.format(undone=undone).replace(_NOTHING, "nothing was taken back")


def of_checks(failed: int) -> str:
    """What it means of a run that was committed that so many checks after it have failed."""
    return f"{wording.amount(failed, 'check')} failed; {_DECIDE}"


def _of_unverified(entries: Sequence[Entry]) -> str:
    """Of a run that was committed: what its verification has found so far."""
    commits = journal.only(entries, Event.COMMITTED, Event.SETTLED)
    since = entries[entries.index(commits[-1]) :] if commits else entries
    if failed := journal.cause(since):
        return f"{failed.headline}; {_DECIDE}"
    if journal.only(entries, Event.SEALED):
        return f"its record was closed before; {_DECIDE}"
    if journal.unfinished(since):
        return f"its verification was broken off; {_DECIDE}"
    if any(e.stage in journal.CHECKED for e in journal.only(since, Event.FINISHED)):
        return f"its checks were made, and nobody has signed off; {_DECIDE}"
    return "the checks after COMMIT come next"


def _wrote_no_row(entries: Sequence[Entry]) -> bool:
    """Whether the transaction has counted no row that it had to write."""
    return [e.line.get("rows") for e in journal.only(entries, Event.COMMITTED)] == [0]


def _of_what_did_nothing(entries: Sequence[Entry]) -> str:
    """Of a run that came to no end of its own: its record alone tells whether it will."""
    if journal.only(entries, Event.SEALED):
        return f"it was given up; {_NOTHING}"
    return (
        f"approved, not executed; {_NOTHING}"
        if journal.is_approved(entries)
        else f"not finished; {_NOTHING}"
    )


def _is_no_go(entries: Sequence[Entry], judged: Verdict) -> bool:
    """Whether it was stopped before there was anything to approve."""
    is_go = any(e.event is Event.FINISHED and e.stage in journal.PROPOSALS for e in entries)
    return judged is Verdict.STOPPED and not is_go and not _is_rollback(entries)


def _is_rollback(entries: Sequence[Entry]) -> bool:
    return journal.kind(entries) == "rollback"
