"""Tells a person what a run's journal says, while the kernel is at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from nexus_reimport import naming
from nexus_reimport.events import Event
from nexus_reimport.record import Run
from nexus_reimport.record.journal import Entry

Say = Callable[[str], None]
_PAUSE = 0.2
_LONG = 2.0  # seconds, after which a stage's steps are told too


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

    def tell(self, done: threading.Event) -> None:
        """Say each new line, until ``done``, and then those that are left."""
        while True:
            last_look = done.wait(_PAUSE)
            for entry in self._run.events()[self._seen :]:
                self._seen += 1
                self._tell(entry)
            if last_look:
                return

    def _tell(self, entry: Entry) -> None:
        line = entry.line
        match entry.event:
            case Event.STARTED:
                self._began[entry.stage] = time.monotonic()
                self._say(f"{naming.stage(entry.stage)}: begins{self._expected(entry.stage)}")
            case Event.STEP if self._lasts(entry.stage) > _LONG:
                self._say(f"{naming.stage(entry.stage)}: {entry.text('step')}")
            case Event.FINISHED | Event.FAILED:
                took = self._lasts(entry.stage)
                self._say(f"{naming.stage(entry.stage)}: {entry.event} ({took:,.1f} s)")
            case Event.WAITING:
                holder = f"pid {line['pid']} of the server, connected since {line['since']} UTC"
                self._say(f"waiting for {line['of']}, held by {holder}")
            case Event.LET_GO:
                self._say(f"{line['what']}; it is tried again")

    def _expected(self, stage: str) -> str:
        """How long it took last time, where a person has to wait for it."""
        took = self._earlier.get(stage, 0.0)
        return f", about {took:,.0f} s as in the run before" if took >= _LONG else ""

    def _lasts(self, stage: str) -> float:
        return time.monotonic() - self._began.get(stage, time.monotonic())

    def _say(self, text: str) -> None:
        self._say_line(f"{self._run.environment}: {text}")
