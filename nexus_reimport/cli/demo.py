"""The whole sequence on a made-up clinic: dev, then prod."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nexus_reimport import runner, settings
from nexus_reimport.runner import Outcome
from nexus_sandbox.stack import lifecycle

ENVIRONMENTS = ("sandbox-dev", "sandbox-prod")


def run(folder: Path, scale: float, say: Callable[[str], None]) -> list[Outcome]:
    """Start the sandbox, run both environments approved as rehearsed, stop the servers.

    The databases are kept, so the next run finds nothing to change. A sandbox that was already
    running is left running.
    """
    with lifecycle.running(folder, scale=scale, environments=settings.folder(), progress=say):
        return runner.run(ENVIRONMENTS, approve_rehearsed=True, progress=say)
