"""Waits for the end of a run that has made a scratch database, and drops it if the run cannot.

    python -m nexus_reimport.nexus.scratch_watch

One line of JSON on stdin says where and which. A second line, "done", means that there is nothing
left to do; a pipe that closes without it, that the run has ended some other way.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nexus_reimport.errors import TargetError
from nexus_reimport.nexus import scratch
from nexus_reimport.settings import Postgres

_PATIENCE = 600.0  # seconds in which a server that was stopped may come back
_LATE = 5.0  # seconds in which a CREATE DATABASE that was under way may still end


def main() -> int:
    """Wait, then clear up; 0 where nothing is left."""
    first = sys.stdin.readline()
    if not first:
        return 0
    told: dict[str, Any] = json.loads(first)
    if sys.stdin.readline().strip() == "done":
        return 0
    server = Postgres.model_construct(
        **{**told["server"], "password": SecretStr(told["password"]), "binaries": None}
    )
    return 0 if _cleared(server, told["name"], told["token"], Path(told["note"])) else 1


def _cleared(server: Postgres, name: str, token: str, note: Path) -> bool:
    """Try until it was dropped, or was not there for a while after the server answered."""
    end = time.monotonic() + _PATIENCE
    answered: float | None = None
    while time.monotonic() < end:
        try:
            gone = scratch.drop(server, name, token)
            answered = answered or time.monotonic()
        except TargetError:
            gone = False
        if gone or (answered and time.monotonic() - answered > _LATE):
            note.unlink(missing_ok=True)
            return True
        time.sleep(0.3)
    return False


if __name__ == "__main__":
    sys.exit(main())
