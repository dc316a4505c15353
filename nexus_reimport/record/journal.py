"""A run's journal: one line per event, on the disk before the work goes on, and read back.

Each line has a number and the hash of the line before. A line that a kill has cut stays where it
is, and the next one begins on a new line; it says nothing. From the first line on that does not
follow on the one before, nobody vouches for what stands there: such lines can still make a verdict
worse (a COMMIT may have been sent, a check may have failed), and never better.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, Self

from nexus_reimport import disks, naming, wording
from nexus_reimport.errors import (
    REPORT,
    NotNow,
    RecordError,
    ReimportError,
    file_failure,
    file_of,
    is_ours,
    line_of,
)
from nexus_reimport.events import Event
from nexus_reimport.files import private

JOURNAL = "journal.jsonl"
LARGEST = 1 << 24  # bytes: a run of ours writes some ten thousands
_LONGEST = 1 << 16  # characters of one text of a line
WRITING = frozenset({"apply", "undo"})  # the stages that end in a COMMIT
_LACKS = NotNow.__name__
_NO_TIME = "1970-01-01T00:00:00+00:00"
# What readers of a line take from it, besides its time and what is "" where it is missing.
_MEMBERS: Mapping[str, set[str]] = {
    Event.SETTLED: {"committed"},
    Event.VOID: {"of"},
    Event.REDACTED: {"places"},
    Event.KEPT: {"file", "sha256"},
}
APPROVAL = "approval"
PROPOSALS = frozenset({"proposal", "rollback_proposal"})  # what approval is asked for
CHECKED = frozenset({"checks_after", "checks_rollback", "sign_off"})  # after a COMMIT


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its event, and all that it says."""

    event: Event | None  # None: one that this version does not know
    line: Mapping[str, Any]  # as the file has it

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Self:
        """The line ``line`` of a journal."""
        try:
            return cls(Event(line["event"]), line)
        except ValueError:
            return cls(None, line)

    @property
    def at(self) -> datetime:
        """When it was written."""
        return datetime.fromisoformat(self.line["at"])

    def after(self, earlier: datetime) -> float:
        """How many seconds after ``earlier`` it was written; 0 where a clock was set back since."""
        return max((self.at - earlier).total_seconds(), 0.0)

    @property
    def stage(self) -> str:
        """The stage that it is of; "" where it is of none."""
        return self.text("stage")

    @property
    def is_killed(self) -> bool:
        """Whether a failure was a kill, or an interruption."""
        return bool(self.line.get("killed"))

    @property
    def is_commit(self) -> bool:
        """Whether it says that the run is committed: seen by itself, or said by the database."""
        settled = self.event is Event.SETTLED and bool(self.line["committed"])
        return settled or self.event is Event.COMMITTED

    def text(self, fact: str) -> str:
        """A fact of the line as text; "" where it has none."""
        return str(self.line.get(fact, ""))

    @property
    def headline(self) -> str:
        """The first line of what a failure says; "" where it says nothing."""
        return (self.text("what").splitlines() or [""])[0]


# ---------------------------------------------------------------- the file


def append(folder: Path, event: Event, **facts: Any) -> None:
    """Add one line to the journal; it is on the disk when this returns.

    Two processes that write at once wait for each other.
    """
    append_noted(folder, event, facts, lambda number, digest: nullcontext())


def append_noted(
    folder: Path,
    event: Event,
    facts: Mapping[str, Any],
    noting: Callable[[int, str], AbstractContextManager[None]],
) -> Entry:
    """As ``append``, inside of ``noting``, which gets the line's number and its hash.

    Gives the line that was written.
    """
    with _locked(folder / JOURNAL) as file:
        before, is_whole = _lines(_content(folder))
        text = _next(before, event, facts)
        with noting(len(before) + 1, private.sha256(text)):
            file.write((b"" if is_whole else b"\n") + text + b"\n")
            private.sync(file)
    return Entry.of(json.loads(text))


def rewrite(
    folder: Path, change: Callable[[int, bytes], bytes], event: Event, /, **facts: Any
) -> None:
    """Change lines of an open run's journal, chain them anew, and say so in one more line.

    The file is replaced as a whole. From a line on that did not follow on the one before, none is
    chained: it counts for nothing better afterwards either.
    """
    broken = scan(folder).broken
    with _locked(folder / JOURNAL):
        done: list[bytes] = []
        for number, raw in enumerate(lines(folder), 1):
            changed = change(number, raw)
            line = parsed(changed) if not broken or number < broken else None
            before = private.sha256(done[-1]) if done else ""
            if line is not None and line.get("before") != before:
                changed = json.dumps(line | {"before": before}).encode()
            done.append(changed)
        done.append(_next(done, event, facts))
        private.replace(folder / JOURNAL, b"".join(line + b"\n" for line in done))


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The journal, opened for appending: the file that is there once the lock is ours."""
    while True:
        with private.named(path), private.append(path) as file, private.waiting_lock(file):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


def _next(lines: Sequence[bytes], event: Event, facts: Mapping[str, Any]) -> bytes:
    """The line that follows on these."""
    line = {
        "n": len(lines) + 1,
        "before": private.sha256(lines[-1]) if lines else "",
        "at": datetime.now(UTC).isoformat(),
        "event": event,
        **{
            name: _shortened(fact) if isinstance(fact, str) else fact
            for name, fact in facts.items()
        },
    }
    return json.dumps(line).encode()


def _shortened(text: str) -> str:
    """A text, as much of it as a line of a journal holds: all is read again and again.

    One that lists thousands of things must not make a journal that no command reads any more.
    """
    rest = len(text) - _LONGEST
    return f"{text[:_LONGEST]}… ({rest:,} more characters)" if rest > 0 else text


@dataclass(frozen=True, slots=True)
class Reading:
    """A journal as it was read."""

    entries: tuple[Entry, ...]  # those that count, and what the rest can still say
    cut_lines: tuple[int, ...]  # the lines that a kill has cut, by their numbers
    broken: int  # the first line that does not follow on the one before; 0 where all do

    def cut_note(self) -> str:
        """That lines were cut, for a person; "" where none was."""
        listed = wording.some(map(str, self.cut_lines))
        return f"{JOURNAL}: line {listed} was cut while it was written" if listed else ""

    def broken_note(self) -> str:
        """That lines do not follow on each other, for a person; "" where all do."""
        note = f"{JOURNAL}: line {self.broken} does not follow on the one before"
        return f"{note}; from there on it counts for nothing better" if self.broken else ""


def read(folder: Path) -> list[Entry]:
    """The journal's lines that count: whole ones, each following on the one before."""
    return list(scan(folder).entries)


def lines(folder: Path) -> list[bytes]:
    """Every line as it stands there, the last one also without its end."""
    return _lines(_content(folder))[0]


def _content(folder: Path) -> bytes:
    """All of it: it is read again and again, so one that no run can have written is refused.

    Raises:
        RecordError: it is larger than any of ours. Nothing was read or written.
    """
    path = folder / JOURNAL
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise RecordError(
            f"the journal has {path.stat().st_size / 1e6:,.0f} MB: no run writes so much",
            where=str(path),
            state="it was not read, and nothing was written to it",
            next="find out what has written to it (ls -l, head -c 1000), keep it, and bring the"
            " journal back from an archive or a backup",
        )
    return content


def parsed(raw: bytes) -> dict[str, Any] | None:
    """What a line says; None where it was cut.

    One that says something twice, or not what each line of its kind says, has no number: it does
    not follow on any other. Without a time it has the first one of all, since readers need one.
    """
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        twice.extend(members if len(members) != len(pairs) else ())
        return members

    try:
        line = json.loads(raw, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(line, dict) and isinstance(line.get("event"), str)):
        return None
    if not _has_time(line):
        return line | {"n": None, "at": _NO_TIME}
    lacks = _MEMBERS.get(line["event"], set()) - line.keys()
    is_odd = twice or lacks or not isinstance(line.get("stage", ""), str)
    return line | {"n": None} if is_odd else line


def _has_time(line: Mapping[str, Any]) -> bool:
    try:
        return datetime.fromisoformat(line["at"]).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        return False


def scan(folder: Path) -> Reading:
    """The journal, with what is wrong with it."""
    return _scanned(_content(folder))


@lru_cache(maxsize=64)  # a page asks the same journals for a dozen things, once a second
def _scanned(content: bytes) -> Reading:
    """By the bytes themselves, which are read each time: no change of a file escapes."""
    return reading(_lines(content)[0])


def reading(raw_lines: Sequence[bytes], first: int = 1) -> Reading:
    """What these lines of a journal say, and what is wrong with them; from line ``first`` on."""
    entries: list[Entry] = []
    cut_lines: list[int] = []
    broken, before = 0, private.sha256(raw_lines[first - 2]) if first > 1 else ""
    for number, raw in enumerate(raw_lines[first - 1 :], first):
        line = parsed(raw)
        if line is None:
            cut_lines.append(number)
        elif not broken and (line.get("n"), line.get("before")) == (number, before):
            entries.append(Entry.of(line))
        else:
            broken = broken or number
            entries += _at_worst(Entry.of(line))
        before = private.sha256(raw)
    # A seal is the last that happens: one with other lines behind it was given up.
    counting = (e for e in entries if e.event is not Event.SEALED or e is entries[-1])
    return Reading(tuple(counting), tuple(cut_lines), broken)


def _lines(data: bytes) -> tuple[list[bytes], bool]:
    """The lines, and whether the last one has its end."""
    *lines, rest = data.split(b"\n")
    return ([*lines, rest], False) if rest else (lines, True)


def distrusted(read: Reading) -> Reading:
    """The same of a journal for which nobody vouches from its first line on."""
    entries = (worst for entry in read.entries for worst in _at_worst(entry))
    return Reading(tuple(entries), read.cut_lines, 1)


def _at_worst(entry: Entry) -> Iterator[Entry]:
    """What a line for which nobody vouches can still say: that things are worse."""
    sent = entry.event in (Event.COMMITTING, Event.COMMITTED) or (
        entry.event is Event.SETTLED and bool(entry.line.get("committed"))
    )
    tried = entry.event is Event.STARTED and entry.stage in WRITING
    lost = entry.event is Event.FAILED and entry.text("kind") == "InDoubt"
    if sent or tried or lost:
        yield Entry.of({"event": Event.COMMITTING, "at": entry.text("at")})
    if entry.event is Event.FAILED and entry.stage in CHECKED:
        facts = {"stage": entry.stage, "what": "a check after COMMIT failed", "exit_code": 3}
        yield Entry.of({"event": Event.FAILED, "at": entry.text("at"), **facts})


def failure(error: BaseException) -> dict[str, Any]:
    """What the journal says of an error: its own four lines, or only the kind of a foreign one."""
    name = name_of(type(error))
    facts: dict[str, Any] = {"kind": name}
    if isinstance(error, ReimportError) and is_ours(error):
        facts |= {"what": error.what, "where": error.where, "state": error.state}
        facts |= {"next": error.next, "exit_code": error.exit_code}
    elif isinstance(error, KeyboardInterrupt | SystemExit):
        facts |= {"what": "interrupted", "killed": True, "exit_code": 3}
    elif disk := disks.failure(error):
        facts |= {"what": disk.what, "where": file_of(error), "next": disk.fix, "exit_code": 3}
    elif file := file_failure(error):
        facts |= {"what": file.what, "where": file.where, "next": file.fix, "exit_code": 3}
    else:
        facts |= unforeseen(name) | {"where": line_of(error)}
    return facts


def unforeseen(name: str) -> dict[str, Any]:
    """What the journal says of an error of a class of that name, of which nothing else is known."""
    return {"kind": name, "what": f"an unforeseen {name}", "next": REPORT, "exit_code": 3}


def name_of(kind: type) -> str:
    """The name of a class of errors: one that its module has, since any other may hold a value."""
    held = getattr(sys.modules.get(kind.__module__), kind.__name__, None)
    is_plain = kind.__name__.isascii() and kind.__name__.isidentifier()
    return kind.__name__ if held is kind and is_plain else "error"


# ---------------------------------------------------------------- what it says


def only(entries: Sequence[Entry], *events: Event) -> list[Entry]:
    """The lines of these events."""
    return [entry for entry in entries if entry.event in events]


def opened(entries: Sequence[Entry]) -> Entry | None:
    """The line that says that the run was opened, and by whom; None where it is lost."""
    return next(iter(only(entries, Event.OPENED)), None)


def kind(entries: Sequence[Entry]) -> str:
    """What the run is for: reimport, relink or rollback."""
    return _first(entries, "kind", Event.OPENED) or "reimport"


def undoes(entries: Sequence[Entry]) -> str:
    """The run that this one takes back; "" where it takes back none."""
    return _first(entries, "undoes", Event.ROLLBACK)


def _first(entries: Sequence[Entry], fact: str, event: Event) -> str:
    """A fact of the first lines; where those are lost, as it was noted when the run was settled."""
    lines = only(entries, event, Event.SETTLED)
    return next((text for entry in lines if (text := entry.text(fact))), "")


def closed(entries: Sequence[Entry]) -> str:
    """Which open runs were sealed when this one began, and what each was; "" where none was."""
    first = opened(entries)
    pairs = first.line.get("closed") if first else None
    return " ".join(
        f"Run {pair[0]}, which was {pair[1]}, was closed when this one began"
        f"{'; its approval can no longer be given' if pair[1] == 'WAITING' else ''}."
        for pair in (pairs if isinstance(pairs, list) else ())
        if isinstance(pair, list) and len(pair) == 2
    )


def again(kind: str, undoes: str, environment: str) -> str:
    """The command that begins such a run again, as a new one."""
    if undoes:
        return f"nexus-reimport rollback {undoes}"
    return f"nexus-reimport {'relink' if kind == 'relink' else 'run'} {environment}"


def last_failure(entries: Sequence[Entry]) -> Entry | None:
    """The last failure that no later try of the same stage has made good."""
    last = None
    for entry in only(entries, Event.FAILED, Event.FINISHED):
        if entry.event is Event.FAILED:
            last = entry
        elif last and entry.stage == last.stage:
            last = None
    return last


def cause(entries: Sequence[Entry]) -> Entry | None:
    """The failure that is told: the last one, as ``last_failure`` has it.

    Who steps through a page can go on after an error. A step that lacks a value then only follows
    from what kept an earlier step from giving it.
    """
    is_told = (entry.event is not Event.FAILED or entry.text("kind") != _LACKS for entry in entries)
    return last_failure([*compress(entries, is_told)]) or last_failure(entries)


def broken_off(entries: Sequence[Entry]) -> list[str]:
    """The stages in which a kill has ended the run: no later line says how they ended, or why."""
    failures = [n for n, entry in enumerate(entries) if entry.event is Event.FAILED]
    since = entries[failures[-1] + 1 if failures else 0 :]
    without_end = unfinished(entries)
    begun = (entry.stage for entry in only(since, Event.STARTED) if entry.stage in without_end)
    return list(dict.fromkeys(begun))


def ended_by(entries: Sequence[Entry]) -> str:
    """What has broken the run off, in one line: a kill, else its last failure; "" for neither."""
    if stages := broken_off(entries):
        names = wording.some(f"“{naming.stage(stage)}”" for stage in stages)
        return f"it was killed, or its machine stopped, during {names}"
    failed = cause(entries)
    return failed.headline if failed else ""


def committed_at(entries: Sequence[Entry]) -> str:
    """When its transaction was written, by the server's clock; "" where its journal lacks that."""
    return ([entry.text("committed_at") for entry in only(entries, Event.COMMITTING)] or [""])[-1]


def is_taken_over(entries: Sequence[Entry]) -> bool:
    """Whether the database that knows nothing of the run is no longer that to which it was sent.

    A standby that takes over, or a backup that is restored, begins another timeline.
    """
    at, answer = (only(entries, e)[-1:] for e in (Event.SESSION, Event.SETTLED))
    lines = {entry.text("timeline") for entry in (*at, *answer) if not entry.is_commit}
    return len(lines) == 2 and "" not in lines


def settlement(entries: Sequence[Entry], failed: Entry) -> bool | None:
    """What the database said after ``failed`` about COMMIT; None where it was not asked since."""
    later = only(entries[entries.index(failed) :], Event.SETTLED)
    return later[0].is_commit if later else None


def unfinished(entries: Sequence[Entry]) -> set[str]:
    """The stages that started and neither finished nor failed."""
    running: set[str] = set()
    for entry in only(entries, Event.STARTED, Event.FINISHED, Event.FAILED):
        if entry.event is Event.STARTED:
            running.add(entry.stage)
        else:
            running.discard(entry.stage)
    return running


def seconds(entries: Iterable[Entry]) -> dict[str, float]:
    """Stage -> how long it took; all attempts of a stage are added."""
    spent: dict[str, float] = {}
    began: dict[str, datetime] = {}
    for entry in entries:
        if entry.event is Event.STARTED:
            began[entry.stage] = entry.at
        elif entry.event in (Event.FINISHED, Event.FAILED) and entry.stage in began:
            took = entry.after(began.pop(entry.stage))
            spent[entry.stage] = spent.get(entry.stage, 0) + took
    return spent


def was_executed(entries: Sequence[Entry]) -> bool:
    """Whether COMMIT was sent, or was about to be, or the database knows the run."""
    return any(entry.event is Event.COMMITTING or entry.is_commit for entry in entries)


def is_approved(entries: Sequence[Entry]) -> bool:
    """Whether what was proposed last was approved, and nothing has made that void since."""
    approved = False
    for entry in only(entries, Event.FINISHED, Event.VOID):
        if entry.event is Event.VOID:
            approved = approved and APPROVAL not in entry.line["of"]
        elif entry.stage in (APPROVAL, *PROPOSALS):
            approved = entry.stage == APPROVAL
    return approved


def came_to_checks_inside(entries: Sequence[Entry]) -> bool:
    """Whether the checks inside the transaction were begun, in the execution itself."""
    steps = only(entries, Event.STEP)
    return any(e.stage in WRITING and e.text("step") == "checks inside" for e in steps)


def redacted(entries: Sequence[Entry]) -> set[str]:
    """The files of the record from which something was taken out, by their names."""
    places = (place for entry in only(entries, Event.REDACTED) for place in entry.line["places"])
    return {Path(str(file)).name for file, *_ in places}


def kept_hashes(entries: Sequence[Entry]) -> dict[str, str]:
    """Each value, list and page -> its hash as it was written last, but for what was redacted.

    An older version has written none down. A page is written anew where something is redacted.
    """
    values: dict[str, str] = {}
    pages: dict[str, str] = {}
    for entry in only(entries, Event.KEPT, Event.PAGE):
        if entry.event is Event.KEPT:
            values[entry.text("file")] = entry.text("sha256")
        else:
            of_page = entry.line.get("sha256")
            kinds = of_page.items() if isinstance(of_page, dict) else ()
            pages |= {f"{entry.text('page')}.{kind}": str(digest) for kind, digest in kinds}
    gone = redacted(entries)
    return {name: digest for name, digest in values.items() if name not in gone} | pages


def kept_files(entries: Sequence[Entry]) -> set[str]:
    """The files of the values that are there by the journal: kept, and not made void since."""
    files = set[str]()
    for entry in only(entries, Event.KEPT, Event.VOID):
        if entry.event is Event.KEPT:
            files.add(entry.text("file"))
        else:
            files -= {f"{name}.json" for name in entry.line["of"]}
    return files


def proven_at(entries: Sequence[Entry]) -> datetime:
    """When the last stage of a preflight that proves anything had finished; else when it began."""
    proofs = [e for e in only(entries, Event.FINISHED) if e.stage in ("checks_before", "rehearsal")]
    return (proofs[-1] if proofs else entries[0]).at


def verified_with(entries: Sequence[Entry]) -> Mapping[str, str]:
    """The digests of package and mapping with which the run was verified; of an older run none."""
    verified = only(entries, Event.VERIFIED)
    line = verified[-1].line if verified else {}
    return {name: str(line[name]) for name in ("code", "mapping") if name in line}


def made_void(entries: Sequence[Entry]) -> dict[str, str]:
    """Each value that was ever made void -> the step that did it last."""
    steps: dict[str, str] = {}
    for entry in only(entries, Event.VOID):
        steps |= dict.fromkeys(entry.line["of"], entry.text("by"))
    return steps


def window_still_up(entries: Sequence[Entry]) -> str:
    """Why the maintenance window did not come down; "" where it did, or was never up."""
    window = (Event.WINDOW_ENTERED, Event.WINDOW_LEFT, Event.WINDOW_FAILED)
    last = next(reversed(only(entries, *window)), None)
    failed = last is not None and last.event is Event.WINDOW_FAILED and last.text("hook") == "leave"
    return last.text("how") if last and failed else ""
