"""What the command line makes of its own words: mistakes, and how much it tells."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from nexus_reimport.cli import output
from nexus_reimport.cli.endings import EXIT_CODES
from nexus_reimport.settings import FOLDER_VARIABLE, Settings
from support.commands import command
from support.records import stopped

MISTAKES = {
    "--json": "a command is missing",
    "--json run": "Missing argument",
    "rnu --json": "Did you mean 'run'?",
    "--json record lis": "Did you mean 'list'?",
    "run dev --approve= --json": "Invalid value for '--approve': it is empty",
    "relink dev --approve= --json": "Invalid value for '--approve': it is empty",
    "rollback some-run --approve= --json": "Invalid value for '--approve': it is empty",
    "run dev --aprove x --json": "there is no option --aprove; did you mean --approve?",
    "--quiet run nowhere-at-all --json": "no environment is called 'nowhere-at-all'",
    "run --quiet --verbose nowhere-at-all --json": "contradict each other",
    "sandbox up --scale 2 --json": "less than or equal to 1",
    "sandbox filemaker --json": "no such option: --json",
    "verify dev --json": "verify alone does nothing",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_object_of_json_wherever_the_option_stands(
    capsys: pytest.CaptureFixture[str], words: str
) -> None:
    code, out, told = command(capsys, *words.split())
    found = json.loads(out)
    assert (code, found["exit_code"]) == (2, 2)
    assert MISTAKES[words].casefold() in found["what"].casefold()
    assert found["next"]
    assert found["error"].splitlines()[0] in told


def test_a_misspelt_environment_names_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, _, told = command(capsys, "doctor", "sandbox-dve")
    assert "did you mean sandbox-dev?" in told


def test_an_environment_that_is_given_for_a_run_is_told_as_an_environment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, told = command(capsys, "rollback", "sandbox-dev")
    assert code == 2
    assert "'sandbox-dev' is an environment, and no run" in told
    assert "nexus-reimport record list sandbox-dev" in told


def test_a_run_that_made_no_dump_says_so_where_it_is_to_be_restored(
    capsys: pytest.CaptureFixture[str], known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(known.folders.runs.parent))
    run = stopped(known).id
    code, _, told = command(capsys, "restore", run, "--into", "nexus_back")
    assert code == 2
    assert f"run {run} has no dump: it stopped before it had made one" in told
    assert f"nexus-reimport record list {known.name}" in told


def test_undo_data_that_was_never_reached_is_not_said_to_be_dropped(
    capsys: pytest.CaptureFixture[str], environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace("../../", ""))
    monkeypatch.setenv(FOLDER_VARIABLE, str(environment_files))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens there
        monkeypatch.setenv("NEXUS_SANDBOX_PG_PORT", str(unused.getsockname()[1]))
        _, _, told = command(capsys, "purge-undo", "sandbox-dev", "--keep", "0")
    assert "nothing listens at this host and port" in told
    assert "state: nothing was written" in told


def test_help_ends_with_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "--help")
    assert code == 0
    for number, meaning in EXIT_CODES.items():
        assert f"  {number}  {meaning}\n" in out


@pytest.mark.parametrize(
    ("word", "told"),
    [("--quiet", ""), ("--verbose", r"\d\d:\d\d:\d\d [A-Z]+ half\n"), ("", "half\n")],
)
def test_progress_is_told_as_much_as_is_asked_for(
    capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    command(capsys, *filter(None, ("record", word)))
    output.progress("half")
    assert re.fullmatch(told, capsys.readouterr().err)
