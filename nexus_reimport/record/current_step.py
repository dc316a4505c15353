"""Where a run is at this moment: the step of its stage, for whoever looks from another process.

It is a small file in the run's private folder, replaced while a stage is at work and removed at its
end. The journal has what happened; this has only what happens now, and nothing depends on it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import progress
from nexus_reimport.files import private

FILE = "moment.json"
_PAUSE = 0.2  # seconds between two looks: a step that is over sooner is not shown
_REFRESH = 5  # looks after which a bar is shown again, so that its clock goes on


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """What a stage is at: how many steps are done, of how many (0: not known), and which is next.

    ``at`` is when that was written, in ISO form.
    """

    stage: str
    step: str
    done: int
    total: int
    at: str

    @property
    def count(self) -> str:
        """``3 of 7``; "" where nobody knows of how many."""
        return f"{min(self.done + 1, self.total):,} of {self.total:,}" if self.total else ""


def read(folder: Path, stage: str) -> CurrentStep | None:
    """What the stage is at by the run's private folder; None where that is not known."""
    try:
        current = CurrentStep(**json.loads((folder / FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return current if current.stage == stage else None


@contextmanager
def shown(folder: Path, stage: str, bar: progress.Listener) -> Iterator[None]:
    """What is told within the block is kept in ``folder``, and shown by ``bar``, until it ends.

    Whoever hears what is told around the block still does. What a kill has left there goes first.
    """
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)
    teller = _Teller(folder, stage, bar, progress.listener())
    thread = threading.Thread(target=teller.tell, daemon=True, name=f"shows {stage}")
    thread.start()
    try:
        with progress.heard_by(teller.hear):
            yield
    finally:
        teller.done.set()
        thread.join()
        _draw(bar, 1, 1, "")
        with suppress(OSError):  # the folder may have become read-only, or be gone
            (folder / FILE).unlink(missing_ok=True)


def _draw(bar: progress.Listener, done: int, total: int, step: str) -> None:
    with suppress(Exception):  # a bar that cannot be drawn must not become the stage's error
        bar(done, total, step)


class _Teller:
    """Hears every step, and tells what is heard a few times per second: most are soon over."""

    def __init__(
        self, folder: Path, stage: str, bar: progress.Listener, outer: progress.Listener
    ) -> None:
        self._folder, self._stage, self._bar, self._outer = folder, stage, bar, outer
        self._heard = (0, 0, "")
        self.done = threading.Event()

    def hear(self, done: int, total: int, step: str) -> None:
        """Remember it; the thread tells it."""
        self._heard = (done, total, step)
        self._outer(done, total, step)

    def tell(self) -> None:
        """Tell each change until the stage has ended."""
        last, looks = (0, 0, ""), 0
        while not self.done.wait(_PAUSE):
            heard, looks = _with_waits(*self._heard), looks + 1
            if heard != last:
                self._keep(*heard)
            if heard != last or looks % _REFRESH == 0:
                _draw(self._bar, *heard)
            last = heard

    def _keep(self, done: int, total: int, step: str) -> None:
        now = datetime.now(UTC).isoformat()
        content = json.dumps(asdict(CurrentStep(self._stage, step, done, total, now)))
        with suppress(OSError):  # a full disk must not become the stage's error
            _replace(self._folder / FILE, content.encode())


def _with_waits(done: int, total: int, step: str) -> tuple[int, int, str]:
    """What was heard, and what is waited for meanwhile: a pause must not look like a stop."""
    return done, total, "; ".join(filter(None, (step, progress.waits())))


def _replace(path: Path, data: bytes) -> None:
    """As ``private.replace``, but not on the disk when it returns: it is of the moment only."""
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, private.FILE), "wb") as f:
        f.write(data)
    draft.replace(path)
