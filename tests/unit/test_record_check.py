"""``record check``: which records it takes, in which order, and what it says of each."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nexus_reimport import model, record, settings
from nexus_reimport.cli import main
from nexus_reimport.errors import NotNow
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Approval, LineState, Proposal, SheetLine, Signature, SignOff
from nexus_reimport.nexus.registry import Restore
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.page import history
from nexus_reimport.record import Run, closing, journal, signatures, values
from nexus_reimport.record.sealed import archived, bag, check, compared
from nexus_reimport.record.sealed.chain import Link
from nexus_reimport.record.verdict import State
from support.auditing import TOOL, silent
from support.commands import command as asked
from support.forgeries import (
    Sealed,
    a_record_of_another_environment,
    all_records_deleted,
    the_last_record_deleted_that_was_archived,
    the_last_record_edited_that_was_archived,
)
from support.records import (
    approve,
    checked,
    committed,
    complete,
    row,
    seal_anew,
    stopped,
    wrong,
)


def test_records_that_nobody_has_touched_are_as_sealed(sealed: Sealed, tool: ModuleType) -> None:
    found = checked(sealed.known, sealed.rows)
    assert [(c.run, c.kind, c.is_right) for c in found] == [
        *((run.id, "sealed", True) for run in sealed.runs),
        ("", "", True),
    ]
    assert tool.check(sealed.folder, sealed.seals(), None, silent)


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
    assert [type(e) for e in (seal.exception() for seal in seals) if e] == [NotNow] * 3
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


def test_a_seal_that_is_not_in_the_database_is_promised_only_where_one_is_written(
    sealed: Sealed,
) -> None:
    """``write_late`` passes over a record that is not right, with each run anew."""
    sealed.rows[0] = row(sealed.runs[0], seal="")
    remarks = {one.run: one.remarks for one in checked(sealed.known, sealed.rows)}
    assert (
        f"--run {sealed.runs[0].id} writes it, or the next run" in (remarks[sealed.runs[0].id][-1])
    )
    (sealed.runs[0].folder / "plan.json").write_text("{}")
    remarks = {one.run: one.remarks for one in checked(sealed.known, sealed.rows)}
    assert "none is written while it is not right" in remarks[sealed.runs[0].id][-1]


def test_a_folder_is_meant_where_no_environment_has_its_name(
    sealed: Sealed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An auditor stands beside what was handed over; nobody advises them to make an environment."""
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(tmp_path / "none"))
    shutil.copytree(sealed.folder, tmp_path / "handed-over")
    monkeypatch.chdir(tmp_path)
    code, out = command(capsys, "handed-over")
    assert (code, sealed.runs[0].seal_digest() in out, check.UNSEEN in out) == (0, True, True)
    monkeypatch.chdir(tmp_path / "handed-over")
    assert command(capsys, sealed.runs[0].id)[0] == 0


def test_what_is_said_of_several_records_is_said_once_and_no_line_is_padded_to_it(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = (run.id for run in sealed.runs)
    (sealed.runs[0].folder / "plan.json").write_text("{}")
    code, out = command(capsys, str(sealed.folder))
    lines = out.splitlines()
    assert (code, out.count(check.ALONE), lines[-1].startswith(check.ALONE)) == (1, 1, True)
    assert f"{first}: data/plan.json: changed after the seal" in lines
    assert f"{others[0]}: seal {sealed.runs[1].seal_digest()}" in lines
    listed = lines[2 : 2 + len(sealed.runs)]
    assert [line.split()[1] for line in listed] == [first, *others]
    assert [line.split()[3:] for line in listed] == [
        ["1", "problem"],
        *[["as", "sealed"] for _ in others],
    ]


@pytest.mark.parametrize(
    "name",
    ["x: as sealed\n20990101T000000Z-0000: as sealed", "\x1b[2K\x1b[1A", "a\u202eb", "a\udcff"],
)
def test_a_name_on_the_disk_cannot_speak_for_the_one_who_checks(
    sealed: Sealed, capsys: pytest.CaptureFixture[str], tool: ModuleType, name: str
) -> None:
    """Nor move the cursor over what was said, nor end the command."""
    (sealed.folder / name).mkdir()
    (sealed.runs[0].folder / name).write_text("{}")
    lines: list[str] = []
    assert not tool.check(sealed.folder, None, None, lines.append)
    code, out = command(capsys, str(sealed.folder))
    assert code == 1
    told = ascii(name)[1:-1]
    for said in (lines, out.splitlines()):
        assert all(line.isprintable() for line in said)
        assert [line for line in said if line.startswith(f"{told}: ")]
        assert [line for line in said if f"data/{told}: added after the seal" in line]


def test_only_the_run_that_is_asked_for_is_checked_by_its_path_too(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = sealed.runs[0].id, sealed.runs[1].id
    code, out = command(capsys, str(sealed.folder), "--run", first)
    assert (code, first in out, second in out) == (0, True, False)
    assert command(capsys, str(sealed.folder), "--run", "20260101T000000Z-0000")[0] == 2


def test_the_folder_above_those_of_the_environments_is_told_as_one(
    sealed: Sealed, capsys: pytest.CaptureFixture[str], tool: ModuleType
) -> None:
    """It is what the README says to archive."""
    told = "a folder of records: check it by itself"
    code, out = command(capsys, str(sealed.folder.parent))
    assert (code, told in out) == (1, True)
    lines: list[str] = []
    assert not tool.check(sealed.folder.parent, None, None, lines.append)
    assert f"{sealed.folder.name}: {told}" in lines


def test_a_record_under_another_name_says_which_and_whose(
    sealed: Sealed, capsys: pytest.CaptureFixture[str], tool: ModuleType, tmp_path: Path
) -> None:
    copy = shutil.copytree(sealed.runs[0].bag, tmp_path / "copy")
    told = f"it is of run {sealed.runs[0].id}, the folder is called copy"
    out = command(capsys, str(copy))[1]
    assert f"{told}; if it was renamed, name it {sealed.runs[0].id} again" in out
    assert out.count(told) == 1  # and not once for each file that says it
    lines: list[str] = []
    assert not tool.check(copy, None, None, lines.append)
    assert f"copy: {told}" in lines
    assert "nor with the records before and after it" in lines[-1]
    assert check.UNSEEN in lines[-1]


def in_verdict_file(**facts: str) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        path = run.folder / "verdict.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))

    return change


def in_bag_info(**facts: str) -> Callable[[Run], None]:
    return lambda run: private.replace(
        run.bag / bag.INFO, bag.info_text(bag.info(run.bag) | facts).encode()
    )


def in_journal(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Any:
    """Each line follows on the one before, as somebody writes it who knows how."""

    def forge(run: Run) -> None:
        path, written = run.folder / journal.JOURNAL, list[bytes]()
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        for number, line in enumerate(change(lines), 1):
            before = private.sha256(written[-1]) if written else ""
            written.append(json.dumps(line | {"n": number, "before": before}).encode())
        path.write_bytes(b"".join(line + b"\n" for line in written))

    return forge


def without(name: str) -> Callable[[Run], None]:
    return lambda run: (run.folder / name).unlink()


PAGE = {"event": "page", "page": "x"}
MUST_HAVE = "missing, and a run like this must have it"


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (without("environment.json"), [f"data/environment.json: {MUST_HAVE}"]),
        (without("backup.json"), [f"data/backup.json: {MUST_HAVE}"]),
        (without("applied.json"), [f"data/applied.json: {MUST_HAVE}"]),
        (
            in_journal(lambda lines: [*lines[:-1], PAGE | {"at": lines[-1]["at"]}, lines[-1]]),
            [f"data/x.{ending}: {MUST_HAVE}" for ending in ("html", "ipynb")],
        ),
        (
            in_journal(lambda lines: [*lines[:-1], lines[-1] | {"verdict": "FAILED"}]),
            ["journal.jsonl: it was sealed as FAILED, and says COMPLETE"],
        ),
        (
            in_journal(lambda lines: lines[:-1]),
            [
                "journal.jsonl: it does not say that the record was sealed",
            ],
        ),
        (
            in_journal(lambda lines: [lines[0] | {"run": "x"}, *lines[1:]]),
            ["journal.jsonl: it is of run x"],
        ),
        (
            in_journal(lambda lines: [lines[0] | {"environment": "x"}, *lines[1:]]),
            ["journal.jsonl: it is of environment x"],
        ),
        (in_verdict_file(run="x"), ["verdict.json: it is of run x"]),
        (in_verdict_file(environment="x"), ["verdict.json: it is of environment x"]),
        (in_bag_info(Run="x"), ["bag-info.txt: it is of run x"]),
        (in_bag_info(Environment="x"), ["bag-info.txt: it is of environment x"]),
        (in_bag_info(Sequence="0"), ["bag-info.txt: it has no number"]),
        (
            in_verdict_file(verdict="FAILED"),
            ["verdict.json: the verdict is FAILED, by the journal it is COMPLETE"],
        ),
        (
            in_bag_info(Verdict="FAILED"),
            ["bag-info.txt: the verdict is FAILED, by the journal it is COMPLETE"],
        ),
    ],
)
def test_a_record_that_was_forged_and_sealed_anew_tells_by_itself_what_is_wrong(
    known: settings.Settings, change: Callable[[Run], None], problems: list[str]
) -> None:
    run = complete(known)
    change(run)
    seal_anew(run.bag)
    found = check.of_record(run.bag, known.name)
    assert [text.partition(", the folder is called")[0] for text in found.problems] == problems


def test_a_seal_that_a_kill_cut_short_is_told_once_and_of_its_record_alone(sealed: Sealed) -> None:
    last = sealed.runs[-1]
    (last.bag / bag.TAG_MANIFEST).unlink()
    (told,) = sealed.problems()[last.id]
    assert told.startswith("a kill came before the last file of its seal: ")
    assert sealed.problems().keys() == {last.id}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (the_last_record_deleted_that_was_archived, "the record of run {} is missing: the archive"),
        (the_last_record_edited_that_was_archived, "it is not the record that was archived: the"),
    ],
)
def test_a_record_that_is_not_as_it_was_archived_is_named(
    sealed: Sealed, change: Callable[[Sealed], None], told: str
) -> None:
    run = sealed.runs[-1].id
    change(sealed)
    found = sealed.problems()
    assert [text.startswith(told.format(run)) for text in found.get(run, found.get("", ()))] == [
        True
    ]


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


def test_the_list_of_runs_tells_which_are_not_in_the_archive(
    known: settings.Settings,
    environment_files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a night on which the archive did not answer it was listed as any other sealed one."""
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(environment_files))
    run = stopped(known)
    assert asked(capsys, "record", "list", known.name)[1].split()[-3:] == [
        "reimport",
        "STOPPED",
        "sealed",
    ]
    path = environment_files / "sandbox-dev.toml"
    place = 'bucket = "b"\nregion = "us-east-1"\ndays = 30\naccess_key = {env = "K"}\n'
    path.write_text(f'{path.read_text()}\n[record.archive]\n{place}secret_key = {{env = "K"}}\n')
    with (environment_files / ".env.sandbox-dev").open("a") as secrets:
        secrets.write("K=x\n")
    assert "STOPPED  sealed, not in the archive" in asked(capsys, "record", "list", known.name)[1]
    facts = {"bucket": "b", "key": "k", "version": "1", "until": "2099-01-01", "sha256": "0" * 64}
    archived.note(run.bag.parent, archived.Archived(run.id, run.seal_digest(), **facts))
    assert asked(capsys, "record", "list", known.name)[1].split()[-1] == "sealed"


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


def test_a_list_of_records_that_says_something_else_is_told(known: settings.Settings) -> None:
    """Who reads `index.html` alone reads what anybody has written there."""
    run = stopped(known)
    page = run.bag.parent / "index.html"
    assert check.of_folder(run.bag.parent)[-1].remarks == ()
    page.write_text(page.read_text().replace("■ STOPPED", "● COMPLETE"))
    found = check.of_folder(run.bag.parent)[-1]
    assert found.problems == ()
    assert [remark.partition(":")[0] for remark in found.remarks] == ["index.html"]
    stopped(known)
    assert check.of_folder(run.bag.parent)[-1].remarks == ()


def test_an_open_run_whose_journal_has_lost_its_beginning_is_a_problem(
    known: settings.Settings, tool: ModuleType
) -> None:
    """Who emptied it had an open run of which nothing was told."""
    stopped(known)
    run = record.create(known)
    assert wrong(checked(known, [])) == {}
    (run.folder / "journal.jsonl").write_bytes(b"")
    lost = "journal.jsonl: its beginning is missing: bring it back from a backup"
    assert wrong(checked(known, [])) == {run.id: (lost,)}
    told: list[str] = []
    assert not tool.check(known.records_folder, None, None, told.append)
    assert f"{run.id}: {lost}" in told


def test_what_is_no_sealed_record_says_what_it_is(sealed: Sealed) -> None:
    for run, gone in zip(sealed.runs, (bag.TAG_MANIFEST, "data/journal.jsonl"), strict=False):
        (run.bag / gone).unlink()
    unsealed, without_journal, whole, _ = sealed.runs
    (link := sealed.folder / "link").symlink_to(whole.bag)
    (empty := sealed.folder / "empty").mkdir()
    told = {path: check.of_record(path).problems for path in (unsealed.bag, link, empty)}
    assert told == {
        unsealed.bag: (
            "its seal was cut short, or taken away: its journal says that it was sealed",
        ),
        link: ("a symbolic link, not a record",),
        empty: ("an empty folder",),
    }
    assert check.of_record(without_journal.bag).problems[0] == "a folder without a journal"


def test_a_folder_of_something_else_is_told_in_one_sentence(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of /etc it had a line for each file; of records that were deleted it goes on to say so."""
    for path in (tmp_path / "etc" / "ssl" / "certs", tmp_path / "runs" / "dev"):
        path.mkdir(parents=True)
    (tmp_path / "etc" / "passwd").write_text("root")
    assert asked(capsys, "record", "check", str(tmp_path / "etc"))[0] == 2
    assert command(capsys, str(sealed.folder.parent))[0] == 1, "folders of records, one below"
    for run in sealed.runs:
        shutil.rmtree(run.bag)
    code, out = command(capsys, str(sealed.folder))
    assert (code, "is missing" in out) == (1, True)


def test_a_line_that_a_kill_cut_is_told_of_an_open_run(known: settings.Settings) -> None:
    run = record.create(known)
    with (run.folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"event": "fini')
    found = check.of_record(run.bag)
    assert found.problems == ()
    assert any("journal.jsonl" in remark for remark in found.remarks)


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


@pytest.mark.parametrize(
    ("differing", "problem"),
    [
        ({"kind": "relink"}, "it is a reimport, in the database relink"),
        (
            {"digest": "1" * 64},
            f"what was approved has the digest {{digest}}, in the database {'1' * 64}",
        ),
        ({"approved_by": "b"}, "the account that approved it is a person, in the database b"),
        ({"approved_by": ""}, "the account that approved it is a person, in the database none"),
        ({"undone_by": "x"}, "it was undone by nobody whose record is here, in the database x"),
    ],
)
def test_what_the_database_says_of_a_commit_is_compared_with_the_record(
    known: settings.Settings, differing: dict[str, str], problem: str
) -> None:
    run = complete(known)
    assert wrong(checked(known, [row(run)])) == {}
    told = problem.format(digest=run.load(Approval).digest)
    assert wrong(checked(known, [row(run, **differing)])) == {run.id: (told,)}


def test_the_states_that_the_database_holds_are_those_that_were_approved(
    known: settings.Settings,
) -> None:
    run, one = committed(known), {"patients": Fingerprint(1, "a")}
    bound = json.loads((run.folder / "proposal.json").read_bytes()) | {"digest": ""}
    facts = dict.fromkeys(("environment", "mapping", "code", "decisions"), "")
    proposal = Proposal(**(facts | bound), before=one, after=one)
    proposal = replace(proposal, digest=model.digest(proposal))
    run.save(proposal)
    run.save(Approval(proposal.digest, "a person", "digest given", datetime.now(UTC)))
    run.journal(Event.VERIFIED)
    run.seal()
    assert wrong(checked(known, [row(run, before=one, after=one)])) == {}
    problem = "it found, or left, another state by the database than was approved"
    for differing in ({"before": {}}, {"after": {"patients": Fingerprint(2, "a")}}):
        held = row(run, **{"before": one, "after": one, **differing})
        assert wrong(checked(known, [held])) == {run.id: (problem,)}


@pytest.mark.parametrize(
    ("file", "change", "problem"),
    [
        ("plan", {"made up": "another"}, "plan.json: its plan is not the one that was approved"),
        ("plan", {"digest": "0" * 64}, "plan.json: its plan is not the one that was approved"),
        (
            "snapshot",
            {"extracts": {"x": {"file": {"sha256": "0" * 64}}}},
            "snapshot.json: its snapshot is not the one that was approved",
        ),
        (
            "survey",
            {"schema": [{"place": "table x", "shown": "ordinary", "digest": ""}]},
            "survey.json: its schema is not the one that was approved",
        ),
        ("survey", {"schema": 7}, "survey.json: its schema is not the one that was approved"),
        ("proposal", {"plan": "0" * 64}, "proposal.json: it is not what was approved"),
        ("proposal", {"digest": "0" * 64}, "proposal.json: it is not what was approved"),
        ("approval", {"digest": "0" * 64}, "proposal.json: it is not what was approved"),
    ],
)
def test_what_was_approved_is_bound_by_its_digest_before_the_seal_too(
    known: settings.Settings, tool: ModuleType, file: str, change: dict[str, Any], problem: str
) -> None:
    run = committed(known)
    path = run.folder / f"{file}.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    run.journal(Event.VERIFIED)
    run.seal()
    assert problem in wrong(checked(known, [row(run)]))[run.id]
    assert problem in tool.check_record(run.bag)[1]


@pytest.mark.parametrize(
    "later",
    [
        [(Event.FINISHED, {"stage": "proposal"})],
        [(Event.VOID, {"of": ["approval"], "by": "plan"})],
        [(Event.VOID, {"of": ["approval"]}), (Event.FINISHED, {"stage": "proposal"})],
    ],
)
@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_approval_that_was_given_before_what_it_approves_is_none(
    known: settings.Settings,
    tool: ModuleType,
    later: list[tuple[Event, dict[str, Any]]],
    is_sealed: bool,
) -> None:
    """The file of an earlier approval was put beside a later proposal of the same digest."""
    run = committed(known)
    for event, facts in later:
        run.journal(event, **facts)
    if is_sealed:
        run.journal(Event.VERIFIED)
        run.seal()
    problem = "approval.json: the journal does not say that what was proposed last was approved"
    assert problem in wrong(checked(known, [row(run)]))[run.id]
    assert problem in tool.check_record(run.bag)[1]


@pytest.mark.parametrize("name", ["proposal.json", "plan.json", "snapshot.json", "survey.json"])
def test_a_value_that_says_nothing_any_more_is_not_what_was_approved(
    known: settings.Settings, tool: ModuleType, name: str
) -> None:
    run = committed(known)
    (run.folder / name).write_text("[]")
    if name == "proposal.json":
        (run.folder / "approval.json").write_text('{"digest": ""}')
    run.journal(Event.VERIFIED)
    run.seal()
    told = [p for p in wrong(checked(known, [row(run)]))[run.id] if p.startswith(name)]
    assert len(told) == 1
    assert told[0] in tool.check_record(run.bag)[1]


def test_a_rollback_and_the_database_say_the_same_of_what_it_undid(
    known: settings.Settings,
) -> None:
    run = committed(known)
    run.journal(Event.VERIFIED)
    run.seal()
    back = record.create(known, "rollback", undoes=run.id)
    for name in values.files_of_committed("rollback") | {"undone.json"}:
        (back.folder / name).write_text("{}")
    approve(back, "rollback_proposal")
    for stage in ("rollback_proposal", "approval"):
        back.journal(Event.FINISHED, stage=stage)
    back.journal(Event.STARTED, stage="undo", pid=1)
    back.journal(Event.COMMITTED)
    back.journal(Event.FINISHED, stage="undo")
    back.journal(Event.VERIFIED)
    back.seal()
    rows = [row(run, undone_by=back.id), row(back)]
    assert wrong(checked(known, rows)) == {}
    problem = f"it was undone by {back.id}, in the database nobody"
    assert wrong(checked(known, [row(run), row(back)])) == {run.id: (problem,)}


OTHER_SEAL = "the database has a different seal for this run"
NOT_COMMITTED = "the database says that it was committed, and its journal does not"
NO_SEAL_HERE = "the database has a seal for this run, and its record is not sealed"


@pytest.mark.parametrize(
    ("differing", "problem"),
    [
        ({"seal": "0" * 64}, OTHER_SEAL),
        ({"sequence": 7}, "it has number 1, in the database 7"),
        ({"verdict": "PARTIAL"}, "its verdict is COMPLETE, in the database PARTIAL"),
        ({"verdict": ""}, "its verdict is COMPLETE, in the database none"),
    ],
)
def test_each_value_that_the_database_has_of_a_record_is_compared(
    known: settings.Settings, differing: dict[str, Any], problem: str
) -> None:
    run = complete(known)
    assert wrong(checked(known, [row(run, **differing)])) == {run.id: (problem,)}


def test_a_run_that_the_database_calls_committed_and_its_record_does_not_is_told(
    known: settings.Settings,
) -> None:
    sealed, run = stopped(known), record.create(known)
    unknown = {"digest": "0" * 64, "kind": "reimport"}
    found = wrong(checked(known, [row(sealed, **unknown), row(run, **unknown)]))
    todo = f"nexus-reimport finish {known.name} writes it there, verifies and seals it"
    assert found == {sealed.id: (NOT_COMMITTED,), run.id: (f"{NOT_COMMITTED}: {todo}",)}
    open_one = committed(known)
    assert wrong(checked(known, [row(open_one)])) == {}
    assert wrong(checked(known, [row(open_one, seal="0" * 64)])) == {open_one.id: (NO_SEAL_HERE,)}


@pytest.mark.parametrize(("who", "text"), [("A. Person", "I saw nothing"), ("B", "seen on dev")])
def test_a_sheet_that_was_changed_after_the_signature_is_told(
    known: settings.Settings, who: str, text: str
) -> None:
    signed = signatures.sign(known, "S2", "A. Person", "seen on dev")
    forged = replace(signed, who=who, text=text)
    runs = [stopped_with_sheet(known, one) for one in (signed, forged)]
    problem = (
        f"sign_off_sheet.json: S2 is signed by {who} there, and line 1 of the register says"
        " otherwise"
    )
    assert wrong(checked(known, [])) == {runs[1].id: (problem,)}


def stopped_with_sheet(known: settings.Settings, signed: Signature) -> Run:
    run = record.create(known)
    line = SheetLine("S2", "tested", LineState.SIGNED, signed.who, signed.text, signed.at, signed)
    run.save(SignOff((line,), asked=True))
    run.seal()
    return run


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("opened", {"at": None}),
        ("opened", {"at": "2026-03-01"}),
        ("opened", {"after": float("inf")}),
        ("started", {"event": "settled"}),
        ("started", {"event": "void"}),
    ],
)
def test_a_line_of_an_open_run_that_says_half_hinders_nobody(
    known: settings.Settings, line: str, change: dict[str, object]
) -> None:
    run = committed(known)
    path = run.folder / journal.JOURNAL
    before, done = "", []
    for raw in path.read_bytes().splitlines():  # chained anew, as somebody does who knows how
        facts = json.loads(raw)
        facts |= {"before": before} | (change if facts["event"] == line else {})
        text = json.dumps(facts).encode()
        before = private.sha256(text)
        done.append(text + b"\n")
    path.write_bytes(b"".join(done))
    assert [one.id for one in record.every(known)] == [run.id]
    assert history.past(run, {}).verdict is record.Verdict.COMMITTED_UNVERIFIED or (
        run.verdict() is record.Verdict.IN_DOUBT
    )
    assert check.of_record(run.bag).kind == check.OPEN


@pytest.mark.parametrize("name", [bag.INFO, bag.MANIFEST, "data/verdict.json", "../.last_seal"])
def test_of_what_a_disk_does_not_give_the_tool_says_nothing_against_anybody(
    sealed: Sealed, tool: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A record that this account could not read was damaged, and missing in the database."""
    broken = (sealed.runs[1].bag / name).resolve()
    opened = Path.open

    def failing(self: Path, *how: Any, **more: Any) -> Any:
        if self.resolve() == broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return opened(self, *how, **more)

    monkeypatch.setattr(Path, "open", failing)
    told: list[str] = []
    assert not tool.check(sealed.folder, sealed.seals(), None, told.append)
    text = "\n".join(told)
    assert "not read (Input/output error)" in text
    assert "not compared with each other" in text
    for word in ("changed", "missing", "damaged", "added", "cannot be read"):
        assert word not in text, text


def test_a_restore_explains_the_one_record_alone_that_it_names_with_its_seal() -> None:
    lost = check.Checked("dev", "r1", "", check.SEALED, "seal", state=State.COMMITTED)
    whole = check.Checked("dev", "", "", check.FOLDER)

    def told(*runs: tuple[str, str]) -> tuple[bool, bool, bool]:
        restore = Restore("1", "a person", "a disk broke", datetime(2026, 3, 1, tzinfo=UTC), runs)
        one, _ = compared.with_database([lost, whole], [], [restore])
        return one.is_right, one.is_in_database, bool(one.remarks)

    assert told(("r0", "x"), ("r1", "seal")) == (True, True, True)
    assert told(("r1", "another seal")) == told(("r2", "seal")) == told() == (False, False, False)


def test_what_the_database_holds_and_no_record_says_is_told_of_all_of_them() -> None:
    whole = check.Checked("dev", "", "", check.FOLDER)
    restore = Restore("1", "a person", "a disk broke", datetime(2026, 3, 1, tzinfo=UTC), ())
    (told,) = compared.with_database([whole], [], (), [restore])
    assert "a restore that a person acknowledged, and the register does not" in told.problems[0]
    unread = check.Checked("dev", "r1", "", check.UNREAD)
    assert compared.with_database([unread, whole], [], (), [restore]) == [unread, whole]


def test_what_the_reference_library_refuses_is_told(sealed: Sealed) -> None:
    folder = sealed.runs[0].bag
    assert not check._second_opinion(folder)
    next(path for path in (folder / bag.PAYLOAD).iterdir() if path.is_file()).unlink()
    (told,) = check._second_opinion(folder)
    assert told.startswith("bagit refuses it: ")
