"""A sealed record: a whole bag in its chain, in which every change is found."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import bagit
import pytest
from rocrate.rocrate import ROCrate

from nexus_reimport import __version__, naming, program, record, settings, show
from nexus_reimport.errors import Busy, NotClean, RecordError, unforeseen
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Outlook
from nexus_reimport.page import front as page
from nexus_reimport.page.desk import Desk
from nexus_reimport.record import State, Verdict, closing, runs
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.sealed import bag, chain, check, crate, front, index
from nexus_reimport.record.verdict import EXIT_CODES
from nexus_reimport.runner.advice import advice
from support.records import complete, stopped
from support.running import killed_after


def sealed(known: settings.Settings) -> record.Run:
    run = record.create(known)
    run.seal()
    return run


def test_a_sealed_record_is_whole_and_closed(known: settings.Settings) -> None:
    run = record.create(known)
    seal = run.seal()
    assert run.problems() == []
    assert len(seal) == 64
    with pytest.raises(RecordError, match="sealed"), run.stage("plan"):
        pass


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_every_change_after_the_seal_is_found(known: settings.Settings, damage: str) -> None:
    run = record.create(known)
    run.seal()
    journal = run.folder / "journal.jsonl"
    if damage == "changed":
        journal.write_text(journal.read_text().replace("PARTIAL", "COMPLETE"))
    elif damage == "missing":
        journal.unlink()
    else:
        (run.folder / "later.txt").write_text("x")
    assert any(damage in problem for problem in run.problems())


def test_a_record_that_was_sealed_anew_is_not_the_one_of_the_chain(
    known: settings.Settings,
) -> None:
    first = sealed(known)
    second = sealed(known)
    assert bag.info(second.bag)["Record-Before"] == first.id
    info = first.bag / bag.INFO
    info.write_text(info.read_text().replace("PARTIAL", "COMPLETE"))
    (first.bag / bag.TAG_MANIFEST).write_text(bag.tag_manifest_text(first.bag))
    assert bag.problems(first.bag) == []
    assert "another seal of it" in first.problems()[-1]
    assert second.problems() == []


def test_a_record_is_a_bag_that_others_can_check(known: settings.Settings) -> None:
    run = sealed(known)
    assert {p.name for p in run.bag.iterdir()} == {"data", *bag.TAG_FILES, bag.TAG_MANIFEST}
    summed = ["sha256sum", "--check", "--strict", "--quiet", bag.TAG_MANIFEST, bag.MANIFEST]
    for command in (summed, [sys.executable, "-m", "bagit", "--validate", "--quiet", "."]):
        done = subprocess.run(command, cwd=run.bag, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    told = bagit.Bag(str(run.bag)).info
    assert told["Run"] == run.id
    assert told["Verdict"] == "PARTIAL"
    assert told["Sequence"] == "1"
    assert told["Record-Before"] == told["Seal-Before"] == "none"


def test_what_a_run_writes_lies_in_the_payload_from_the_first_line_on(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    run.save(Outlook())
    assert [p.name for p in run.bag.iterdir()] == ["data"]
    written = {p.name: p.read_bytes() for p in run.folder.iterdir()}
    run.seal()
    there = {p.name: p.read_bytes() for p in run.folder.iterdir()}
    assert there.keys() - written.keys() == {"verdict.json", "ro-crate-metadata.json"}
    assert there.pop("journal.jsonl").startswith(written.pop("journal.jsonl"))
    assert {name: there[name] for name in written} == written


def test_a_sealed_record_whose_journal_has_lost_its_end_is_never_told_as_one_that_wrote_nothing(
    known: settings.Settings,
) -> None:
    """An empty journal was read as a run that was given up: "nothing was written"."""
    run = record.create(known)
    run.seal()
    whole = (run.folder / JOURNAL).read_bytes()
    assert run.verdict() is Verdict.PARTIAL
    for lines in range(len(whole.splitlines())):
        (run.folder / JOURNAL).write_bytes(b"".join(whole.splitlines(keepends=True)[:lines]))
        assert (run.verdict(), run.state()) == (Verdict.IN_DOUBT, State.UNKNOWN)
        assert run.exit_code() == EXIT_CODES[Verdict.IN_DOUBT]
        assert run.journal_problems() == ["journal.jsonl: it is not the one that was sealed"]
        assert "not known" in front.read(run.bag).changed
        checked = check.of_record(run.bag)
        assert (checked.verdict, checked.state) == (Verdict.IN_DOUBT, State.UNKNOWN)


def forged_to_complete(run: record.Run) -> None:
    """Every line follows on the one before, and they say what was not so."""
    path = run.folder / JOURNAL
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    last = lines.pop() | {"verdict": "COMPLETE"}
    kept = [line for line in lines if line["event"] != "failed"]
    forged = [{"event": one, "at": last["at"]} for one in ("committing", "committed", "verified")]
    written: list[bytes] = []
    for number, line in enumerate([*kept, *forged, last], 1):
        before = private.sha256(written[-1]) if written else ""
        written.append(json.dumps(line | {"n": number, "before": before}).encode())
    path.write_bytes(b"".join(line + b"\n" for line in written))


@pytest.mark.parametrize("also_the_manifest", [False, True])
def test_a_journal_that_was_forged_after_the_seal_makes_no_complete_run(
    known: settings.Settings,
    environment_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    also_the_manifest: bool,
) -> None:
    """The page, `status`, `record list` and `record show` told it; `record check` alone did not."""
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(environment_files))
    run = stopped(known)
    forged_to_complete(run)
    if also_the_manifest:
        path, name = run.bag / bag.MANIFEST, f"{bag.PAYLOAD}/{JOURNAL}"
        before, after = (
            bag.hashes(run.bag, bag.MANIFEST)[0][name],
            private.sha256_of(run.folder / JOURNAL),
        )
        path.write_text(path.read_text().replace(before, after))
    assert (run.verdict(), run.state()) == (Verdict.IN_DOUBT, State.UNKNOWN)
    assert run.was_changed
    assert run.journal_problems() == ["journal.jsonl: it is not the one that was sealed"]
    assert advice(run.verdict(), run).startswith(
        "The record was sealed, and its journal was changed"
    )
    it = page.gather(Desk(known.name))
    assert it.now.text.startswith("IN DOUBT: ")
    assert it.must_decide
    assert [past.verdict for past in it.runs.past] == [Verdict.IN_DOUBT]


def test_a_record_that_was_changed_is_told_so_in_the_list_of_records(
    known: settings.Settings,
) -> None:
    """The list is made again at each seal, and repeated what was forged."""
    first, second = stopped(known), stopped(known)
    forged_to_complete(first)
    path = second.bag / bag.INFO
    path.write_text(path.read_text().replace("STOPPED", "COMPLETE"))
    stopped(known)
    text = (known.records_folder / index.FILE).read_text()
    assert "COMPLETE" not in text
    assert text.count("CHANGED AFTER THE SEAL") == 2


def test_the_readme_says_in_at_most_ten_lines_what_happened(known: settings.Settings) -> None:
    run = sealed(known)
    lines = (run.bag / "README.txt").read_text().splitlines()
    assert len(lines) <= 10
    assert f"Run {run.id} (reimport) of sandbox-dev, number 1" in lines[1]
    assert "PARTIAL" in lines[1]


def test_a_seal_that_was_given_up_at_its_last_look_leaves_the_run_as_it_was(
    known: settings.Settings,
) -> None:
    """A plan that waited for its approval could not be approved any more: it looked given up."""
    run = record.create(known)
    before = (run.verdict(), run.meaning())

    def look() -> None:
        run.journal(Event.SWEPT, hits=[["README.txt", 2, "name"]], found=1)
        raise NotClean("it is not sealed: 1 place holds what must not be in a record")

    with pytest.raises(NotClean):
        run.seal(look=look)
    assert (run.verdict(), run.meaning()) == before
    run.seal()
    assert run.is_sealed
    assert run.problems() == []


def test_what_could_not_be_searched_for_is_told_of_a_record(known: settings.Settings) -> None:
    """Else a record would be called clean whose search could not read what to look for."""
    run = record.create(known)
    run.journal(Event.SWEPT, looked_for={}, not_read=["patients.csv"], hits=[], found=0)
    run.seal()
    readme = (run.bag / "README.txt").read_text()
    assert "not searched for the names, numbers and notes of patients.csv" in readme
    assert "It has no patient" not in readme
    assert "not wholly searched for patients' data" in show.summary(run)


def test_a_record_is_described_for_other_software(known: settings.Settings) -> None:
    run = complete(known)
    assert bag.info(run.bag)["Described-By"] == f"data/{crate.FILE}"
    described = ROCrate(str(run.folder))
    assert described.root_dataset["conformsTo"].id == crate.PROFILE
    actions = {action.id: action for action in described.root_dataset["mentions"]}
    whole = actions["#run"]
    assert whole["agent"]["name"] == program.account()
    assert (whole["instrument"]["name"], whole["instrument"]["version"]) == (
        "nexus_reimport",
        __version__,
    )
    assert whole["startTime"] < whole["endTime"]
    assert "Verdict COMPLETE" in whole["description"]
    given = {one["name"]: one["value"] for one in whole["object"] if one.type == "PropertyValue"}
    file = settings.folder() / f"{known.name}.toml"
    assert given["environment file"] == private.sha256_of(file)
    named = {part.id for part in described.root_dataset["hasPart"]}
    assert named == {p.name for p in run.folder.iterdir()} - {crate.FILE}
    assert actions["#stage-plan"]["result"][0].id == "plan.json"
    assert "; approved by a person (digest given)." in whole["description"]
    assert {one["actionStatus"] for one in actions.values()} == {crate.DONE}
    (format_of_page,) = [p for p in described.root_dataset["hasPart"] if p.id.endswith(".html")]
    assert format_of_page["encodingFormat"] == "text/html"


def test_a_run_that_failed_is_described_as_failed_for_other_software(
    known: settings.Settings,
) -> None:
    described = ROCrate(str(stopped(known).folder))
    status = {one.id: one["actionStatus"] for one in described.root_dataset["mentions"]}
    assert status == {"#run": crate.FAILED, "#stage-plan": crate.FAILED}


def test_the_library_that_describes_a_record_is_loaded_when_one_is_sealed_and_not_before() -> None:
    code = "import sys, nexus_reimport.cli; sys.exit(bool({'rocrate', 'bagit'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_index_lists_every_sealed_record_the_newest_first(known: settings.Settings) -> None:
    runs = [complete(known), stopped(known), complete(known)]
    record.create(known)
    (runs[0].bag / bag.INFO).write_bytes(b"\xff")
    last = stopped(known)
    page = (runs[0].bag.parent / "index.html").read_text()
    assert page.index(runs[2].id) < page.index(runs[1].id) < page.index(runs[0].id)
    assert "● COMPLETE" in page
    newest = bag.info(last.bag)["Sealed-At"].replace("T", " ")[:16]
    assert f"sealed {newest} UTC; a record that is not here was not sealed then" in page
    assert "CANNOT BE READ" in page
    of_the_last = page[page.index(last.id) :]
    assert of_the_last[: of_the_last.index("</article>")].lower().count("nothing was written") == 1
    assert "It ended with: 3 rows are undecided" in page
    assert f'href="{runs[2].id}/data/01_preflight.html"' in page
    assert f"record check sandbox-dev --run {runs[2].id}" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def left_behind(folder: Path) -> tuple[tuple[str, bytes], ...]:
    """What the files of a folder hold, but for ids, times and hashes, which each process has anew.

    Most touches are of a file that is read: what the next run finds is the same as before.
    """
    files = (path for path in folder.rglob("*") if path.is_file())
    kept = ((naming.RUN.sub("", str(f)), re.sub(rb"[0-9a-f]+", b"", f.read_bytes())) for f in files)
    return tuple(sorted(kept))


def test_a_kill_at_any_instant_leaves_an_open_record_or_a_sealed_one(
    known: settings.Settings,
) -> None:
    sealed(known)
    run = record.create(known)
    shutil.copytree(known.folders.runs, kept := known.folders.runs.with_name("kept"))
    states, known_files = set(), set()
    for after in itertools.count():
        shutil.rmtree(known.folders.runs)
        shutil.copytree(kept, known.folders.runs)
        killed = killed_after(after, run.seal)
        states.add((run.is_sealed, chain.noted_last(run.bag.parent).run == run.id))
        if (files := left_behind(known.folders.runs)) not in known_files:
            known_files.add(files)
            later = record.create(known)  # seals it, or writes the one file that was left to write
            assert run.problems() == []
            assert run.seal_digest() in (run.bag.parent / index.FILE).read_text()
            later.seal()
            assert [one.place().sequence for one in record.every(known)] == [1, 2, 3]
            assert bag.info(later.bag)["Record-Before"] == run.id
            assert all(one.problems() == [] for one in record.every(known))
        if not killed:
            break
    assert states == {(False, False), (False, True), (True, True)}
    assert after > 20
    assert len(known_files) > 20


def test_a_kill_at_any_instant_leaves_no_record_or_a_whole_one(known: settings.Settings) -> None:
    sealed(known)
    shutil.copytree(known.folders.runs, kept := known.folders.runs.with_name("kept"))
    left, drafts, known_files = set(), 0, set()
    for after in itertools.count():
        shutil.rmtree(known.folders.runs)
        shutil.copytree(kept, known.folders.runs)
        killed = killed_after(after, lambda: record.create(known))
        left.add(len(record.open_runs(known)))
        drafts += bool([*known.records_folder.glob(".*.new")])
        if (files := left_behind(known.folders.runs)) not in known_files:
            known_files.add(files)
            record.create(known).seal()  # what can be sealed of the one before is sealed
            assert all(one.is_sealed for one in record.every(known))
            assert [c.problems for c in check.of_folder(known.records_folder) if c.problems] == []
            assert not [*known.records_folder.glob(".*.new")]
        if not killed:
            break
    assert left == {0, 1}
    assert drafts > 2
    assert len(known_files) > 5


def test_half_a_file_that_a_kill_has_left_does_not_come_into_the_record(
    known: settings.Settings,
) -> None:
    """A half-written value, or description, was sealed with the rest, under its draft's name."""
    run, drafts = record.create(known), set()
    for after in itertools.count():
        killed = killed_after(after, lambda: run.save(Outlook()))
        drafts |= {*run.folder.glob("*.new")}
        if not killed:
            break
    assert drafts
    (run.folder / "renewed.new").write_text("a file of somebody else")
    record.create(known)
    assert run.problems() == []
    assert [path.name for path in run.bag.rglob("*.new")] == ["renewed.new"]


def test_a_run_that_could_not_be_sealed_is_not_the_last_one_for_ever(
    known: settings.Settings,
) -> None:
    """The page and ``status`` showed why it was stopped, whatever was done after it."""
    first = sealed(known)
    stopped = record.create(known)
    stopped.journal(Event.FAILED, stage="plan", kind="StopError", what="no", exit_code=1)
    (stopped.folder / "note.txt").write_text(known.postgres.password.get_secret_value())
    later = record.create(known)
    assert not stopped.is_sealed  # it holds what must not be in a record
    later.seal()
    assert record.every(known) == [first, stopped, later]
    waiting = record.create(known)
    assert record.every(known) == [first, stopped, later, waiting]


def test_a_rollback_that_could_not_be_sealed_stands_behind_the_run_that_it_undid(
    known: settings.Settings,
) -> None:
    """``status`` called the undone run the last one: COMPLETE, and nothing to do."""
    first = sealed(known)
    undone = record.create(known)
    undone.journal(Event.COMMITTED)
    back = record.create(known, "rollback", undoes=undone.id)
    assert record.every(known) == [first, undone, back]
    undone.seal()
    assert record.every(known) == [first, undone, back]
    record.create(known).seal()
    assert record.every(known)[:3] == [first, undone, back]


def not_clean(known: settings.Settings, kind: str = "reimport", undoes: str = "") -> record.Run:
    """A run that cannot be sealed: it holds what must not be in a record."""
    run = record.create(known, kind, undoes=undoes)
    (run.folder / "note.txt").write_text(known.postgres.password.get_secret_value())
    return run


def test_of_two_open_runs_the_later_one_is_the_last_whatever_the_clock_said(
    known: settings.Settings,
) -> None:
    """Their order was that of their names: a time, and within one second what was drawn."""
    stuck = not_clean(known)
    ahead = f"20990101T000000Z{stuck.id[-5:]}"
    path = stuck.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(stuck.id.encode(), ahead.encode()))
    for folder in (stuck.bag, stuck.private):
        folder.rename(folder.with_name(ahead))
    ids = [ahead]
    for _ in range(6):
        ids.append(not_clean(known).id)
        assert [run.id for run in record.every(known)] == ids


def test_a_run_is_the_last_one_after_a_rollback_that_could_not_be_sealed(
    known: settings.Settings,
) -> None:
    """``status`` went on with the rollback, and did not name the preflight that waited."""
    undone = record.create(known)
    undone.journal(Event.COMMITTED)
    back = not_clean(known, "rollback", undone.id)
    undone.seal()
    newer = record.create(known)
    assert record.every(known) == [undone, back, newer]


def test_a_folder_in_the_place_of_the_note_keeps_a_record_open_until_it_is_gone(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    in_the_way = known.records_folder / chain.LAST
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        run.seal()
    assert unforeseen(refused.value).where == f"{in_the_way}: Is a directory"
    assert not run.is_sealed
    in_the_way.rmdir()
    run.seal()
    assert run.is_sealed
    assert run.problems() == []


def test_a_run_on_which_somebody_works_is_not_sealed_under_them(known: settings.Settings) -> None:
    """The search before a seal takes seconds, in which a step could begin, and commit."""
    run = record.create(known)
    with run.at_work(), pytest.raises(Busy, match="is at work"):
        closing.close(known, run)
    assert not run.is_sealed
    ended: list[str] = []

    def step() -> None:
        try:
            with run.stage("apply"):
                pass
        except RecordError as error:
            ended.append(error.what)

    with private.locked_folder(run.bag.parent):  # as whoever seals it holds it
        working = threading.Thread(target=step)
        working.start()
        working.join(0.3)  # so long that it would have begun, did it not wait
        run.seal()
    working.join(60)
    assert ended == [f"run {run.id} is sealed; a sealed record is never written to"]
    assert run.problems() == []


def test_a_record_that_lost_its_seal_is_neither_open_nor_sealed_again(
    known: settings.Settings,
) -> None:
    first, second = sealed(known), sealed(known)
    for run in (first, second):
        (run.bag / bag.TAG_MANIFEST).unlink()
        (run.folder / "later.txt").write_text("x")
        (run.bag / bag.MANIFEST).write_text("")
    assert record.open_runs(known) == []
    third = record.create(known)
    for run in (first, second):
        assert not run.is_sealed
        with pytest.raises(RecordError, match="is sealed"):
            run.seal()
    third.seal()
    assert third.place().sequence == 3


def test_a_record_of_a_former_version_is_named_and_hinders_nothing_once_it_is_sealed(
    known: settings.Settings,
) -> None:
    former = known.records_folder / "20250101T000000Z-0000"
    private.new_folder(former)
    (former / "journal.jsonl").write_text("{}\n")
    with pytest.raises(RecordError, match="begun by a former version"):
        record.create(known)
    (former / "manifest.json").write_text("{}")
    run = record.create(known)
    assert record.every(known) == [run]
    assert runs.former(known) == [(former, True)]
