"""The list of what is in the archive, beside an environment's records."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nexus_reimport.files import private

LIST = ".archived.jsonl"  # in the environment's folder


@dataclass(frozen=True, slots=True)
class Archived:
    """One record in the archive."""

    run: str
    seal: str
    bucket: str
    key: str
    version: str
    until: str  # nobody can delete or overwrite it before
    sha256: str


def note(runs: Path, archived: Archived) -> None:
    if archived in noted(runs):
        return
    with private.append(runs / LIST) as file:
        file.write(json.dumps(asdict(archived)).encode() + b"\n")
        private.sync(file)


def noted(runs: Path) -> list[Archived]:
    """What was archived, by the list beside the records; a line that cannot be read is left out."""
    path = runs / LIST
    entries = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            entries.append(Archived(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return entries
