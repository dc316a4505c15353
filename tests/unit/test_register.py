"""Old private files are deleted by a rule, and the register keeps who has done it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from nexus_reimport import record, settings
from nexus_reimport.errors import SettingsError
from nexus_reimport.events import Event
from nexus_reimport.record import Run, by_hand, check, journal, purge, register
from support.records import checked, committed, complete, row, stopped, wrong

NOW, LONG = timedelta(0), timedelta(days=30)


@pytest.fixture
def known(environment_files: Path) -> settings.Settings:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace("../../", ""))
    return settings.load("sandbox-dev", environment_files)


def kept(known: settings.Settings, older_than: timedelta, *needed: str) -> dict[str, str]:
    """Private folder -> why it stays."""
    return {one.name: one.kept for one in purge.look(known, older_than, needed)}


def with_files(run: Run) -> Run:
    (run.private / "patients.parquet").write_bytes(b"x" * 1000)
    return run


def purged(known: settings.Settings) -> list[str]:
    done = [one for one in purge.look(known, NOW, ()) if not one.kept]
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
    (known.folders.private / known.name / "nobody's").mkdir()
    assert kept(known, NOW, done.id) == {
        done.id: "the database may have to be taken back to before it",
        old.id: "",
        spoilt.id: "its record is not as it was sealed",
        unverified.id: "the run is COMMITTED_UNVERIFIED",
        doubt.id: "the run is IN_DOUBT",
        running.id: "the run is open",
    }, "and what belongs to no record is not even looked at"
    assert kept(known, LONG)[old.id] == "younger"


def test_pages_of_an_open_run_stay_and_those_of_others_go(known: settings.Settings) -> None:
    run = record.create(known)
    place = known.folders.private / known.name / by_hand.FOLDER
    for name in ("used", "left"):
        (place / name).mkdir(parents=True)
        (place / name / "01_preflight.ipynb").write_text("{}")
    run.journal(Event.BY_HAND, lab="used")
    assert kept(known, NOW) == {
        run.id: "the run is open",
        "lab/left": "",
        "lab/used": "an open run was stepped through in it",
    }
    assert kept(known, LONG)["lab/left"] == "younger"


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
    assert "; 1 files, 0.0 MB" in remarks[runs[0].id]
    assert purged(known) == []
    lines = register.entries(known.folders.runs / known.name, Event.PURGED)
    line = next(one for one in lines if one.text("of") == runs[0].id)
    assert (len(lines), line.line["bytes"], line.text("older_than")) == (2, 1000, "0d")


def test_a_register_that_was_changed_is_found_by_the_next_seal(known: settings.Settings) -> None:
    complete(known)
    purged(known)
    later = complete(known)
    purged(known)
    path = known.folders.runs / known.name / register.FOLDER / journal.JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    told = f".register: line 1 is not the one that {later.id} was sealed with"

    def problems() -> tuple[str, ...]:
        return check.of_folder(known.folders.runs / known.name, known.name)[-1].problems

    assert problems() == ()
    path.write_bytes(lines[1])
    assert told in problems()
    path.write_bytes(lines[0].replace(b'"0d"', b'"9d"') + lines[1])
    assert told in problems()
    assert any("does not follow on the one before" in text for text in problems())
    path.unlink()
    assert told in problems()
    path.write_bytes(json.dumps({"event": "purged"}).encode() + b"\n")
    assert told in problems()


@pytest.mark.parametrize("text", ["30", "d", "-3d", "3.5d", "30 days", "٣d", ""])
def test_an_age_is_a_number_of_days(text: str) -> None:
    assert purge.age_of("30d") == LONG
    with pytest.raises(SettingsError, match="must be a number of days"):
        purge.age_of(text)
