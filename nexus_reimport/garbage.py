"""How often Python looks for garbage: objects that only point at each other."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = (5_000, 20, 20)  # all objects once for two million new ones; by default for 70,000


@contextmanager
def rarely_looked_for() -> Iterator[None]:
    """Look rarely, as long as the block lasts.

    A stage makes millions of objects, and what it is done with goes by itself, since little of it
    is garbage. To look through all that is loaded took a sixth of a plan's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
