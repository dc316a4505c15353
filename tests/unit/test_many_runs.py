"""What looking at an environment costs with each further run: there may be one for each night."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_reimport import record
from nexus_reimport.page import front, history, live
from nexus_reimport.page.desk import Desk
from nexus_reimport.record.sealed import check
from nexus_reimport.runbook import whereabouts
from nexus_reimport.settings import FOLDER_VARIABLE, Settings
from support.records import stopped

FEW, MORE = 4, 12
_opened: list[None] = []
_is_counting = [False]


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _is_counting[0] and event == "open":
        _opened.append(None)


sys.addaudithook(_count)  # it cannot be taken away


def files_opened(look: Callable[[], object]) -> int:
    """How many files are opened in a look."""
    _opened.clear()
    _is_counting[0] = True
    try:
        look()
    finally:
        _is_counting[0] = False
    return len(_opened)


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
