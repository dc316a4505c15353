"""How far a stage is: whatever is at work tells it, whoever waits hears it, nobody between them.

A stage tells its steps (a table, an entity, a check), often from deep within. What it tells goes to
the listener of the context, so that no function passes it on. A step may have steps of its own:
they are told as a part of its name, and the outermost ones are counted.

What is waited for is told beside that, by whatever thread waits: a thread is heard by nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# How many are done, of how many (0: not known), and the name of what is at work now.
Listener = Callable[[int, int, str], None]


def nobody(done: int, total: int, step: str) -> None:
    """Hears nothing."""


_LISTENER: ContextVar[Listener] = ContextVar("listener", default=nobody)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """What is told within the block goes to ``listener``; threads within it are not heard."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def tell(done: int, total: int, step: str = "") -> None:
    """Tell how far the work is."""
    _LISTENER.get()(done, total, step)


_SLOW = 10.0  # seconds after which an answer that is still missing is told
_WAITS: dict[object, str] = {}
_ANSWERS: dict[object, tuple[str, float]] = {}


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """While the block waits, ``waits`` tells for what."""
    own = object()
    _WAITS[own] = what
    try:
        yield
    finally:
        del _WAITS[own]


@contextmanager
def answering(server: str) -> Iterator[None]:
    """While the block waits for an answer of ``server``, ``waits`` tells it if that takes long."""
    own = object()
    _ANSWERS[own] = server, time.monotonic()
    try:
        yield
    finally:
        del _ANSWERS[own]


def waits() -> str:
    """What this process waits for, in whatever thread; "" while nothing is."""
    return "; ".join(dict.fromkeys((*_missing_answers(), *tuple(_WAITS.values()))))


def _missing_answers() -> Iterator[str]:
    """Each server that owes an answer for long, with the time of the oldest, in tens of seconds."""
    first: dict[str, float] = {}
    for server, since in tuple(_ANSWERS.values()):
        first[server] = min(since, first.get(server, since))
    for server, since in first.items():
        if (seconds := time.monotonic() - since) >= _SLOW:
            yield f"{server} has not answered for {seconds // 10 * 10:,.0f} s"


def listener() -> Listener:
    """Who hears what is told here: for threads, which have a context of their own."""
    return _LISTENER.get()


class Steps:
    """The steps of one piece of work, told as each begins."""

    def __init__(self, total: int) -> None:
        self._done, self._total, self._listener = 0, total, listener()

    @contextmanager
    def step(self, name: str, *, is_counted: bool = True) -> Iterator[None]:
        """A step, which may have steps of its own; its end is told without a name.

        Unless ``is_counted``, it comes before or after what is counted, such as its preparation.
        """
        done = self._done
        self._tell(done, name)
        self._done += is_counted
        with heard_by(lambda _, __, inner: self._tell(done, _within(name, inner))):
            yield
        self._tell(self._done, "")

    def begin(self, name: str) -> None:
        """Tell that a step begins, and that the one before it has ended."""
        self._tell(self._done, name)
        self._done += 1

    def _tell(self, done: int, step: str) -> None:
        self._listener(min(done, self._total), self._total, step)


def _within(name: str, inner: str) -> str:
    """``apply: insert``: what is within that again would be more than a person reads."""
    return f"{name}: {inner.partition(': ')[0]}" if inner else name
