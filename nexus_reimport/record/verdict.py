"""What became of a run and what it has left in the database, judged from its journal alone."""

from __future__ import annotations

from enum import StrEnum

from nexus_reimport.record.journal import Event, last_failure, unfinished

WRITING = frozenset({"apply", "undo"})  # the stages that end in a COMMIT
PROPOSALS = frozenset({"proposal", "rollback_proposal"})  # what approval is asked for


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


class State(StrEnum):
    """What a run has left in the database, as its journal and the database have said."""

    AS_IT_WAS = "as it was: nothing was written"
    UNKNOWN = "not known: COMMIT may or may not have happened"
    COMMITTED = "committed"
    TAKEN_BACK = "committed, and taken back since"


def judge(events: list[Event]) -> Verdict:
    """The verdict that a journal's events give."""
    if is_committed(events):
        checked = ("checks_after", "checks_rollback", "sign_off")
        ends = [
            e["event"]
            for e in events
            if e["event"] == "verified" or (e["event"] == "failed" and e.get("stage") in checked)
        ]
        signed = bool(ends) and ends[-1] == "verified"
        undone = any(e["event"] == "undone" for e in events)
        unsigned = Verdict.UNDONE if undone else Verdict.COMMITTED_UNVERIFIED
        return Verdict.COMPLETE if signed else unsigned
    if _in_doubt(events):
        return Verdict.IN_DOUBT
    if unfinished(events):
        return Verdict.KILLED
    if last := last_failure(events):
        if last.get("killed"):
            return Verdict.KILLED
        return Verdict.STOPPED if last.get("exit_code") in (1, 2) else Verdict.FAILED
    return Verdict.WAITING if _awaits_approval(events) else Verdict.PARTIAL


def state(events: list[Event]) -> State:
    """What a run has left in the database, by its journal's events."""
    if any(e["event"] == "undone" for e in events):
        return State.TAKEN_BACK
    if is_committed(events):
        return State.COMMITTED
    return State.UNKNOWN if _in_doubt(events) else State.AS_IT_WAS


def is_committed(events: list[Event]) -> bool:
    """Whether the run has been committed, by what it saw itself or by what the database said."""
    return any(
        e["event"] == "committed" or (e["event"] == "settled" and e["committed"]) for e in events
    )


def exit_code(events: list[Event]) -> int:
    """The exit code that a journal's events give: that of the error where one stopped the run."""
    verdict = judge(events)
    if verdict is Verdict.STOPPED:
        return int((last_failure(events) or {})["exit_code"])
    return EXIT_CODES[verdict]


def _awaits_approval(events: list[Event]) -> bool:
    """Whether there is a proposal that stands, that nobody has approved, in an open record."""
    waits = False
    for event in events:
        name, stage = event["event"], event.get("stage")
        if name == "finished" and stage in PROPOSALS:
            waits = True
        ends = name == "sealed" or (name == "finished" and stage == "approval")
        if ends or (name == "void" and PROPOSALS.intersection(event["of"])):
            waits = False
    return waits


def _in_doubt(events: list[Event]) -> bool:
    """Whether the last attempt may have been committed, and nobody has asked the database yet."""
    attempts = [
        n for n, e in enumerate(events) if e["event"] == "started" and e["stage"] in WRITING
    ]
    last = events[attempts[-1] :] if attempts else []
    names = [e["event"] for e in last]
    if not attempts or "settled" in names:
        return False
    sent = "committing" in names and "not committed" not in names
    return sent or bool(unfinished(last) & WRITING) or any(e.get("kind") == "InDoubt" for e in last)
