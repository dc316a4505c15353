"""A run's journal: one line per event, on the disk before the work goes on, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nexus_reimport.errors import ReimportError, is_ours
from nexus_reimport.events import Event
from nexus_reimport.files import private

JOURNAL = "journal.jsonl"
WRITING = frozenset({"apply", "undo"})  # the stages that end in a COMMIT


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its event, and all that it says."""

    event: Event | None  # None: one that this version does not know
    line: Mapping[str, Any]  # as the file has it

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Self:
        """The line ``line`` of a journal."""
        try:
            return cls(Event(line["event"]), line)
        except ValueError:
            return cls(None, line)

    @property
    def at(self) -> datetime:
        """When it was written."""
        return datetime.fromisoformat(self.line["at"])

    @property
    def stage(self) -> str:
        """The stage that it is of; "" where it is of none."""
        return self.text("stage")

    @property
    def is_killed(self) -> bool:
        """Whether a failure was a kill, or an interruption."""
        return bool(self.line.get("killed"))

    @property
    def is_commit(self) -> bool:
        """Whether it says that the run is committed: seen by itself, or said by the database."""
        settled = self.event is Event.SETTLED and bool(self.line["committed"])
        return settled or self.event is Event.COMMITTED

    def text(self, fact: str) -> str:
        """A fact of the line as text; "" where it has none."""
        return str(self.line.get(fact, ""))


# ---------------------------------------------------------------- the file


def append(folder: Path, event: Event, **facts: Any) -> None:
    """Add one line to the journal; it is on the disk when this returns."""
    line = {"at": datetime.now(UTC).isoformat(), "event": event, **facts}
    with private.append(folder / JOURNAL) as file:
        file.write(json.dumps(line).encode() + b"\n")
        private.sync(file)


def read(folder: Path) -> list[Entry]:
    """The journal's lines; a last one that was cut by a kill is left out."""
    path = folder / JOURNAL
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(Entry.of(json.loads(line)))
        except json.JSONDecodeError:
            continue
    return found


def failure(error: BaseException) -> dict[str, Any]:
    """What the journal says of an error: its own four lines, or only the kind of a foreign one."""
    facts: dict[str, Any] = {"kind": type(error).__name__}
    if isinstance(error, ReimportError) and is_ours(error):
        facts |= {"what": error.what, "where": error.where, "state": error.state}
        facts |= {"next": error.next, "exit_code": error.exit_code}
    elif isinstance(error, KeyboardInterrupt | SystemExit):
        facts |= {"what": "interrupted", "killed": True, "exit_code": 3}
    else:
        facts |= {"what": f"an unforeseen {type(error).__name__}", "exit_code": 3}
    return facts


# ---------------------------------------------------------------- what it says


def only(entries: Sequence[Entry], *events: Event) -> list[Entry]:
    """The lines of these events."""
    return [entry for entry in entries if entry.event in events]


def kind(entries: Sequence[Entry]) -> str:
    """What the run is for: reimport, relink or rollback."""
    opened = next(iter(only(entries, Event.OPENED)), None)
    return (opened.text("kind") if opened else "") or "reimport"


def undoes(entries: Sequence[Entry]) -> str:
    """The run that this one takes back; "" where it takes back none."""
    return next((e.text("undoes") for e in only(entries, Event.ROLLBACK)), "")


def last_failure(entries: Sequence[Entry]) -> Entry | None:
    """The last failure that no later try of the same stage has made good."""
    last = None
    for entry in only(entries, Event.FAILED, Event.FINISHED):
        if entry.event is Event.FAILED:
            last = entry
        elif last and entry.stage == last.stage:
            last = None
    return last


def settlement(entries: Sequence[Entry], failed: Entry) -> bool | None:
    """What the database said after ``failed`` about COMMIT; None where it was not asked since."""
    later = only(entries[entries.index(failed) :], Event.SETTLED)
    return later[0].is_commit if later else None


def unfinished(entries: Sequence[Entry]) -> set[str]:
    """The stages that started and neither finished nor failed."""
    running: set[str] = set()
    for entry in only(entries, Event.STARTED, Event.FINISHED, Event.FAILED):
        if entry.event is Event.STARTED:
            running.add(entry.stage)
        else:
            running.discard(entry.stage)
    return running


def was_executed(entries: Sequence[Entry]) -> bool:
    """Whether COMMIT was sent, or was about to be."""
    return bool(only(entries, Event.COMMITTING, Event.COMMITTED))


def came_to_checks_inside(entries: Sequence[Entry]) -> bool:
    """Whether the checks inside the transaction were begun, in the execution itself."""
    steps = only(entries, Event.STEP)
    return any(e.stage in WRITING and e.text("step") == "checks inside" for e in steps)


def made_void(entries: Sequence[Entry]) -> dict[str, str]:
    """Each value that was ever made void -> the step that did it last."""
    found: dict[str, str] = {}
    for entry in only(entries, Event.VOID):
        found |= dict.fromkeys(entry.line["of"], entry.text("by"))
    return found


def window_still_up(entries: Sequence[Entry]) -> str:
    """Why the maintenance window did not come down; "" where it did, or was never up."""
    window = (Event.WINDOW_ENTERED, Event.WINDOW_LEFT, Event.WINDOW_FAILED)
    last = next(reversed(only(entries, *window)), None)
    failed = last is not None and last.event is Event.WINDOW_FAILED and last.text("hook") == "leave"
    return last.text("how") if last and failed else ""
