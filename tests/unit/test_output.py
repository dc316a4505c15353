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

from nexus_reimport import show
from nexus_reimport.cli import fitting, output
from nexus_reimport.cli.output import give_error, give_outcomes
from nexus_reimport.errors import ReimportError
from nexus_reimport.record import Verdict
from nexus_reimport.runner import CommandOutcome

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
    outcome = CommandOutcome(
        "dev", "r", Verdict.COMPLETE, code, True, "", "", "the advice", "the result"
    )
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


def test_what_was_read_before_the_digest_was_asked_for_is_not_printed_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    waits = CommandOutcome("dev", "r", Verdict.WAITING, 6, False, "", "", "the advice", "the plan")
    for read, printed in (
        (("the plan",), ""),
        (("another plan",), "the plan\n"),
        ((), "the plan\n"),
    ):
        with pytest.raises(typer.Exit) as left:
            give_outcomes([waits], as_json=False, read=read)
        out, told = capfd.readouterr()
        assert (left.value.exit_code, out, "the advice" in told) == (6, printed, True)


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


def test_a_terminal_gets_lines_that_it_can_show_and_each_word_of_them() -> None:
    left_out = "patients: 1 without a name; appointments: 1 unknown patient, 159 without patient"
    command = 'nexus-reimport sign prod S5 --who "…" --text "…"'
    text = f"  left out      {left_out}\n{command}\n  next:  to sign a line, use {command} and look"
    assert fitting.fitted(text, 60).splitlines() == [
        "  left out      patients: 1 without a name; appointments: 1",
        "                unknown patient, 159 without patient",
        command,
        "  next:  to sign a line, use",
        f"         {command}",
        "         and look",
    ]
    assert fitting.fitted(text, 30).splitlines()[-3:-1] == [
        "  next:  to sign a line, use",
        f"         {command}",
    ]
    assert fitting.fitted(text, 500).count("\n") == 2
    assert (
        fitting.fitted("  where: one two and three", 20) == "  where: one two and\n         three"
    )


def test_a_table_on_a_terminal_keeps_its_columns_and_a_file_gets_it_whole() -> None:
    rows = [("patients", 12, "one of the first, " * 9), ("some_long_name_of_a_column", 3, "no")]
    whole = f"Title\n=====\n\n{show.table('', 'name | rows | what', rows).as_text()}\n\nthe end"
    shown = fitting.fitted(whole, 80)
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.split() != whole.split(), "the rule under the head is shorter"
    without_rule = [line for line in shown.splitlines() if not line.startswith("-")]
    assert sorted(" ".join(without_rule).split()) == sorted(
        word for word in whole.split() if set(word) != {"-"}
    )
    assert without_rule[4].startswith("patients                      12  one of the first,")
    assert without_rule[5].startswith(f"{' ' * 34}first, one of the")
    assert fitting.fitted(whole, 500).splitlines()[-1] == "the end"


@pytest.mark.parametrize("width", range(1, 120, 7))
def test_no_text_is_lost_however_narrow_a_terminal_is(width: int) -> None:
    table = show.table("a caption", "a | b", [("x " * 50, "y" * 80), ("", "")]).as_text()
    nothing = str.maketrans("", "", " -\n")
    texts = ("", "\n\n", "a" * 150, f"  label   {'word ' * 40}", " " * 150, "-" * 130, table)
    for text in texts:
        shown = fitting.fitted(text, width)
        assert sorted(shown.translate(nothing)) == sorted(text.translate(nothing))


def test_only_a_terminal_gets_its_lines_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = os.openpty()
    with os.fdopen(other, "w") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        patched.setenv("COLUMNS", "40")
        output.write("word " * 20)
        output.write(json.dumps(["word"] * 20), as_is=True)
        terminal.flush()
        shown = b""
        while b"]" not in shown:
            shown += os.read(ours, 4096)
        lines = shown.decode().splitlines()
    os.close(ours)
    assert len(lines[0]) <= 40
    assert json.loads(lines[-1]) == ["word"] * 20
