"""A FileMaker file that was restored from a backup is named, and stamps that lie in the future."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from nexus_reimport.checks.before import Before
from nexus_reimport.checks.before.older import (
    filemaker_was_not_restored,
    no_change_of_filemaker_lies_in_the_future,
    no_table_of_filemaker_has_an_older_newest_change,
)
from nexus_reimport.checks.before.source import filemaker_itself_counted_every_table
from nexus_reimport.filemaker import Origin
from nexus_reimport.model import Report, Snapshot
from nexus_sandbox.filemaker import exports
from support.channels import EXPORTS, read_by
from support.clinic import Clinic, surveyed
from support.interlock import refusal, untouched

RESTORED = "filemaker_was_not_restored"


def with_newest(snapshot: Snapshot, **newest: str) -> Snapshot:
    """The snapshot as if the newest changes of some tables were others."""
    extracts = {
        name: replace(e, newest=newest.get(name, e.newest)) for name, e in snapshot.extracts.items()
    }
    return replace(snapshot, extracts=extracts)


def compared(before: Before, then: Snapshot, now: Snapshot) -> Before:
    """What the checks look at, where ``then`` is the record before and its row files are gone."""
    intake = replace(before.intake, snapshot=now)
    return replace(before, intake=intake, earlier=then, earlier_run="sandbox-dev x")


def test_a_filemaker_that_was_restored_from_a_backup_stops_the_run(clinic: Clinic) -> None:
    """People have gone on working in the restored file: it is as large, and its newest is newer."""
    with clinic.simulator.edit() as tables:
        notes = tables["API_Notes"].records
        backup = deepcopy(notes[:2])
        for note in notes[:2]:
            note.values |= {"modificationTimestamp": "2025-11-14 10:00:00", "note": "Entered since"}
    first = clinic.whole(dry=True)
    with clinic.simulator.edit() as tables:
        tables["API_Notes"].records[:2] = backup
        newer = tables["API_Notes"].records[2]
        newer.values["modificationTimestamp"] = "2025-11-14 12:00:00"
    with untouched(clinic, "dev"):
        text = refusal(clinic.preflight)
    assert f"{RESTORED}: 1 of " in text
    assert "(e.g. notes: 2 records as before a change that was read then)" in text
    # Without the private files only the newest change of each table is known.
    shutil.rmtree(first.run.private)
    assert clinic.preflight(dry=True).run.load(Report, "checks_before").passed


def test_the_newest_change_of_the_whole_file_goes_back_and_stops_the_run(
    clinic: Clinic, rehearsed: Path
) -> None:
    before = clinic.approved(rehearsed)._before()
    ahead = {n: "2025-12-01 09:00:00" for n, e in before.snapshot.extracts.items() if e.newest}
    now = before.snapshot
    newest = max(e.newest for e in now.extracts.values())
    stopped = filemaker_was_not_restored(compared(before, with_newest(now, **ahead), now))
    assert list(stopped.offending) == [
        f"the whole file: newest change 2025-12-01 09:00:00 then, {newest} now"
    ]
    assert "not record by record" in stopped.note


@pytest.mark.parametrize(
    ("then", "now", "offends"),
    [
        ("2026-04-05 02:50:00", "2026-04-05 02:10:00", 0),  # the hour that comes twice
        ("2026-04-05 02:50:00", "2026-04-05 01:49:00", 1),
        ("2026-04-05 02:50:00", "2026-04-05 02:50:00", 0),
        ("2026-04-05 02:50:00", "2026-04-06 00:00:00", 0),
        ("2026-04-05 02:50:00", "", 1),  # the table has no stamp any more
        ("", "2026-04-05 02:50:00", 0),
        ("2026-99-99 99:99:99", "2026-04-05 02:50:00", 0),  # no time at all
    ],
)
def test_a_table_whose_newest_change_is_older_is_to_be_looked_at(
    clinic: Clinic, rehearsed: Path, then: str, now: str, offends: int
) -> None:
    before = clinic.approved(rehearsed)._before()
    of = before.snapshot
    subject = compared(before, with_newest(of, notes=then), with_newest(of, notes=now))
    assert len(no_table_of_filemaker_has_an_older_newest_change(subject).offending) == offends


def test_a_change_in_the_future_is_named(clinic: Clinic, rehearsed: Path) -> None:
    before = clinic.approved(rehearsed)._before()
    of, zone = before.snapshot, before.settings.zone

    def at(minutes: int) -> Before:
        ended = of.taken_at + timedelta(seconds=of.seconds, minutes=minutes)
        stamp = f"{ended.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        return compared(before, of, with_newest(of, notes=stamp))

    assert not no_change_of_filemaker_lies_in_the_future(at(4)).offending
    (named,) = no_change_of_filemaker_lies_in_the_future(at(6)).offending
    assert named.startswith("notes: newest change ")


def test_an_exported_file_with_fewer_rows_than_the_record_before_is_named(
    clinic: Clinic, rehearsed: Path
) -> None:
    """One that lost its last lines showed only as rows that FileMaker does not have."""
    before = clinic.approved(rehearsed)._before()
    of = before.snapshot
    origin = Origin("Notes.csv", 1, "0" * 64, of.taken_at)
    files = {
        name: replace(e, origin=origin, table=f"{name}.csv")
        for name, e in of.extracts.items()
        if name in ("notes", "patients", "messages")
    }
    now = replace(of, extracts={**of.extracts, **files})

    def of_then(**more: int) -> str:
        extracts = {n: replace(e, rows=e.rows + more.get(n, 0)) for n, e in of.extracts.items()}
        subject = compared(before, replace(of, extracts=extracts), now)
        return filemaker_itself_counted_every_table(subject).note

    compare = "compare with the number of records that FileMaker shows"
    assert of_then(patients=-2, appointments=3) == compare, "those were read over a connection"
    assert of_then(notes=3, messages=1) == (
        f"{compare}; fewer than in sandbox-dev x: messages.csv by 1, notes.csv by 3"
    )


def test_the_first_record_is_compared_with_none(clinic: Clinic, rehearsed: Path) -> None:
    before = clinic.approved(rehearsed)._before()
    for look in (filemaker_was_not_restored, no_table_of_filemaker_has_an_older_newest_change):
        assert (look(before).looked_at, list(look(before).offending)) == (1, [])
        assert "nothing to compare with" in look(before).note


def test_a_table_that_comes_without_modification_times_is_named_and_not_called_restored(
    clinic: Clinic,
) -> None:
    """The exported file of the images has no such column, and the Data API has the field."""
    first = clinic.whole(dry=True)
    exports.export(clinic.simulator.tables.values(), clinic.folder.parent / "exports")
    channels = '{ images = "exports", messages = "odata", notes = "odata" }'
    read_by(clinic, f'channel = "data_api"\nchannels = {channels}', EXPORTS)
    book = surveyed()
    book.plan()
    report = book.check_before()
    assert not report.blocking, [(r.check, r.sample) for r in report.blocking]
    restored = next(r for r in report.results if r.check == RESTORED)
    assert restored.note == (
        f"compared with {first.settings.name} {first.run.id}; not images: read without"
        " modification times now"
    )
    older = next(r for r in report.results if r.check.startswith("no_table_of_filemaker_has_an"))
    newest = first._before().snapshot.extracts["images"].newest
    assert older.sample == (
        f"images: newest change {newest} then, read without modification times now",
    )
