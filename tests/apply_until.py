"""Run one apply in a process of its own and halt at a step, so that a test can kill it there.

python apply_until.py ENVIRONMENT RUN STEP MARKER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from nexus_reimport import runbook


def main(environment: str, run: str, step: str, marker: str) -> None:
    """Apply; after ``step`` steps write ``marker`` and wait to be killed."""

    def halt(done: int, _: int) -> None:
        if done == int(step):
            Path(marker).write_text("here")
            time.sleep(120)

    runbook.resume(environment, run, lambda _: halt).apply()


if __name__ == "__main__":
    main(*sys.argv[1:])
