"""How many files something opens: a count that no busy machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable

_opened: list[None] = []
_is_counting = [False]


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _is_counting[0] and event == "open":
        _opened.append(None)


sys.addaudithook(_count)  # it cannot be taken away


def files_opened(look: Callable[[], object]) -> int:
    """How many files are opened in a look."""
    _opened.clear()
    _is_counting[0] = True
    try:
        look()
    finally:
        _is_counting[0] = False
    return len(_opened)
