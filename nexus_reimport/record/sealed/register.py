"""The register beside an environment's records: what people have signed, and done to the records.

Signatures before production, private files that were purged, restores of the database and losses
of records that were acknowledged. It is a journal, each of whose lines holds the hash of the line
before. Each seal holds the register's last line, so that no line of it can be taken away, or
changed, without a sealed record that says otherwise; until then a note beside it says which line is
the last.

Lines are written one process after the other. Whoever reads takes lines and note of one moment:
a line that is just being written must not look like one that nobody has noted.

Where the register is not as it was noted, nothing in it counts. The next line that is written says
first that it was found so, and the register counts from there on.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from nexus_reimport import program, wording
from nexus_reimport.errors import RecordError, is_of_system
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Signature
from nexus_reimport.record import journal
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.sealed import bag

FOLDER = ".register"  # in the environment's folder
LAST = "last_line"  # in that folder: the note of the last line
LINE = "Register"  # in bag-info.txt: number and hash of its last line when the record was sealed
_HELD = re.compile(r"([1-9]\d{0,8}) ([0-9a-f]{64})", re.ASCII)


def note(runs: Path, event: Event, /, **facts: Any) -> Entry:
    """Add one line, with who does it and where; it is on the disk when this returns.

    Two processes that write at once wait for each other. Gives the line.

    Raises:
        RecordError: something else lies where the register should. Nothing was written.
    """
    if why := _odd(runs / FOLDER):
        raise RecordError(
            f"the register cannot be written: {why}",
            where=str(runs / FOLDER),
            state="nothing was written",
            next=f"somebody has replaced it: find out who; move {runs / FOLDER} aside and keep it,"
            f" then run again. nexus-reimport record check {runs.name} tells what is missing",
        )
    folder = private.make_folder(runs / FOLDER)
    who = {"who": program.account(), "host": platform.node()}
    with private.locked_folder(folder):
        if why := contradiction(runs):
            was = _Noted.of(_note_of(folder)) or _Noted()  # a kill must not hide what was found
            _append(folder, was, Event.FOUND_CHANGED, {**who, "why": why})
        return _append(folder, _Noted.last(folder), event, {**who, **facts})


def entries(runs: Path, *events: Event) -> list[Entry]:
    """The lines of these events that count, the oldest first."""
    now = _State.of(runs)
    return [] if now.contradiction() else journal.only(now.counted().entries, *events)


def purged(runs: Path) -> Iterator[tuple[str, str]]:
    """What was purged, or begun to be: the run, or lab, and a sentence about it."""
    texts: list[tuple[str, str]] = []
    after: dict[str, Event | None] = {}  # the next line of the same run, or lab
    for entry in reversed(entries(runs, Event.PURGING, Event.PURGED)):
        of = entry.text("of")
        size = f"{wording.amount(entry.line['files'], 'file')}, {entry.line['bytes'] / 1e6:,.1f} MB"
        text = f"by {entry.text('who')}, {wording.minute(entry.at)}; {size}"
        if entry.event is Event.PURGED:
            texts.append((of, f"private files purged {text}"))
        elif after.get(of) is not Event.PURGED:
            begun = f"a purge of its private files was begun {text}"
            texts.append((of, f"{begun}; its end is not written down"))
        after[of] = entry.event
    yield from reversed(texts)


def being_purged(runs: Path) -> set[str]:
    """The runs, or labs, whose purge was begun: a kill may have left a part of their files."""
    lines = entries(runs, Event.PURGING, Event.PURGED)
    last = {entry.text("of"): entry.event for entry in lines}
    return {of for of, event in last.items() if event is Event.PURGING}


def restored(runs: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """The restores that were acknowledged: id -> run and seal of each record that it covers."""
    return {
        entry.text("id"): tuple((str(run), str(seal)) for run, seal in entry.line["runs"])
        for entry in entries(runs, Event.RESTORED)
    }


def lost(runs: Path) -> frozenset[str]:
    """The runs of which a person has said that their records are lost for good."""
    lines = entries(runs, Event.RECORDS_LOST)
    return frozenset(str(run) for entry in lines for run in entry.line["runs"])


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

    @classmethod
    def last(cls, folder: Path) -> Self:
        """The note that the last line should have: a kill may have kept it from being written."""
        lines = journal.lines(folder)
        return cls(len(lines), private.sha256(lines[-1]) if lines else "")

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """The note that a file holds; None where it holds none."""
        try:
            fields = json.loads(data)
            number = fields["n"]
            if type(number) is not int or number < 0:  # 1e999 is a number in JSON
                return None
            return cls(number, str(fields["sha256"]), str(fields["writing"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


def _append(folder: Path, last: _Noted, event: Event, facts: dict[str, Any]) -> Entry:
    @contextmanager
    def noting(number: int, digest: str) -> Iterator[None]:
        _write_note(folder, _Noted(last.n, last.sha256, digest))
        yield
        _write_note(folder, _Noted(number, digest))

    return journal.append_noted(folder, event, facts, noting)


def _write_note(folder: Path, noted: _Noted) -> None:
    private.replace(folder / LAST, json.dumps(asdict(noted)).encode() + b"\n")


def _note_of(folder: Path) -> bytes:
    """The note as it stands there; nothing where it is missing."""
    try:
        return (folder / LAST).read_bytes()
    except OSError as error:
        if is_of_system(error):  # else the register would be said to be changed, and not count
            raise
        return b""


@dataclass(frozen=True, slots=True)
class _State:
    """The register at one moment: its lines, the note beside them, and a part that is odd."""

    noted: _Noted | None  # None: missing or damaged
    lines: tuple[bytes, ...]
    odd: str  # what of it is not the file, or the folder, that we make; "" where all is

    @classmethod
    def of(cls, runs: Path) -> Self:
        folder = runs / FOLDER
        while True:
            before = _note_of(folder)
            lines = journal.lines(folder)
            # The note changes before and after each line: an unchanged one is of these lines.
            if _note_of(folder) == before:
                return cls(_Noted.of(before), tuple(lines), _odd(folder))

    def contradiction(self) -> str:
        """Why it is not as it was written; "" where it is."""
        if self.odd:
            return self.odd
        if self.noted is None:
            missing = f"{LAST}, the note of its last line, is missing or damaged"
            return missing if self.lines else ""
        if why := self._beside(self.noted):
            return why
        counted = self.counted()
        return counted.broken_note() or _unreadable(counted)

    def _beside(self, noted: _Noted) -> str:
        """What lines and note contradict each other in."""
        if noted.n > len(self.lines):
            return f"{wording.amount(noted.n - len(self.lines), 'line')} missing at its end"
        if noted.n > 0 and private.sha256(self.lines[noted.n - 1]) != noted.sha256:
            return f"line {noted.n} is not the one that was written last"
        for number, raw in enumerate(self.lines[noted.n :], noted.n + 1):
            if journal.parsed(raw) is not None and private.sha256(raw) != noted.writing:
                return f"line {number} was never noted: no command of ours wrote it"
        return ""

    def counted(self) -> journal.Reading:
        """The lines from the last one on that says that the register was found changed."""
        named = Event.FOUND_CHANGED.encode()  # few have it, and to parse a line takes longest
        changed = [
            number
            for number, raw in enumerate(self.lines, 1)
            if named in raw and (journal.parsed(raw) or {}).get("event") == Event.FOUND_CHANGED
        ]
        return journal.reading(self.lines, changed[-1] if changed else 1)


def _odd(folder: Path) -> str:
    """What of the register's folder is not as we make it; "" where all is, or nothing is there."""
    files = (folder / journal.JOURNAL, folder / LAST)
    if any(path.is_symlink() for path in (folder, *files)):
        return "a part of it is a symbolic link"
    if folder.exists() and not folder.is_dir():
        return "it is not a folder"
    for path in files:
        if path.exists() and not path.is_file():
            return f"{path.name} is not a file"
    return ""


_PURGE: Mapping[str, type | tuple[type, ...]] = {"of": str, "files": int, "bytes": (int, float)}
_MEMBERS: Mapping[Event, Mapping[str, type | tuple[type, ...]]] = {  # besides who and when
    Event.SIGNED: {"line": str, "name": str, "text": str},
    Event.WITHDRAWN: {"line": str},
    Event.PURGING: _PURGE,
    Event.PURGED: _PURGE,
    Event.RESTORED: {"id": str, "runs": list},
    Event.RECORDS_LOST: {"runs": list},
}


def _unreadable(counted: journal.Reading) -> str:
    """A line that does not say what lines of its event say, although all else is in order."""
    for entry in counted.entries:
        if not _is_readable(entry):
            return f"line {entry.text('n')} does not say what a line of its kind must"
    return ""


def _is_readable(entry: Entry) -> bool:
    """Whether a line has what lines of its event have: what reads them relies on it."""
    members = _MEMBERS.get(entry.event, {}) if entry.event else {}
    try:
        pairs = entry.line["runs"] if entry.event is Event.RESTORED else ()
        return all(isinstance(entry.line[m], kind) for m, kind in members.items()) and all(
            len(pair) == 2 for pair in pairs
        )
    except (KeyError, TypeError):
        return False


def contradiction(runs: Path) -> str:
    """Why the register is not as it was written; "" where it is. A line that a kill cut is."""
    return _State.of(runs).contradiction()


# ---------------------------------------------------------------- with the sealed records


def last(runs: Path) -> str:
    """Number and hash of the last line, as a seal holds them; one being written is waited for."""
    if not (runs / FOLDER).is_dir():
        return bag.NOTHING
    with private.locked_folder(runs / FOLDER):
        lines = journal.lines(runs / FOLDER)
    return f"{len(lines)} {private.sha256(lines[-1])}" if lines else bag.NOTHING


def problems(runs: Path, sealed: Iterable[Path]) -> Iterator[str]:
    """What is wrong with the register: by itself, and by what the ``sealed`` records hold of it."""
    now = _State.of(runs)
    if why := now.contradiction():
        yield f"{FOLDER}: {why}; nothing in it counts"
    for name in bag.linked(runs / FOLDER) if (runs / FOLDER).is_dir() else ():
        yield f"{FOLDER}/{name}: {bag.LINKED}"
    hashes = [private.sha256(line) for line in now.lines]
    for folder in sealed:
        number, line = held(folder)
        if not number and bag.info(folder).get(LINE, bag.NOTHING) != bag.NOTHING:
            yield f"{FOLDER}: {folder.name} does not say which line it was sealed with"
        if number and hashes[number - 1 : number] != [line]:
            yield f"{FOLDER}: line {number} is not the one that {folder.name} was sealed with"


def lines(runs: Path) -> tuple[bytes, ...]:
    """All its lines, as they stand there."""
    return _State.of(runs).lines


def not_signed(lines: Sequence[bytes], signatures: Iterable[Signature]) -> Iterator[str]:
    """What a run's sheet says that people have signed, and ``lines`` of the register otherwise."""
    for one in signatures:
        raw = lines[one.number - 1] if 0 < one.number <= len(lines) else b""
        held = journal.parsed(raw) or {}
        wanted = {"line": one.line, "name": one.who, "text": one.text, "who": one.account}
        if {member: held.get(member) for member in wanted} != wanted:
            yield (
                f"sign_off_sheet.json: {one.line} is signed by {one.who} there, and line"
                f" {one.number} of the register says otherwise"
            )


def remarks(runs: Path, sealed: Iterable[Path]) -> Iterator[str]:
    """What is good to know of it: lines that were cut, or that no seal holds; found changed."""
    read = journal.scan(runs / FOLDER)
    if read.cut_lines:
        yield f"{FOLDER}/{read.cut_note()}"
    lines = [journal.parsed(raw) or {} for raw in journal.lines(runs / FOLDER)]
    for number, line in enumerate(lines, 1):
        if line.get("event") == Event.FOUND_CHANGED:
            remark = f"the register was found changed: {line.get('why')}"
            yield f"{FOLDER}: line {number}, by {line.get('who')}, {line.get('at')}: {remark}"
    since = len(lines) - max((number for number, _ in map(held, sealed)), default=0)
    if since > 0:
        yield f"{FOLDER}: {wording.amount(since, 'line')} since the last seal; no record holds them"


def held(folder: Path) -> tuple[int, str]:
    """Number and hash of the line that the record in ``folder`` was sealed with; 0 for none."""
    match = _HELD.fullmatch(bag.info(folder).get(LINE, bag.NOTHING))
    return (int(match[1]), match[2]) if match else (0, "")
