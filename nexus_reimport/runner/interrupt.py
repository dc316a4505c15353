"""Ctrl-C, SIGTERM and SIGHUP end a command in good order: each is raised where we are.

On the way out the run's journal is told, locks are let go of, the window comes down, and the person
reads what the database holds. A signal that was ignored before (``nohup``) stays ignored.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(SystemExit):
    """A signal has asked us to end."""

    def __init__(self, name: str) -> None:
        super().__init__(3)
        self.name = name

    def __str__(self) -> str:
        return f"interrupted by {self.name}"


def _raise(number: int, _: FrameType | None) -> None:
    raise Interrupted(signal.Signals(number).name)


@contextmanager
def listening() -> Iterator[None]:
    """While the block lasts, a signal is raised in it as ``Interrupted``."""
    with _handled(dict.fromkeys(SIGNALS, _raise)):
        yield


@contextmanager
def passed_on() -> Iterator[None]:
    """While a page is executed, what executes it ends its kernel at SIGINT and at SIGTERM.

    SIGHUP is handed to it as SIGTERM; afterwards the handlers are the ones from before, since it
    leaves others behind.
    """

    def as_terminate(_: int, __: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with _handled({signal.SIGHUP: as_terminate}):
        yield


@contextmanager
def _handled(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in handlers.items():
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
