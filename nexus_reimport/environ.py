"""The process's environment variables, which threads read while others set or hide some of them.

libpq's are hidden while a thread connects. Whoever reads all variables asks ``variables``, and
whoever changes some for a while does it here: so nobody reads them in the middle of a change.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


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


def unused_proxy() -> str:
    """What to check besides where this machine names a proxy, through which nothing of ours goes.

    Other programs reach the server through it, so nobody would think of that.
    """
    if not (names := sorted({name.upper() for name in some(_PROXIES)})):
        return ""
    which = ", ".join(names)
    return f", and that this machine reaches it directly: no proxy is used ({which})"


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
