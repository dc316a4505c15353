"""A record cannot lie: the verdict comes from the journal, the seal finds every change."""

from __future__ import annotations

import fcntl
import getpass
import itertools
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import bagit
import pytest
from rocrate.rocrate import ROCrate

from nexus_reimport import CHECKOUT, __version__, record, settings, show
from nexus_reimport.errors import Busy, RecordError, StopError, TargetError, unforeseen
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Approval, Outlook, Plan, Report
from nexus_reimport.record import State, Verdict, closing, runs
from nexus_reimport.record.journal import JOURNAL, Entry
from nexus_reimport.record.lock import RUNNER_VARIABLE, WORKERS
from nexus_reimport.record.notebooks import marks
from nexus_reimport.record.sealed import bag, chain, check, crate, front, index
from nexus_reimport.record.values import NAMES
from nexus_reimport.record.verdict import EXIT_CODES, judge
from nexus_reimport.runbook import steps
from support.records import complete, stopped
from support.running import killed_after


def sealed(known: settings.Settings) -> record.Run:
    run = record.create(known)
    run.seal()
    return run


def event(name: str, **facts: Any) -> Entry:
    return Entry.of({"event": name, **facts})


PROPOSED = event("finished", stage="proposal")
STARTED, DONE = event("started", stage="apply"), event("finished", stage="apply")


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ([event("opened")], Verdict.PARTIAL),
        ([event("started", stage="plan")], Verdict.KILLED),
        (
            [event("started", stage="plan"), event("failed", stage="plan", exit_code=1)],
            Verdict.STOPPED,
        ),
        (
            [event("started", stage="plan"), event("failed", stage="plan", exit_code=3)],
            Verdict.FAILED,
        ),
        (
            [
                event("started", stage="plan"),
                event("failed", stage="plan", exit_code=1),
                event("started", stage="plan"),
                event("finished", stage="plan"),
            ],
            Verdict.PARTIAL,
        ),
        (
            [
                event("failed", stage="plan", exit_code=1),
                event("failed", stage="01_preflight", killed=True),
                event("finished", stage="plan"),
            ],
            Verdict.KILLED,
        ),
        ([PROPOSED], Verdict.WAITING),
        ([event("finished", stage="rollback_proposal")], Verdict.WAITING),
        ([PROPOSED, event("finished", stage="drift")], Verdict.WAITING),
        ([PROPOSED, event("finished", stage="approval")], Verdict.PARTIAL),
        ([PROPOSED, event("failed", stage="approval", exit_code=1)], Verdict.STOPPED),
        ([PROPOSED, event("void", of=["proposal"], by="plan")], Verdict.PARTIAL),
        ([PROPOSED, event("void", of=["proposal"], by="plan"), PROPOSED], Verdict.WAITING),
        ([PROPOSED, event("sealed")], Verdict.PARTIAL),
        ([STARTED], Verdict.IN_DOUBT),
        ([STARTED, event("settled", committed=False)], Verdict.KILLED),
        ([STARTED, event("settled", committed=False), STARTED], Verdict.IN_DOUBT),
        (
            [
                STARTED,
                event("settled", committed=False),
                STARTED,
                event("failed", stage="apply", kind="InDoubt", exit_code=5),
            ],
            Verdict.IN_DOUBT,
        ),
        (
            [
                STARTED,
                event("committing"),
                event("failed", stage="apply", killed=True, exit_code=3),
            ],
            Verdict.IN_DOUBT,
        ),
        (
            [
                STARTED,
                event("committing"),
                event("not committed"),
                event("failed", stage="apply", exit_code=3),
            ],
            Verdict.FAILED,
        ),
        (
            [STARTED, event("committed"), event("failed", stage="apply", killed=True, exit_code=3)],
            Verdict.COMMITTED_UNVERIFIED,
        ),
        (
            [
                STARTED,
                event("committed"),
                DONE,
                event("verified"),
                event("failed", stage="sign_off", exit_code=1),
            ],
            Verdict.COMMITTED_UNVERIFIED,
        ),
        ([STARTED, event("settled", committed=True)], Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("failed", stage="apply", kind="InDoubt", exit_code=5)], Verdict.IN_DOUBT),
        ([STARTED, event("failed", stage="apply", exit_code=3)], Verdict.FAILED),
        ([STARTED, event("committed"), DONE], Verdict.COMMITTED_UNVERIFIED),
        (
            [STARTED, event("committed"), DONE, event("failed", stage="sign_off", exit_code=1)],
            Verdict.COMMITTED_UNVERIFIED,
        ),
        ([STARTED, event("committed"), DONE, event("verified")], Verdict.COMPLETE),
    ],
)
def test_the_verdict_is_what_the_journal_says(events: list[Entry], verdict: Verdict) -> None:
    assert judge(events) is verdict


def test_a_run_has_a_private_folder_that_nobody_else_can_enter(known: settings.Settings) -> None:
    run = record.create(known)
    for place in (run.bag, run.folder, run.private, run.private.parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_failed_stage_is_journalled_without_a_foreign_errors_text(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    with pytest.raises(ValueError, match="Wendelgard"), run.stage("plan"):
        raise ValueError("Wendelgard")
    assert "Wendelgard" not in (run.folder / "journal.jsonl").read_text()
    assert run.verdict() is Verdict.FAILED


def test_a_stopped_stage_says_what_happened_and_what_next(known: settings.Settings) -> None:
    run = record.create(known)
    with pytest.raises(StopError), run.stage("plan"):
        raise StopError("3 undecided", next="decide")
    last = run.events()[-1].line
    assert (last["what"], last["next"], last["exit_code"]) == ("3 undecided", "decide", 1)


def test_a_line_that_a_kill_cut_is_left_out(known: settings.Settings) -> None:
    run = record.create(known)
    with (run.folder / "journal.jsonl").open("a") as file:
        file.write('{"event": "comm')
    assert run.verdict() is Verdict.PARTIAL


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
        assert "its end is missing" in " ".join(run.journal_problems())
        assert "not known" in front.read(run.bag).changed
        checked = check.of_record(run.bag)
        assert (checked.verdict, checked.state) == (Verdict.IN_DOUBT, State.UNKNOWN)


def test_the_readme_says_in_ten_lines_what_happened(known: settings.Settings) -> None:
    run = sealed(known)
    lines = (run.bag / "README.txt").read_text().splitlines()
    assert len(lines) == 10
    assert f"Run {run.id} (reimport) of sandbox-dev, number 1" in lines[1]
    assert "PARTIAL" in lines[1]


def test_a_record_is_described_for_other_software(known: settings.Settings) -> None:
    run = complete(known)
    assert bag.info(run.bag)["Described-By"] == f"data/{crate.FILE}"
    described = ROCrate(str(run.folder))
    assert described.root_dataset["conformsTo"].id == crate.PROFILE
    actions = {action.id: action for action in described.root_dataset["mentions"]}
    whole = actions["#run"]
    assert whole["agent"]["name"] == getpass.getuser()
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
    assert "It ended with: 3 rows are undecided" in page
    assert f'href="{runs[2].id}/data/01_preflight.html"' in page
    assert f"record check sandbox-dev --run {runs[2].id}" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def left_behind(folder: Path) -> frozenset[tuple[Path, bytes]]:
    """What the files of a folder hold, but for times and hashes, which each process writes anew."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return frozenset((path, re.sub(rb"[0-9a-f]+", b"", path.read_bytes())) for path in files)


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
        # Most touches are of a file that is read: what the next run finds is the same as before.
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
    left, drafts = set(), 0
    for after in itertools.count():
        shutil.rmtree(known.folders.runs)
        shutil.copytree(kept, known.folders.runs)
        killed = killed_after(after, lambda: record.create(known))
        left.add(len(record.open_runs(known)))
        drafts += bool([*known.records_folder.glob(".*.new")])
        record.create(known).seal()  # what can be sealed of the one before is sealed
        assert all(one.is_sealed for one in record.every(known))
        assert [c.problems for c in check.of_folder(known.records_folder) if c.problems] == []
        assert not [*known.records_folder.glob(".*.new")]
        if not killed:
            break
    assert left == {0, 1}
    assert drafts > 2


def test_two_runs_of_one_second_have_two_ids(
    known: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb", *map(str, range(1000, 9999))])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    ids = {record.create(known).id for _ in range(20)}
    assert len(ids) == 20


def test_a_kill_at_any_instant_leaves_no_rollback_that_does_not_say_what_it_undoes(
    known: settings.Settings,
) -> None:
    """Such a one was told as to be begun again by a new reimport."""
    left = set()
    for after in itertools.count():
        shutil.rmtree(known.folders.runs, ignore_errors=True)
        killed = killed_after(after, lambda: record.create(known, "rollback", undoes="a-run"))
        left.add(tuple((one.kind, one.again) for one in record.open_runs(known)))
        if not killed:
            break
    assert left == {(), (("rollback", "nexus-reimport rollback a-run"),)}


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


def test_beside_a_killed_rollback_an_empty_run_id_means_the_run_that_must_be_finished(
    known: settings.Settings,
) -> None:
    """`nexus-reimport finish ENV`, as every message prints it, named two open runs instead."""
    run = record.create(known)
    run.journal(Event.COMMITTED)
    back = record.create(known, "rollback", undoes=run.id)
    back.journal(Event.STARTED, stage="back_up")
    assert back.verdict() is Verdict.KILLED
    assert record.find(known) == record.unfinished(known) == run
    back.journal(Event.COMMITTED)  # its end closes the other
    assert record.find(known) == record.unfinished(known) == back


def test_an_empty_run_id_means_the_one_open_run(known: settings.Settings) -> None:
    with pytest.raises(RecordError, match="no open run"):
        record.find(known)
    run = record.create(known)
    assert record.find(known) == run
    shutil.copytree(run.bag, run.bag.with_name("other"))
    with pytest.raises(RecordError, match="2 open runs"):
        record.find(known)
    assert record.find(known, run.id) == run
    for name in ("nothing", "../sandbox-prod", ""):
        if name:
            with pytest.raises(RecordError, match="no run"):
                record.find(known, name)


def test_a_new_run_seals_an_unfinished_one_that_did_nothing(known: settings.Settings) -> None:
    first = record.create(known)
    assert not show.banner(first).screen.closed
    second = record.create(known)
    assert first.is_sealed
    told = f"Run {first.id}, which was PARTIAL, was closed when this one began."
    assert told in repr(show.banner(second))
    assert told in show.banner(second)._repr_html_()
    second.journal(Event.FINISHED, stage="proposal")
    third = record.create(known)
    assert show.banner(third).screen.closed == (
        f"Run {second.id}, which was WAITING, was closed when this one began;"
        " its approval can no longer be given."
    )


def test_a_new_run_waits_for_one_that_is_committed_and_unverified(
    known: settings.Settings,
) -> None:
    record.create(known).journal(Event.COMMITTED)
    with pytest.raises(RecordError, match="COMMITTED_UNVERIFIED"):
        record.create(known)


def test_a_second_runner_is_refused(known: settings.Settings, monkeypatch: Any) -> None:
    with record.at_work(known):
        record.create(known)  # the runner's own kernels know its token
        monkeypatch.setenv(RUNNER_VARIABLE, "another")
        for refused in (record.create, record.find):
            with pytest.raises(Busy, match="at work"):
                refused(known)
        with pytest.raises(Busy, match="at work"), record.at_work(known):
            pass


def test_every_verdict_of_a_journal_has_an_exit_code_of_the_readmes_table() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", readme, re.MULTILINE)}
    assert set(Verdict) - EXIT_CODES.keys() == {Verdict.RUNNING}
    assert set(EXIT_CODES.values()) <= codes
    assert [v for v, code in EXIT_CODES.items() if code == 6] == [Verdict.WAITING]


def test_two_who_look_at_once_do_not_take_each_other_for_the_run(known: settings.Settings) -> None:
    run = record.create(known)
    with run.at_work():
        (path,) = (run.private / WORKERS).iterdir()
        assert run.standing() is Verdict.RUNNING
    assert run.standing() is Verdict.PARTIAL
    path.touch()  # as a kill leaves it
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert run.workers() == ()
    with run.stage("plan"):
        assert run.workers() == (os.getpid(),)
    assert run.workers() == ()


def test_a_value_is_kept_under_the_name_of_its_type(known: settings.Settings) -> None:
    run = record.create(known)
    found = Outlook(unproven="no server")
    run.save(found)
    assert run.has(Outlook)
    assert run.load(Outlook) == found
    assert (run.folder / "outlook.json").is_file()
    assert "outlook" in run.kept()


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        (Plan, "", "no plan yet / 01_preflight"),
        (Approval, "", "no approval yet / 02_execute"),
        (Report, "checks_after", "no checks after yet / 03_verify"),
    ],
)
def test_a_value_that_is_not_there_yet_names_the_page_that_gives_it(
    known: settings.Settings, kind: type, name: str, told: str
) -> None:
    """Who begins with 02 is led back to 01, and not in a circle from the top of 02."""
    run = record.create(known)
    what, page = told.split(" / ")
    with pytest.raises(RecordError, match=f"run {run.id} has {what}") as error:
        run.load(kind, name)
    assert f"run {page} from the top" in error.value.next


def test_a_type_with_several_files_is_asked_for_by_name(known: settings.Settings) -> None:
    run = record.create(known)
    run.save(Report("after", ()), "checks_after")
    assert run.has(Report, "checks_after")
    assert not run.has(Report, "checks_before")
    for name in ("", "plan"):
        with pytest.raises(LookupError, match="Report is kept as checks_before or"):
            run.load(Report, name)
    with pytest.raises(LookupError, match="dict is kept as nothing"):
        run.save({})


def test_no_name_is_of_two_types_and_every_step_that_makes_void_has_one() -> None:
    names = [name for several in NAMES.values() for name in several]
    assert len(set(names)) == len(names)
    assert {*steps.ORDER, *steps.ROLLBACK_ORDER} <= set(names)


@pytest.mark.parametrize(
    ("next_step", "told"),
    [
        ("check the network, then run this step again", "check the network, then {}"),
        ("run this step again: it opens a new connection", "{}: it opens a new connection"),
        ("correct it; then run 03_verify again", "correct it; then {}"),
        ("run 01_preflight again", "run 01_preflight again"),
    ],
)
@pytest.mark.parametrize("committed", [False, True])
def test_a_step_that_the_runner_executes_is_never_to_be_run_again(
    known: settings.Settings,
    monkeypatch: pytest.MonkeyPatch,
    next_step: str,
    told: str,
    *,
    committed: bool,
) -> None:
    run = record.create(known)
    if committed:
        run.journal(Event.COMMITTED)
    monkeypatch.setenv(marks.PAGE_VARIABLE, str(run.private))
    with pytest.raises(TargetError) as raised, run.stage("verify"):
        raise TargetError("the connection was lost", next=next_step)
    finish = f"finish it (nexus-reimport finish {run.environment})"
    begin = f"begin again (nexus-reimport run {run.environment})"
    wanted = told.format(finish if committed else begin)
    assert raised.value.next == run.events()[-1].text("next") == wanted
    monkeypatch.delenv(marks.PAGE_VARIABLE)
    with pytest.raises(TargetError, match=next_step), run.stage("verify"):
        raise TargetError("the connection was lost", next=next_step)
