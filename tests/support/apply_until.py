"""One step, which halts, so that a test can kill it there: the work of a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from nexus_reimport import runbook
from nexus_reimport.progress import heard_by
from nexus_reimport.runbook import rollback


def main(
    variables: Mapping[str, str],
    log: Path,
    environment: str,
    run: str,
    step: int,
    marker: Path,
    what: str,
) -> None:
    """Work; after ``step`` parts write ``marker`` and wait to be killed, or for ``marker``.go.

    What it would say on a terminal goes to ``log``.
    """
    os.environ.clear()
    os.environ.update(variables)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    def halt(done: int, _: int, begun: str) -> None:
        if done == step and not begun:
            marker.write_text("here")
            end = time.monotonic() + 120
            while time.monotonic() < end and not Path(f"{marker}.go").exists():
                time.sleep(0.05)

    with heard_by(halt):
        if what == "undo":
            rollback.begin(environment, run).undo()
        elif what == "rehearse":
            runbook.resume(environment, run).rehearse()
        else:
            runbook.resume(environment, run).apply()
