"""The process's environment variables, of which libpq's are hidden while a thread connects.

Whoever reads all of them asks ``variables``: what is hidden is there, and nothing goes meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
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
