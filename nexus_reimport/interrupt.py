"""Ctrl-C, SIGTERM and SIGHUP end a command in good order: each is raised as an exception.

On the way out the journal gets an entry, locks are released, the maintenance window comes down, and
the person reads what the database holds. A signal that was ignored before (``nohup``) stays
ignored. What a command has started ends with it, and leaves no core.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

Handler = Callable[[int, FrameType | None], None]
# SIGHUP comes when the terminal is closed, or the line to it is lost.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # of prctl(2)


class Interrupted(SystemExit):  # not an Exception, so that no ``except Exception`` stops it
    """A signal asked us to end."""

    def __init__(self, name: str) -> None:
        # The exit code of a failure, as `ReimportError` has it.
        super().__init__(3)
        self.name = name

    def __str__(self) -> str:
        return f"interrupted by {self.name}"


class _Terminal:
    """Whether it was closed: the shell says so with a signal, and the kernel with another one.

    The second comes while the first is being answered, and would end that too.
    """

    closed = False

    def heard(self, number: int) -> bool:
        """Whether a signal was heard before."""
        again = self.closed
        self.closed = again or number == signal.SIGHUP
        return again and number == signal.SIGHUP


_TERMINAL = _Terminal()


def _raise(number: int, _: FrameType | None) -> None:
    if not _TERMINAL.heard(number):
        raise Interrupted(signal.Signals(number).name)


@contextmanager
def listening() -> Iterator[None]:
    """While the block runs, each of ``SIGNALS`` raises ``Interrupted`` in it; SIGHUP only once."""
    _TERMINAL.closed = False
    with _handled(dict.fromkeys(SIGNALS, _raise)):
        yield


@contextmanager
def passed_on() -> Iterator[None]:
    """While a notebook runs, leave SIGINT and SIGTERM to nbclient, which ends its kernel.

    nbclient does not handle SIGHUP, so that one is passed on as SIGTERM. Afterwards the handlers
    from before are restored, because nbclient leaves its own behind.
    """

    def as_terminate(number: int, _: FrameType | None) -> None:
        if not _TERMINAL.heard(number):
            os.kill(os.getpid(), signal.SIGTERM)

    with _handled({signal.SIGHUP: as_terminate}):
        yield


@contextmanager
def left_to(process: int) -> Iterator[None]:
    """While the block runs, a program of the same terminal answers Ctrl-C itself, as it likes.

    The terminal sends SIGINT to both. SIGTERM and SIGHUP are passed on as SIGTERM.
    """

    def as_terminate(number: int, _: FrameType | None) -> None:
        if not _TERMINAL.heard(number):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    others = dict.fromkeys((signal.SIGTERM, signal.SIGHUP), as_terminate)
    with _handled({signal.SIGINT: lambda *_: None, **others}):
        yield


@contextmanager
def _handled(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python allows handlers in the main thread only
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in handlers.items():
        # Whoever started us with nohup wants a closed terminal to be ignored.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def leave_no_core() -> None:
    """From now on no crash of this process, or of one that it starts, leaves its memory in a file.

    A kernel's memory holds patients' rows, and the file would lie wherever it was started.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def ends_with_us(farewell: signal.Signals) -> Callable[[], None] | None:
    """For ``preexec_fn``: the kernel sends ``farewell`` when the thread that started it ends.

    None where the kernel cannot do that (macOS): the next command cleans up.
    """
    if sys.platform != "linux":
        return None
    import ctypes  # help needs none of it

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before prctl took effect
            os._exit(1)

    return tie
