"""Progress bars for the cells of a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable

from nexus_reimport.record.lock import RUNNER_VARIABLE

Progress = Callable[[int, int], None]


def bar(label: str) -> Progress:
    """A bar in an interactive kernel; no bar under the runner, whose notebooks are kept."""
    if os.environ.get(RUNNER_VARIABLE):
        return _no_bar
    return _Bar(label).show


def _no_bar(done: int, total: int) -> None:
    """Show nothing."""


class _Bar:
    """One bar, opened at the first step and closed at the last one."""

    def __init__(self, label: str) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(desc=label, total=0, leave=False, delay=0.5)

    def show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
