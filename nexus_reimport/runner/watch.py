"""Tells a person what a run's journal says, while the kernel is at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
        for event in run.events()[seen:]:
            seen += 1
            stage = event.get("stage", "")
            if event["event"] == "started":
                began[stage] = time.monotonic()
            elif event["event"] in ("finished", "failed"):
                seconds = time.monotonic() - began.get(stage, time.monotonic())
                say(f"{run.environment}: {stage} {event['event']} ({seconds:,.1f} s)")
            elif event["event"] == "waiting":
                holder = f"pid {event['pid']} of the server, connected since {event['since']} UTC"
                say(f"{run.environment}: waiting for {event['of']}, held by {holder}")
            elif event["event"] == "let go":
                say(f"{run.environment}: {event['what']}; it is tried again")
        if last_look:
            return
