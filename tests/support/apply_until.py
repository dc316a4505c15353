"""Run one step in a process of its own and halt in it, so that a test can kill it there.

python apply_until.py ENVIRONMENT RUN STEP MARKER [apply | rehearse | undo]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from nexus_reimport import runbook
from nexus_reimport.runbook import rollback


def main(environment: str, run: str, step: str, marker: str, what: str = "apply") -> None:
    """Work; after ``step`` parts write ``marker`` and wait to be killed, or for ``marker``.go."""

    def halt(done: int, _: int) -> None:
        if done == int(step):
            Path(marker).write_text("here")
            end = time.monotonic() + 120
            while time.monotonic() < end and not Path(f"{marker}.go").exists():
                time.sleep(0.05)

    if what == "undo":
        rollback.begin(environment, run, bar=lambda _: halt).undo()
    elif what == "rehearse":
        runbook.resume(environment, run, lambda _: halt).rehearse()
    else:
        runbook.resume(environment, run, lambda _: halt).apply()


if __name__ == "__main__":
    main(*sys.argv[1:])
