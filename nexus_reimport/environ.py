"""The process's environment variables, which threads read while others set or hide some of them.

libpq's are hidden while a thread connects. Whoever reads all variables asks ``variables``, and
whoever changes some for a while does it here: so nobody reads them in the middle of a change.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager


class _Hidden:
    """What is not in the environment as long as any thread wants it hidden."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, str] = {}
        self.threads = 0


_HIDDEN = _Hidden()


def variables() -> dict[str, str]:
    """A copy of all variables, those too that are hidden at this moment."""
    with _HIDDEN.lock:
        return {**os.environ, **_HIDDEN.values}


def some(names: Iterable[str]) -> dict[str, str]:
    """Those of ``names`` that are set."""
    every = variables()
    return {name: every[name] for name in names if name in every}


@contextmanager
def changed(to: Mapping[str, str], gone: Iterable[str] = ()) -> Iterator[None]:
    """Set some variables, and take ``gone`` away, while the block lasts; child processes too."""
    names, before = (*to, *gone), dict[str, str]()
    try:
        with _HIDDEN.lock:
            before |= {name: os.environ.pop(name) for name in names if name in os.environ}
            os.environ.update(to)  # refuses a value that no variable can hold
        yield
    finally:
        with _HIDDEN.lock:
            for name in to:
                os.environ.pop(name, None)
            os.environ.update(before)


@contextmanager
def hidden(beginning: str, besides: Collection[str]) -> Iterator[None]:
    """Hide the variables whose names begin so while the block lasts, in any thread."""
    with _HIDDEN.lock:
        _HIDDEN.threads += 1
        for name in [n for n in os.environ if n.startswith(beginning) and n not in besides]:
            _HIDDEN.values[name] = os.environ.pop(name)
    try:
        yield
    finally:
        with _HIDDEN.lock:
            _HIDDEN.threads -= 1
            if not _HIDDEN.threads:
                os.environ.update(_HIDDEN.values)
                _HIDDEN.values.clear()
