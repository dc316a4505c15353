"""Progress bars for a cell that a person waits for."""

from __future__ import annotations

import os
from collections.abc import Callable

from nexus_reimport.record.lock import RUNNER_VARIABLE

Progress = Callable[[int, int], None]


def bar(label: str) -> Progress:
    """A bar in an interactive kernel; nothing under the runner, whose notebooks are records."""
    if os.environ.get(RUNNER_VARIABLE):
        return _silent
    return _Bar(label).to


def _silent(done: int, total: int) -> None:
    """No bar is shown."""


class _Bar:
    """One bar, shown at the first step and closed at the last."""

    def __init__(self, label: str) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(desc=label, total=0, leave=False, delay=0.5)

    def to(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
