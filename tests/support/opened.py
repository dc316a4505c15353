"""How many files something opens: a count that no busy machine changes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

_opened: list[None] = []
_is_counting = [False]
_others: set[int | None] = set()  # threads of tests before, and of the test runner


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _is_counting[0] and event == "open" and threading.get_ident() not in _others:
        _opened.append(None)


sys.addaudithook(_count)  # it cannot be taken away


def files_opened(look: Callable[[], object]) -> int:
    """How many files are opened in a look."""
    _opened.clear()
    _others.clear()
    _others.update(thread.ident for thread in threading.enumerate())
    _others.discard(threading.get_ident())
    _is_counting[0] = True
    try:
        look()
    finally:
        _is_counting[0] = False
    return len(_opened)
