"""What is at work now, by whoever it was started, and how far it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from nexus_reimport import naming, record
from nexus_reimport.events import Event
from nexus_reimport.page import commands, log, phases
from nexus_reimport.page.commands import Command
from nexus_reimport.page.log import Line
from nexus_reimport.page.phases import Progress, Stage
from nexus_reimport.record import Run, Verdict, current_step, journal, lock
from nexus_reimport.record.current_step import CurrentStep
from nexus_reimport.record.journal import Entry
from nexus_reimport.settings import Settings

SHOWN = 8  # lines of the log, from its end
_BEGUN = re.compile(rf": [0-9]{{2}}_[a-z]+, run ({naming.RUN.pattern})")  # said by a runner
# Of clocks; and a killed run's last line may be younger than what was said of it.
_SLACK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Work:
    """One command that is at work; ``run`` is None until it has opened one."""

    name: str
    run: Run | None
    started: str  # by whom, or where
    since: datetime
    progress: Progress
    stages: list[Stage]
    why_not_cancelled: str
    cancelled_by: str | None  # who has pressed Cancel; None: nobody
    command: str  # the one that was started here, as its log is called


def now(settings: Settings) -> Work | None:
    """What is at work in this environment; None where nothing is."""
    command = commands.at_work(settings)
    run = _at_work(settings)
    if command is None and run is None and not lock.is_taken(settings):
        return None
    entries = run.events() if run else []
    since = command.at if command else _since(settings, entries)
    of = phases.phase(entries, command.action if command else "")
    earlier = _earlier(settings, run, of) if run else []
    lines, look = _of_it(command, run, entries), _looking_at(run)
    return Work(
        name=_name(command, entries),
        run=run,
        started=_started(command, entries),
        since=since,
        progress=phases.progress(lines, earlier, of, since, look),
        stages=phases.stages(entries, of) if run else [],
        why_not_cancelled=commands.why_not_cancelled(command, run),
        cancelled_by=command.cancelled_by if command else None,
        command=command.log.stem if command else "",
    )


def _looking_at(run: Run | None) -> Callable[[str], CurrentStep | None]:
    return lambda stage: current_step.read(run.private, stage) if run else None


def _of_it(command: Command | None, run: Run | None, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The lines of what is at work: by their place, as a clock may have been set back since."""
    if command and run:
        return run.events_after(command.journals.get(run.id, 0))
    of = phases.phase(entries)
    starts = [n for n, e in enumerate(entries) if e.event is Event.STARTED and e.stage in of]
    return entries[starts[0] :] if starts and of is phases.OF_THE_EXECUTION else entries


def latest(settings: Settings) -> Run | None:
    """The run that was opened last."""
    runs = record.every(settings)
    return runs[-1] if runs else None


def last_lines(run: Run | None) -> list[Line]:
    """The end of a run's log, the newest line first."""
    return log.lines(run.events())[-SHOWN:][::-1] if run else []


@dataclass(frozen=True, slots=True)
class Failed:
    """A command of which no run tells how it ended, and what is known of that."""

    command: Command
    how: str


def failed_commands(settings: Settings) -> list[Failed]:
    """The commands that have ended without a run that tells how: refused, or never begun.

    The last one of each kind, the newest first, until somebody has seen it or, here or elsewhere,
    one of its kind went well.
    """
    return [
        Failed(command, _how(settings, command))
        for command in commands.latest_of_each(settings)
        if not command.is_at_work
        and command.seen_by is None
        and not _is_told(command, since := _written_since(settings, command))
        and not _is_superseded(command, since)
    ]


def _how(settings: Settings, command: Command) -> str:
    """How a command has ended of which no run tells it."""
    begun = _BEGUN.findall(command.whole_text())
    if begun:
        run = begun[-1]
        is_here = any(one.id == run for one in record.every(settings))
        lost = "ends earlier than the command" if is_here else "is not in the folder of the records"
        return (
            f"it had begun run {run}, and how that ended is not known here: its journal {lost}."
            f" Bring the record back; nexus-reimport record check {settings.name} says what of it"
            f" is damaged or missing"
        )
    if command.cancelled_by is None:
        return "refused, or ended before it had begun"
    by = f" by {command.cancelled_by}" if command.cancelled_by else ""
    return f"cancelled{by} before it had begun"


def _written_since(settings: Settings, command: Command) -> list[tuple[Run, list[Entry]]]:
    """The runs whose journals are longer than when it was started, and the lines that came since.

    By their length: there may be a run for each night, and a clock may have been set back.
    """
    sizes = ((run, command.journals.get(run.id, 0)) for run in record.every(settings))
    return [(run, run.events_after(size)) for run, size in sizes if run.journal_size() > size]


def _is_told(command: Command, since: Sequence[tuple[Run, list[Entry]]]) -> bool:
    """Whether a run that the command has worked on tells how it ended."""
    text = command.whole_text()
    ended = command.last_said_at + _SLACK
    return any(
        run.id in text and any(entry.at <= ended for entry in entries) for run, entries in since
    )


def _is_superseded(command: Command, since: Sequence[tuple[Run, list[Entry]]]) -> bool:
    """Whether what the command was to do was done since, by whatever command."""
    return any(_does(entry, command.action, run) for run, entries in since for entry in entries)


def _does(entry: Entry, action: str, run: Run) -> bool:
    """Whether a line of a run's journal says that what ``action`` is for was done."""
    if action in ("finish", "settle"):
        return entry.event in (Event.VERIFIED, Event.SETTLED)
    if (run.kind == "rollback") is not (action == "rollback"):
        return False
    if action == "dry-run":
        return entry.event is Event.FINISHED and entry.stage == phases.OF_THE_PREFLIGHT[-1]
    return entry.event is Event.COMMITTED


def cancelled_command(settings: Settings) -> Command | None:
    """The last command, if it was cancelled here and its run tells how it ended."""
    command = commands.latest(settings)
    if command is None or command.cancelled_by is None or command.is_at_work:
        return None
    return command if _is_told(command, _written_since(settings, command)) else None


def _at_work(settings: Settings) -> Run | None:
    """The open run on which a process works, else the one that the runner has opened last."""
    runs = record.open_runs(settings)[-3:]
    for run in reversed(runs):
        if run.workers():
            return run
    if runs and lock.is_taken(settings):
        return runs[-1]
    return None


def _since(settings: Settings, entries: Sequence[Entry]) -> datetime:
    """When what is at work began, where it was not started here: the first stage of its phase."""
    of = phases.phase(entries)
    starts = [e.at for e in entries if e.event is Event.STARTED and e.stage in of]
    if of is not phases.OF_THE_EXECUTION:
        starts = [e.at for e in entries if e.event is Event.OPENED] or starts
    return starts[0] if starts else lock.taken_at(settings) or datetime.now(UTC)


def _name(command: Command | None, entries: Sequence[Entry]) -> str:
    if command and command.action in commands.NAMES:
        return commands.NAMES[command.action]
    of = phases.phase(entries)
    if of is phases.OF_THE_ROLLBACK:
        return commands.NAMES["rollback"]
    return commands.NAMES["execute"] if of is phases.OF_THE_EXECUTION else commands.NAMES["dry-run"]


def _started(command: Command | None, entries: Sequence[Entry]) -> str:
    """By whom: by name where it is known, else by account; where nobody is known, from where."""
    if command:
        return f"by {command.by}" if command.by else "on this page"
    opened = journal.opened(entries)
    by = opened.text("name") or opened.text("who") if opened else ""
    return f"by {by}" if by else "elsewhere"


def _earlier(settings: Settings, run: Run, of: Sequence[str]) -> list[Entry]:
    """The journal of the last run of that kind that came to the end of the same phase."""
    earlier = _last_to_end(tuple(record.every(settings)), run, of[-1])
    entries = earlier.events() if earlier else []
    return entries if settings.rehearsal.self_test else phases.without_self_test(entries)


@lru_cache(maxsize=4)  # asked each second of one that is at work: until it has ended, no other does
def _last_to_end(runs: tuple[Run, ...], run: Run, stage: str) -> Run | None:
    """The last of ``runs`` of that kind, but for itself, that has finished ``stage``."""
    kind = run.kind
    for one in reversed(runs):
        if one.id == run.id or one.kind != kind or one.verdict() is Verdict.RUNNING:
            continue
        if any(e.event is Event.FINISHED and e.stage == stage for e in one.events()):
            return one
    return None
