"""Old private files are deleted by a rule, and the register keeps who has done it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport import record, settings
from nexus_reimport.errors import RecordError, SettingsError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import Run, journal, lab_pages, previews, purge, signatures
from nexus_reimport.record.sealed import check, register
from support.records import checked, committed, complete, made_once, row, stopped, wrong
from support.running import killed_after

NOW, LONG = timedelta(0), timedelta(days=30)


def staying(known: settings.Settings, older_than: timedelta, *needed: str) -> dict[str, str]:
    """Private folder -> why it stays."""
    return {one.name: one.kept for one in purge.look(known, older_than, needed, datetime.now(UTC))}


def with_files(run: Run) -> Run:
    (run.private / "patients.parquet").write_bytes(b"x" * 1000)
    return run


def purged(known: settings.Settings) -> list[str]:
    done = [one for one in purge.look(known, NOW, (), datetime.now(UTC)) if not one.kept]
    for one in done:
        purge.purge(known, one, "0d")
    return [one.name for one in done]


def test_what_never_goes_has_its_reason(known: settings.Settings) -> None:
    done, old = with_files(complete(known)), with_files(stopped(known))
    spoilt = complete(known)
    (spoilt.folder / "plan.json").write_text("{}")
    unverified = committed(known)
    unverified.seal()
    doubt = record.create(known)
    doubt.journal(Event.STARTED, stage="apply", pid=1)
    doubt.journal(Event.COMMITTING)
    doubt.seal()
    running = committed(known)
    (known.private_folder / "nobody's").mkdir()
    assert staying(known, NOW, done.id) == {
        done.id: "the database may have to be taken back to before it",
        old.id: "",
        spoilt.id: "its record is not as it was sealed",
        unverified.id: "the run is COMMITTED_UNVERIFIED",
        doubt.id: "the run is IN_DOUBT",
        running.id: "the run is open",
    }, "and what belongs to no record is not even looked at"
    assert staying(known, LONG)[old.id] == "younger"


def test_what_a_kill_has_left_without_a_record_is_seen_and_can_go(
    known: settings.Settings,
) -> None:
    """Nothing told of it, while the command says that it shows every private folder."""
    for after in itertools.count():
        assert killed_after(after, lambda: record.create(known))
        if known.private_folder.is_dir() and (empty := [*known.private_folder.glob("2*")]):
            break
    assert record.every(known) == []
    moved = with_files(stopped(known))
    shutil.move(moved.bag, known.folders.runs.parent / "elsewhere")
    with previews.opened(known) as held:
        (held / "newer_notes.parquet").write_bytes(b"x")
        assert staying(known, NOW) == {empty[0].name: "", moved.id: "its record is not here"}
    abandoned = known.private_folder / previews.FOLDER / "00000000"
    abandoned.mkdir()
    name = f"{previews.FOLDER}/{abandoned.name}"
    assert set(staying(known, LONG).values()) == {"younger", "its record is not here"}
    assert purged(known) == [empty[0].name, name]
    assert [path.name for path in known.private_folder.glob("2*")] == [moved.id]
    assert [*abandoned.parent.iterdir()] == []


def test_pages_of_an_open_run_stay_and_those_of_others_go(known: settings.Settings) -> None:
    run = record.create(known)
    place = known.private_folder / lab_pages.FOLDER
    for name in ("used", "left"):
        (place / name).mkdir(parents=True)
        (place / name / "01_preflight.ipynb").write_text("{}")
    run.journal(Event.BY_HAND, lab="used")
    assert staying(known, NOW) == {
        run.id: "the run is open",
        "lab/left": "",
        "lab/used": "an open run was stepped through in it",
    }
    assert staying(known, LONG)["lab/left"] == "younger"


def test_the_register_says_who_has_purged_what_and_the_record_is_as_sealed(
    known: settings.Settings,
) -> None:
    runs = [with_files(complete(known)), stopped(known)]
    assert sorted(purged(known)) == sorted(run.id for run in runs)
    assert not any(run.private.exists() for run in runs)
    found = checked(known, [row(runs[0])])
    assert wrong(found) == {}
    remarks = {one.run: " ".join(one.remarks) for one in found}
    assert "private files purged by " in remarks[runs[0].id]
    assert "; 1 file, 0.0 MB" in remarks[runs[0].id]
    assert purged(known) == []
    lines = register.entries(known.records_folder, Event.PURGED)
    line = next(one for one in lines if one.text("of") == runs[0].id)
    assert (len(lines), line.line["bytes"], line.text("older_than")) == (2, 1000, "0d")


def test_a_purge_that_is_killed_is_never_said_to_be_done_and_ends_when_it_is_run_again(
    known: settings.Settings,
) -> None:
    """The register said "purged, 3 files" of files that were all still there."""
    place, lab = known.records_folder, known.private_folder / lab_pages.FOLDER / "left"
    name = f"{lab_pages.FOLDER}/{lab.name}"
    stopped(known)
    told = []
    for after in itertools.count():
        shutil.rmtree(place / register.FOLDER, ignore_errors=True)
        (lab / "pages").mkdir(parents=True, exist_ok=True)
        for file in ("01_preflight.ipynb", "pages/one", "pages/two"):
            (lab / file).write_text("{}")
        if not killed_after(after, lambda: purged(known)):
            break
        told.append(texts := [text for of, text in register.purged(place) if of == name])
        assert "private files purged" not in " ".join(texts) or not lab.exists(), after
        if texts:
            assert staying(known, LONG).get(name, "") == "", "its age would be that of the kill"
        assert name in purged(known) or "private files purged" in " ".join(texts)
        assert not lab.exists()
        *_, last = (text for of, text in register.purged(place) if of == name)
        assert last.startswith("private files purged by "), after
        assert name not in staying(known, NOW)
    assert any("; 3 files, 0.0 MB; its end is not written" in " ".join(texts) for texts in told)
    assert not lab.exists()
    ((_, text),) = (one for one in register.purged(place) if one[0] == name)
    assert text.startswith("private files purged by ")
    assert text.endswith("; 3 files, 0.0 MB")


@dataclass
class Forger:
    """An environment's register, as somebody edits it who knows how its lines hang together."""

    known: settings.Settings

    @property
    def runs(self) -> Path:
        return self.known.records_folder

    @property
    def path(self) -> Path:
        return self.runs / register.FOLDER / journal.JOURNAL

    @property
    def note(self) -> Path:
        return self.path.with_name(register.LAST)

    @property
    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)

    def writes(self, *lines: bytes) -> None:
        self.path.write_bytes(b"".join(lines))

    def chains(self, *lines: bytes) -> None:
        """Write these lines, each with its number and the hash of the one before."""
        before, done = "", []
        for number, raw in enumerate(lines, 1):
            text = json.dumps(json.loads(raw) | {"n": number, "before": before})
            before = private.sha256(text.encode())
            done.append(text.encode() + b"\n")
        self.writes(*done)

    def notes(self) -> None:
        """Make the note of the last line anew."""
        lines = self.lines
        digest = private.sha256(lines[-1].rstrip(b"\n"))
        self.note.write_text(json.dumps({"n": len(lines), "sha256": digest, "writing": digest}))

    def problems(self, tool: ModuleType) -> list[str]:
        """What is found; the auditor's tool must agree."""
        whole = check.of_folder(self.runs, self.known.name)[-1]
        by_tool: list[str] = []
        assert tool.check(self.runs, None, None, by_tool.append) == (not whole.problems)
        return list(whole.problems)


def signed(known: settings.Settings) -> None:
    """Two lines are held by the second record, two more by none yet."""
    complete(known)
    for line in ("S2", "S5"):
        signatures.sign(known, line, "A. Person", "seen on dev")
    complete(known)
    for line in ("S6", "S7"):
        signatures.sign(known, line, "A. Person", "told to all")


@pytest.fixture
def forger(known: settings.Settings, kept: Path) -> Forger:
    """The signed records, to be forged."""
    made_once(known, kept / "signed", signed)
    return Forger(known)


def a_line_removed_from_the_middle(by: Forger) -> None:
    first, _, *rest = by.lines
    by.writes(first, *rest)


def a_line_removed_and_all_later_ones_chained_anew(by: Forger) -> None:
    first, _, *rest = by.lines
    by.chains(first, *rest)
    by.notes()


def a_line_removed_from_the_tail(by: Forger) -> None:
    by.writes(*by.lines[:-1])


def a_line_edited(by: Forger) -> None:
    first, second, *rest = by.lines
    by.writes(first, second.replace(b"S5", b"S3"), *rest)


def a_line_edited_and_chained(by: Forger) -> None:
    first, second, *rest = by.lines
    by.chains(first, second.replace(b"S5", b"S3"), *rest)
    by.notes()


def the_last_signature_forged(by: Forger) -> None:
    *before, last = by.lines
    by.writes(*before, last.replace(b"A. Person", b"B. Person"))


def a_signature_added(by: Forger) -> None:
    by.chains(*by.lines, by.lines[-1].replace(b"S7", b"S3"))


def a_line_inserted(by: Forger) -> None:
    first, *rest = by.lines
    by.chains(first, first.replace(b"S2", b"S3"), *rest)


def the_last_line_twice(by: Forger) -> None:
    by.writes(*by.lines, by.lines[-1])


def two_lines_swapped(by: Forger) -> None:
    first, second, *rest = by.lines
    by.writes(second, first, *rest)


def blank_lines(by: Forger) -> None:
    first, *rest = by.lines
    by.writes(first, b"\n", *rest)


def all_lines_removed(by: Forger) -> None:
    by.path.unlink()


def the_register_removed(by: Forger) -> None:
    shutil.rmtree(by.path.parent)


def the_note_removed(by: Forger) -> None:
    by.note.unlink()


def the_note_set_back(by: Forger) -> None:
    said = {"n": 3, "sha256": private.sha256(by.lines[2].rstrip(b"\n")), "writing": ""}
    by.note.write_text(json.dumps(said))


def the_register_behind_a_link(by: Forger) -> None:
    moved = by.path.rename(by.path.with_name("moved"))
    by.path.symlink_to(moved)


def a_line_that_says_it_was_found_changed(by: Forger) -> None:
    by.chains(by.lines[0].replace(b'"signed"', b'"found changed"'), *by.lines[1:])
    by.notes()


def the_note_without_end(by: Forger) -> None:
    by.note.write_text('{"n": 1e999, "sha256": "", "writing": ""}')


def a_file_in_its_place(by: Forger) -> None:
    the_register_removed(by)
    by.path.parent.write_text("")


def a_pipe_in_its_place(by: Forger) -> None:
    by.path.unlink()
    by.note.unlink()
    os.mkfifo(by.path)


FORGED: list[Callable[[Forger], None]] = [
    the_note_without_end,
    a_file_in_its_place,
    a_pipe_in_its_place,
    a_line_removed_from_the_middle,
    a_line_removed_and_all_later_ones_chained_anew,
    a_line_removed_from_the_tail,
    a_line_edited,
    a_line_edited_and_chained,
    the_last_signature_forged,
    a_signature_added,
    a_line_inserted,
    the_last_line_twice,
    two_lines_swapped,
    blank_lines,
    all_lines_removed,
    the_register_removed,
    the_note_removed,
    the_note_set_back,
    the_register_behind_a_link,
    a_line_that_says_it_was_found_changed,
]


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_forged_register_is_found(
    forger: Forger, tool: ModuleType, forge: Callable[[Forger], None]
) -> None:
    assert forger.problems(tool) == []
    forge(forger)
    assert forger.problems(tool) != []


@pytest.mark.parametrize("odd", [a_file_in_its_place, a_pipe_in_its_place])
def test_nothing_is_written_where_something_else_lies_in_the_registers_place(
    forger: Forger, known: settings.Settings, odd: Callable[[Forger], None]
) -> None:
    odd(forger)
    with pytest.raises(RecordError, match="the register cannot be written: ") as refused:
        register.note(forger.runs, Event.SIGNED, line="S2", name="A. Person", text="seen")
    assert "nothing was written" in str(refused.value)


@pytest.mark.parametrize("odd", [a_file_in_its_place, a_pipe_in_its_place])
def test_an_odd_register_that_no_record_holds_is_told(
    known: settings.Settings, tool: ModuleType, odd: Callable[[Forger], None]
) -> None:
    complete(known)
    forger = Forger(known)
    forger.path.parent.mkdir()
    forger.path.touch()
    forger.note.touch()
    odd(forger)
    assert len(forger.problems(tool)) == 1


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        (Event.RESTORED, {"id": "x"}),
        (Event.RESTORED, {"id": "x", "runs": [["a"]]}),
        (Event.RESTORED, {"id": "x", "runs": 5}),
        (Event.RECORDS_LOST, {}),
        (Event.PURGED, {"of": "x"}),
        (Event.SIGNED, {"line": "S2"}),
        (Event.SIGNED, {"line": "S2", "name": "A", "text": "b", "at": "yesterday"}),
        (Event.SIGNED, {"line": "S2", "name": "A", "text": "b", "at": 5}),
    ],
)
def test_a_line_in_which_something_is_missing_is_told_and_hinders_nobody(
    known: settings.Settings, event: Event, facts: dict[str, object]
) -> None:
    complete(known)
    place = known.records_folder
    signatures.sign(known, "S5", "A. Person", "seen on dev")
    register.note(place, event, **facts)
    (problem,) = check.of_folder(place, known.name)[-1].problems
    assert "line 2 does not " in problem
    assert register.restored(place) == {}
    assert register.lost(place) == frozenset()
    assert [*register.purged(place)] == []
    assert signatures.standing(known) == {}
    signatures.sign(known, "S7", "A. Person", "told to all")
    assert [*signatures.standing(known)] == ["S7"]


def test_lines_since_the_last_seal_are_told_until_a_record_holds_them(
    forger: Forger, known: settings.Settings, tool: ModuleType
) -> None:
    def remarks() -> str:
        return " ".join(check.of_folder(forger.runs, known.name)[-1].remarks)

    assert ".register: 2 lines since the last seal; no record holds them" in remarks()
    complete(known)
    assert remarks() == ""
    assert forger.problems(tool) == []


def test_in_a_register_that_was_changed_nothing_counts_until_somebody_signs_again(
    forger: Forger, known: settings.Settings, tool: ModuleType
) -> None:
    the_last_signature_forged(forger)
    assert signatures.standing(known) == {}
    signatures.sign(known, "S7", "C. Person", "seen again")
    assert set(signatures.standing(known)) == {"S7"}, "the others sign again"
    (found,) = register.entries(forger.runs, Event.FOUND_CHANGED)
    assert found.text("why") == "line 4 is not the one that was written last"
    assert forger.problems(tool) == []
    remarks = check.of_folder(forger.runs, known.name)[-1].remarks
    assert any("line 5, by " in text and "was found changed" in text for text in remarks)


def test_what_a_seal_holds_stays_forged_whoever_signs_again(
    forger: Forger, known: settings.Settings, tool: ModuleType
) -> None:
    a_line_edited_and_chained(forger)
    signatures.sign(known, "S7", "C. Person", "seen again")
    (told,) = forger.problems(tool)
    assert told.startswith(".register: line 2 is not the one that ")


def test_many_people_sign_and_withdraw_at_once_and_nobody_is_accused_of_a_change(
    known: settings.Settings, tool: ModuleType
) -> None:
    """A reader between the note and its line would take that line for one that nobody noted."""
    people, times = ("S2", "S5", "S6", "S7"), 8
    ended = threading.Event()

    def sign(line: str) -> None:
        for number in range(times):
            signed = signatures.sign(known, line, f"{line}. Person", f"seen {number}")
            assert (signed.line, signed.text) == (line, f"seen {number}")
            signatures.withdraw(known, line, f"{line}. Person", "again")

    def read() -> list[str]:
        place, found = known.records_folder, []
        while not ended.is_set():
            found += [register.contradiction(place)] if register.size(place) else []
        return found

    with ThreadPoolExecutor(len(people) + 2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for signer in [pool.submit(sign, line) for line in people]:
                signer.result()
        finally:
            ended.set()
        assert {why for reader in readers for why in reader.result()} == {""}
    place = known.records_folder
    written = register.entries(place, Event.SIGNED, Event.WITHDRAWN)
    assert len(written) == len(register.entries(place, *Event)) == 2 * times * len(people)
    complete(known)
    assert Forger(known).problems(tool) == []


@pytest.mark.parametrize("lines", [3, 4])
def test_a_kill_beside_a_line_that_is_written_is_no_forgery(
    forger: Forger, known: settings.Settings, tool: ModuleType, lines: int
) -> None:
    third, fourth = (private.sha256(line.rstrip(b"\n")) for line in forger.lines[2:])
    forger.note.write_text(json.dumps({"n": 3, "sha256": third, "writing": fourth}))
    forger.writes(*forger.lines[:lines])
    assert forger.problems(tool) == []
    assert len(signatures.standing(known)) == lines
    signatures.sign(known, "S4", "A. Person", "and on")
    assert forger.problems(tool) == []


def test_a_torn_line_of_the_register_is_told_and_says_nothing(
    forger: Forger, known: settings.Settings, tool: ModuleType
) -> None:
    third = private.sha256(forger.lines[2].rstrip(b"\n"))
    forger.note.write_text(json.dumps({"n": 3, "sha256": third, "writing": "0" * 64}))
    forger.writes(*forger.lines[:3], forger.lines[3][:40])
    assert forger.problems(tool) == []
    assert set(signatures.standing(known)) == {"S2", "S5", "S6"}
    signatures.sign(known, "S7", "A. Person", "and on")
    assert set(signatures.standing(known)) == {"S2", "S5", "S6", "S7"}
    assert any("line 4 was cut" in t for t in check.of_folder(forger.runs)[-1].remarks)


@pytest.mark.parametrize(
    "line", [{"event": "purged"}, {"event": "purged", "files": "many"}, {}, []]
)
def test_a_register_that_cannot_be_read_keeps_no_record_from_being_checked(
    forger: Forger, tool: ModuleType, line: object
) -> None:
    text = json.dumps(line if isinstance(line, list) else {"n": 1, "before": "", **line})
    forger.writes(text.encode() + b"\n")
    forger.notes()
    assert forger.problems(tool) != []
    assert len(check.of_folder(forger.runs)) == 3


@pytest.mark.parametrize("text", ["30", "d", "-3d", "3.5d", "30 days", "٣d", ""])
def test_an_age_is_a_number_of_days(text: str) -> None:
    assert purge.age_of("30d") == LONG
    with pytest.raises(SettingsError, match="must be a number of days"):
        purge.age_of(text)


def test_two_kills_in_a_row_leave_no_line_that_was_never_noted(known: settings.Settings) -> None:
    """A line whose note the first has prevented was called nobody's after the second: no signature
    counted any more.
    """
    place = known.records_folder
    private.close_folder(place)
    kept = known.folders.runs.with_name("kept")

    def note() -> None:
        register.note(place, Event.PURGED, of="x", files=1, bytes=1, older_than="0d")

    states = set()
    for first in itertools.count():
        shutil.rmtree(place / register.FOLDER, ignore_errors=True)
        if not killed_after(first, note):
            break
        state = tuple(sorted((path.name, path.stat().st_size) for path in place.rglob("*")))
        if state in states:
            continue
        states.add(state)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(place, kept)
        for second in itertools.count():
            shutil.rmtree(place)
            shutil.copytree(kept, place)
            killed = killed_after(second, note)
            assert register.contradiction(place) == "", (first, second)
            if not killed:
                break
    assert len(states) > 4
    assert second > 5
