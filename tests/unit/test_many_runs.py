"""What looking at an environment costs with each further run: there may be one for each night."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexus_reimport import record
from nexus_reimport.cli import record_views
from nexus_reimport.events import Event
from nexus_reimport.page import front, history, live
from nexus_reimport.page.desk import Desk
from nexus_reimport.record import purge
from nexus_reimport.record.sealed import archived, check, index
from nexus_reimport.record.sealed.archived import Archived
from nexus_reimport.runbook import whereabouts
from nexus_reimport.settings import FOLDER_VARIABLE, Settings
from support.opened import files_opened
from support.records import stopped

FEW, MORE = 4, 12


def test_a_look_opens_few_files_for_each_further_run(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live page, which is asked for each second, listed all runs three times, others more."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(environment_files))
    desk = Desk("sandbox-dev")
    looks: dict[str, tuple[Callable[[], object], int]] = {
        "live": (lambda: live.gather(desk), 2),
        "page": (lambda: front.gather(desk), 18),
        "list of runs": (lambda: history.of(known, None), 9),
        "status": (lambda: whereabouts.of(known), 3),
        "find": (lambda: history.find(known, ""), 4),
        "record check": (lambda: check.of_folder(known.records_folder, known.name), 80),
    }

    def opened() -> dict[str, int]:
        return {name: files_opened(look) for name, (look, _) in looks.items()}

    for _ in range(history.SHOWN + FEW):  # so that one table of runs is full
        stopped(known)
    few = opened()
    for _ in range(MORE):
        stopped(known)
    each = {name: (count - few[name]) / MORE for name, count in opened().items()}
    assert {name: n for name, n in each.items() if n > looks[name][1]} == {}


def test_runs_that_are_listed_once_are_listed_afresh_afterwards(known: Settings) -> None:
    stopped(known)
    with record.listed_once():
        first = record.every(known)
        stopped(known)
        assert record.every(known) == first
        with record.listed_once():
            assert len(record.every(known)) == 2
        assert record.every(known) == first
    assert len(record.every(known)) == 2


def _looks(known: Settings) -> dict[str, Callable[[], object]]:
    desk = Desk("sandbox-dev")
    return {
        "live": lambda: live.gather(desk),
        "page": lambda: front.gather(desk),
        "status": lambda: whereabouts.of(known),
        "record list": lambda: record_views.list_runs("sandbox-dev", as_json=True),
        "record check": lambda: check.of_folder(known.records_folder, known.name),
        "purge": lambda: purge.look(known, timedelta(days=30), (), datetime.now(UTC)),
    }


@pytest.fixture
def one_is_shown(environment_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of runs is full with one: what it shows of each is no cost of further ones."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(environment_files))
    monkeypatch.setattr(history, "SHOWN", 1)


@pytest.mark.usefixtures("one_is_shown")
def test_what_a_look_opens_grows_with_the_runs_and_not_with_their_square(known: Settings) -> None:
    """A purge read all records again for each folder that it looked at."""
    looks = _looks(known)
    counts: dict[str, list[int]] = {name: [] for name in looks}
    for _ in range(3):
        for _ in range(MORE):
            stopped(known)
        for name, look in looks.items():
            counts[name].append(files_opened(look))
    # What the last runs add, by what as many before them have added: 1 where each costs the same.
    growth = {name: (c - b) / max(1, b - a) for name, (a, b, c) in counts.items()}
    assert {name: by for name, by in growth.items() if by > 1.1} == {}


@pytest.mark.usefixtures("one_is_shown")
def test_an_open_run_costs_a_look_the_same_however_many_are_sealed(
    known: Settings, tmp_path: Path
) -> None:
    """Whether it was sealed, and has lost its seal, was asked of all records, for each open one.

    Many are open where their records are not clean, or came back from elsewhere.
    """
    looks, apart = _looks(known), tmp_path / "apart"
    each: dict[str, list[int]] = {name: [] for name in looks}
    stopped(known)
    shutil.move(record.create(known).bag, apart)
    for _ in range(2):
        for _ in range(MORE):
            stopped(known)
        copies = [known.records_folder / f"20200101T00000{n}Z-0000" for n in range(4)]
        shutil.copytree(apart, copies[0])  # all that is read once any run is open
        before = {name: files_opened(look) for name, look in looks.items()}
        for copy in copies[1:]:
            shutil.copytree(apart, copy)
        for name, look in looks.items():
            each[name].append(files_opened(look) - before[name])
        for copy in copies:
            shutil.rmtree(copy)
    assert {name: by for name, by in each.items() if by[1] > by[0]} == {}


def test_the_page_of_all_records_reads_once_what_is_archived(known: Settings) -> None:
    """It was read once for each record, and has a line for each."""
    runs = [stopped(known) for _ in range(FEW)]
    few = files_opened(lambda: index.write(known.records_folder))
    for run in runs:
        facts = ("bucket", f"{run.id}.tar", "1", "2030-01-01T00:00:00+00:00", "0" * 64)
        archived.note(known.records_folder, Archived(run.id, run.seal_digest(), *facts))
    assert files_opened(lambda: index.write(known.records_folder)) <= few + 1
    assert (known.records_folder / index.FILE).read_text().count("In the archive") == FEW


@pytest.mark.usefixtures("one_is_shown")
def test_a_run_at_work_is_followed_without_reading_the_journals_of_all_others(
    known: Settings,
) -> None:
    """Where none has come to the end of what it does, each was read again each second."""
    for _ in range(MORE):
        stopped(known)
    idle = files_opened(_looks(known)["live"])
    run = record.create(known)
    run.journal(Event.STARTED, stage="plan", pid=1)
    with record.at_work(known), run.at_work():
        live.gather(Desk("sandbox-dev"))
        assert files_opened(_looks(known)["live"]) < 2 * idle


def test_a_page_that_looks_at_years_of_runs_looks_less_often() -> None:
    assert live.pause_after(0.01) == live.PAUSE
    assert live.pause_after(0.7) == pytest.approx(6.3)
