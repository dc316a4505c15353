"""The register beside an environment's records: what people have signed, and done to the records.

Signatures before production, private files that were purged, restores of the database that were
acknowledged. It is a journal, each of whose lines holds the hash of the line before. Each seal
holds the register's last line, so that no line of it can be taken away, or changed, without a
sealed record that says otherwise; until then a note beside it says which line is the last.

Where the register is not as it was noted, nothing in it counts. The next line that is written says
first that it was found so, and the register counts from there on.
"""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from nexus_reimport import wording
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import bag, journal
from nexus_reimport.record.journal import Entry

FOLDER = ".register"  # in the environment's folder
LAST = "last_line"  # in that folder: the note of the last line
LINE = "Register"  # in bag-info.txt: number and hash of its last line when the record was sealed


def note(runs: Path, event: Event, /, **facts: Any) -> None:
    """Add one line, with who does it and where; it is on the disk when this returns."""
    folder = private.make_folder(runs / FOLDER)
    who = {"who": getpass.getuser(), "host": platform.node()}
    if why := contradiction(runs):
        _append(folder, Event.FOUND_CHANGED, {**who, "why": why})
    _append(folder, event, {**who, **facts})


def entries(runs: Path, *events: Event) -> list[Entry]:
    """The lines of these events that count, the oldest first."""
    return [] if contradiction(runs) else journal.only(_scan(runs).entries, *events)


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


# ---------------------------------------------------------------- the note of the last line


@dataclass(frozen=True, slots=True)
class _Noted:
    """The last line, and the one that is being written, if any: a kill leaves either of them."""

    n: int = 0
    sha256: str = ""
    writing: str = ""


def _append(folder: Path, event: Event, facts: dict[str, Any]) -> None:
    @contextmanager
    def noting(number: int, digest: str) -> Iterator[None]:
        last = _noted(folder) or _Noted()
        _write_note(folder, _Noted(last.n, last.sha256, digest))
        yield
        _write_note(folder, _Noted(number, digest))

    journal.append_noted(folder, event, facts, noting)


def _write_note(folder: Path, noted: _Noted) -> None:
    private.replace(folder / LAST, json.dumps(asdict(noted)).encode() + b"\n")


def _noted(folder: Path) -> _Noted | None:
    if not (folder / LAST).is_file():
        return None
    try:
        said = json.loads((folder / LAST).read_bytes())
        return _Noted(abs(int(said["n"])), str(said["sha256"]), str(said["writing"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def contradiction(runs: Path) -> str:
    """Why the register is not as it was written; "" where it is. A line that a kill cut is."""
    folder = runs / FOLDER
    noted, found = _noted(folder), journal.lines(folder)
    if any(path.is_symlink() for path in (folder, folder / journal.JOURNAL, folder / LAST)):
        return "a part of it is a symbolic link"
    if noted is None:
        return f"{LAST}, the note of its last line, is missing or damaged" if found else ""
    if noted.n > len(found):
        return f"{wording.amount(noted.n - len(found), 'line')} missing at its end"
    if noted.n > 0 and private.sha256(found[noted.n - 1]) != noted.sha256:
        return f"line {noted.n} is not the one that was written last"
    for number, raw in enumerate(found[noted.n :], noted.n + 1):
        if journal.parsed(raw) is not None and private.sha256(raw) != noted.writing:
            return f"line {number} was never noted: no command of ours wrote it"
    return _scan(runs).broken_note()


def _scan(runs: Path) -> journal.Reading:
    """The lines from the last one on that says that the register was found changed."""
    found = [journal.parsed(raw) or {} for raw in journal.lines(runs / FOLDER)]
    changed = [n for n, line in enumerate(found, 1) if line.get("event") == Event.FOUND_CHANGED]
    return journal.scan(runs / FOLDER, changed[-1] if changed else 1)


# ---------------------------------------------------------------- with the sealed records


def last(runs: Path) -> str:
    """Number and hash of the last line, as a seal holds them."""
    hashes = _hashes(runs)
    return f"{len(hashes)} {hashes[-1]}" if hashes else bag.NOTHING


def problems(runs: Path, sealed: Iterable[Path]) -> Iterator[str]:
    """What is wrong with the register: by itself, and by what the ``sealed`` records hold of it."""
    if why := contradiction(runs):
        yield f"{FOLDER}: {why}; nothing in it counts"
    hashes = _hashes(runs)
    for folder in sealed:
        number, held = _held(folder)
        if number and hashes[number - 1 : number] != [held]:
            yield f"{FOLDER}: line {number} is not the one that {folder.name} was sealed with"


def remarks(runs: Path, sealed: Iterable[Path]) -> Iterator[str]:
    """What is good to know of it: lines that were cut, or that no seal holds; found changed."""
    read = journal.scan(runs / FOLDER)
    if read.cut_lines:
        yield f"{FOLDER}/{read.cut_note()}"
    lines = [journal.parsed(raw) or {} for raw in journal.lines(runs / FOLDER)]
    for number, line in enumerate(lines, 1):
        if line.get("event") == Event.FOUND_CHANGED:
            told = f"the register was found changed: {line.get('why')}"
            yield f"{FOLDER}: line {number}, by {line.get('who')}, {line.get('at')}: {told}"
    since = len(lines) - max((number for number, _ in map(_held, sealed)), default=0)
    if since > 0:
        yield f"{FOLDER}: {wording.amount(since, 'line')} since the last seal; no record holds them"


def _held(folder: Path) -> tuple[int, str]:
    """Number and hash of the line that the record in ``folder`` was sealed with; 0 for none."""
    number, _, held = bag.info(folder).get(LINE, bag.NOTHING).partition(" ")
    return (int(number), held) if number.isascii() and number.isdecimal() else (0, held)


def _hashes(runs: Path) -> list[str]:
    return [private.sha256(line) for line in journal.lines(runs / FOLDER)]
