"""Each command that was ended says what it can have left."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import click
import pytest
import typer.main

from nexus_reimport import settings as environments
from nexus_reimport.cli import endings
from nexus_reimport.cli.app import app
from nexus_reimport.interrupt import Interrupted
from nexus_reimport.record import journal
from support.commands import command

READS = "state: nothing was written"
BY_ITS_RUN = ("run", "relink", "rollback")  # the runner tells it, as the run's journal knows it


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    for name, one in group.commands.items():
        if isinstance(getattr(one, "commands", None), dict):
            yield from commands(one, *above, name)
        else:
            yield (*above, name)


def test_of_each_command_it_is_known_what_it_can_have_left() -> None:
    group = typer.main.get_command(app)
    known = {" ".join(words) for words in commands(group)}  # type: ignore[arg-type]
    general = endings.of(["run"])
    assert {name for name in known if endings.of(name.split()) == general} == {*BY_ITS_RUN}


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("record", "list"), READS),
        (("--quiet", "record", "show", "x"), READS),
        (("record", "archive", "x"), "state: the archive may hold more records than before"),
        (("record", "redact", "x", "--yes"), "state: the record is open, and may be redacted"),
        (("record", "restored", "x", "--why", "y"), "state: the restore may be acknowledged"),
        (("sign", "x", "S1"), "state: the register may have the signature"),
        (("adopt", "x"), "state: the database's marker may have been written"),
        (("seal", "x"), "state: the database is as the run has left it"),
        (("purge-private", "x", "--older-than", "30d"), READS),
        (("purge-private", "x", "--older-than", "30d", "--yes"), "files of older runs may have"),
        (("page", "x"), "state: the page is stopped; a run that was started there goes on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_interrupt_and_a_file_that_is_forbidden_say_what_is_left(
    words: tuple[str, ...],
    state: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted("SIGTERM")

    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Ms Canary", "/records/x")

    for ends, code, what in (
        (interrupted, 3, "interrupted by SIGTERM"),
        (forbidden, 2, "a file or folder cannot be used: Permission denied\n  where: /records/x"),
    ):
        monkeypatch.setattr(environments, "load", ends)
        monkeypatch.setattr(environments, "every", ends)
        left, out, told = command(capsys, *words)
        assert (left, out) == (code, "")
        assert told.startswith(what)
        assert state in told
        assert told.count("next:") == 1
        assert "Canary" not in told


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_file_that_is_forbidden_is_named_in_a_journal(number: int) -> None:
    facts = journal.failure(OSError(number, "Ms Canary", "/records/journal.jsonl"))
    assert facts["what"] == f"a file or folder cannot be used: {os.strerror(number)}"
    assert facts["where"] == "/records/journal.jsonl"
    assert "this account" in facts["next"]
    unnamed = journal.failure(OSError(number, "Ms Canary"))
    assert unnamed["what"].startswith("an unforeseen ")  # such as of a socket
    assert "Canary" not in f"{facts}{unnamed}"
