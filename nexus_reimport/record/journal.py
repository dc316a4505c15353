"""A run's journal: one line per event, on the disk before the work goes on."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus_reimport.errors import ReimportError

JOURNAL = "journal.jsonl"
Event = dict[str, Any]


def append(folder: Path, event: str, **facts: Any) -> None:
    """Add one line to the journal; it is on the disk when this returns."""
    line = {"at": datetime.now(UTC).isoformat(), "event": event, **facts}
    with (folder / JOURNAL).open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> list[Event]:
    """The journal's lines; a last one that was cut by a kill is left out."""
    path = folder / JOURNAL
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def failure(error: BaseException) -> dict[str, Any]:
    """What the journal says of an error: its own four lines, or only the kind of a foreign one."""
    facts: dict[str, Any] = {"kind": type(error).__name__}
    if isinstance(error, ReimportError):
        facts |= {"what": error.what, "where": error.where, "state": error.state}
        facts |= {"next": error.next, "exit_code": error.exit_code}
    elif isinstance(error, KeyboardInterrupt | SystemExit):
        facts |= {"what": "interrupted", "killed": True, "exit_code": 3}
    else:
        facts |= {"what": f"an unforeseen {type(error).__name__}", "exit_code": 3}
    return facts


def last_failure(events: list[Event]) -> Event | None:
    """The last failure that no later try of the same stage has made good."""
    last = None
    for event in events:
        if event["event"] == "failed":
            last = event
        elif event["event"] == "finished" and last and event["stage"] == last.get("stage"):
            last = None
    return last


def unfinished(events: list[Event]) -> set[str]:
    """The stages that started and neither finished nor failed."""
    running: set[str] = set()
    for event in events:
        if event["event"] == "started":
            running.add(event["stage"])
        elif event["event"] in ("finished", "failed"):
            running.discard(event["stage"])
    return running
