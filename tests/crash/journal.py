"""Where a run is, as its own journal tells it: the only thing that the harness goes by."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICK = 0.001  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Point:
    """An instant of a run: a stage, or a step inside it, has just begun."""

    stage: str
    step: str = ""

    def __str__(self) -> str:
        return f"{self.stage}/{self.step}" if self.step else self.stage


class Journal:
    """What is written into the journals of an environment's runs from now on."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._read = {path: path.stat().st_size for path in self._paths()}
        self._stage = ""
        self.points: list[Point] = []
        self.kernel = 0  # the process that is at work on a stage

    @property
    def last(self) -> Point | None:
        """Where the run is; None before its first line."""
        return self.points[-1] if self.points else None

    def look(self) -> list[Point]:
        """The points that were reached since the last look."""
        new = [point for event in self._events() if (point := self._point(event))]
        self.points += new
        return new

    def reach(self, point: Point, running: Callable[[], bool]) -> bool:
        """Look until ``point`` is reached; False if the run ended before."""
        while point not in self.points:
            alive = running()
            self.look()
            if not alive:
                return point in self.points
            time.sleep(TICK)
        return True

    def _events(self) -> list[dict[str, Any]]:
        found = []
        for path in self._paths():
            start = self._read.get(path, 0)
            if path.stat().st_size > start:
                with path.open("rb") as file:
                    file.seek(start)
                    whole = file.read().rpartition(b"\n")[0]
                if whole:
                    self._read[path] = start + len(whole) + 1
                    found += [event for line in whole.splitlines() if (event := _parsed(line))]
        return found

    def _paths(self) -> list[Path]:
        try:
            folders = sorted(e.path for e in os.scandir(self._runs) if e.name[0] != ".")
        except FileNotFoundError:
            return []
        found = [Path(folder, "data", "journal.jsonl") for folder in folders]
        return [path for path in found if path.exists()]

    def _point(self, event: dict[str, Any]) -> Point | None:
        name = event["event"]
        if name == "started":
            self._stage, self.kernel = event["stage"], int(event["pid"])
            return Point(self._stage)
        if name == "step":
            return Point(event["stage"], event["step"])
        if name in ("committing", "committed"):
            return Point(self._stage, name)
        return Point(name) if name in ("opened", "sealed") else None


def _parsed(line: bytes) -> dict[str, Any] | None:
    """One event; None for a line that a kill cut short."""
    try:
        return dict(json.loads(line))
    except json.JSONDecodeError:
        return None
