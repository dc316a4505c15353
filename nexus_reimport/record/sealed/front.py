"""What a record says of itself at a glance: for its ``README.txt``, and for the index over all.

It is read from the record alone, and leniently: a value that is not there, or cannot be read any
more, is left out, since the front of a damaged record must still be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from nexus_reimport import model, naming, wording
from nexus_reimport.errors import RecordError, is_of_system
from nexus_reimport.events import Event
from nexus_reimport.model import Applied, Approval, Plan, Report, Scope, Undone
from nexus_reimport.model.approval import short
from nexus_reimport.record import headline, journal, values, verdict
from nexus_reimport.record.sealed import bag
from nexus_reimport.record.verdict import State, Verdict

T = TypeVar("T")
CHANGED = "CHANGED AFTER THE SEAL"
_WITHOUT_COUNTS = {
    State.AS_IT_WAS: "Nothing was written to the database.",
    State.UNKNOWN: "It is not known whether anything was written to the database.",
    State.COMMITTED: "It was committed; the transaction's own counts are not here.",
    State.TAKEN_BACK: "It was committed, and undone since; its counts are not here.",
}


@dataclass(frozen=True, slots=True)
class Front:
    """One run in a few facts; what is not known is "" or None."""

    run: str
    environment: str
    kind: str
    verdict: str
    meaning: str  # of the verdict, for this run
    sequence: str
    began: datetime | None
    ended: datetime | None
    who: str  # began it
    approval: Approval | None
    failure: str  # the first line of what stopped it
    changed: str  # what was done to the database, as a sentence
    lost: str  # what FileMaker or Nexus had and Nexus has not; "" where nothing was committed
    waived: str  # what does not hold and was accepted, with its counts; "" likewise
    waited: float | None  # seconds, of those who wrote meanwhile
    pages: tuple[str, ...]  # by their paths in the bag
    undid: str  # the run that it has taken back; "" for none
    of_pages: str  # where they are not as the runner executes them, to be said after the verdict
    unsearched: tuple[str, ...]  # whose values could not be searched for in it


def read(folder: Path) -> Front:
    """The front of the record in ``folder``."""
    payload, info = folder / bag.PAYLOAD, bag.info(folder)
    # What was changed since says nothing: a list that is made again must not repeat it.
    is_changed = bool(bag.changed(folder, (bag.INFO, f"{bag.PAYLOAD}/{journal.JOURNAL}")))
    entries = [] if is_changed else _entries(payload)
    opened = journal.opened(entries)
    done = done_of(payload)
    is_cut = verdict.is_cut(entries, is_sealed=bag.is_sealed(folder))
    judged = verdict.judge(entries, is_cut=is_cut)
    return Front(
        run=folder.name,
        environment=info.get("Environment", folder.parent.name),
        kind=info.get("Kind", journal.kind(entries)),
        verdict=CHANGED if is_changed and "Verdict" in info else info.get("Verdict", ""),
        meaning=headline.sentence(entries, judged),
        sequence=info.get("Sequence", ""),
        began=_at(entries[0]) if entries else None,
        ended=_at(entries[-1]) if entries else None,
        who=opened.text("who") if opened else "",
        approval=value(Approval, payload),
        failure="" if judged is Verdict.COMPLETE else journal.ended_by(entries),
        changed=_changed(payload, done, verdict.state(entries, judged)),
        lost=_lost(payload, done),
        waived=_waived(payload, done),
        waited=done.writers_waited if done else None,
        pages=_pages(payload),
        undid=journal.undoes(entries) if verdict.is_committed(entries) else "",
        of_pages=of_pages(entries),
        unsearched=_unsearched(entries),
    )


def _pages(payload: Path) -> tuple[str, ...]:
    names = sorted((path.name for path in payload.glob("*.html")), key=naming.turn)
    return tuple(f"{bag.PAYLOAD}/{name}" for name in names)


def readme(front: Front) -> str:
    """``README.txt``: what this is, what happened, and how to check it, in plain words."""
    seal = f"the seal (sha256sum {bag.TAG_MANIFEST}) with Seal-Before of the next record"
    lines = [
        "This folder is the record of a run that reimports patient data into Nexus, or undoes it.",
        f"{_name(front)}, {when(front)}: {front.verdict}{front.of_pages}: {front.meaning}.",
        approved(front),
        _happened(front),
        *filter(None, (" ".join(filter(None, (front.lost, front.waived))),)),
        f"To read it, open: {', '.join(front.pages) or 'data/journal.jsonl; it has no pages'}.",
        f"To check it: sha256sum -c {bag.TAG_MANIFEST} {bag.MANIFEST}",
        f"Then compare {seal}; of a run that was committed, with the one in the database too.",
        "Every BagIt tool (RFC 8493) can check it too. nexus-reimport record check does it all.",
        f"{_searched(front)} The words: docs/glossary.md of nexus_reimport.",
    ]
    return "".join(f"{line}\n" for line in lines)


def _searched(front: Front) -> str:
    """What is known of patients' data in it."""
    if not front.unsearched:
        return "It has no patient's name, number or note."
    could_not = wording.some(front.unsearched)
    return f"It was not searched for the names, numbers and notes of {could_not}: not readable."


def of_pages(entries: Sequence[journal.Entry]) -> str:
    """Where a record differs from one whose pages were executed by the runner, and stayed so."""
    since = ", redacted" if journal.only(entries, Event.REDACTED) else ""
    since += ", not wholly searched for patients' data" if _unsearched(entries) else ""
    pages = journal.only(entries, Event.PAGE)
    if not pages:
        return f", without pages{since}"
    by_hand = ", stepped through by hand" if any(e.text("by_hand") for e in pages) else ""
    cut = ", pages not saved to the end" if journal.only(entries, Event.UNSAVED) else ""
    changed = any(e.line.get("found_changed") for e in pages)
    return by_hand + cut + (", pages changed before the seal" if changed else "") + since


def _unsearched(entries: Sequence[journal.Entry]) -> tuple[str, ...]:
    """What the search before the seal could not read: its values may stand in the record."""
    searches = [
        e.line["not_read"] for e in journal.only(entries, Event.SWEPT) if "not_read" in e.line
    ]
    return tuple(map(str, searches[-1])) if searches else ()


def _name(front: Front) -> str:
    return f"Run {front.run} ({front.kind}) of {front.environment}, number {front.sequence}"


def approved(front: Front) -> str:
    """Who has approved it, and with which words."""
    given = front.approval
    if given is None:
        return "Nobody has approved it."
    at = wording.moment(given.at)
    sentence = f"Approved by {given.by} ({given.how}) at {at}, digest {short(given.digest)}"
    return f"{sentence}: {given.reason}" if given.reason else f"{sentence}."


def _happened(front: Front) -> str:
    stopped = f" It ended with: {front.failure}" if front.failure else ""
    waited = f" {writers(front.waited)}" if front.waited is not None else ""
    return f"{front.changed}{waited}{stopped}"


def writers(waited: float) -> str:
    """How long those who wrote meanwhile have waited."""
    return f"Writers waited {wording.at_most(waited)}."


def when(front: Front) -> str:
    """From when until when it was at work."""
    if not (front.began and front.ended):
        return "at a time that is not known"
    began, ended = map(wording.minute, (front.began, front.ended))
    day, _, clock = ended.partition(" ")
    return f"{began.removesuffix(' UTC')} to {clock if began.startswith(day) else ended}"


def _at(entry: journal.Entry) -> datetime | None:
    try:
        return entry.at.astimezone(UTC)
    # Of a line that was cut or edited: the front is read leniently, the check is not.
    except (KeyError, TypeError, ValueError):
        return None


def _entries(payload: Path) -> list[journal.Entry]:
    try:
        return journal.read(payload)
    except (OSError, UnicodeDecodeError) as error:
        if is_of_system(error):
            raise
        return []


def value(kind: type[T], payload: Path, name: str = "") -> T | None:
    """A stage's value in ``payload``; None where it is not there, or cannot be read."""
    path = payload / values.file_name(kind, name)
    try:
        return model.load(kind, path) if path.is_file() else None
    except (RecordError, OSError) as error:
        if is_of_system(error):
            raise
        return None


def done_of(payload: Path) -> Applied | Undone | None:
    """What the writing transaction counted; None where nothing was committed, or it was lost."""
    done: Applied | Undone | None = value(Applied, payload) or value(Undone, payload)
    return done if done and done.committed else None


def _changed(payload: Path, done: Applied | Undone | None, state: State) -> str:
    if done is None:
        return _WITHOUT_COUNTS[state]
    if isinstance(done, Undone):
        rows = naming.counted(done.put_back, "no rows")
        was_undone = f"Run {done.undoes} was undone"
        written = done.rows_written
        counted = "" if written is None else f": {wording.had_to_be_written(written)}"
        return f"{was_undone}{counted}. As before it: {done.as_before}. There after it: {rows}."
    undone = " It was undone since." if state is State.TAKEN_BACK else ""
    links = f"Linked anew: {naming.links(done.relinked)}"
    plan = value(Plan, payload)
    if plan is not None and plan.scope is Scope.RELINK:
        return f"{links}; nothing else was written.{undone}"
    entities = plan.entities.values() if plan else ()
    loaded = naming.counted({e.entity: e.loaded for e in entities} or done.inserted, "no rows")
    what = wording.reimporting(done.rows_written)
    rows = wording.reimported(loaded, done.rows_written)
    return f"{what[:1].upper()}{what[1:]}: {rows}. {links}.{undone}"


def _waived(payload: Path, done: Applied | Undone | None) -> str:
    if not isinstance(done, Applied):
        return ""
    waived = model.waived(partial(value, Report, payload))
    return f"Does not hold, and was accepted by a waiver: {'; '.join(waived)}." if waived else ""


def _lost(payload: Path, done: Applied | Undone | None) -> str:
    plan = value(Plan, payload)
    if not isinstance(done, Applied) or plan is None or plan.scope is Scope.RELINK:
        return ""
    entities = plan.entities.values()
    purged = naming.counted({e.entity: e.purged for e in entities}, "nothing")
    left_out = sum(sum(account.left_out.values()) for account in plan.accounts)
    misfits = sum(entity.not_stored for entity in entities)
    lost = model.losses(entities) or "nothing"
    return (
        f"Deleted for good: {purged}. Left out by a rule: {wording.amount(left_out, 'record')} of"
        f" FileMaker. Did not fit their column: {wording.amount(misfits, 'value')}. Each by its id:"
        " data/ledger.csv, data/misfits.csv. Replaced or cleared in rows that stayed, so that what"
        f" Nexus had is gone: {lost}. What was decided or waived: data/environment.json."
    )
