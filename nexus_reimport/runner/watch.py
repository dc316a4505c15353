"""Tells a person what a run's journal says, while the kernel is at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol, runtime_checkable

from nexus_reimport import naming
from nexus_reimport.errors import RecordGone
from nexus_reimport.events import Event
from nexus_reimport.record import Run, current_step
from nexus_reimport.record.journal import Entry

_PAUSE = 0.2  # seconds between two looks at the journal
_LONG = 2.0  # seconds, after which a stage's steps are told too
_OFTEN = 10.0  # seconds between two lines about a stage's steps, where there is no bar
_WIDTH = 20  # characters of a bar


class Say(Protocol):
    """Tells a person one line."""

    def __call__(self, line: str, /) -> None: ...


@runtime_checkable
class Live(Protocol):
    """Tells lines too, and below them what is so at this moment; "" takes that away."""

    def now(self, text: str, /) -> bool:
        """Show it; whether a person sees it."""


@contextmanager
def watching(run: Run, say: Say | None, earlier: Mapping[str, float] = {}) -> Iterator[None]:
    """Each stage is told when it begins and when it has ended, until the block ends.

    ``earlier`` is how many seconds each stage took in a run before this one: what to expect.
    """
    if say is None:
        yield
        return
    done = threading.Event()
    teller = _Teller(run, say, earlier)
    thread = threading.Thread(target=teller.tell, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Teller:
    """Reads a journal as it grows, and says what a person wants to know of it."""

    def __init__(self, run: Run, say: Say, earlier: Mapping[str, float]) -> None:
        self._run, self._say_line, self._earlier = run, say, earlier
        self._seen = len(run.events())
        self._began: dict[str, float] = {}
        self._stage = ""
        self._told_at, self._told = 0.0, ""

    def tell(self, done: threading.Event) -> None:
        """Say each new line, until ``done``, and then those that are left."""
        while True:
            last_look = done.wait(_PAUSE)
            with suppress(RecordGone):  # its command says so
                for entry in self._run.events()[self._seen :]:
                    self._seen += 1
                    self._tell(entry)
            if last_look:
                self._show("")
                return
            self._tell_moment()

    def _tell(self, entry: Entry) -> None:
        line = entry.line
        match entry.event:
            case Event.STARTED:
                self._began[entry.stage] = self._told_at = time.monotonic()
                self._stage = entry.stage
                self._say(f"{naming.stage(entry.stage)}: begins{self._expected(entry.stage)}")
            case Event.STEP if self._lasts(entry.stage) > _LONG and not self._show(""):
                self._say(f"{naming.stage(entry.stage)}: {entry.text('step')}")
            case Event.FINISHED | Event.FAILED:
                self._stage = ""
                took = f" ({self._lasts(entry.stage):,.1f} s)" if self._is_begun(entry) else ""
                end = entry.text("note") or entry.event
                self._say(f"{naming.stage(entry.stage)}: {end}{took}")
            case Event.WAITING:
                holder = f"pid {line['pid']} of the server, connected since {line['since']} UTC"
                self._say(f"waiting for {line['of']}, held by {holder}")
            case Event.LET_GO:
                self._say(f"{line['what']}; it is tried again")

    def _tell_moment(self) -> None:
        """Show at which step the stage is: as a bar, else as a line now and then."""
        at = current_step.read(self._run.private, self._stage) if self._stage else None
        if at is None or self._lasts(self._stage) < _LONG:
            self._show("")
            return
        step = f"{at.step} ({at.count})" if at.step and at.count else at.step
        text = f"{naming.stage(self._stage)}: {step}" if step else naming.stage(self._stage)
        if self._show(f"{self._bar(at)} {text}"):
            return
        if step != self._told and time.monotonic() - self._told_at >= _OFTEN:
            self._told_at, self._told = time.monotonic(), step
            self._say(f"{text}, {self._lasts(self._stage):,.0f} s so far")

    def _bar(self, at: current_step.CurrentStep) -> str:
        """How much of the stage is done, and how long it will still take, by the run before."""
        lasts, took = self._lasts(self._stage), self._earlier.get(self._stage, 0.0)
        part = lasts / took if took >= _LONG else at.done / at.total if at.total else 0.0
        done = round(min(part, 1.0) * _WIDTH)
        left = f", about {took - lasts:,.0f} s left" if took - lasts >= 1 else ""
        return f"[{'#' * done}{'.' * (_WIDTH - done)}] {lasts:,.0f} s{left}"

    def _show(self, text: str) -> bool:
        return isinstance(self._say_line, Live) and self._say_line.now(text)

    def _expected(self, stage: str) -> str:
        """How long it took last time, where a person has to wait for it."""
        took = self._earlier.get(stage, 0.0)
        return f", about {took:,.0f} s as in the run before" if took >= _LONG else ""

    def _is_begun(self, entry: Entry) -> bool:
        """Whether it is of a stage: a page that fails before one has no beginning of its own."""
        return entry.stage in self._began

    def _lasts(self, stage: str) -> float:
        return time.monotonic() - self._began.get(stage, time.monotonic())

    def _say(self, text: str) -> None:
        self._say_line(f"{self._run.environment}: {text}")
