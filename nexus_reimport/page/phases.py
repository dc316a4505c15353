"""T5: in which phase and stage a run is, and how much time is left by what the last run took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from nexus_reimport import naming
from nexus_reimport.events import Event
from nexus_reimport.record.current_step import CurrentStep
from nexus_reimport.record.journal import Entry
from nexus_reimport.runbook.steps import SEAL

OF_THE_PREFLIGHT = (
    "snapshot",
    "census",
    "survey_and_backup",
    "plan",
    "sample",
    "checks_before",
    "rehearsal",
    "self_test",
    "activity",
    "proposal",
)
OF_THE_EXECUTION = ("drift", "approval", "apply", "checks_after", "sign_off")
OF_THE_ROLLBACK = (
    "back_up",
    "look",
    "rollback_proposal",
    "approval",
    "undo",
    "checks_rollback",
    "sign_off",
)
_MARKS = (Event.STARTED, Event.STEP, Event.FINISHED)
_BETWEEN = 15.0  # seconds in which the kernel of the next page starts; after a kill it is hours
_SELF_TEST = "self_test"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of what a command does: its words, and how it stands."""

    words: str
    state: str  # open, at-work, good, bad
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: stage, step, seconds, and how many more by what the last run took."""

    stage: str
    step: str
    elapsed: float
    left: float | None  # None where no earlier run came that far
    current: CurrentStep | None = None  # which of how many the step is, where the stage tells it

    @property
    def whole(self) -> float | None:
        """Seconds of the whole, as far as is known."""
        return None if self.left is None else self.elapsed + self.left

    @property
    def is_late(self) -> bool:
        """Whether it takes longer than the last run did: how much longer, nobody knows."""
        return self.left == 0.0


def phase(entries: Sequence[Entry], action: str = "") -> tuple[str, ...]:
    """The stages of what the run is doing, or did last: preflight, execution or rollback.

    ``action`` is what was asked for, where that is known before the first stage tells it.
    """
    if action == "execute":
        return OF_THE_EXECUTION
    begun = [e.stage for e in entries if e.event is Event.STARTED]
    if any(e.event is Event.ROLLBACK for e in entries):
        return OF_THE_ROLLBACK
    return OF_THE_EXECUTION if {"drift", "apply"} & {*begun} else OF_THE_PREFLIGHT


def stages(entries: Sequence[Entry], of: Sequence[str]) -> list[Stage]:
    """Each stage of a phase, and how it stands."""
    stages = []
    for name in of:
        own = [e for e in entries if e.stage == name and e.event in (*_MARKS, Event.FAILED)]
        starts = [e for e in own if e.event is Event.STARTED]
        last = own[-1] if own else None
        state = "open"
        seconds = None
        if last is not None:
            state = {Event.FINISHED: "good", Event.FAILED: "bad"}.get(
                last.event or Event.STEP, "at-work"
            )
            ended = state in ("good", "bad")
            seconds = last.after(starts[-1].at) if ended and starts else None
        stages.append(Stage(naming.stage(name), state, seconds))
    return stages


def progress(
    entries: Sequence[Entry],
    earlier: Sequence[Entry],
    of: Sequence[str],
    since: datetime,
    look: Callable[[str], CurrentStep | None] = lambda _: None,
) -> Progress:
    """Where the run is now, in the phase ``of``; ``since`` is when its command was started.

    ``entries`` are the lines of that command alone. ``earlier`` is the journal of the last run that
    did the same to its end, or nothing. ``look`` tells what a stage is at this moment.
    """
    now = datetime.now(UTC)
    marks = [e for e in entries if e.event in _MARKS]
    last = marks[-1] if marks else None
    elapsed = max((now - since).total_seconds(), 0.0)
    if last is None:
        return Progress("", "", elapsed, _whole(earlier, of))
    is_between = last.event is Event.FINISHED
    step = last.text("step") if last.event is Event.STEP else ""
    name = SEAL if is_between else last.stage
    current, left = look(name), _left(last, earlier, of, now)
    if current is not None:
        return Progress(naming.stage(name), current.step or step, elapsed, left, current)
    return Progress("" if is_between else naming.stage(name), step, elapsed, left)


def _left(last: Entry, earlier: Sequence[Entry], of: Sequence[str], now: datetime) -> float | None:
    same = [e for e in earlier if _mark(e) == _mark(last)]
    end = _end(earlier, of)
    if not same or end is None:
        return None
    # Of a clock that was set back nobody knows how long the step has lasted.
    lasts = max((now - last.at).total_seconds(), 0.0)
    return max(_worked(earlier, same[-1].at, end) - lasts, 0.0)


def _whole(earlier: Sequence[Entry], of: Sequence[str]) -> float | None:
    end = _end(earlier, of)
    starts = [e.at for e in earlier if e.event is Event.STARTED and e.stage == of[0]]
    return _worked(earlier, starts[-1], end) if end and starts else None


def _worked(entries: Sequence[Entry], since: datetime, until: datetime) -> float:
    """Seconds between two moments, without those in which nobody was at work on the run."""
    of_then = [e for e in entries if since <= e.at <= until]
    waits = [
        (later.at - one.at).total_seconds()
        for one, later in pairwise(of_then)
        if later.event is Event.STARTED
    ]
    worked = (until - since).total_seconds() - sum(wait for wait in waits if wait > _BETWEEN)
    return max(worked, 0.0)


def without_self_test(entries: Sequence[Entry]) -> list[Entry]:
    """The lines of a run as if it had taken no time over the self-test."""
    began, less, shifted = None, timedelta(), []
    for entry in entries:
        if entry.stage == _SELF_TEST and entry.event is Event.STARTED:
            began = entry.at
        elif entry.stage == _SELF_TEST and began and entry.event in (Event.FINISHED, Event.FAILED):
            less, began = less + timedelta(seconds=entry.after(began)), None
        at = (began or entry.at) - less
        shifted.append(replace(entry, line={**entry.line, "at": at.isoformat()}))
    return shifted


def _end(earlier: Sequence[Entry], of: Sequence[str]) -> datetime | None:
    ends = [e.at for e in earlier if e.event is Event.FINISHED and e.stage == of[-1]]
    return ends[-1] if ends else None


def _mark(entry: Entry) -> tuple[Event | None, str, str]:
    return entry.event, entry.stage, entry.text("step")
