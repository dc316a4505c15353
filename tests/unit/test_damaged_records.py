"""Records of which a part is missing: nothing is told of their runs that nobody knows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nexus_reimport import record, show
from nexus_reimport.cli import record_views
from nexus_reimport.errors import RecordError, SettingsError
from nexus_reimport.events import Event
from nexus_reimport.model import LineState, Proposal
from nexus_reimport.page import front, history, outcome
from nexus_reimport.page.desk import Desk
from nexus_reimport.record import Run, State, Verdict, runs, signatures
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.sealed import archive, chain, register
from nexus_reimport.runbook import whereabouts
from nexus_reimport.runner import notebook
from nexus_reimport.settings import FOLDER_VARIABLE, Settings
from support.page_alone import rendered
from support.records import complete

DEV = "sandbox-dev"


@pytest.fixture
def committed(known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """An open run that was committed; another one was given up before it."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(environment_files))
    record.create(known).seal()
    run = record.create(known)
    run.journal(Event.STARTED, stage="apply")
    run.journal(Event.COMMITTING)
    run.journal(Event.COMMITTED)
    return run


def test_an_open_run_whose_journal_is_empty_is_in_doubt_until_the_database_was_asked(
    committed: Run, known: Settings
) -> None:
    """It was told as one that has written nothing, and the next run closed it as such."""
    (committed.folder / JOURNAL).write_bytes(b"")
    assert (committed.verdict(), committed.state()) == (Verdict.IN_DOUBT, State.UNKNOWN)
    assert committed.must_be_finished
    with pytest.raises(RecordError, match="is IN_DOUBT"):
        record.create(known)
    shown = outcome.of(committed)
    assert shown.headline.startswith("IN DOUBT")
    note = "journal.jsonl: its beginning is missing: bring the journal back from a backup"
    assert shown.journal == (note,)
    assert note in show.summary(committed)
    assert "nexus-reimport settle sandbox-dev" in notebook.last_error(committed)
    committed.journal(Event.SETTLED, committed=False)
    assert (committed.verdict(), committed.state()) == (Verdict.PARTIAL, State.AS_IT_WAS)
    (committed.folder / JOURNAL).write_bytes(b"")
    committed.journal(Event.SETTLED, committed=True)
    assert committed.verdict() is Verdict.COMMITTED_UNVERIFIED


def test_an_open_run_whose_journal_is_empty_spoils_neither_page_nor_sign_off(
    committed: Run,
) -> None:
    """The whole page was an error, also its list of runs."""
    names = ("environment", "snapshot", "mapping", "code", "schema", "decisions", "plan")
    committed.save(Proposal(**dict.fromkeys(names, "x"), before={}, after={}))
    (committed.folder / JOURNAL).write_bytes(b"")
    it = front.gather(Desk(DEV))
    assert it.now.text.startswith("IN DOUBT")
    assert all(line.state is LineState.NOT_ASKED for line in it.sheet.lines)


@pytest.mark.parametrize("part", range(0, 100, 10))
def test_a_journal_cut_anywhere_never_tells_less_than_it_knew_of_a_commit(
    committed: Run, part: int
) -> None:
    path = committed.folder / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * part // 100])
    told = outcome.of(committed)
    lines = whole[: len(whole) * part // 100]
    if b'"apply"}' in lines or b"\n" not in lines:
        assert told.verdict is Verdict.IN_DOUBT
    assert told.journal or lines.endswith(b"\n"), "that it was cut is told"


def test_a_run_without_a_journal_is_listed_and_says_what_to_do(
    committed: Run, known: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was on no list, and its page was not there, as if there had been no such run."""
    (committed.folder / JOURNAL).unlink()
    assert [folder.name for folder in runs.without_journal(known)] == [committed.id]
    record_views.list_runs(DEV, as_json=False)
    listed = capsys.readouterr().out
    assert any(
        committed.id in line and "its journal is missing" in line for line in listed.splitlines()
    )
    told = "has no journal: it was moved, or deleted"
    with pytest.raises(RecordError, match=told) as error:
        record_views.show_run(DEV, committed.id, as_json=False)
    assert "bring the journal back" in error.value.next
    with pytest.raises(RecordError, match=told):
        history.find(known, committed.id)
    assert front.gather(Desk(DEV)).damaged == (committed.id,)
    assert f"without a journal: {committed.id};" in show.whereabouts(whereabouts.of(known))


def test_a_run_that_is_not_here_is_said_to_be_asked_for_in_the_database(
    committed: Run, known: Settings
) -> None:
    shutil.rmtree(committed.bag)
    assert runs.without_journal(known) == []
    with pytest.raises(SettingsError, match="has no run") as error:
        record_views.show_run(DEV, committed.id, as_json=False)
    assert "nexus-reimport record check sandbox-dev asks the database" in error.value.next


def test_a_register_that_does_not_count_is_told_beside_the_signatures_that_are_missing(
    committed: Run, known: Settings
) -> None:
    """Signatures that were there looked as if nobody had ever given them."""
    signatures.sign(known, "S5", "Ada", "agreed")
    assert front.gather(Desk(DEV)).register == ""
    (known.records_folder / register.FOLDER / register.LAST).write_bytes(b"")
    assert "S5" not in signatures.standing(known)
    why = front.gather(Desk(DEV)).register
    assert "missing or damaged" in why
    assert f"the register does not count: {why}" in show.whereabouts(whereabouts.of(known))


def test_a_copy_and_a_record_of_another_environment_are_no_runs(
    known: Settings,
    environment_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Production was told as reimported and verified, and its database as restored by somebody.

    The first run of production was numbered after the copy, the copy was archived as its record.
    """
    run, prod = complete(known), known.model_copy(update={"name": "sandbox-prod"})
    of_prod = prod.records_folder / run.id
    copy = run.bag.with_name(f"{run.id} copy")
    for place in (copy, of_prod):
        shutil.copytree(run.bag, place)
    assert [one.id for one in record.every(known)] == [run.id]
    assert (record.every(prod), runs.without_journal(prod)) == ([], [])
    assert (runs.astray(known), runs.astray(prod)) == ([copy], [of_prod])
    assert archive.missing(known.records_folder) == [run.bag]
    assert (chain.last(prod.records_folder), archive.missing(prod.records_folder)) == (None, [])
    monkeypatch.setenv(FOLDER_VARIABLE, str(environment_files))
    record_views.list_runs(known.name, as_json=False)
    told = "of another run, or environment"
    lines = [line for line in capsys.readouterr().out.splitlines() if told in line]
    assert [copy.name in line for line in lines] == [True]
    shown = rendered("runs.html", it=front.gather(Desk(known.name)), front="", zone=known.zone)
    assert f"Of another run, or another environment, so not counted here: {copy.name}." in shown
