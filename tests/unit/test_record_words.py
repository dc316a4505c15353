"""What a check says of a forged record: the right thing, and no more than it knows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport import record, settings
from nexus_reimport.events import Event
from nexus_reimport.page import history
from nexus_reimport.record import Run, journal
from nexus_reimport.record.notebooks import pages
from nexus_reimport.record.sealed import bag, chain, check
from nexus_reimport.record.sealed.archived import LIST
from support.forgeries import Sealed, the_last_record_deleted
from support.records import committed, seal_anew, wrong


def said(tool: ModuleType, folder: Path, seals: object = None) -> tuple[bool, list[str]]:
    """Whether the auditor's tool finds all as sealed, and what it says."""
    lines: list[str] = []
    return tool.check(folder, seals, None, lines.append), lines


def remarks(folder: Path) -> tuple[str, ...]:
    return check.of_folder(folder)[-1].remarks


def by_itself(run: Run) -> tuple[str, ...]:
    return check.of_record(run.bag).problems


def noted(sealed: Sealed) -> None:
    """The note of the last seal, as somebody makes it anew."""
    links = filter(None, map(chain.of, chain.records(sealed.folder)))
    chain.note_last(sealed.folder, max(links, key=lambda link: link.sequence))


# ---------------------------------------------------------------- what no check can find


def test_records_cut_off_at_the_end_are_named_as_what_would_not_be_found(
    sealed: Sealed, tool: ModuleType
) -> None:
    """The last one wrote nothing: the database does not know it, nor does any record."""
    the_last_record_deleted(sealed)
    noted(sealed)
    assert sealed.problems() == {}
    is_right, lines = said(tool, sealed.folder)
    assert is_right
    assert check.UNSEEN in lines[-2]
    assert "records cut off at the end" in check.UNSEEN
    is_right, lines = said(tool, sealed.folder, sealed.seals())
    assert is_right
    assert lines[-1] == (
        "the database knows no run after number 3. Later runs wrote nothing; whether the last"
        " of them is genuine, only .last_seal tells: if both were replaced, nobody finds it"
    )


# ---------------------------------------------------------------- open records


def unsealed(run: Run) -> None:
    """A sealed record as an open one, its journal without its last line."""
    for name in (*bag.TAG_FILES, bag.TAG_MANIFEST):
        (run.bag / name).unlink()
    (run.folder / "verdict.json").unlink()
    path = run.folder / journal.JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"sealed"' not in line))


def test_an_open_record_is_vouched_for_by_nobody_and_is_said_to_be(
    sealed: Sealed, tool: ModuleType
) -> None:
    unsealed(sealed.runs[3])
    noted(sealed)
    is_right, lines = said(tool, sealed.folder, sealed.seals())
    assert is_right, lines
    assert f"{sealed.runs[3].id}: {check.UNVOUCHED}" in lines
    assert check.UNVOUCHED in check.of_record(sealed.runs[3].bag).remarks


def test_a_committed_record_that_was_opened_again_is_not_said_to_have_another_number(
    sealed: Sealed, tool: ModuleType
) -> None:
    run = sealed.runs[2]
    unsealed(run)
    told = "the database has its seal, and the record is not sealed"
    assert f"{run.id}: {told}" in said(tool, sealed.folder, sealed.seals())[1]
    assert (
        "the database has a seal for this run, and its record is not sealed"
        in (sealed.problems()[run.id])
    )


def test_an_open_record_that_invents_a_commit_is_unknown_to_the_database(
    sealed: Sealed, tool: ModuleType
) -> None:
    run = committed(sealed.known)
    told = f"{run.id}: the database does not know it, and it says it was committed"
    is_right, lines = said(tool, sealed.folder, sealed.seals())
    assert (is_right, told in lines) == (False, True)
    assert "the database does not know this run" in sealed.problems()[run.id][0]


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (("1", "COMPLETE", ""), "the database has no seal of it yet: it could not be compared"),
        (("7", "COMPLETE", None), "the database holds another number of it"),
        (("1", "STOPPED", "0"), "the database holds another verdict and another seal of it"),
    ],
)
def test_what_the_database_holds_otherwise_is_named(
    sealed: Sealed, tool: ModuleType, held: tuple[str, str, str | None], told: str
) -> None:
    run, (number, verdict, seal) = sealed.runs[0], held
    seals = sealed.seals()
    seals[run.id] = (number, verdict, run.seal_digest() if seal is None else seal)
    is_right, lines = said(tool, sealed.folder, seals)
    assert (is_right, f"{run.id}: {told}" in lines) == (False, True)


# ---------------------------------------------------------------- beside the records


@pytest.mark.parametrize(
    "name", [".READ_ME_FIRST.html", ".20260101T000000Z-0000", ".last_seal.old", ".\u0430rchived"]
)
def test_what_is_hidden_beside_the_records_is_said_not_to_be_looked_at(
    sealed: Sealed, tool: ModuleType, name: str
) -> None:
    (sealed.folder / name).mkdir()
    told = f"{ascii(name)[1:-1]}: not looked at; it is no part of the records"
    assert told in said(tool, sealed.folder)[1]
    assert remarks(sealed.folder) == (told,)


@pytest.mark.parametrize("name", ["index.html.real.html", "index.htm", "READ_ME"])
def test_a_second_list_of_records_is_none(sealed: Sealed, tool: ModuleType, name: str) -> None:
    (sealed.folder / name).write_text("<h1>All is well</h1>")
    assert f"{name}: not a record" in said(tool, sealed.folder)[1]
    assert sealed.problems() == {"": (f"{name}: not a record",)}


@pytest.mark.parametrize("name", [".at_work", ".window", LIST, ".last_seal.1.2.new"])
def test_what_the_commands_put_beside_the_records_is_no_news(
    sealed: Sealed, tool: ModuleType, name: str
) -> None:
    (sealed.folder / name).write_text("")
    assert remarks(sealed.folder) == ()
    assert not [line for line in said(tool, sealed.folder)[1] if line.startswith(name)]


def test_the_list_of_records_is_said_not_to_be_looked_at(sealed: Sealed, tool: ModuleType) -> None:
    page = sealed.folder / "index.html"
    page.write_text(page.read_text().replace("STOPPED", "COMPLETE"))
    told = "index.html: not looked at; nothing vouches for what it says"
    assert told in said(tool, sealed.folder, sealed.seals())[1]


# ---------------------------------------------------------------- names that look alike


def test_a_name_that_looks_like_another_is_spelt_out(
    sealed: Sealed, tool: ModuleType, tmp_path: Path
) -> None:
    run = sealed.runs[0]
    (run.folder / "pl\u0430n.json").write_text("{}")
    added = r"data/pl\u0430n.json: added after the seal"
    assert by_itself(run) == (added,)
    assert [line for line in said(tool, run.bag)[1] if added in line]
    copy = shutil.copytree(sealed.runs[1].bag, tmp_path / run.id.replace("T", "\u0422"))
    called = "the folder is called " + ascii(copy.name)[1:-1]
    assert called in check.of_record(copy).problems[0]
    assert called in said(tool, copy)[1][0]


def test_an_empty_folder_that_was_added_is_not_missing(sealed: Sealed, tool: ModuleType) -> None:
    run = sealed.runs[0]
    (run.bag / "extra").mkdir()
    assert by_itself(run) == ("extra: added after the seal",)
    assert f"{run.id}: extra: added after the seal" in said(tool, run.bag)[1]


# ---------------------------------------------------------------- one bag, read in two ways


def test_a_fact_told_twice_in_other_letters_is_found(sealed: Sealed, tool: ModuleType) -> None:
    """To a bag `verdict` and `Verdict` are one label, and a person reads the first."""
    run = sealed.runs[3]
    path = run.bag / bag.INFO
    path.write_text(f"verdict: COMPLETE\n{path.read_text()}")
    seal_anew(run.bag)
    noted(sealed)
    assert "bag-info.txt: verdict is told twice" in by_itself(run)
    assert not said(tool, run.bag)[0]


def test_a_signature_of_nobody_is_a_file_that_was_added(sealed: Sealed, tool: ModuleType) -> None:
    run = sealed.runs[3]
    facts = bag.info(run.bag) | {bag.SIGNED: ""}
    (run.bag / bag.INFO).write_text(bag.info_text(facts))
    (run.bag / bag.SIGNATURE).write_text("a signature")
    seal_anew(run.bag)
    told = f"{bag.SIGNATURE}: added after the seal"
    assert by_itself(run) == (told,)
    assert told in said(tool, run.bag)[1][0]


def test_a_check_that_failed_after_the_verification_leaves_no_run_complete(
    sealed: Sealed, tool: ModuleType
) -> None:
    run = committed(sealed.known)
    run.journal(Event.VERIFIED)
    run.journal(Event.STARTED, stage="checks_after", pid=1)
    run.journal(Event.FAILED, stage="checks_after", kind="StopError", what="3", exit_code=1)
    run.seal()
    for path in (run.bag / bag.INFO, run.folder / "verdict.json", run.folder / journal.JOURNAL):
        path.write_text(path.read_text().replace("COMMITTED_UNVERIFIED", "COMPLETE"))
    seal_anew(run.bag)
    assert by_itself(run)
    is_right, lines = said(tool, run.bag)
    assert (is_right, "a check has failed since" in lines[0]) == (False, True)


# ---------------------------------------------------------------- lists, pages


def a_list(run: Run) -> Path:
    path = run.folder / "ledger.csv"
    path.write_text("source,outcome\nnotes,left out\n")
    run.list_written(path.name)
    return path


def a_page(run: Run) -> Path:
    import nbformat

    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    pages.put(run.folder, run.private, "01_preflight", notebook, pages.Counter())
    return run.folder / "01_preflight.html"


@pytest.mark.parametrize("make", [a_list, a_page])
def test_a_list_or_a_page_that_was_edited_before_the_seal_is_named_after_it_too(
    known: settings.Settings, tool: ModuleType, make: Callable[[Run], Path]
) -> None:
    """Who approves reads the page, and who audits reads the list of what was left out."""
    run = record.create(known)
    path = make(run)
    assert (by_itself(run), history.changed(run)) == ((), frozenset())
    path.write_text(path.read_text().replace("left out", "loaded") + "<!-- -->\n")
    told = f"{path.name}: it is not what its stage has written"
    assert by_itself(run) == (told,)
    assert history.changed(run) == {path.name}
    assert f"{run.id}: {told}" in said(tool, run.bag)[1]
    run.seal()
    assert told in by_itself(run)
    assert not said(tool, run.bag)[0]


def test_a_page_of_which_nobody_knows_the_hash_is_not_accused(known: settings.Settings) -> None:
    run = record.create(known)
    (run.folder / "01_preflight.html").write_text("<p>of an older version</p>")
    run.journal(Event.PAGE, page="01_preflight", sha256="none")
    assert by_itself(run) == ()


# ---------------------------------------------------------------- what was given to compare with


@pytest.mark.parametrize("text", ["{run},1,COMPLETE,{seal}\n{run},1,STOPPED,{seal}\n"])
def test_a_list_of_seals_that_names_a_run_twice_is_refused(
    sealed: Sealed, tool: ModuleType, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "seals.txt"
    path.write_text(text.format(run=sealed.runs[0].id, seal=sealed.runs[0].seal_digest()))
    with pytest.raises(ValueError, match=f"line 2: run {sealed.runs[0].id} is named twice"):
        tool.read_seals(path)


def test_a_list_of_seals_may_begin_as_windows_writes_it(
    sealed: Sealed, tool: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "seals.txt"
    text = "".join(f"{run},{','.join(held)}\r\n" for run, held in sealed.seals().items())
    path.write_text(text, encoding="utf-8-sig", newline="")
    assert tool.read_seals(path) == sealed.seals()


def test_a_bag_whose_manifest_cannot_be_read_says_which_lines(
    sealed: Sealed, tool: ModuleType
) -> None:
    path = sealed.runs[0].bag / bag.MANIFEST
    path.write_text(path.read_text() + "\n\n")
    line = path.read_text().count("\n")
    assert f"{bag.MANIFEST}: line {line} cannot be read" in said(tool, sealed.runs[0].bag)[1][0]


def test_a_note_in_a_file_beside_a_record_is_not_its_content(sealed: Sealed) -> None:
    """Times, rights and notes of the file system are no part of a seal: every copy has others."""
    for path in sealed.folder.rglob("*"):
        os.utime(path, (0, 0))
    (sealed.runs[0].folder / "plan.json").chmod(0o777)
    assert sealed.problems() == {}
    assert wrong(check.of_folder(sealed.folder)) == {}


def test_what_the_check_gives_to_programs_names_the_same(sealed: Sealed) -> None:
    (sealed.runs[0].folder / "pl\u0430n.json").write_text("{}")
    problems = check.of_record(sealed.runs[0].bag).problems
    assert json.loads(json.dumps(problems)) == [r"data/pl\u0430n.json: added after the seal"]


def test_a_page_that_was_edited_before_the_seal_is_made_again_and_that_is_said(
    known: settings.Settings, tool: ModuleType
) -> None:
    run = record.create(known)
    path = a_page(run)
    path.write_text(path.read_text().replace("<body", "<p>Approved by the board</p><body"))
    pages.before_seal(run.folder, run.private)
    assert "board" not in path.read_text()
    run.seal()
    told = "PARTIAL, pages changed before the seal: it was given up"
    assert told in (run.bag / bag.README).read_text()
    assert (
        "PARTIAL</span>, pages changed before the seal"
        in (run.bag.parent / "index.html").read_text()
    )
    assert by_itself(run) == ()
    assert said(tool, run.bag)[0]
