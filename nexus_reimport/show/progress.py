"""Progress bars for the cells of a notebook."""

from __future__ import annotations

import os

from nexus_reimport.progress import Listener, nobody
from nexus_reimport.record.lock import RUNNER_VARIABLE

# Of tqdm: the step, the bar, how many of how many, how long it took and takes.
_OF_KNOWN = "{desc} {bar} {n_fmt} of {total_fmt}, {elapsed} so far, about {remaining} left"
_OF_UNKNOWN = "{desc} {bar} {elapsed} so far"


def bar(label: str) -> Listener:
    """A bar in an interactive kernel; no bar under the runner, whose notebooks are kept."""
    if os.environ.get(RUNNER_VARIABLE):
        return nobody
    return _Bar(label).show


class _Bar:
    """One bar with the name of the step, opened at the first step and closed at the last one."""

    def __init__(self, label: str) -> None:
        from tqdm.auto import tqdm

        self._label = label
        self._bar = tqdm(desc=label, total=1, leave=False, delay=0.5, bar_format=_OF_UNKNOWN)

    def show(self, done: int, total: int, step: str) -> None:
        if total and done >= total:
            self._bar.n = self._bar.total or 1  # else it counts as broken, and stays
            self._bar.close()
            return
        self._bar.bar_format = _OF_KNOWN if total else _OF_UNKNOWN
        self._bar.n, self._bar.total = done, total or 1
        if (widget := getattr(self._bar, "container", None)) is not None:
            widget.children[1].max = self._bar.total  # tqdm sets it once
        self._bar.set_description_str(f"{self._label}: {step}" if step else self._label)
