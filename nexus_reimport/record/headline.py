"""What became of a run, in one line: the same wherever people read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexus_reimport.events import Event
from nexus_reimport.record import journal
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.verdict import Verdict

_WORDS = {
    Verdict.COMMITTED_UNVERIFIED: "COMMITTED, NOT VERIFIED",
    Verdict.IN_DOUBT: "IN DOUBT",
}
_NOTHING = "nothing was written"
_DECIDE = "a person must decide"
_SENTENCES: Mapping[Verdict, str] = {
    Verdict.COMPLETE: "deleted, imported and verified",
    Verdict.STOPPED: _NOTHING,
    Verdict.FAILED: _NOTHING,
    Verdict.KILLED: f"it was interrupted; {_NOTHING}",
    Verdict.PARTIAL: f"not finished; {_NOTHING}",
    Verdict.WAITING: f"nobody has approved it yet; {_NOTHING}",
    Verdict.COMMITTED_UNVERIFIED: _DECIDE,
    Verdict.IN_DOUBT: "its journal does not say whether it was committed",
    Verdict.UNDONE: "it was committed, and taken back since",
}
_OF_A_ROLLBACK = {
    Verdict.COMPLETE: "run {undone} was undone, and verified",
    Verdict.IN_DOUBT: "its journal does not say whether the run was taken back",
}


def of(entries: Sequence[Entry], judged: Verdict) -> str:
    """The verdict and what it means."""
    meaning = sentence(entries, judged)
    if _is_no_go(entries, judged):
        return f"NO-GO: it was stopped; {meaning}"
    word = _WORDS.get(judged, str(judged))
    if _is_rollback(entries):
        word = word.replace("COMMITTED", "TAKEN BACK")
    return f"{word}: {meaning}"


def sentence(entries: Sequence[Entry], judged: Verdict) -> str:
    """What the verdict means for this run."""
    text = _SENTENCES[judged]
    if judged is Verdict.PARTIAL:
        text = _of_what_did_nothing(entries)
    if judged is Verdict.COMPLETE and journal.kind(entries) == "relink":
        return "linked anew and verified"
    if not _is_rollback(entries):
        return text
    of_a_rollback = _OF_A_ROLLBACK.get(judged, text)
    undone = journal.undoes(entries)
    return of_a_rollback.format(undone=undone).replace(_NOTHING, "nothing was taken back")


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
