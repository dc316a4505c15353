"""What stops a run: one clear message each, nothing changed, the right exit code."""

from __future__ import annotations

import traceback

import pytest

from nexus_reimport.errors import ReimportError
from nexus_reimport.model import Plan
from support.clinic import Clinic
from support.leaking import files, leaks
from support.stops import STOPS, undecided


@pytest.mark.parametrize("name", STOPS)
def test_it_stops_with_one_clear_message_and_nothing_changed(clinic: Clinic, name: str) -> None:
    spoil, told, exit_code = STOPS[name]
    spoil(clinic)
    before = clinic.state()
    with pytest.raises(ReimportError) as error:
        clinic.preflight()
    text = str(error.value)
    assert told in text
    assert error.value.exit_code == exit_code
    assert error.value.next, "it says what to do next"
    assert "wrong-secret" not in text
    assert clinic.state() == before
    shown = "".join(traceback.format_exception(error.value))
    assert leaks(clinic, [*files(clinic.folder.parent / "runs"), ("traceback", shown)]) == []


def test_what_is_undecided_is_listed_as_lines_for_the_environment(clinic: Clinic) -> None:
    undecided(clinic)
    lines = clinic.planned_anew().run.load(Plan).undecided()
    assert any(
        line.startswith("decisions.notes: no_filemaker_id = keep or purge") for line in lines
    )


def test_a_waiver_that_is_no_longer_needed_is_said(clinic: Clinic) -> None:
    path = clinic.folder / "sandbox-dev.toml"
    path.write_text(
        path.read_text() + '\n[[waivers]]\ncheck = "the_backup_is_whole"\nat_most = 1\n'
        'reason = "none"\nwho = "x"\nuntil = "2099-01-01"\n'
    )
    results = {r.check: r for r in clinic.planned_anew().check_before().results}
    assert "no longer needed" in results["the_backup_is_whole"].note
