"""The list of what is in the archive, beside an environment's records."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from nexus_reimport.errors import StorageError, refused
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
    """Add a record to the list, unless it is there.

    Raises:
        StorageError: it cannot be written. The record itself is in the archive.
    """
    if archived in noted(runs):
        return
    try:
        with private.append(runs / LIST) as file:
            begun = b"\n" if _is_cut(runs / LIST) else b""
            file.write(begun + json.dumps(asdict(archived)).encode() + b"\n")
            private.sync(file)
    except OSError as error:
        why, fix = refused(error)
        raise StorageError(
            f"the record is in the archive, and this could not be noted: {why}",
            where=str(runs / LIST),
            state="the record is sealed and whole, and a copy of it is in the archive",
            next=f"{fix}, then: nexus-reimport record archive {runs.name}",
        ) from None


def _is_cut(path: Path) -> bool:
    """Whether the last line has no end: what is written next must not become the rest of it."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        return file.read(1) not in (b"", b"\n")


def noted(runs: Path) -> list[Archived]:
    """What was archived, by the list beside the records; a line that cannot be read is left out."""
    path = runs / LIST
    entries = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            facts = json.loads(line)
            if all(isinstance(value, str) for value in facts.values()):
                entries.append(Archived(**facts))
        # A line that a kill has cut in the middle: what it told of is uploaded again.
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue
    return entries
