"""No patient's value and no secret in a record, on a terminal, in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nexus_reimport import CHECKOUT
from support.clinic import Clinic
from support.leaking import files, leaks
from support.stops import STOPS

ROOT = CHECKOUT
BY_COMMAND = ("two patients with one id",)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nexus_reimport.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        timeout=280,
    )


def test_the_canaries_can_be_found(clinic: Clinic) -> None:
    said = clinic.made_up.canaries()
    assert {"name", "phone", "email", "address", "birth_date", "health_number"} <= said.keys()
    name = said["name"][0]
    assert leaks(clinic, [("a place", f"the patient {name.upper()}")]) == ["name in a place"]


def test_a_whole_run_by_papermill_leaks_nothing(clinic: Clinic) -> None:
    done = command("run", "sandbox-dev", "--approve-rehearsed")
    assert done.returncode == 0, done.stderr + done.stdout
    runs = clinic.folder.parent / "runs"
    names = {name for name, _ in files(runs)}
    assert {"01_preflight.ipynb", "02_execute.html", "README.txt", "journal.jsonl"} <= names
    texts = [*files(runs), ("stdout", done.stdout), ("stderr", done.stderr)]
    assert leaks(clinic, texts) == []


@pytest.mark.parametrize("name", BY_COMMAND)
def test_a_provoked_error_leaks_nothing_by_command(clinic: Clinic, name: str) -> None:
    spoil, told, exit_code = STOPS[name]
    spoil(clinic)
    done = command("run", "sandbox-dev", "--approve-rehearsed")
    assert done.returncode == exit_code, done.stderr
    assert told in done.stdout + done.stderr
    texts = [
        *files(clinic.folder.parent / "runs"),
        ("stdout", done.stdout),
        ("stderr", done.stderr),
    ]
    assert leaks(clinic, texts) == []
