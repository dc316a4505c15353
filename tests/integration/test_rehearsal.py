"""Undo proven before do: on a restored copy, which never stays behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import checks, record, runbook, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.files import private
from nexus_reimport.model import (
    Applied,
    Backup,
    Ground,
    NewerDecision,
    Plan,
    Proposal,
    Rehearsal,
    Report,
)
from nexus_reimport.nexus import rights
from nexus_reimport.nexus.connection import scratch
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.stages import apply, backup, rehearsal, undo
from nexus_sandbox.postgres.server import PostgresServer
from support.applying import order_of
from support.clinic import ROLE, Clinic, copies, planned
from support.halting import halted, nothing_left

DEV, PROD = "sandbox-dev", "sandbox-prod"
WAIVER = """
[[waivers]]
check = "the_backup_can_be_proven"
at_most = 1
reason = "no server for rehearsals"
who = "x"
until = "2099-12-31"
"""


def gone(clinic: Clinic) -> bool:
    """Whether no scratch database, and nothing that is written down of one, is left in time.

    It may take a while: where a busy server does not let the run drop it, the watch does.
    """
    end = time.monotonic() + 120
    register = clinic.folder.parent / "private" / DEV / "scratch"
    while time.monotonic() < end:
        if not copies(clinic.server) and not list(register.glob("*.json")):
            return True
        time.sleep(0.1)
    return False


def checked(book: runbook.Runbook) -> runbook.Runbook:
    """A run that has its plan, up to its rehearsal."""
    book.check_before()
    return book


def test_the_rehearsal_proves_backup_and_undo_and_leaves_nothing(clinic: Clinic) -> None:
    before = clinic.state()
    book = checked(clinic.planned())
    done = book.rehearse()
    assert done.ground is Ground.COPY
    assert list(done.times) == [
        "restore",
        "compare",
        "apply",
        "verify",
        "undo",
        "compare again",
        "apply again",
    ]
    saved = book.run.load(Backup, "backup")
    assert done.tables == len(saved.contents) >= len(before)
    assert done.rows >= sum(rows for rows, _ in before.values())
    assert done.verified is not None
    assert done.verified.passed
    assert clinic.state() == before
    assert gone(clinic)
    nothing_left(clinic)
    page = repr(show.rehearsal(done))
    assert "Backup and undo were tried on a copy, and both work." in page
    assert "recovery by rollback" in page


def test_the_result_of_the_copy_is_what_approval_is_bound_to(clinic: Clinic) -> None:
    book = clinic.proposed()
    rehearsed = book.run.load(Rehearsal)
    assert book.run.load(Proposal).after == rehearsed.after
    book.approve(rehearsed=True)
    assert book.apply().after == rehearsed.after


@pytest.mark.parametrize("step", range(1, rehearsal.STEPS + 1))
def test_a_killed_rehearsal_leaves_no_copy_behind(
    clinic: Clinic, tmp_path: Path, step: int
) -> None:
    before = clinic.state()
    book = checked(clinic.planned())
    with halted(DEV, book.run.id, step, tmp_path / "marker", "rehearse") as process:
        if step < rehearsal.STEPS:
            assert len(copies(clinic.server)) == 1
        process.kill()
        process.wait()
        assert gone(clinic)
    assert clinic.state() == before
    nothing_left(clinic)
    if step == 1:
        book.rehearse()
        assert gone(clinic)


def test_a_copy_that_even_the_watch_could_not_drop_is_dropped_by_the_next_command(
    clinic: Clinic, tmp_path: Path
) -> None:
    book = checked(clinic.planned())
    with halted(DEV, book.run.id, 1, tmp_path / "marker", "rehearse") as process:
        search = ["pgrep", "-P", str(process.pid), "-f", "scratch_watch"]
        watches = subprocess.run(search, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["kill", "-9", *watches, str(process.pid)], check=True)
        process.wait()
    time.sleep(0.5)
    assert len(copies(clinic.server)) == 1
    runbook.resume(DEV, book.run.id)
    assert len(copies(clinic.server)) == 1, "reading a run clears nothing"
    runbook.begin(DEV)
    assert gone(clinic)


def test_a_server_that_was_stopped_at_once_holds_no_copy_once_it_is_back(
    clinic: Clinic, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with another_server(tmp_path_factory) as other:
        rehearse_on(clinic, other)
        book = checked(planned())
        with halted(DEV, book.run.id, 2, tmp_path / "marker", "rehearse") as process:
            subprocess.run(["kill", "-QUIT", str(other.pid)], check=True)
            process.kill()
            process.wait()
        while not other.exited():
            time.sleep(0.05)
        with PostgresServer.start(other.folder, port=other.port, durable=False) as again:
            end = time.monotonic() + 60
            while databases(again) and time.monotonic() < end:
                time.sleep(0.2)
            assert databases(again) == []


class another_server:  # noqa: N801 - reads as a with statement
    """A PostgreSQL that is only there for rehearsals."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._server = PostgresServer.start(factory.mktemp("pg") / "other", durable=False)

    def __enter__(self) -> PostgresServer:
        self._server.create_role(ROLE)
        with self._server.access.connect() as administrator:
            administrator.execute(f"ALTER ROLE {ROLE} CREATEDB")
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.remove()


def databases(server: PostgresServer) -> list[str]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
        ).fetchall()
    return [name for (name,) in rows]


def rehearse_on(clinic: Clinic, other: PostgresServer) -> None:
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(
        path.read_text() + f'\n[rehearsal.server]\nhost = "127.0.0.1"\nport = {other.port}\n'
        f'database = "postgres"\nuser = "{ROLE}"\npassword = {{ env = "OTHER_PASSWORD" }}\n'
        'sslmode = "disable"\n'
    )
    secrets = clinic.folder / f".env.{DEV}"
    secrets.write_text(secrets.read_text() + f"OTHER_PASSWORD={other.access.passwords[ROLE]}\n")


def test_another_server_of_the_same_major_version_may_be_named(
    clinic: Clinic, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with another_server(tmp_path_factory) as other:
        rehearse_on(clinic, other)
        book = checked(planned())
        done = book.rehearse()
        assert (done.ground, done.where) == (Ground.COPY, f"127.0.0.1:{other.port}")
        assert databases(other) == []
        said = (book.run.folder / "environment.json").read_text()
        assert other.access.passwords[ROLE] not in said


def test_a_right_on_the_server_for_rehearsals_is_asked_for_there(
    clinic: Clinic, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with another_server(tmp_path_factory) as other, other.access.connect() as administrator:
        rehearse_on(clinic, other)
        administrator.execute(f"ALTER ROLE {ROLE} NOCREATEDB")
        settings = environments.load(DEV)
        with connected(settings.postgres) as here, connected(settings.rehearsal_server) as there:
            (right,) = [
                r
                for r in rights.read(here, runbook.begin(DEV).mapping, there)
                if r.rule is rights.RULES["rehearse"]
            ]
            assert (right.held, right.place) == (False, f"server 127.0.0.1:{other.port}")
            administrator.execute(right.statement.encode())
            (now,) = [
                r
                for r in rights.read(here, runbook.begin(DEV).mapping, there)
                if r.rule is rights.RULES["rehearse"]
            ]
            assert now.held


def test_only_a_database_that_we_made_ourselves_is_ever_dropped(clinic: Clinic) -> None:
    settings = runbook.begin(DEV).settings
    foreign = f"{scratch.PREFIX}0123456789abcdef"
    clinic.server.create_database(foreign, owner=ROLE)
    try:
        assert not scratch.drop(settings.postgres, clinic.databases["dev"], "0123456789abcdef")
        assert not scratch.drop(settings.postgres, foreign, "another token")
        with psycopg.connect(clinic.server.dsn(), autocommit=True) as connection:
            connection.execute(f"COMMENT ON DATABASE {foreign} IS 'somebody else''s'")
        assert not scratch.drop(settings.postgres, foreign, "0123456789abcdef")
        assert scratch.sweep(settings.postgres, settings.scratch_register) == ()
        assert copies(clinic.server) == [foreign]
        copy = scratch.Scratch(
            settings.postgres.model_copy(update={"database": foreign}), "0123456789abcdef"
        )
        with clinic.connect() as connection, pytest.raises(StopError, match="not the one that"):
            copy.require(connection)
    finally:
        clinic.server.drop_database(foreign)


def test_what_needs_no_approval_is_written_to_a_copy_alone(clinic: Clinic, rehearsed: Path) -> None:
    book, before, token = clinic.approved(rehearsed), clinic.state(), "0123456789abcdef"
    ours, name = book.settings.postgres, scratch.PREFIX + token
    clinic.server.create_database(name, owner=ROLE)
    try:
        with psycopg.connect(clinic.server.dsn(), autocommit=True) as connection:
            connection.execute(f"COMMENT ON DATABASE {name} IS 'nexus_reimport scratch {token}'")
        copy = scratch.Scratch(ours.model_copy(update={"database": name}), token)
        order = replace(order_of(book), proposal=None, approval=None, scratch=copy)
        with pytest.raises(StopError, match="not the one that"):
            apply.apply(ours, order, book._check_inside, commit=True)
        undecided = NewerDecision.UNDECIDED
        back = undo.RollbackRequest("back", DEV, book.run.id, undecided, scratch=copy)
        with pytest.raises(StopError, match="not the one that"):
            undo.run(ours, book.mapping, back, book.check_undoing)
    finally:
        clinic.server.drop_database(name)
    assert clinic.state() == before


def test_a_dump_that_was_changed_is_no_backup(clinic: Clinic) -> None:
    book = checked(clinic.planned())
    dump = book.folder / backup.DUMP
    dump.write_bytes(dump.read_bytes()[:-100])
    with pytest.raises(StopError, match=r"nexus.dump is not what was written"):
        book.rehearse()
    assert gone(clinic)


def test_a_dump_that_cannot_be_restored_stops_with_the_place_of_its_words(clinic: Clinic) -> None:
    book = checked(clinic.planned())
    dump = book.folder / backup.DUMP
    dump.write_bytes(dump.read_bytes()[:-100])
    saved = book.run.load(Backup, "backup")
    book.run.save(replace(saved, dump_sha256=private.sha256_of(dump)), "backup")
    with pytest.raises(TargetError, match="pg_restore failed with exit code"):
        book.rehearse()
    assert gone(clinic)


def test_a_copy_that_differs_by_one_value_stops_and_names_the_table(clinic: Clinic) -> None:
    book = checked(clinic.planned())
    saved = book.run.load(Backup, "backup")
    notes = replace(saved.contents["public.notes"], digest="0" * 32)
    book.run.save(replace(saved, contents={**saved.contents, "public.notes": notes}), "backup")
    with pytest.raises(StopError, match="the restored copy is not what was dumped: 1 of") as told:
        book.rehearse()
    assert f"public.notes: {notes.rows:,} rows, in the copy {notes.rows:,}, different content" in (
        told.value.what
    )
    assert gone(clinic)


@pytest.fixture
def acts(clinic: Clinic) -> Iterator[tuple[runbook.Runbook, Backup, rehearsal.Acts]]:
    book = checked(clinic.planned())
    saved = book.run.load(Backup, "backup")
    yield book, saved, book._acts(book.run.load(Plan), saved)
    assert gone(clinic)


def rehearsed_with(book: runbook.Runbook, saved: Backup, acts: rehearsal.Acts) -> Rehearsal:
    return rehearsal.on_a_copy(
        book.settings.postgres,
        saved,
        book.settings.scratch_register,
        acts,
        journal=book.run.journal,
    )


def test_an_undo_that_does_nothing_is_found_out(acts: tuple[Any, Any, rehearsal.Acts]) -> None:
    book, saved, good = acts

    def lazy(copy: scratch.Scratch, number: int) -> Any:
        with psycopg.connect(clinic_dsn(copy), autocommit=True) as connection:
            undone = good.undo(copy, number)
            connection.execute("UPDATE public.patients SET notes = 'x'")
            return undone

    with pytest.raises(
        StopError, match="the undo does not give back the rows as they were"
    ) as told:
        rehearsed_with(book, saved, replace(good, undo=lazy))
    assert "public.patients" in told.value.what


def clinic_dsn(copy: scratch.Scratch) -> str:
    place = copy.place
    secret = place.password.get_secret_value()
    return f"postgresql://{place.user}:{secret}@{place.host}:{place.port}/{place.database}"


def test_a_check_after_that_says_no_on_the_copy_stops_the_preflight(
    acts: tuple[Any, Any, rehearsal.Acts],
) -> None:
    book, saved, good = acts

    def severe(copy: scratch.Scratch, done: Applied) -> Report:
        report = good.verify(copy, done)
        spoilt = replace(report.results[0], offending=3, waived=0)
        return replace(report, results=(spoilt, *report.results[1:]))

    with pytest.raises(StopError, match="after, on the copy, failed") as told:
        rehearsed_with(book, saved, replace(good, verify=severe))
    assert told.value.state == rehearsal.COPY_DROPPED


def test_a_plan_that_gives_two_results_is_not_approved(
    acts: tuple[Any, Any, rehearsal.Acts],
) -> None:
    book, saved, good = acts

    def moody(copy: scratch.Scratch, number: int) -> Any:
        applied = good.apply(copy, number)
        other = {**applied.after, "notes": replace(applied.after["notes"], digest="x")}
        return applied if number == 1 else replace(applied, after=other)

    with pytest.raises(StopError, match="the same plan gave two results: notes"):
        rehearsed_with(book, saved, replace(good, apply=moody))


def test_the_last_resort_is_said_on_the_page_and_dev_goes_on(no_createdb: Clinic) -> None:
    before = no_createdb.state()
    book = checked(planned())
    done = book.rehearse()
    assert done.ground is Ground.INSIDE
    page = repr(show.rehearsal(done))
    assert "UNPROVEN: the backup has not been restored, the undo has not been tried." in page
    assert "the role may not create databases" in page
    assert no_createdb.state() == before
    book.propose()
    book.approve(rehearsed=True)
    assert book.apply().committed


def test_prod_needs_a_waiver_for_the_last_resort(no_createdb: Clinic) -> None:
    """The right is revoked after the beginning, which would have refused."""
    no_createdb.add_prod()
    no_createdb.grant("prod")  # every right of the list
    before = no_createdb.state("prod")
    book = checked(planned(PROD))
    with no_createdb.server.access.connect() as administrator:
        administrator.execute(f"ALTER ROLE {ROLE} NOCREATEDB")
    with pytest.raises(StopError, match="the_backup_can_be_proven: 1 of 1"):
        book.rehearse()
    assert no_createdb.state("prod") == before
    path = no_createdb.folder / f"{PROD}.toml"
    path.write_text(path.read_text() + WAIVER)
    waived = runbook.resume(PROD, book.run.id)
    assert waived.rehearse().ground is Ground.INSIDE
    (result,) = waived.run.load(Report, "checks_rehearsal").results
    assert result.passed
    assert "waived up to 1 by x" in result.note
    assert runbook.begin(PROD, book.run.id), "waived, so that its beginning asks for no such right"


def test_extensions_that_no_table_needs_are_left_out_and_named(clinic: Clinic) -> None:
    with clinic.superuser() as admin:
        there = {n for (n,) in admin.execute("SELECT name FROM pg_available_extensions")}
        chosen = next(n for n in ("pg_trgm", "btree_gist", "hstore", "citext") if n in there)
        admin.execute(f"CREATE EXTENSION {chosen} SCHEMA public")
    book = checked(planned())
    assert book.run.load(Backup, "backup").extensions == {chosen: False}
    done = book.rehearse()
    assert done.left_out == (chosen,)
    assert chosen in repr(show.rehearsal(done))


def test_an_extension_that_only_a_superuser_may_make_is_told_and_no_copy_is_begun(
    clinic: Clinic,
) -> None:
    with clinic.superuser() as admin:
        admin.execute("CREATE EXTENSION bloom SCHEMA public")
        admin.execute("CREATE INDEX ON public.specialties USING bloom (name)")
    book = checked(planned())
    done = book.rehearse()
    assert done.ground is Ground.INSIDE
    assert "tables need extensions that only a superuser may make: bloom" in done.why_inside
    with pytest.raises(StopError, match="only a superuser may make: bloom"):
        runner.restore_into(book.run.id, f"{clinic.databases['dev']}_back")
    assert copies(clinic.server) == []


def test_a_rehearsal_is_a_part_of_the_record(clinic: Clinic) -> None:
    book = clinic.proposed()
    happened = book.run.events()
    steps = [e.text("step") for e in happened if e.event == "step" and e.stage == "rehearsal"]
    assert steps == [
        "restore",
        "compare",
        "apply",
        "verify",
        "undo",
        "compare again",
        "apply again",
    ]
    assert "committed" not in {e.event for e in happened}
    assert record.find(book.settings, book.run.id).verdict() is record.Verdict.WAITING
    assert checks.of_stage(type(book._before()))
