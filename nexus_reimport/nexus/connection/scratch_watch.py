"""Waits for the end of a run that created a scratch database, and drops it if the run cannot.

    python -m nexus_reimport.nexus.connection.scratch_watch

One line of JSON on stdin names server and database. A second line, "done", means that the run has
dropped it. If the pipe closes without that line, the run ended in another way, and we drop it: only
then are the driver and the package loaded, because a run waits for the end of its watch.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_reimport.errors import TargetError

if TYPE_CHECKING:
    from nexus_reimport.settings import Postgres

_PATIENCE = 600.0  # seconds to wait for a stopped server to come back


def main() -> int:
    """Wait, then clean up; gives the exit code, 0 if nothing is left."""
    first = sys.stdin.readline()
    if not first:
        return 0
    given: dict[str, Any] = json.loads(first)
    if sys.stdin.readline().strip() == "done":
        return 0
    from pydantic import SecretStr

    from nexus_reimport.settings import Postgres

    server = Postgres.model_construct(
        **{**given["server"], "password": SecretStr(given["password"]), "binaries": None}
    )
    return 0 if _cleared(server, given["name"], given["token"], Path(given["note"])) else 1


def _cleared(server: Postgres, name: str, token: str, note: Path) -> bool:
    """Try until it is dropped, or until the server says that it will never exist."""
    from nexus_reimport.nexus.connection import scratch

    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        # The server may be restarting: tried again until the time is up.
        with suppress(TargetError):
            scratch.drop(server, name, token)
            note.unlink(missing_ok=True)
            return True
        time.sleep(0.3)
    return False


if __name__ == "__main__":
    sys.exit(main())
