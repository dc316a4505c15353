"""T5: the journal's lines in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from nexus_reimport import naming
from nexus_reimport.events import Event
from nexus_reimport.record.journal import Entry

_TOLD: dict[Event, tuple[str, str]] = {  # event -> its words, and their tone
    Event.OPENED: ("the run was opened", ""),
    Event.COMMITTING: ("COMMIT is sent", ""),
    Event.NOT_COMMITTED: ("the server refused COMMIT: nothing was written", "bad"),
    Event.COMMITTED: ("committed", "good"),
    Event.UNSETTLED: ("the database could not be asked whether it was committed", "bad"),
    Event.VERIFIED: ("verified and signed off", "good"),
    Event.WINDOW_ENTERED: ("the maintenance window is up", ""),
    Event.WINDOW_LEFT: ("the maintenance window is down", ""),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    at: datetime
    stage: str
    words: str
    tone: str = ""  # good, attention, bad; "" for what is as usual
    seconds: float | None = None


def lines(entries: Sequence[Entry]) -> list[Line]:
    """Each event that a person wants to know, in its order."""
    return list(_lines(entries))


def _lines(entries: Sequence[Entry]) -> Iterator[Line]:
    began: dict[str, datetime] = {}
    step: Entry | None = None
    for entry in entries:
        stage = naming.stage(entry.stage)
        if step and entry.event in (Event.STEP, Event.COMMITTING, Event.FINISHED, Event.FAILED):
            if entry.event is not Event.FAILED:
                yield _step(step, entry)
            step = None
        match entry.event:
            case Event.STARTED:
                began[entry.stage] = entry.at
                yield Line(entry.at, stage, "begins")
            case Event.STEP:
                step = entry
            case Event.FINISHED:
                note = entry.text("note")
                tone = "attention" if note else ""
                yield Line(entry.at, stage, note or "finished", tone, _since(began, entry))
            case Event.FAILED:
                words = f"failed: {entry.headline}" if entry.headline else "failed"
                yield Line(entry.at, stage, words, "bad", _since(began, entry))
            case _:
                yield from _other(entry, stage)
    if step:
        yield Line(step.at, naming.stage(step.stage), f"{step.text('step')} begins")


def _step(step: Entry, end: Entry) -> Line:
    words = f"{step.text('step')} finished"
    return Line(end.at, naming.stage(step.stage), words, "", end.after(step.at))


def _since(began: dict[str, datetime], entry: Entry) -> float | None:
    start = began.pop(entry.stage, None)
    return None if start is None else entry.after(start)


def _other(entry: Entry, stage: str) -> Iterator[Line]:
    match entry.event:
        case Event.WAITING:
            holder = f"pid {entry.text('pid')} of the server"
            yield Line(
                entry.at, stage, f"waits for {entry.text('of')}, held by {holder}", "attention"
            )
        case Event.LET_GO:
            yield Line(entry.at, stage, f"{entry.text('what')}; it is tried again", "attention")
        case Event.SETTLED:
            words = "committed" if entry.is_commit else "not committed: nothing was written"
            yield Line(entry.at, stage, f"the database says: {words}")
        case Event.SEALED:
            yield Line(entry.at, stage, f"the record is closed: {entry.text('verdict')}")
        case Event.UNDONE:
            yield Line(entry.at, stage, f"taken back by {entry.text('by')}")
        case Event.WINDOW_FAILED:
            yield Line(entry.at, stage, "the maintenance window could not be changed", "bad")
        case event if event in _TOLD:
            words, tone = _TOLD[event]
            yield Line(entry.at, stage, words, tone)
