"""Each command that was ended says what it can have left."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
import typer.main

from nexus_reimport import settings as environments
from nexus_reimport import show
from nexus_reimport.cli import endings
from nexus_reimport.cli.app import app
from nexus_reimport.errors import unforeseen
from nexus_reimport.files import private
from nexus_reimport.interrupt import SIGNALS, Interrupted, listening
from nexus_reimport.record import journal
from nexus_reimport.runner.lab import Lab
from nexus_reimport.stages.restore import Restored, Step
from support.commands import command
from support.running import until

init = importlib.import_module("nexus_reimport.cli.init")  # its command has the same name
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
        (forbidden, 2, "a file or folder may not be used\n  where: /records/x: Permission denied"),
    ):
        monkeypatch.setattr(environments, "load", ends)
        monkeypatch.setattr(environments, "every", ends)
        left, out, told = command(capsys, *words)
        assert (left, out) == (code, "")
        assert told.startswith(what)
        assert state in told
        assert told.count("next:") == 1
        assert "Canary" not in told


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_file_that_is_forbidden_is_named_in_a_journal(number: int) -> None:
    facts = journal.failure(OSError(number, "Ms Canary", "/records/journal.jsonl"))
    assert facts["what"] == "a file or folder may not be used"
    assert facts["where"] == f"/records/journal.jsonl: {os.strerror(number)}"
    assert "this account" in facts["next"]
    unnamed = journal.failure(OSError(number, "Ms Canary"))
    assert unnamed["what"].startswith("an unforeseen ")  # such as of a socket
    assert "Canary" not in f"{facts}{unnamed}"


@pytest.mark.parametrize(
    "number",
    [errno.EISDIR, errno.ENOTDIR, errno.ENOENT, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG],
)
def test_a_file_that_is_not_as_it_must_be_is_named_everywhere(number: int) -> None:
    with pytest.raises(OSError, match="Canary") as refused, private.named(Path("/records/x")):
        raise OSError(number, "Ms Canary", "/records/.x.draft")
    told, facts = unforeseen(refused.value, "as it was"), journal.failure(refused.value)
    assert (told.what, told.where, told.state) == (facts["what"], facts["where"], "as it was")
    assert told.what == "a file or folder is not as it must be"
    assert told.where == f"/records/x: {os.strerror(number)}"
    assert "ls -ld" in told.next
    assert "ls -ld" in facts["next"]
    assert "Canary" not in f"{told}{facts}"


def test_a_file_that_somebody_else_has_named_is_not_told() -> None:
    """Its name may be a patient's."""
    for error in (FileNotFoundError(2, "no", "/scans/Ms Canary.pdf"), OSError(errno.EISDIR, "no")):
        told, facts = unforeseen(error), journal.failure(error)
        assert "unforeseen" in told.what
        assert "Canary" not in f"{told}{facts}"


def test_of_a_rename_the_file_is_named_and_not_its_draft(tmp_path: Path) -> None:
    place = tmp_path / "note"
    place.mkdir()
    with pytest.raises(OSError, match="note") as refused:
        private.replace(place, b"text")
    assert unforeseen(refused.value).where == f"{place}: Is a directory"
    assert not list(tmp_path.glob(".*"))  # no draft is left


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("synced", [0, 1])
def test_of_the_two_files_of_an_environment_both_are_written_or_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: int, existed: bool
) -> None:
    path, hidden = tmp_path / "dev.toml", tmp_path / ".env.dev"
    before = {path: "former", hidden: "former secrets"} if existed else {}
    for file, text in before.items():
        file.write_text(text)
    done = iter([*[False] * synced, True])

    def fails(_: Path) -> None:
        if next(done, False):
            raise Interrupted("SIGINT")

    monkeypatch.setattr(init, "_text", lambda _: "new")
    monkeypatch.setattr(private, "sync_path", fails)
    with pytest.raises(Interrupted):
        init._write(init.Draft("dev", secrets={"NEXUS_DEV_PG_PASSWORD": "x"}), path)
    assert {file: file.read_text() for file in (path, hidden) if file.exists()} == before


def test_a_restored_database_is_shown_with_its_statements_where_their_file_has_no_room() -> None:
    done = Restored("r", "copy", "live", 1, 2, 3.0, (), (Step("postgres", "ALTER DATABASE …"),))
    text = repr(show.restored(done))
    assert "ALTER DATABASE …" in text
    assert "could not be written into the run's private folder: keep them from here" in text
    assert "psql -d postgres -f" not in text
    written = repr(show.restored(replace(done, environment="dev", script="/x.sql")))
    assert "psql -d postgres -f /x.sql" in written
    assert "ALTER DATABASE …" not in written, "hundreds of statements hide what is to be done"
    adopt, _, acknowledge = written.partition("nexus-reimport adopt dev --this-is-a-copy")
    assert adopt
    assert "nexus-reimport record restored dev --why" in acknowledge


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(("leaves_with", "code"), [(0, 0), (1, 3)])
def test_jupyterlab_answers_ctrl_c_itself_and_is_asked_to_end_by_other_signals(
    tmp_path: Path, name: str, leaves_with: int, code: int
) -> None:
    """It says what it heard, as the terminal and whoever ends the command would have it hear."""
    heard, ready = tmp_path / "heard", tmp_path / "ready"
    program = f"""
import os, signal, sys, time
def end(number, _):
    open({str(heard)!r}, "w").write(signal.Signals(number).name)
    sys.exit({leaves_with})
signal.signal(signal.SIGTERM, end)
while not os.path.exists({str(ready)!r}): time.sleep(0.01)
os.kill(os.getppid(), signal.SIGINT)
os.kill(os.getppid(), signal.{name})
while True: time.sleep(0.01)
"""
    lab = Lab(tmp_path, (sys.executable, "-c", program), dict(os.environ))
    before = signal.signal(getattr(signal, name), signal.SIG_DFL)  # as without nohup
    with listening():
        ours = signal.getsignal(signal.SIGINT)

        def tell_it_when_it_is_to_begin() -> None:
            until(lambda: ours not in map(signal.getsignal, SIGNALS))
            ready.touch()

        threading.Thread(target=tell_it_when_it_is_to_begin).start()
        assert lab.start() == code
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)  # from now on it is ours again
    signal.signal(getattr(signal, name), before)
    assert heard.read_text() == "SIGTERM"
