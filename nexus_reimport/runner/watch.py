"""Tells a person what a run's journal says, while the kernel is at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nexus_reimport.events import Event
from nexus_reimport.record import Run

Say = Callable[[str], None]
_PAUSE = 0.2


@contextmanager
def watching(run: Run, say: Say | None) -> Iterator[None]:
    """Each stage is told when it has ended, with its seconds, until the block ends."""
    if say is None:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_tell, args=(run, say, done, len(run.events())), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(run: Run, say: Say, done: threading.Event, seen: int) -> None:
    began: dict[str, float] = {}
    while True:
        last_look = done.wait(_PAUSE)
        for entry in run.events()[seen:]:
            seen += 1
            line = entry.line
            match entry.event:
                case Event.STARTED:
                    began[entry.stage] = time.monotonic()
                case Event.FINISHED | Event.FAILED:
                    seconds = time.monotonic() - began.get(entry.stage, time.monotonic())
                    say(f"{run.environment}: {entry.stage} {entry.event} ({seconds:,.1f} s)")
                case Event.WAITING:
                    holder = f"pid {line['pid']} of the server, connected since {line['since']} UTC"
                    say(f"{run.environment}: waiting for {line['of']}, held by {holder}")
                case Event.LET_GO:
                    say(f"{run.environment}: {line['what']}; it is tried again")
        if last_look:
            return
