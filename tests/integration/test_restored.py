"""A database that was restored from a backup: acknowledged by a person, told by every check."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from nexus_reimport import record, runbook, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.record import journal
from nexus_reimport.record.sealed import register
from nexus_reimport.runbook import lost_records, whereabouts
from nexus_reimport.runbook import restored_database as acknowledging
from nexus_reimport.runner import purging
from support.clinic import ROLE, Clinic
from support.commands import command
from support.pages import gathered
from support.restoring import put_back
from support.running import DEV

WHY = "disk failure, backup of the night before"


def restored(clinic: Clinic) -> runbook.Runbook:
    """A run that was executed; then the database is put back as it was before."""
    book = clinic.executed()
    put_back(clinic)
    return book


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code, out, _ = command(capsys, "record", "check", DEV, "--json")
    (one, whole) = json.loads(out)["checked"]
    return code, "; ".join(one["problems"] + one["remarks"] + whole["problems"])


def test_a_restore_is_acknowledged_once_and_told_by_every_check(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    book = restored(clinic)
    code, told = checked(capsys)
    assert code == 1
    assert f"(then: nexus-reimport record restored {DEV} --why TEXT)" in told
    knows = "the database of sandbox-dev knows no run after number"
    assert f"{knows} 0. " in command(capsys, "record", "check", DEV)[1]

    acknowledge = ("record", "restored", DEV, "--why")
    code, _, err = command(capsys, *acknowledge, " ", "--yes")
    assert (code, "with a reason" in err) == (1, True)
    code, out, err = command(capsys, *acknowledge, WHY, "--yes")
    assert (code, WHY in out) == (0, True), err
    assert out.startswith("the database was restored from before 1 run; acknowledged by ")
    code, told = checked(capsys)
    assert code == 0
    assert "the database was restored from before this run; acknowledged by " in told
    assert told.endswith(f"UTC: {WHY}")
    assert f"{knows} 1. " in command(capsys, "record", "check", DEV)[1]
    code, _, err = command(capsys, *acknowledge, WHY, "--yes")
    assert (code, "or its restore is acknowledged" in err) == (1, True)

    path = book.run.bag.parent / register.FOLDER / journal.JOURNAL
    line = path.read_bytes()
    assert json.loads(line)["runs"] == [[book.run.id, book.run.seal_digest()]]
    path.unlink()
    code, told = checked(capsys)
    assert code == 1, "the database alone is not enough"
    assert "the database holds a restore that " in told
    path.write_bytes(line)
    clinic.do("DELETE FROM nexus_reimport.restores", role=ROLE)
    assert checked(capsys)[0] == 1, "the register alone is not enough"
    put_back(clinic)
    assert command(capsys, *acknowledge, "again", "--yes")[0] == 0, "restored a second time"
    code, told = checked(capsys)
    assert (code, told.endswith("UTC: again")) == (0, True)


def test_status_and_page_tell_a_restored_database_until_somebody_acknowledges_it(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    """They said COMPLETE, and that nothing was left to do."""
    book = restored(clinic)
    run, todo = book.run.id, f"nexus-reimport record restored {DEV} --why TEXT"
    it = whereabouts.of(environments.load(DEV))
    assert it.next.endswith(f"; then: {todo}")
    lacks = f"does not know run {run}, which was committed: it is older"
    assert f"  database  it {lacks}\n" in show.whereabouts(it)
    page = gathered(DEV)
    assert (page.now.text, page.now.tone) == (f"The database {lacks}", "bad")
    assert page.next.endswith(f"; then: {todo}.")
    _, out, _ = command(capsys, "status", DEV, "--json")
    assert json.loads(out)["environments"][0]["unknown_to_database"] == run

    assert command(capsys, "record", "restored", DEV, "--why", WHY, "--yes")[0] == 0
    it = whereabouts.of(environments.load(DEV))
    assert it.next == f"nexus-reimport run {DEV}"
    assert f"it {lacks}; acknowledged by " in show.whereabouts(it)
    page = gathered(DEV)
    assert page.now.text.startswith(f"The database {lacks}; acknowledged by ")
    assert (page.now.tone, page.next) == ("attention", "Start a dry run.")


def test_a_restore_is_told_beside_a_later_run_that_has_written_nothing(clinic: Clinic) -> None:
    book = restored(clinic)
    later = record.create(environments.load(DEV))
    it = whereabouts.of(environments.load(DEV))
    assert it.last == later
    assert it.apart.forgotten is not None
    assert (it.apart.forgotten.run, it.apart.forgotten.restore) == (book.run.id, None)
    assert not gathered(DEV).forgotten, "the page tells of the later run first"
    later.seal()
    assert "record restored" in whereabouts.of(environments.load(DEV)).next


def test_who_approves_a_run_on_a_database_that_lacks_the_last_one_is_told(clinic: Clinic) -> None:
    """It could be the server that failed and came back, and the run went through without a word."""
    lost = restored(clinic).run.id
    book = runbook.begin(DEV)
    assert book._forgotten() == lost
    acknowledging.acknowledge(DEV, acknowledging.unknown_runs(DEV), WHY)
    assert book._forgotten() == ""


def test_a_record_that_was_changed_is_not_acknowledged(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    book = restored(clinic)
    (book.run.folder / "plan.json").write_text("{}")
    code, _, err = command(capsys, "record", "restored", DEV, "--why", WHY, "--yes")
    assert code == 1
    assert "is not as it was sealed: data/plan.json: changed after the seal" in err
    assert not (book.run.bag.parent / register.FOLDER).exists()


def test_what_the_way_back_needs_is_never_purged(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    book = clinic.executed()
    arguments = ("purge-private", DEV, "--older-than", "0d", "--json")
    code, out, _ = command(capsys, *arguments, "--yes")
    (one,) = json.loads(out)["private"]
    assert (code, one["deleted"]) == (0, False)
    assert one["kept"] == "the database may have to be taken back to before it"
    put_back(clinic)
    _, out, _ = command(capsys, *arguments)
    (one,) = json.loads(out)["private"]
    assert (one["kept"], one["deleted"]) == ("", False), "a first look deletes nothing"
    assert (book.folder / "nexus.dump").is_file()
    _, out, _ = command(capsys, *arguments[:-1])
    assert f"nexus-reimport purge-private {DEV} --older-than 0d --yes" in out
    sheet = environments.load(DEV).by_hand_sheet
    sheet.write_bytes(b"of people")
    _, out, _ = command(capsys, *arguments[:-1], "--yes")
    assert not book.folder.exists()
    assert f"it may hold patients' names, and stays until you delete it: {sheet}" in out
    assert environments.load(DEV).folders.runs.is_dir()


def test_a_clock_that_is_ahead_makes_no_file_old_enough_to_be_deleted(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a machine had started with next year's date, the private files of last night went."""
    book = clinic.executed()
    put_back(clinic)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=365)

    monkeypatch.setattr(purging, "datetime", Ahead)
    (folder,) = purging.purge_private(DEV, "30d", really=True)
    assert folder.kept == "younger"
    assert (book.folder / "nexus.dump").is_file()


def test_of_two_who_acknowledge_one_restore_the_second_is_told(clinic: Clinic) -> None:
    restored(clinic)
    seen_by_both = acknowledging.unknown_runs(DEV)
    acknowledging.acknowledge(DEV, seen_by_both, WHY)
    with pytest.raises(StopError, match="or its restore is acknowledged"):
        acknowledging.acknowledge(DEV, seen_by_both, "another disk")
    place = environments.load(DEV).records_folder
    assert len(register.restored(place)) == 1


def test_records_that_came_back_meanwhile_are_not_said_to_be_lost(clinic: Clinic) -> None:
    clinic.executed()
    place = environments.load(DEV).records_folder
    place.rename(place.with_name("unmounted"))
    seen = lost_records.runs(DEV)
    with pytest.raises(StopError, match="not the runs any more"):
        lost_records.acknowledge(DEV, (*seen, "one that came back"), "the disk broke")
    assert register.lost(place) == frozenset()
    place.rename(place.with_name("without"))
    place.with_name("unmounted").rename(place)
    with pytest.raises(StopError, match="no record is missing"):
        lost_records.acknowledge(DEV, seen, "the disk broke")
    assert register.lost(place) == frozenset()


def test_what_is_first_is_the_same_on_the_page_and_in_status_where_records_are_missing_too(
    clinic: Clinic, rehearsed: Path
) -> None:
    """`finish` the older run, said one, which would be compared with what later runs have left."""
    book = clinic.approved(rehearsed)
    book.apply()
    assert whereabouts.of(environments.load(DEV)).next == f"nexus-reimport finish {DEV}"
    assert gathered(DEV).next.startswith("A person must decide")
    assert gathered(DEV).decision is not None
    clinic.do(
        "INSERT INTO nexus_reimport.runs (run, environment, digest, approved_by, before, after,"
        " number)"
        " SELECT '20990101T000000Z-0000', environment, digest, approved_by, before, after,"
        " number + 1 FROM nexus_reimport.runs",
        role=ROLE,
    )
    it, page = whereabouts.of(environments.load(DEV)), gathered(DEV)
    assert (it.unfinished, it.apart.away) == (book.run, ("20990101T000000Z-0000",))
    assert it.next.startswith("bring back what was in ")
    assert page.next == f"{it.next[:1].upper()}{it.next[1:]}."
    assert page.now.text == "Of 1 run that the database knows, no record is here"
    assert page.decision is None, "its choices would be about what later runs have left"
