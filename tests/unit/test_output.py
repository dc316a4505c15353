"""What a command does where its own output has no room, or nowhere to go."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from nexus_reimport.cli import output
from nexus_reimport.cli.output import give_error, give_outcomes
from nexus_reimport.errors import ReimportError
from nexus_reimport.record import Verdict
from nexus_reimport.runner import Outcome

FULL = Path("/dev/full")  # each write to it fails as on a full disk
LOST = "the result could not be written: No space left on device"
STATUS = ("sandbox", "status", "--json")


def shell(folder: Path, words: tuple[str, ...], redirected: str) -> tuple[int, str, str]:
    """A command in ``folder`` with streams as a shell would redirect them."""
    ours = [sys.executable, "-m", "nexus_reimport.cli", *words]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirected}', "bash", *ours],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_result_that_has_no_room_is_told_and_not_the_commands_own_failure(
    tmp_path: Path,
) -> None:
    code, _, told = shell(tmp_path, STATUS, "> /dev/full")
    assert (code, told.splitlines()[0]) == (3, LOST)
    assert "state: the command has come to its end, and what it did stands" in told
    assert "Traceback" not in told


def test_a_result_whose_file_is_on_a_disk_that_fails_is_not_taken_for_one_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal that was closed says the same, and is no file."""
    memory = Path("/proc/self/mem")  # a file whose first page cannot be written: EIO
    with memory.open("w") as failing, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", failing)
        patched.setattr(output.VOLUME, "result_begun", False)
        with pytest.raises(ReimportError, match="not be written: Input/output error"):
            output.give({}, "the result", as_json=False)


def test_a_message_that_has_no_room_leaves_the_exit_code_and_the_result(tmp_path: Path) -> None:
    wrong = ("record", "check", "./nowhere", "--json")
    code, out, _ = shell(tmp_path, wrong, "2> /dev/full")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)
    assert shell(tmp_path, wrong, "> /dev/full 2> /dev/full")[0] == 2


def test_streams_that_were_closed_lead_nowhere(tmp_path: Path) -> None:
    code, out, _ = shell(tmp_path, ("run", "nowhere", "--json"), "<&- 2>&-")
    assert (code, json.loads(out)["what"]) == (2, "no environment is called 'nowhere'")
    assert shell(tmp_path, STATUS, ">&- 2>&-")[0] == 0


def test_a_letter_that_the_encoding_lacks_is_no_failure(tmp_path: Path) -> None:
    folder = tmp_path / "a→b"
    folder.mkdir()
    code, out, _ = shell(folder, ("sandbox", "status"), "")
    assert (code, "a\\u2192b" in out) == (0, True)


@pytest.mark.parametrize(("code", "left_with"), [(0, 3), (4, 4), (6, 6)])
def test_an_outcome_that_has_no_room_keeps_the_code_of_what_the_database_holds(
    code: int, left_with: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome("dev", "r", Verdict.COMPLETE, code, True, "", "", "the advice", "the result")
    monkeypatch.setattr(output.VOLUME, "result_begun", False)
    with FULL.open("w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        with pytest.raises(typer.Exit) as left:
            give_outcomes([outcome], as_json=True)
        give_error(left_with, ReimportError("a second object"), "")
    told = capfd.readouterr().err
    assert left.value.exit_code == left_with
    assert LOST in told
    assert "the advice" in told


def test_a_full_disk_ends_no_progress(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with FULL.open("w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", full)
        output.write("a line", err=True)
        output.write("another", err=True)
    assert capfd.readouterr().err == ""


def test_who_ends_the_input_has_typed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert output.typed("the digest") == ""
