"""A full disk is named as one, with the file that had no room, wherever it is met."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openpyxl import Workbook

from nexus_reimport import disks
from nexus_reimport.disks import FULL as NO_SPACE
from nexus_reimport.errors import (
    MappingError,
    OnlySealed,
    RecordError,
    StopError,
    StorageError,
    TargetError,
    unforeseen,
)
from nexus_reimport.events import Event
from nexus_reimport.files import private, rowfile
from nexus_reimport.files.spool import Spool
from nexus_reimport.interrupt import Interrupted
from nexus_reimport.nexus.connection import pg_tools
from nexus_reimport.planning.manual import writing
from nexus_reimport.record import Run, State, closing, create, journal
from nexus_reimport.record.notebooks import marks
from nexus_reimport.record.sealed import archived, index
from nexus_reimport.runner import CommandOutcome, ending, notebook
from nexus_reimport.settings import Settings
from nexus_reimport.show import kernel
from support.records import committed

DISK_FULL, SPACE = NO_SPACE.what, NO_SPACE.fix
FULL = "/dev/full"  # each write to it fails as on a full disk
NO_ROOM = OSError(errno.ENOSPC, "No space left on device", "/records/plan.json")
ROOM = 4_096  # bytes


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file of this process gets larger, and what refuses it says that the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    except OSError as error:
        if error.errno == errno.EFBIG:
            error.errno = errno.ENOSPC
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


def rows() -> Iterator[tuple[str, str]]:
    return ((str(number), os.urandom(50).hex()) for number in range(20_000))


def test_a_write_names_its_file(tmp_path: Path) -> None:
    for write in (private.write_new, private.place_new, private.replace):
        with pytest.raises(OSError) as refused, full_at(ROOM):
            write(tmp_path / write.__name__, b"x" * (ROOM + 1))
        told = unforeseen(refused.value)
        assert (told.what, told.where) == (DISK_FULL, str(tmp_path / write.__name__))


def test_half_a_row_file_is_removed_and_says_that_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "patients.parquet"
    with pytest.raises(OSError) as refused, full_at(ROOM):
        rowfile.write(path, ("a", "b"), rows())
    assert disks.failure(refused.value) is NO_SPACE
    assert unforeseen(refused.value).where == str(path)
    assert not path.exists()


def set_aside(folder: Path) -> None:
    spool = Spool[tuple[str, str]](folder)
    try:
        for row in rows():
            spool.add(row)
    finally:
        spool.close()


def test_values_set_aside_on_a_full_disk_name_their_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError) as refused, full_at(ROOM):
        set_aside(tmp_path)
    assert unforeseen(refused.value).where == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that says at the end of a write that it had no room, as some file systems do."""

    monkeypatch.setattr(os, "fsync", refuse)


def test_the_sheet_to_fill_in_says_it_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workbook, "save", refuse)
    with pytest.raises(OSError) as refused:
        writing.write(tmp_path / "manual.xlsx", ())
    told = unforeseen(refused.value)
    assert (told.what, told.where) == (DISK_FULL, str(tmp_path / "manual.xlsx"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EFBIG])
def test_a_disk_that_takes_nothing_does_not_hide_why_a_stage_failed(
    known: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A system makes a disk read-only after its first error, so that no line can be written."""
    run = create(known)

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    def stop() -> None:
        with run.stage("plan"):
            monkeypatch.setattr(os, "fsync", refuse)
            raise StopError("3 rows are undecided")

    with pytest.raises(StopError, match="3 rows"):
        stop()


def test_the_journal_names_the_file_and_a_person_reads_it(known: Settings) -> None:
    run = create(known)
    run.journal(Event.FAILED, stage="plan", **journal.failure(NO_ROOM))
    what, where, state, todo = notebook.last_error(run).splitlines()
    assert what == DISK_FULL
    assert where.endswith(f"run {run.id}, /records/plan.json")
    assert state == "  state: the database is as it was"
    assert todo.startswith("  next:  free some space")
    assert "(df -h, df -i); nexus-reimport run sandbox-dev begins a new run; nexus-reimport" in todo


def test_a_verified_run_that_is_not_sealed_is_told_as_verified(known: Settings) -> None:
    run = committed(known)
    run.journal(Event.VERIFIED)
    told = notebook.told_of(run, DISK_FULL, file="/records/journal.jsonl")
    assert "state: the database is reimported, and verified\n" in told
    assert told.endswith(f"nexus-reimport finish {known.name} verifies and seals it")


def test_the_state_that_is_told_is_that_of_the_run_and_not_only_of_its_last_step(
    known: Settings,
) -> None:
    broken = MappingError("the mapping is not valid TOML", next="correct it")
    for make, left in (
        (create, "nothing was written"),
        (committed, "the database is reimported, and not verified yet; this step wrote"),
    ):
        run = make(known)
        run.journal(Event.FAILED, stage="03_verify", **journal.failure(broken))
        assert f"  state: {left}" in notebook.last_error(run)


def test_an_undone_run_is_not_told_as_reimported(known: Settings) -> None:
    run = create(known)
    run.journal(Event.ROLLBACK, undoes="20260101T000000Z-0000")
    run.journal(Event.COMMITTED)
    left = "the database is as it was before run 20260101T000000Z-0000, and not verified yet"
    assert f"  state: {left}\n" in notebook.told_of(run, "interrupted")


def test_a_cell_says_what_a_full_disk_has_left(
    known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal, where nobody runs a step, it said to run the step of a closed run again."""
    run = create(known)
    before = kernel.disk_failed(NO_ROOM, NO_SPACE, run)
    assert before.next.endswith(", then run this step again")
    monkeypatch.setenv(marks.PAGE_VARIABLE, str(run.private))
    at_terminal = kernel.disk_failed(NO_ROOM, NO_SPACE, run)
    assert at_terminal.next.endswith(f", then begin again (nexus-reimport run {known.name})")
    monkeypatch.delenv(marks.PAGE_VARIABLE)
    assert (before.what, before.where) == (DISK_FULL, "/records/plan.json")
    assert before.state == "the database is as it was"
    after = kernel.disk_failed(NO_ROOM, NO_SPACE, committed(known))
    assert "nothing was written" not in after.state
    assert after.next.endswith(f"; nexus-reimport finish {known.name} verifies and seals it")


def test_a_list_of_records_that_cannot_be_written_leaves_a_sealed_record(known: Settings) -> None:
    run = create(known)
    (run.bag.parent / index.FILE).mkdir()
    with pytest.raises(OnlySealed) as refused:
        run.seal()
    assert run.is_sealed
    assert refused.value.state == "the record is sealed and whole"


def test_the_list_of_records_says_that_the_disk_is_full(tmp_path: Path, full: None) -> None:
    with pytest.raises(OnlySealed, match=DISK_FULL) as refused:
        index.write(tmp_path)
    assert refused.value.where == str(tmp_path / index.FILE)


def test_a_record_is_noted_behind_a_line_that_a_full_disk_has_cut(tmp_path: Path) -> None:
    """The command that the message names noted it on the same line, where nobody could read it."""
    first, second = (archived.Archived(run, "s", "b", "k", "1", "2036", "d") for run in "rs")
    archived.note(tmp_path, first)
    whole = (tmp_path / archived.LIST).read_bytes()
    for cut in range(len(whole) + 1):
        (tmp_path / archived.LIST).write_bytes(whole[:cut])
        archived.note(tmp_path, second)
        assert archived.noted(tmp_path)[-1] == second


def test_an_archived_record_that_cannot_be_noted_is_in_the_archive(tmp_path: Path) -> None:
    (tmp_path / archived.LIST).symlink_to(FULL)
    with pytest.raises(StorageError, match=DISK_FULL) as refused:
        archived.note(tmp_path, archived.Archived("r", "s", "b", "k", "1", "2036-01-01", "d"))
    assert refused.value.state.endswith("a copy of it is in the archive")


AT_CONNECT = (
    'pg_dump: error: connection to server at "h", port 1 failed: FATAL:  could not write init file:'
    " No space left on device"
)
OUR_DISK = "pg_dump: error: could not write to output file: No space left on device"
SERVERS = "pg_restore: error: could not execute query: ERROR:  could not extend file: No space left"


@pytest.mark.parametrize(
    ("printed", "what"),
    [
        (OUR_DISK, DISK_FULL),
        (f"{SERVERS} on device", NO_SPACE.servers_what),
        (AT_CONNECT, NO_SPACE.servers_what),
    ],
)
def test_a_program_of_postgresql_says_whose_disk_is_full(
    known: Settings, tmp_path: Path, printed: str, what: str
) -> None:
    program = tmp_path / "pg_program"
    program.write_text(f"#!/bin/sh\necho '{printed}' >&2\nexit 1\n")
    program.chmod(0o700)
    log = tmp_path / "log"
    log.symlink_to(FULL)  # its words cannot be written either
    with pytest.raises(TargetError, match=f"pg_program: {what}"):
        pg_tools.run([program], known.postgres, log)


@pytest.mark.parametrize("kind", ["reimport", "relink", "rollback"])
def test_of_a_sealed_run_that_a_full_disk_has_stopped_the_next_command_begins_it_again(
    known: Settings, kind: str
) -> None:
    """It only said that the record is sealed, and how to look at it."""
    run = create(known, kind)
    run.journal(Event.FAILED, stage="plan", **journal.failure(NO_ROOM))
    closing.close(known, run)
    todo = notebook.told_of(run, DISK_FULL, SPACE).splitlines()[-1]
    assert f"(df -h, df -i); {run.again} begins a new run; " in todo
    assert todo.endswith(
        f"nexus-reimport record show {known.name} --run {run.id} shows what became of this one"
    )


@pytest.mark.parametrize("ends", [NO_ROOM, Interrupted("SIGTERM")], ids=["full", "interrupted"])
def test_of_a_run_whose_record_has_gone_nobody_says_that_nothing_was_written(
    known: Settings, ends: BaseException
) -> None:
    """An empty journal is one of a run that has left the database as it was."""
    run: list[Run] = []

    def work() -> CommandOutcome:
        run.append(committed(known))
        known.folders.runs.rename(known.folders.runs.with_name("unmounted"))
        raise ends

    with pytest.raises(RecordError) as refused:
        ending.of_new(known, work)
    assert "not known" in refused.value.state
    assert "nothing was written" not in str(refused.value)
    assert str(known.records_folder) in refused.value.where
    with pytest.raises(RecordError) as refused:
        run[0].state()
    assert "not known" in refused.value.state
    known.folders.runs.with_name("unmounted").rename(known.folders.runs)
    assert run[0].state() is State.COMMITTED
