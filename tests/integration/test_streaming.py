"""Planning streams: the plan is the one that was made of all rows in memory, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from nexus_reimport import CHECKOUT
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import Intake
from nexus_reimport.planning import plan
from support.clinic import Clinic

KIB_PER_ROW = 1.2  # of both sides; half of it is used, and 2.2 when rows were in memory

AS_PLANNED_BEFORE = {
    "patients": "5226ce7a08bb335f",
    "appointments": "41c1d2e5bfcf9f5c",
    "notes": "83fd39e91d697f10",
    "sms_messages": "c898ffbe088d8204",
    "sms_inbound": "0e5f267556f2593d",
    "letters": "4859435455bcd322",
    "reminders": "dce348f0263dbbfd",
    "lists": "8579b4215b1b32e3",
    "links": "9d74a77d2f0a72d3",
}


def _peak(times: int, folder: Path) -> tuple[int, int]:
    """The rows of notes, and the peak of planning in KiB, with as many times the notes."""
    quiet = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    asked = subprocess.run(
        [sys.executable, "-m", "benchmarks.many_notes", str(times), str(folder)],
        env={**os.environ, **quiet, "PYTHONPATH": str(CHECKOUT / "tests")},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    rows, peak = map(int, asked.stdout.split())
    return rows, peak


def test_planning_holds_ids_and_no_rows(clinic: Clinic, tmp_path: Path) -> None:
    clinic.planned()
    few, small = _peak(15, tmp_path / "few")  # more than one batch of a row file
    many, large = _peak(45, tmp_path / "many")
    assert many > 2 * few
    assert (large - small) / (many - few) < KIB_PER_ROW


def test_no_stage_of_a_run_loads_pandas(clinic: Clinic) -> None:
    """Arrow does as soon as it is given a value of Python: 0.3 s and 40 MiB in each process."""
    program = (
        "import sys; from support import clinic; book = clinic.planned();"
        " clinic.finished(clinic.approved(book, book.check_before()));"
        " print(book.run.verdict(), 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert done.stdout == "COMPLETE False\n"


def _shuffled(intake: Intake, folder: Path) -> Intake:
    """The same records of FileMaker, the last one first."""
    for path in intake.folder.glob("*.parquet"):
        (folder / path.name).hardlink_to(path)
    extracts = {}
    for name, extract in intake.snapshot.extracts.items():
        rows = list(rowfile.read(intake.folder, extract.file))
        path = folder / extract.file.name
        file = rowfile.write(path, extract.file.columns, reversed(rows))
        extracts[name] = replace(extract, file=file)
    return replace(intake, folder=folder, snapshot=replace(intake.snapshot, extracts=extracts))


def test_the_order_in_which_filemaker_gives_its_records_is_nothing_to_the_rows(
    clinic: Clinic, tmp_path: Path
) -> None:
    book = clinic.planned()
    intake, as_of = book.intake(), datetime(2026, 3, 1, tzinfo=UTC)
    (tmp_path / "other").mkdir()
    other = _shuffled(intake, tmp_path / "other")
    made, again = (plan.make(one, book.settings, as_of=as_of) for one in (intake, other))
    assert made.entities == again.entities
    for name in ("id_map", "misfits", "differences", "overrides", "links", "by_hand"):
        assert getattr(made, name) == getattr(again, name), name
    assert not list(intake.folder.glob("draft_*"))


def _content(folder: Path, files: Iterable[RowFile]) -> str:
    """A hash of the files' rows, made by the test's own way."""
    rows = [[file.name, file.columns, *rowfile.read(folder, file)] for file in files]
    return sha256(json.dumps(rows).encode()).hexdigest()[:16]


def test_the_rows_are_those_that_were_planned_with_all_rows_in_memory(clinic: Clinic) -> None:
    book = clinic.planned()
    intake = book.intake()
    made = plan.make(intake, book.settings, as_of=datetime(2026, 3, 1, tzinfo=UTC))
    lists = (made.ledger, made.id_map, made.misfits, made.differences, made.overrides)
    files = {
        **{name: (entity.file,) for name, entity in made.entities.items()},
        "lists": lists,
        "links": tuple(link.file for link in made.links.values()),
    }
    # Where the made-up clinic or the mapping changes, so do these.
    assert {name: _content(intake.folder, of) for name, of in files.items()} == AS_PLANNED_BEFORE
