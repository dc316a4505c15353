"""The register beside an environment's records: what people have signed, and done to the records.

Signatures before production, private files that were purged, restores of the database that were
acknowledged. It is a journal, each of whose lines holds the hash of the line before; each seal
holds the register's last line, so that no line of it can be taken away, or changed, without a
sealed record that says otherwise.
"""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import bag, journal
from nexus_reimport.record.journal import Entry

FOLDER = ".register"  # in the environment's folder
LINE = "Register"  # in bag-info.txt: number and hash of its last line when the record was sealed


def note(runs: Path, event: Event, /, **facts: Any) -> None:
    """Add one line, with who does it and where; it is on the disk when this returns."""
    folder = private.make_folder(runs / FOLDER)
    who = {"who": getpass.getuser(), "host": platform.node()}
    journal.append(folder, event, **who, **facts)


def entries(runs: Path, *events: Event) -> list[Entry]:
    """The lines of these events that count, the oldest first."""
    return journal.only(journal.read(runs / FOLDER), *events)


def purged(runs: Path) -> Iterator[tuple[str, str]]:
    """What was purged: the run, or lab, and a sentence about it."""
    for entry in entries(runs, Event.PURGED):
        size = f"{entry.line['files']:,} files, {entry.line['bytes'] / 1e6:,.1f} MB"
        yield (
            entry.text("of"),
            f"private files purged by {entry.text('who')}, {_when(entry)}; {size}",
        )


def restored(runs: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """The restores that were acknowledged: id -> run and seal of each record that it covers."""
    return {
        entry.text("id"): tuple((str(run), str(seal)) for run, seal in entry.line["runs"])
        for entry in entries(runs, Event.RESTORED)
    }


def _when(entry: Entry) -> str:
    return f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def size(runs: Path) -> int:
    """How many bytes it has: with another line it has more. Cheap, for whoever asks often."""
    path = runs / FOLDER / journal.JOURNAL
    return path.stat().st_size if path.is_file() else 0


def last(runs: Path) -> str:
    """Number and hash of the last line, as a seal holds them."""
    hashes = _hashes(runs)
    return f"{len(hashes)} {hashes[-1]}" if hashes else bag.NOTHING


def problems(runs: Path, sealed: Iterator[Path] | list[Path]) -> Iterator[str]:
    """What is wrong with the register: by itself, and by what the ``sealed`` records hold of it."""
    read = journal.scan(runs / FOLDER)
    for text in (read.cut_note(), read.broken_note()):
        if text:
            yield f"{FOLDER}/{text}"
    hashes = _hashes(runs)
    for folder in sealed:
        number, _, held = bag.info(folder).get(LINE, bag.NOTHING).partition(" ")
        if number.isdecimal() and hashes[int(number) - 1 : int(number)] != [held]:
            yield f"{FOLDER}: line {number} is not the one that {folder.name} was sealed with"


def _hashes(runs: Path) -> list[str]:
    path = runs / FOLDER / journal.JOURNAL
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    return [private.sha256(line) for line in lines if line]
