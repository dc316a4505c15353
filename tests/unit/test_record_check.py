"""``record check`` finds whatever was changed since a seal: at random, and with an aim."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport import record, settings
from nexus_reimport.cli import main
from nexus_reimport.errors import RecordError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.nexus.registry import Committed
from nexus_reimport.record import Run, bag, chain, check, closing, journal
from nexus_reimport.record.chain import Link
from support.auditing import TOOL, auditors_tool
from support.mutations import everything, mutate
from support.records import checked, committed, complete, row, seal_anew, stopped, wrong

# Ten thousand, with a seed of their own, whoever wants: MUTATIONS=10000 SEED=1 pytest ...
MUTATIONS, SEED = int(os.environ.get("MUTATIONS", "300")), os.environ.get("SEED", "20261126")


@dataclass
class Sealed:
    """An environment's sealed records, and what its database holds of them."""

    known: settings.Settings
    runs: list[Run]
    rows: list[Committed]

    @property
    def folder(self) -> Path:
        return self.known.folders.runs / self.known.name

    def problems(self) -> dict[str, tuple[str, ...]]:
        return wrong(checked(self.known, self.rows))

    def seals(self) -> dict[str, tuple[str, str, str]]:
        """As the auditor's tool takes them."""
        return {r.run: (str(r.sequence), r.verdict, r.seal) for r in self.rows}


@pytest.fixture
def known(environment_files: Path) -> settings.Settings:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace("../../", ""))
    return settings.load("sandbox-dev", environment_files)


@pytest.fixture
def sealed(known: settings.Settings) -> Sealed:
    runs = [complete(known), stopped(known), complete(known), stopped(known)]
    return Sealed(known, runs, [row(runs[0]), row(runs[2])])


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return auditors_tool()


def silent(_: str) -> None:
    """What the tool says is not looked at."""


def test_records_that_nobody_has_touched_are_as_sealed(sealed: Sealed, tool: ModuleType) -> None:
    found = checked(sealed.known, sealed.rows)
    assert [(c.run, c.kind, c.is_right) for c in found] == [
        *((run.id, "sealed", True) for run in sealed.runs),
        ("", "", True),
    ]
    assert tool.check(sealed.folder, sealed.seals(), None, silent)


# ---------------------------------------------------------------- random mutations


def test_random_mutations_of_sealed_records_are_all_found(
    sealed: Sealed, tool: ModuleType, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(sealed.folder, kept)
    before, chance = everything(kept), random.Random(SEED)
    tried, missed, missed_by_tool = 0, [], []
    while tried < MUTATIONS:
        what = mutate(sealed.folder, chance)
        if everything(sealed.folder) != before:
            tried += 1
            if not sealed.problems():
                missed.append(what)
            if tool.check(sealed.folder, sealed.seals(), None, silent):
                missed_by_tool.append(what)
        shutil.rmtree(sealed.folder)
        shutil.copytree(kept, sealed.folder)
    assert (tried, missed, missed_by_tool) == (MUTATIONS, [], [])


# ---------------------------------------------------------------- aimed ones


def a_page_removed_and_rehashed(sealed: Sealed) -> None:
    (sealed.runs[2].folder / "01_preflight.html").unlink()
    seal_anew(sealed.runs[2].bag)


def a_value_removed_and_rehashed(sealed: Sealed) -> None:
    (sealed.runs[1].folder / "environment.json").unlink()
    seal_anew(sealed.runs[1].bag)


def the_last_record_invented(sealed: Sealed) -> None:
    """A committed run that never was, everything about it in order."""
    complete(sealed.known)


def a_stopped_record_invented(sealed: Sealed) -> None:
    noted = (sealed.folder / chain.LAST).read_bytes()
    stopped(sealed.known)
    (sealed.folder / chain.LAST).write_bytes(noted)


def the_first_record_copied_to_the_end(sealed: Sealed) -> None:
    shutil.copytree(sealed.runs[0].bag, sealed.folder / "20990101T000000Z-0000")


def all_records_deleted(sealed: Sealed) -> None:
    shutil.rmtree(sealed.folder)


def the_last_record_deleted(sealed: Sealed) -> None:
    shutil.rmtree(sealed.runs[-1].bag)


def a_record_in_the_middle_deleted(sealed: Sealed) -> None:
    shutil.rmtree(sealed.runs[1].bag)


def the_chain_rebuilt(sealed: Sealed) -> None:
    """One record is taken out, and all later ones are numbered and sealed anew."""
    shutil.rmtree(sealed.runs[1].bag)
    rebuild(sealed, [run for run in sealed.runs if run.bag.exists()])


def the_chain_rebuilt_around_an_edited_record(sealed: Sealed) -> None:
    (sealed.runs[0].folder / "plan.json").write_text("{}")
    rebuild(sealed, sealed.runs)


def rebuild(sealed: Sealed, runs: list[Run]) -> None:
    before: Link | None = None
    for number, run in enumerate(runs, 1):
        facts = {
            "Sequence": str(number),
            "Record-Before": before.run if before else "none",
            "Seal-Before": before.seal if before else "none",
        }
        (run.bag / bag.INFO).write_text(bag.info_text(bag.info(run.bag) | facts))
        seal_anew(run.bag)
        before = run.place()
    assert before is not None
    chain.note_last(sealed.folder, before)


def a_journal_removed(sealed: Sealed) -> None:
    (sealed.runs[2].folder / journal.JOURNAL).unlink()


def a_journal_removed_and_rehashed(sealed: Sealed) -> None:
    a_journal_removed(sealed)
    seal_anew(sealed.runs[2].bag)


def a_manifest_emptied(sealed: Sealed) -> None:
    (sealed.runs[0].bag / bag.MANIFEST).write_bytes(b"")


def the_last_file_emptied(sealed: Sealed) -> None:
    (sealed.runs[0].bag / bag.TAG_MANIFEST).write_bytes(b"")


def a_seal_taken_away(sealed: Sealed) -> None:
    (sealed.runs[2].bag / bag.TAG_MANIFEST).unlink()


def the_clock_set_ahead(sealed: Sealed) -> None:
    """A record that says it was sealed in the future, and is named so, stays where it was."""
    info = bag.info(sealed.runs[1].bag) | {"Sealed-At": "2099-01-01T00:00:00+00:00"}
    (sealed.runs[1].bag / bag.INFO).write_text(bag.info_text(info))
    seal_anew(sealed.runs[1].bag)


def a_verdict_made_better(sealed: Sealed) -> None:
    run = sealed.runs[1]
    for path in (run.bag / bag.INFO, run.folder / "verdict.json"):
        path.write_text(path.read_text().replace("STOPPED", "COMPLETE"))
    seal_anew(run.bag)


def a_verdict_made_worse_in_the_database(sealed: Sealed) -> None:
    sealed.rows[0] = row(sealed.runs[0], verdict="COMMITTED_UNVERIFIED")


def another_seal_in_the_database(sealed: Sealed) -> None:
    sealed.rows[0] = row(sealed.runs[0], seal="0" * 64)


def the_database_restored_from_before(sealed: Sealed) -> None:
    del sealed.rows[1]


def a_run_that_the_folder_does_not_have(sealed: Sealed) -> None:
    sealed.rows.append(replace(sealed.rows[0], run="20260101T000000Z-0000"))


def two_records_swapped(sealed: Sealed) -> None:
    first, third = sealed.runs[0].bag, sealed.runs[2].bag
    first.rename(aside := first.with_name("aside"))
    third.rename(first)
    aside.rename(third)


def an_empty_folder_beside_them(sealed: Sealed) -> None:
    (sealed.folder / "20260101T000000Z-0000").mkdir()


def a_record_behind_a_link(sealed: Sealed) -> None:
    moved = sealed.folder.parent / "elsewhere"
    sealed.runs[0].bag.rename(moved)
    sealed.runs[0].bag.symlink_to(moved)


def a_link_to_a_record(sealed: Sealed) -> None:
    (sealed.folder / "latest").symlink_to(sealed.runs[0].bag)


def a_signature_added(sealed: Sealed) -> None:
    (sealed.runs[0].bag / bag.SIGNATURE).write_text("a signature")


def the_note_of_the_last_seal_removed(sealed: Sealed) -> None:
    (sealed.folder / chain.LAST).unlink()


def the_note_of_the_last_seal_set_back(sealed: Sealed) -> None:
    link = sealed.runs[2].place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def a_record_of_another_environment(sealed: Sealed) -> None:
    """All that another environment's first record says of itself is right; it lies here."""
    elsewhere = sealed.known.model_copy(update={"name": "sandbox-prod"})
    other = stopped(elsewhere)
    shutil.copytree(other.bag, sealed.folder / other.id)


def two_records_with_one_number(sealed: Sealed) -> None:
    """The last one is sealed anew, as the one before it is numbered; the note says so too."""
    last, before = sealed.runs[3], sealed.runs[2]
    told = bag.info(last.bag) | {"Sequence": "3", "Record-Before": sealed.runs[1].id}
    told["Seal-Before"] = sealed.runs[1].seal_digest()
    (last.bag / bag.INFO).write_text(bag.info_text(told))
    seal_anew(last.bag)
    link = before.place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def a_number_that_is_no_number(sealed: Sealed) -> None:
    told = bag.info(sealed.runs[3].bag) | {"Sequence": "٤"}
    (sealed.runs[3].bag / bag.INFO).write_text(bag.info_text(told))
    seal_anew(sealed.runs[3].bag)


def a_number_far_ahead(sealed: Sealed) -> None:
    run = sealed.runs[3]
    told = bag.info(run.bag) | {"Sequence": "40"}
    (run.bag / bag.INFO).write_text(bag.info_text(told))
    seal_anew(run.bag)
    link = run.place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def the_note_of_the_last_seal_as_a_pipe(sealed: Sealed) -> None:
    (sealed.folder / chain.LAST).unlink()
    os.mkfifo(sealed.folder / chain.LAST)


def a_payload_file_with_another_name(sealed: Sealed) -> None:
    os.link(sealed.runs[0].folder / "plan.json", sealed.folder.parent / "outside.json")


def a_manifest_with_another_name(sealed: Sealed) -> None:
    os.link(sealed.runs[0].bag / bag.MANIFEST, sealed.folder.parent / "outside.txt")


def the_note_of_the_last_seal_with_another_name(sealed: Sealed) -> None:
    os.link(sealed.folder / chain.LAST, sealed.folder.parent / "outside.txt")


AIMED: list[Callable[[Sealed], None]] = [
    a_payload_file_with_another_name,
    a_manifest_with_another_name,
    the_note_of_the_last_seal_with_another_name,
    a_page_removed_and_rehashed,
    a_value_removed_and_rehashed,
    the_last_record_invented,
    a_stopped_record_invented,
    the_first_record_copied_to_the_end,
    all_records_deleted,
    the_last_record_deleted,
    a_record_in_the_middle_deleted,
    the_chain_rebuilt,
    the_chain_rebuilt_around_an_edited_record,
    a_journal_removed,
    a_journal_removed_and_rehashed,
    a_manifest_emptied,
    the_last_file_emptied,
    a_seal_taken_away,
    the_clock_set_ahead,
    a_verdict_made_better,
    a_verdict_made_worse_in_the_database,
    another_seal_in_the_database,
    the_database_restored_from_before,
    a_run_that_the_folder_does_not_have,
    two_records_swapped,
    an_empty_folder_beside_them,
    a_record_behind_a_link,
    a_link_to_a_record,
    a_signature_added,
    the_note_of_the_last_seal_removed,
    the_note_of_the_last_seal_set_back,
    a_record_of_another_environment,
    two_records_with_one_number,
    a_number_that_is_no_number,
    a_number_far_ahead,
    the_note_of_the_last_seal_as_a_pipe,
]


@pytest.mark.parametrize("change", AIMED, ids=lambda change: change.__name__)
def test_an_aimed_mutation_is_found(
    sealed: Sealed, tool: ModuleType, change: Callable[[Sealed], None]
) -> None:
    change(sealed)
    assert sealed.problems()
    if sealed.folder.is_dir():
        assert not tool.check(sealed.folder, sealed.seals(), None, silent)


# What is wrong with one record by itself, although its manifests were made again for it.


def line_ends_of_windows_in_the_manifest(run: Run) -> None:
    path = run.bag / bag.MANIFEST
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def a_line_of_the_manifest_twice(run: Run) -> None:
    path = run.bag / bag.MANIFEST
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])


def a_path_outside_in_the_manifest(run: Run) -> None:
    outside = run.bag.parent / "outside.txt"
    outside.write_text("elsewhere")
    path = run.bag / bag.MANIFEST
    line = f"{private.sha256(outside.read_bytes())}  data/../../outside.txt\n"
    path.write_text(path.read_text() + line)


def a_manifest_of_another_algorithm(run: Run) -> None:
    (run.bag / "manifest-md5.txt").write_text(f"{'0' * 32}  data/plan.json\n")


def a_list_of_files_to_fetch(run: Run) -> None:
    (run.bag / "fetch.txt").write_text("https://clinic.example/plan.json 3 data/late.json\n")


def a_fact_of_the_bag_told_twice(run: Run) -> None:
    path = run.bag / bag.INFO
    path.write_text(f"Verdict: COMPLETE\n{path.read_text()}")


def another_form_declared(run: Run) -> None:
    path = run.bag / bag.DECLARATION
    path.write_text(path.read_text().replace("1.0", "0.97"))


def a_fact_of_the_journal_told_twice(run: Run) -> None:
    """The last line: no line after it holds its hash."""
    *before, last = (run.folder / journal.JOURNAL).read_bytes().splitlines(keepends=True)
    forged = last.replace(b"}", b', "verdict": "STOPPED"}')
    (run.folder / journal.JOURNAL).write_bytes(b"".join([*before, forged]))


def the_payload_behind_a_link(run: Run) -> None:
    moved = run.folder.rename(run.bag.parent.parent / "elsewhere")
    run.folder.symlink_to(moved)


def the_verdict_as_a_pipe(run: Run) -> None:
    (run.folder / "verdict.json").unlink()
    os.mkfifo(run.folder / "verdict.json")


def what_the_bag_says_as_a_pipe(run: Run) -> None:
    (run.bag / bag.INFO).unlink()
    os.mkfifo(run.bag / bag.INFO)


BY_ITSELF: list[Callable[[Run], None]] = [
    line_ends_of_windows_in_the_manifest,
    a_line_of_the_manifest_twice,
    a_path_outside_in_the_manifest,
    a_manifest_of_another_algorithm,
    a_list_of_files_to_fetch,
    a_fact_of_the_bag_told_twice,
    another_form_declared,
    a_fact_of_the_journal_told_twice,
    the_payload_behind_a_link,
    the_verdict_as_a_pipe,
    what_the_bag_says_as_a_pipe,
]


@pytest.mark.parametrize("change", BY_ITSELF, ids=lambda change: change.__name__)
def test_a_bag_that_can_be_read_in_two_ways_is_refused_by_itself(
    sealed: Sealed, tool: ModuleType, change: Callable[[Run], None]
) -> None:
    run = sealed.runs[1]
    change(run)
    if change is a_fact_of_the_journal_told_twice:
        seal_anew(run.bag)
    there = [name for name in bag.TAG_FILES if (run.bag / name).is_file()]
    text = bag.manifest_text({name: private.sha256_of(run.bag / name) for name in there})
    (run.bag / bag.TAG_MANIFEST).write_text(text)
    assert check.of_record(run.bag).problems
    assert not tool.check(run.bag, None, None, silent)


def test_a_file_that_had_another_name_is_sealed_as_one_of_its_own(known: settings.Settings) -> None:
    run = record.create(known)
    outside = known.folders.private / "outside.json"
    os.link(run.folder / "environment.json", outside)
    run.seal()
    outside.write_text("changed from outside")
    assert not run.problems()


def test_a_seal_that_is_being_made_is_waited_for_and_accuses_nobody(
    sealed: Sealed, tool: ModuleType
) -> None:
    """Noted as the last one, and not sealed yet: so it stands there for a moment at each seal."""
    run = sealed.runs[-1]
    text = (run.bag / bag.TAG_MANIFEST).read_bytes()
    with ThreadPoolExecutor() as pool:
        with private.locked_folder(sealed.folder):
            (run.bag / bag.TAG_MANIFEST).unlink()
            looks = [
                pool.submit(sealed.problems),
                pool.submit(lambda: tool.check(sealed.folder, sealed.seals(), None, silent)),
            ]
            assert wait(looks, 0.3).done == set()
            (run.bag / bag.TAG_MANIFEST).write_bytes(text)
        assert [look.result() for look in looks] == [{}, True]


def test_those_who_seal_one_run_at_once_leave_a_whole_record(
    known: settings.Settings, tool: ModuleType
) -> None:
    run = committed(known)
    run.journal(Event.VERIFIED)
    with ThreadPoolExecutor() as pool:
        seals = [pool.submit(closing.close, known, run) for _ in range(4)]
    assert [type(e) for e in (seal.exception() for seal in seals) if e] == [RecordError] * 3
    assert wrong(checked(known, [row(run)])) == {}
    assert tool.check(run.bag.parent, None, None, silent)


def test_a_damaged_manifest_is_named_and_hinders_no_other_record_and_no_new_run(
    sealed: Sealed,
) -> None:
    damaged = sealed.runs[1]
    for name in (bag.MANIFEST, bag.INFO):
        (damaged.bag / name).write_bytes(b"\xff\x00{")
    assert set(sealed.problems()) == {damaged.id}
    later = stopped(sealed.known)
    assert later.place() == Link(5, later.id, later.seal_digest())
    assert set(sealed.problems()) == {damaged.id}


def test_records_are_in_the_order_of_their_numbers_whatever_the_clock_said(
    known: settings.Settings,
) -> None:
    runs = [stopped(known) for _ in range(6)]  # several in one second, their names by chance
    assert record.every(known) == runs
    assert [run.place().sequence for run in runs] == [1, 2, 3, 4, 5, 6]


def test_a_number_goes_on_from_the_database_where_the_records_are_gone(
    sealed: Sealed,
) -> None:
    link = sealed.runs[2].place()
    all_records_deleted(sealed)
    run = record.create(sealed.known)
    run.seal(link)
    assert run.place().sequence == 4
    assert any("is missing" in text for text in sealed.problems()[""])


# ---------------------------------------------------------------- nothing is right by itself


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(["record", "check", *arguments])
    return int(end.value.code or 0), capsys.readouterr().out


def test_a_record_is_checked_by_its_path_without_any_environment(
    sealed: Sealed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(tmp_path / "none"))
    for path, told in ((sealed.folder, check.ALONE), (sealed.runs[0].bag, "nor with the records")):
        code, out = command(capsys, str(path))
        assert (code, told in out, sealed.runs[0].seal_digest() in out) == (0, True, True)
    (sealed.runs[0].folder / "plan.json").unlink()
    assert command(capsys, str(sealed.runs[0].bag))[0] == 1


def test_records_by_their_path_are_of_one_environment_whatever_the_folder_is_called(
    sealed: Sealed, tool: ModuleType, tmp_path: Path
) -> None:
    copy = shutil.copytree(sealed.folder, tmp_path / "for-the-auditor")
    assert wrong(check.of_folder(copy)) == {}
    assert tool.check(copy, sealed.seals(), None, silent)
    a_record_of_another_environment(sealed)
    told = "records of several environments: sandbox-dev, sandbox-prod"
    assert told in wrong(check.of_folder(sealed.folder))[""]
    said: list[str] = []
    assert not tool.check(sealed.folder, None, None, said.append)
    assert told in said


def test_nothing_checked_is_not_as_sealed(
    known: settings.Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    run = record.create(known)
    for path in (tmp_path / "nothing", run.bag, run.bag.parent):
        code, out = command(capsys, str(path))
        assert (code, "nothing was checked" in out) == (1, True)


def test_an_open_run_beside_sealed_ones_is_told_and_is_no_problem(
    known: settings.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped(known)
    run = record.create(known)
    code, out = command(capsys, str(run.bag.parent))
    assert code == 0
    assert "open" in out


def test_a_record_of_a_former_version_is_named(
    known: settings.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stopped(known)
    former = run.bag.with_name("20250101T000000Z-0000")
    former.mkdir()
    for name in ("journal.jsonl", "manifest.json"):
        (former / name).write_text("{}")
    code, out = command(capsys, str(run.bag.parent))
    assert code == 1
    assert "a record of a former version" in out


# ---------------------------------------------------------------- the auditor's tool


def test_the_tool_runs_by_itself_with_an_older_python(sealed: Sealed, tmp_path: Path) -> None:
    text = TOOL.read_text()
    ast.parse(text, feature_version=(3, 9))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
    seals = tmp_path / "seals.txt"
    seals.write_text("".join(f"{r.run},{r.sequence},{r.verdict},{r.seal}\n" for r in sealed.rows))
    alone = shutil.copy(TOOL, tmp_path)
    arguments = [sys.executable, "-I", str(alone), str(sealed.folder)]
    for given, code in ((["--seals", str(seals)], 0), ([], 0)):
        done = subprocess.run(
            [*arguments, *given], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
    assert "not compared with what the database holds" in done.stdout
    (sealed.runs[0].folder / "plan.json").unlink()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, "data/plan.json: missing" in done.stdout) == (1, True)


# ---------------------------------------------------------------- the journal


def lines_of(run: Run) -> list[bytes]:
    return (run.folder / journal.JOURNAL).read_bytes().splitlines(keepends=True)


def rewritten(run: Run, lines: list[bytes]) -> None:
    (run.folder / journal.JOURNAL).write_bytes(b"".join(lines))


def test_each_line_of_a_journal_has_its_number_and_the_hash_of_the_one_before(
    known: settings.Settings,
) -> None:
    run = stopped(known)
    read = [json.loads(line) for line in lines_of(run)]
    assert [line["n"] for line in read] == list(range(1, len(read) + 1))
    assert read[0]["before"] == ""
    assert journal.scan(run.folder).broken == 0


def test_a_torn_line_is_told_and_the_next_one_begins_on_a_new_line(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    run.journal(Event.STARTED, stage="plan", pid=1)
    *whole, last = lines_of(run)
    rewritten(run, [*whole, last[:20]])
    run.journal(Event.STARTED, stage="plan", pid=2)
    run.journal(Event.FAILED, stage="plan", exit_code=1, what="stopped")
    read = journal.scan(run.folder)
    assert (read.cut_lines, read.broken) == ((2,), 0)
    assert [entry.event for entry in read.entries] == ["opened", "started", "failed"]
    run.seal()
    (found,) = (c for c in checked(known, []) if c.run)
    assert found.is_right
    assert found.remarks == ("journal.jsonl: line 2 was cut while it was written",)


def test_committing_alone_makes_a_run_in_doubt(known: settings.Settings) -> None:
    run = record.create(known)
    run.journal(Event.COMMITTING)
    assert run.verdict() is record.Verdict.IN_DOUBT


def forged(run: Run, *events: str) -> list[bytes]:
    """Lines that no stage wrote, each with the number that it should have."""
    number = len(lines_of(run))
    return [
        json.dumps(
            {
                "n": number + k,
                "before": "0" * 64,
                "at": "2026-03-01T00:00:00+00:00",
                "event": event,
                "committed": False,
                "stage": "apply",
            }
        ).encode()
        + b"\n"
        for k, event in enumerate(events, 1)
    ]


def test_a_verdict_is_never_made_better_by_a_line_that_no_stage_wrote(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    run.journal(Event.STARTED, stage="apply", pid=1)
    run.journal(Event.COMMITTING)
    rewritten(run, lines_of(run) + forged(run, "settled", "not committed", "failed"))
    assert run.verdict() is record.Verdict.IN_DOUBT
    assert "line 4 does not follow on the one before" in run.journal_problems()[0]


def test_a_sign_off_that_no_stage_wrote_counts_for_nothing(known: settings.Settings) -> None:
    run = record.create(known)
    run.journal(Event.COMMITTED)
    rewritten(run, lines_of(run) + forged(run, "verified", "undone"))
    assert run.verdict() is record.Verdict.COMMITTED_UNVERIFIED


def test_lines_after_a_broken_one_can_still_make_a_verdict_worse(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    rewritten(run, lines_of(run) + forged(run, "committed", "verified"))
    assert run.verdict() is record.Verdict.IN_DOUBT
    signed = record.create(known) if run.seal() else run
    signed.journal(Event.COMMITTED)
    signed.journal(Event.VERIFIED)
    failed = forged(signed, "failed")[0].replace(b'"apply"', b'"sign_off"')
    rewritten(signed, [*lines_of(signed), failed])
    assert signed.verdict() is record.Verdict.COMMITTED_UNVERIFIED


def test_a_line_taken_out_of_a_journal_is_told(known: settings.Settings) -> None:
    run = record.create(known)
    for stage in ("snapshot", "survey", "plan"):
        run.journal(Event.STARTED, stage=stage, pid=1)
    first, _, *rest = lines_of(run)
    rewritten(run, [first, *rest])
    assert journal.scan(run.folder).broken == 2


def appended(run: Run, count: int) -> Iterator[subprocess.Popen[bytes]]:
    code = (
        "import sys; from pathlib import Path; from nexus_reimport.events import Event;"
        " from nexus_reimport.record import journal\n"
        f"for n in range({count}): journal.append(Path(sys.argv[1]), Event.STEP, stage='x', n2=n)"
    )
    for _ in range(3):
        yield subprocess.Popen([sys.executable, "-c", code, str(run.folder)])


def test_processes_that_write_at_once_do_not_break_the_chain(known: settings.Settings) -> None:
    run = record.create(known)
    for process in list(appended(run, 40)):
        assert process.wait() == 0
    assert len(lines_of(run)) == 121
    assert journal.scan(run.folder).broken == 0
