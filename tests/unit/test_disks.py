"""However a disk fails, it is told as a disk, with what to do, wherever it is met."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from openpyxl import Workbook
from pyarrow.lib import ArrowMemoryError
from sqlalchemy import create_engine

from nexus_reimport import disks
from nexus_reimport import mapping as mappings
from nexus_reimport.application.client import Api
from nexus_reimport.errors import (
    OnlySealed,
    ReimportError,
    SourceError,
    StorageError,
    TargetError,
    unforeseen,
)
from nexus_reimport.events import Event
from nexus_reimport.filemaker.exports.spreadsheet import _guarded as guarded
from nexus_reimport.filemaker.http import RetryPolicy, Wire
from nexus_reimport.files import rowfile
from nexus_reimport.nexus.connection import pg_tools, refusal
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.rights import Task
from nexus_reimport.page import commands
from nexus_reimport.planning.manual import writing
from nexus_reimport.record import create, journal, signatures
from nexus_reimport.record.sealed import archived, bag, chain, check, index, register
from nexus_reimport.runbook import doctor, opening
from nexus_reimport.runner import CommandOutcome, ending, notebook
from nexus_reimport.settings import ApplicationAccess, Postgres, Settings
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.show import kernel
from nexus_reimport.stages import sample
from support.listings import place
from support.records import committed

PLACE = "/records/plan.json"
NUMBERS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "has no room left in the account's quota",
    errno.EFBIG: "takes no file of this size",
    errno.EROFS: "is read-only",
    errno.EIO: "failed",
    errno.ESTALE: "failed",
}
every_number = pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)


def error(number: int, file: str | None = PLACE) -> OSError:
    return OSError(number, "Ms Canary", file)


@every_number
def test_it_is_never_unforeseen_and_names_the_file(number: int) -> None:
    what = f"a disk of this machine {NUMBERS[number]}"
    told, facts = unforeseen(error(number), "as it was"), journal.failure(error(number))
    assert (told.what, told.where, told.state) == (what, PLACE, "as it was")
    assert (told.exit_code, facts["exit_code"]) == (3, 3)
    assert (facts["what"], facts["where"]) == (what, PLACE)
    assert told.next == f"{facts['next']}, then run this step again"
    assert "Canary" not in f"{told}{facts}"


@every_number
def test_a_command_a_page_and_a_cell_say_what_is_left(known: Settings, number: int) -> None:
    run = create(known)

    def work() -> CommandOutcome:
        committed(known)
        raise error(number)

    run.journal(Event.FAILED, stage="plan", **journal.failure(error(number)))
    ended = ending.of_new(known, work)
    assert ended.exit_code == 4
    cell = kernel._told(Shell(), error(number))
    for told in (notebook.last_error(run), ended.error, str(cell)):
        assert told.startswith(f"a disk of this machine {NUMBERS[number]}\n")
        assert PLACE in told
    assert "  state: the database is reimported, and not verified yet\n" in ended.error


class Shell:
    """A kernel in which no cell was run."""

    user_ns: dict[str, object] = {}


@every_number
def test_what_is_beside_a_sealed_record_is_told_with_its_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: int) -> None:
        raise error(number, None)

    monkeypatch.setattr(os, "fsync", refuse)
    disk = disks.failure(error(number))
    assert disk
    for write, kind in (
        (lambda: index.write(tmp_path), OnlySealed),
        (lambda: archived.note(tmp_path, archived.Archived(*"rsbkvud")), StorageError),
    ):
        with pytest.raises(kind) as told:
            write()
        assert disk.what in told.value.what
        assert told.value.next.startswith(disk.fix)
        assert "the record is sealed and whole" in told.value.state


def test_a_list_that_this_account_may_not_write_is_not_told_to_need_space(tmp_path: Path) -> None:
    (tmp_path / index.FILE).mkdir()
    with pytest.raises(OnlySealed, match="Is a directory") as told:
        index.write(tmp_path)
    assert "space" not in told.value.next


@every_number
def test_the_sheet_to_fill_in_and_the_page_say_it_too(
    known: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise error(number, None)

    monkeypatch.setattr(Workbook, "save", refuse)
    with pytest.raises(OSError, match="Canary") as refused:
        writing.write(tmp_path / "manual.xlsx", ())
    assert unforeseen(refused.value).where == str(tmp_path / "manual.xlsx")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ReimportError, match=NUMBERS[number]) as told:
        commands.start(known, "dry-run", (), "me")
    assert told.value.state == "nothing was started"


def test_a_network_drive_counts_as_a_disk_and_a_connection_does_not() -> None:
    assert disks.failure(error(errno.ENOTCONN)) is disks.FAILED
    assert disks.failure(error(errno.ENOTCONN, None)) is None
    assert disks.failure(ValueError(errno.EIO)) is None


# ---------------------------------------------------------------- PostgreSQL's programs


def ended(known: Settings, tmp_path: Path, script: str) -> TargetError:
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    with pytest.raises(TargetError) as told:
        pg_tools.run([program], known.postgres, tmp_path / "pg_dump.log")
    return told.value


@every_number
def test_what_a_program_says_of_a_disk_tells_whose_it_is(
    known: Settings, tmp_path: Path, number: int
) -> None:
    disk, why = disks.failure(error(number)), os.strerror(number)
    assert disk
    ours = ended(known, tmp_path, f"echo 'pg_dump: error: could not write: {why}' >&2; exit 1")
    assert (ours.what, ours.where) == (f"pg_dump: {disk.what}", str(tmp_path))
    assert ours.next.startswith(disk.fix)
    query = f"pg_dump: error: query failed: ERROR:  could not extend file: {why}"
    theirs = ended(known, tmp_path, f"echo '{query}' >&2; exit 1")
    assert theirs.what == f"pg_dump: {disk.servers_what}"
    assert theirs.next.startswith(disk.servers_fix)
    assert refusal.why(f"FATAL:  could not open file: {why}", known.postgres).what == (
        disk.servers_what
    )


def test_a_row_that_a_program_quotes_is_no_disk(known: Settings, tmp_path: Path) -> None:
    quoted = "CONTEXT:  COPY notes, line 3: Input/output error"
    told = ended(known, tmp_path, f"echo 'pg_dump: error: COPY failed' '\n{quoted}' >&2; exit 1")
    assert told.what == "pg_dump failed with exit code 1"


@pytest.mark.parametrize(
    ("number", "todo"),
    [
        (signal.SIGKILL, "memory"),
        (signal.SIGXCPU, "ulimit -t"),
        (signal.SIGTERM, "what ended it"),
    ],
)
def test_a_program_that_was_ended_by_a_signal_says_which_and_what_to_do(
    known: Settings, tmp_path: Path, number: signal.Signals, todo: str
) -> None:
    told = ended(known, tmp_path, f"kill -{number.value} $$")
    assert told.what == f"pg_dump was ended by {number.name}"
    assert todo in told.next
    assert told.next.endswith(", then run this step again")


def test_a_program_that_writes_more_than_a_file_may_hold_says_which_limit(
    known: Settings, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    script = f"exec head -c 9000 /dev/zero > {tmp_path / 'nexus.dump'}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        told = ended(known, tmp_path, script)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told.what == "pg_dump was ended by SIGXFSZ"
    assert "ulimit -f" in told.next


def test_a_worker_of_a_restore_that_was_killed_is_told_as_one(
    known: Settings, tmp_path: Path
) -> None:
    words = "pg_restore: error: a worker process died unexpectedly"
    told = ended(known, tmp_path, f"echo '{words}' >&2; exit 1")
    assert told.what == "pg_dump lost one of its processes"
    assert "memory" in told.next


def _of_a_library(number: int) -> Exception:
    """An error with a number of the system's that is none of Python's own, such as ZeroMQ's."""
    wrong = Exception("Ms Canary")
    wrong.errno = number  # type: ignore[attr-defined]
    return wrong


LIMITS = {
    "memory": (MemoryError("Ms Canary"), "gives this program no more memory", "ulimit -v"),
    "memory of Arrow": (ArrowMemoryError("Ms Canary"), "gives this program no more memory", "free"),
    "memory to fork": (error(errno.ENOMEM), "gives this program no more memory", "MemoryMax="),
    "files": (error(errno.EMFILE), "lets this program open no more files", "ulimit -n"),
    "files of all": (error(errno.ENFILE), "lets this program open no more files", "LimitNOFILE="),
    "sockets": (_of_a_library(errno.EMFILE), "lets this program open no more files", "1024"),
    "threads": (RuntimeError("can't start new thread"), "start no more threads", "ulimit -u"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_of_the_system_is_told_as_one_with_what_to_raise(
    known: Settings, limit: str
) -> None:
    """They were an unforeseen MemoryError, or OSError, to be reported."""
    wrong, what, fix = LIMITS[limit]
    run = create(known)

    def work() -> CommandOutcome:
        committed(known)
        raise wrong

    facts = journal.failure(wrong)
    run.journal(Event.FAILED, stage="plan", **facts)
    ended = ending.of_new(known, work)
    cell, told = str(kernel._told(Shell(), wrong)), unforeseen(wrong, "as it was")
    for text in (str(told), f"{facts}", ended.error, notebook.last_error(run), cell):
        assert what in text
        assert "Canary" not in text
    assert fix in told.next
    assert fix in facts["next"]
    assert (told.exit_code, facts["exit_code"], ended.exit_code) == (3, 3, 4)
    assert "  state: the database is reimported, and not verified yet\n" in ended.error


def test_an_error_with_any_other_number_or_words_is_no_limit() -> None:
    for wrong in (_of_a_library(errno.ENOSPC), _of_a_library(0), RuntimeError("Ms Canary")):
        assert disks.failure(wrong) is None


@contextmanager
def limited(kind: int, low: int) -> Iterator[None]:
    """A limit of the system is low in the block."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (low, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_a_limit_under_which_no_run_ends_is_told_before_it_begins(known: Settings) -> None:
    """It ended as an unforeseen error, or as a file that is missing, after minutes."""
    limits = {
        resource.RLIMIT_NOFILE: (
            52,
            "limits the open files of this program to 52; a run needs 128",
        ),
        resource.RLIMIT_AS: (
            400_000 << 10,
            "limits the memory of this program to 390 MiB; a run needs 1,536",
        ),
    }
    mapping = mappings.load(known.mapping)
    for kind, (low, what) in limits.items():
        told: dict[Task, ReimportError] = {}
        with limited(kind, low):
            for task in Task:
                with pytest.raises(ReimportError) as stopped:
                    opening.require_ready(known, mapping, task, "nothing was started")
                told[task] = stopped.value
        assert {task for task, one in told.items() if what in one.what} == {Task.RUN, Task.RELINK}
        assert told[Task.RUN].exit_code == 2
        assert told[Task.RUN].state == "nothing was started"
        assert "raise that limit to " in told[Task.RUN].next
    assert disks.too_low() is None


def test_a_library_that_finds_no_memory_for_its_code_says_so_in_words_of_its_own() -> None:
    short = ImportError("libarrow.so.1: failed to map segment from shared object")
    assert disks.failure(short) is disks.MEMORY
    assert disks.failure(ImportError("libarrow.so.1: no such file")) is None


def test_of_a_page_that_had_no_memory_to_tell_of_it_the_limit_is_told(known: Settings) -> None:
    """The run's last words were "an unforeseen MemoryError"."""
    run = create(known)
    run.journal(Event.FAILED, stage="01_preflight", **notebook._unforeseen("MemoryError"))
    told = notebook.last_error(run)
    assert told.startswith("the system gives this program no more memory\n")
    assert "free some, or raise its limit" in told
    assert "an unforeseen KeyError" in notebook._unforeseen("KeyError")["what"]


def test_what_cannot_be_opened_is_neither_missing_nor_changed(known: Settings) -> None:
    """A row file was said to be missing, all signatures of the register did not count, and a sealed
    record had no seal and no number: the next one would have taken it.
    """
    file = rowfile.write(known.folders.private / "rows.parquet", ("id",), [("1",)])
    signatures.sign(known, "S5", "A. Person", "seen on dev")
    run = create(known)
    run.seal()
    for look in (
        lambda: [*rowfile.read(known.folders.private, file)],
        lambda: register.contradiction(known.records_folder),
        lambda: chain.noted_last(known.records_folder),
        lambda: chain.last(known.records_folder),
        run.seal_digest,
        lambda: bag.info(run.bag),
        lambda: run.undoes,
    ):
        with limited(resource.RLIMIT_NOFILE, 0), pytest.raises(OSError) as stopped:
            look()
        assert disks.failure(stopped.value) is disks.FILES
    assert [*signatures.standing(known)] == ["S5"]


UNREADABLE = Path("/proc/self/mem")  # its first page cannot be read: EIO


def test_a_note_of_the_last_seal_that_a_disk_does_not_give_stops_a_new_run(known: Settings) -> None:
    """The new run would have had the number of one whose seal a kill had cut short."""
    create(known).seal()
    note = known.records_folder / chain.LAST
    note.rename(aside := note.with_name("aside"))
    note.symlink_to(UNREADABLE)
    with pytest.raises(OSError) as stopped:
        create(known)
    assert unforeseen(stopped.value).what == "a disk of this machine failed"
    aside.replace(note)
    create(known)


@pytest.mark.parametrize("file", ["data/journal.jsonl", "data/verdict.json"])
def test_a_record_that_a_disk_does_not_give_is_not_compared_and_nobody_is_accused(
    known: Settings, file: str
) -> None:
    run = create(known)
    run.seal()
    other = committed(known)
    other.journal(Event.VERIFIED)
    other.seal()
    (run.bag / file).unlink()
    (run.bag / file).symlink_to(UNREADABLE)
    unread, right, whole = check.of_folder(known.records_folder)
    assert (unread.kind, unread.is_right, unread.problems) == (check.UNREAD, False, ())
    assert "a disk of this machine failed" in unread.remarks[0]
    assert run.problems() == [*unread.remarks], "and nothing relies on it"
    assert right.is_right
    assert (whole.problems, whole.is_right) == ((), False)


def test_a_server_that_is_not_reached_for_want_of_open_files_is_not_blamed() -> None:
    """It was told to look at the address and the network, after minutes of further tries."""
    create_engine("postgresql+psycopg://")  # loads its modules, for which a file is needed
    with socket.socket() as server, requests.Session() as session:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        url, session.trust_env = f"http://127.0.0.1:{port}", False
        s3 = place(url)
        secret = FromEnvironment("p")
        nexus = ApplicationAccess(url=url, user="u", password=secret)
        postgres = Postgres(host="127.0.0.1", port=port, database="d", user="u", password=secret)
        wire = Wire(url, verify=True, retries=RetryPolicy(sleep=lambda _: None))
        for ask in (
            lambda: sample.why_unread(s3, "scans/1.pdf"),
            lambda: wire.with_retries(lambda: wire.send("GET", "/", where="")),
            lambda: Api(nexus, session).get("/"),
            lambda: connected(postgres).__enter__(),
        ):
            with limited(resource.RLIMIT_NOFILE, 0), pytest.raises(ReimportError) as told:
                ask()
            assert disks.FILES.what in told.value.what
            assert "raise that limit" in told.value.next


def test_a_workbook_that_a_disk_does_not_give_is_not_damaged() -> None:
    with pytest.raises(SourceError, match="a disk of this machine failed"), guarded("Visits.xlsx"):
        UNREADABLE.read_bytes()


def test_the_doctor_finds_the_limit_that_a_run_refuses(known: Settings) -> None:
    """ "A run finds all that it needs", where the next command said that it may open 64 files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (127, before[1]))
    try:
        (low,) = [one for one in doctor._machine(known) if "too little for a run" in one.text]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert low.state is doctor.State.WRONG
    assert "limits the open files of this program to 127; a run needs 128" in low.text
    assert "ulimit -n" in low.next
