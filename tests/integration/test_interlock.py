"""No command writes into another database than the one that the environment's file means."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from nexus_reimport import record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.checks.before.source import filemaker_is_the_file_of_the_record_before
from nexus_reimport.cli import main
from nexus_reimport.errors import ApplicationError, SettingsError, StorageRefused
from nexus_reimport.model import Proposal, Report, Snapshot
from nexus_reimport.nexus.connection.postgres import statement
from nexus_reimport.record import Verdict
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.runner import notebook
from nexus_reimport.settings import ENVIRONMENT_VARIABLE, ApplicationAccess
from nexus_reimport.settings.values import FromEnvironment
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from support.clinic import PASSWORD, ROLE, Clinic, make_database
from support.interlock import (
    DEV,
    PROD,
    adopted,
    elsewhere,
    oid,
    refusal,
    replica,
    secret,
    untouched,
)

__all__ = ["elsewhere", "replica"]

FILE_CHECK = "filemaker_is_the_file_of_the_record_before"


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0), capsys.readouterr().err


# ------------------------------------------------------------------ 1 to 7: another database


def prods_place_in_devs_file(clinic: Clinic) -> str:
    clinic.edit(DEV, clinic.databases["dev"], clinic.databases["prod"])
    return DEV


def devs_place_in_prods_file(clinic: Clinic) -> str:
    clinic.edit(PROD, clinic.databases["prod"], clinic.databases["dev"])
    return PROD


def a_copied_file_of_secrets(clinic: Clinic) -> str:
    for kind in ("dev", "prod"):
        name, database = f"sandbox-{kind}", clinic.databases[kind]
        clinic.edit(name, f'database = "{database}"', 'database = { env = "NEXUS_DATABASE" }')
        secret(clinic, "NEXUS_DATABASE", database, name)
    assert environments.load(DEV).postgres.database == clinic.databases["dev"]
    shutil.copy(clinic.folder / f".env.{PROD}", clinic.folder / f".env.{DEV}")
    return DEV


@pytest.mark.parametrize(
    ("cross", "own", "other"),
    [
        (prods_place_in_devs_file, "dev", "prod"),
        (devs_place_in_prods_file, "prod", "dev"),
        (a_copied_file_of_secrets, "dev", "prod"),
    ],
)
def test_the_others_own_database_is_refused(
    clinic: Clinic, cross: Callable[[Clinic], str], own: str, other: str
) -> None:
    clinic.add_prod()
    name = cross(clinic)
    with untouched(clinic, "dev", "prod"):
        text = refusal(lambda: runbook.begin(name))
        resumed = refusal(lambda: runbook.resume(name))  # its run may have committed before
    assert resumed == text.replace("nothing was written", "nothing was written by this step")
    assert text == (
        f"this database is sandbox-{other} itself, not sandbox-{own}\n"
        f"  where: postgres 127.0.0.1:{clinic.server.port}/{clinic.databases[other]},"
        f" {adopted(clinic, other)}\n"
        "  state: nothing was written\n"
        f"  next:  correct host, port and database in sandbox-{own}.toml, or the values that they"
        f" take from .env.sandbox-{own}"
    )
    assert not clinic.simulator.requests, "FileMaker is not asked"
    assert record.every(environments.load(name)) == []


def test_the_runner_refuses_it_too_and_its_record_says_why(clinic: Clinic) -> None:
    clinic.add_prod()
    prods_place_in_devs_file(clinic)
    with untouched(clinic, "dev", "prod"):
        (stopped,) = runner.run([DEV], approve_rehearsed=True)
    assert (stopped.verdict, stopped.exit_code, stopped.sealed) == (Verdict.STOPPED, 1, True)
    assert stopped.error.startswith("this database is sandbox-prod itself, not sandbox-dev\n")
    assert "correct host, port and database in sandbox-dev.toml" in stopped.error
    assert not clinic.simulator.requests


def test_a_restored_copy_of_prod_under_devs_name_is_refused(clinic: Clinic) -> None:
    clinic.add_prod()
    dev, prod = clinic.databases["dev"], clinic.databases["prod"]
    clinic.server.drop_database(dev)
    make_database(clinic.server, dev, prod)
    with untouched(clinic, "dev", "prod"):
        text = refusal(lambda: runbook.begin(DEV))
    assert text == (
        f"this database is a copy of sandbox-prod: its name was {prod}, now it is {dev};"
        f" its oid was {oid(clinic, 'prod')}, now it is {oid(clinic, 'dev')}\n"
        f"  where: postgres 127.0.0.1:{clinic.server.port}/{dev}, {adopted(clinic, 'prod')}\n"
        "  state: nothing was written\n"
        "  next:  if it is meant to be sandbox-dev:"
        " nexus-reimport adopt sandbox-dev --this-is-a-copy"
    )
    assert not clinic.simulator.requests


def test_a_replica_in_recovery_is_refused(clinic: Clinic, replica: PostgresServer) -> None:
    secret(clinic, "NEXUS_SANDBOX_PG_PORT", replica.port)
    question = "SELECT count(*) FROM patients"
    with psycopg.connect(replica.dsn(clinic.databases["dev"], ROLE)) as connection:
        assert connection.execute(question).fetchall() == clinic.rows(question)
    with untouched(clinic, "dev"):
        text = refusal(lambda: runbook.begin(DEV))
    assert text == (
        "this server is a replica in recovery: nothing can be written to it\n"
        f"  where: postgres 127.0.0.1:{replica.port}/{clinic.databases['dev']}\n"
        "  state: nothing was written\n"
        "  next:  name the primary server in sandbox-dev.toml"
    )


def test_another_database_of_the_server_is_refused(clinic: Clinic) -> None:
    make_database(clinic.server, clinic.databases["prod"], "template_prod")
    prods_place_in_devs_file(clinic)
    with untouched(clinic, "dev", "prod"):
        text = refusal(lambda: runbook.begin(DEV))
    assert text == (
        "this database has not been adopted: nothing in it says that it is sandbox-dev\n"
        f"  where: postgres 127.0.0.1:{clinic.server.port}/{clinic.databases['prod']}\n"
        "  state: nothing was written\n"
        "  next:  if it is sandbox-dev, record that once: nexus-reimport adopt sandbox-dev"
    )
    assert clinic.value("SELECT to_regnamespace('nexus_reimport') IS NULL", "prod")


def test_a_marker_that_was_carried_to_another_server_is_refused(
    clinic: Clinic, elsewhere: PostgresServer
) -> None:
    dev = clinic.databases["dev"]
    (marker,) = clinic.rows("SELECT * FROM nexus_reimport.deployment", role=ROLE)
    with elsewhere.access.connect() as connection:
        create = sql.SQL("CREATE DATABASE {} OWNER {} OID {}")
        names = (sql.Identifier(dev), sql.Identifier(ROLE))
        connection.execute(create.format(*names, sql.Literal(oid(clinic, "dev"))))
    with elsewhere.access.connect(dev, ROLE) as connection:
        connection.execute("CREATE SCHEMA nexus_reimport")
        connection.execute(statement("deployment"))
        values = sql.SQL(", ").join(map(sql.Literal, marker))
        insert = sql.SQL("INSERT INTO nexus_reimport.deployment VALUES ({})")
        connection.execute(insert.format(values))
    secret(clinic, "NEXUS_SANDBOX_PG_PORT", elsewhere.port)
    secret(clinic, "NEXUS_SANDBOX_PG_PASSWORD", elsewhere.access.passwords[ROLE])
    with untouched(clinic, "dev"):
        text = refusal(lambda: runbook.begin(DEV))
    assert text.splitlines()[0] == (
        "this database is a copy of sandbox-dev: it was on another server"
    )
    assert "--this-is-a-copy" in text
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('nexus_reimport', 'public')"
    with elsewhere.access.connect(dev, ROLE) as connection:
        assert connection.execute(tables).fetchall() == [(1,)], "the marker alone"


# ------------------------------------------------------------------ 8 to 10: names and parameters


def test_a_mistyped_parameter_is_refused_wherever_it_is_typed(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    with untouched(clinic, "dev"):
        given = {"enviroment": DEV, "run_id": ""}
        told = refusal(lambda: notebook.check("01_preflight", given), SettingsError, 2)
        assert "do not fit: enviroment is none of its own, environment is missing" in told
        told = refusal(lambda: runbook.begin("sandbox-dve"), SettingsError, 2)
        assert "known environments: sandbox-dev, sandbox-prod" in told
        for arguments in (["run", DEV, "--aprove-rehearsed"], ["adopt", DEV, "--this-is-copy"]):
            code, told = command(capsys, *arguments)
            assert code == 2
            assert "there is no option" in told
            assert "did you mean --" in told
        clinic.edit(DEV, "max_writers_wait", "max_writer_wait")
        told = refusal(lambda: runbook.begin(DEV), SettingsError, 2)
        assert "postgres.max_writer_wait" in told
    assert not clinic.simulator.requests


def test_no_environment_is_no_environment(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")
    with untouched(clinic, "dev"):
        for call in (
            lambda: runbook.begin(""),
            lambda: runbook.resume(""),
            lambda: runner.run([""]),
        ):
            assert refusal(call, SettingsError, 2) == (
                "no environment was named\n"
                f"  where: known environments: sandbox-dev, sandbox-prod, in {clinic.folder}\n"
                "  state: nothing was written\n"
                "  next:  name one of these, or set NEXUS_REIMPORT_ENVIRONMENT;"
                " nexus-reimport init NAME makes one"
            )
        assert command(capsys, "adopt", "")[0] == 2


def test_two_environments_of_one_name_are_refused(clinic: Clinic) -> None:
    clinic.add_prod()
    text = (clinic.folder / f"{PROD}.toml").read_text()
    shutil.copy(clinic.folder / f"{DEV}.toml", clinic.folder / f"{PROD}.toml")
    with untouched(clinic, "dev", "prod"):
        told = refusal(lambda: runbook.begin(PROD), SettingsError, 2)
        assert 'name: is "sandbox-dev", but the file is called sandbox-prod.toml' in told
    (clinic.folder / f"{PROD}.toml").write_text(text)
    (clinic.folder / "Sandbox-Dev.toml").write_text("")
    with untouched(clinic, "dev", "prod"):
        assert refusal(lambda: runbook.begin(DEV), SettingsError, 2) == (
            "sandbox-dev.toml: 1 problem\n"
            "    Sandbox-Dev.toml has the same name except for case: records of both could mix\n"
            f"  where: {clinic.folder / 'sandbox-dev.toml'}\n"
            "  state: nothing was written\n"
            "  next:  fix the file, then start again"
        )
        told = refusal(lambda: runbook.begin("Sandbox-Dev"), SettingsError, 2)
        assert "sandbox-dev.toml has the same name except for case" in told
    assert environments.load(PROD).name == PROD, "others are not held up"


# ------------------------------------------------------------------ 11 and 12: S3 and FileMaker


def test_a_bucket_without_the_rows_files_is_refused(clinic: Clinic) -> None:
    clinic.edit(DEV, 'bucket = "walk-nexus-dev"', 'bucket = "second-installation"')
    with untouched(clinic, "dev"):
        text = refusal(clinic.preflight)
    assert "the_bucket_is_the_right_one: 1 of " in text
    assert "(e.g. second-installation)" in text


def test_the_bucket_of_another_environment_is_refused_whatever_it_holds(
    clinic: Clinic, rehearsed: Path
) -> None:
    """A copied installation has the same keys: no look into a bucket can tell them apart."""
    approved = clinic.approved(rehearsed)
    clinic.edit(DEV, "walk-nexus-dev", "walk-nexus-prod")
    with untouched(clinic, "dev"):
        told = refusal(lambda: runbook.begin(DEV), SettingsError, 2)
        assert told.startswith(
            "sandbox-dev.toml and sandbox-prod.toml name the same bucket: walk-nexus-prod at "
        )
        assert "state: nothing was written" in told
        reopened = runbook.resume(DEV, approved.run.id)
        assert "reads from was changed since" in refusal(reopened.apply)
    assert not clinic.simulator.requests, "FileMaker is not asked"


def test_nothing_is_approved_that_could_not_be_verified(clinic: Clinic, rehearsed: Path) -> None:
    """A key that was renewed since the preflight left a run committed, and nobody to verify it."""
    book = clinic.approved(rehearsed)
    digest = book.run.load(Proposal).digest
    key = environments.load(DEV).s3.secret_key
    assert key is not None
    secret(clinic, "NEXUS_SANDBOX_S3_SECRET_KEY", "another")
    with untouched(clinic, "dev"):
        told = refusal(lambda: runbook.resume(DEV).approve(digest), StorageRefused, 2)
        assert "the secret key is wrong" in told
        assert "state: nothing was written" in told
        assert "so nothing is executed until it answers" in told
        assert "the secret key is wrong" in refusal(runbook.resume(DEV).apply, StorageRefused, 2)
        (outcome,) = runner.run([DEV], approve=digest)
        assert (outcome.exit_code, outcome.run) == (2, "")
        assert "nothing was started" in outcome.error
    secret(clinic, "NEXUS_SANDBOX_S3_SECRET_KEY", key.get_secret_value())
    place = {"url": "http://127.0.0.1:1", "user": "u", "password": FromEnvironment("p")}
    api = ApplicationAccess.model_validate(place)
    book = replace(book, settings=book.settings.model_copy(update={"application": api}))
    with untouched(clinic, "dev"):
        told = refusal(lambda: book.approve(digest), ApplicationError, 3)
    assert "Nexus's API could not be reached" in told
    assert "state: nothing was written" in told
    assert "03_verify" not in told
    runbook.resume(DEV).approve(digest)


def test_verification_looks_into_the_bucket_that_was_listed_before(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    clinic.edit(DEV, "walk-nexus-dev", "walk-nexus-prod")
    with untouched(clinic, "dev"):
        told = refusal(runbook.resume(DEV, book.run.id).verify)
    assert "where: walk-nexus-dev then, walk-nexus-prod now" in told
    clinic.edit(DEV, "walk-nexus-prod", "walk-nexus-dev")
    assert not runbook.resume(DEV, book.run.id).verify().blocking


def test_another_filemaker_file_than_the_record_befores_is_refused(
    clinic: Clinic,
) -> None:
    clinic.executed()
    tables = list(clinic.simulator.tables.values())
    with Simulator(tables, password=PASSWORD, database="WalkArchive") as other:
        secret(clinic, "NEXUS_SANDBOX_FILEMAKER_URL", other.url)
        clinic.edit(DEV, 'database = "WalkClinic"', 'database = "WalkArchive"')
        with untouched(clinic, "dev"):
            text = refusal(clinic.preflight)
    assert f"{FILE_CHECK}: 1 of " in text
    assert "(e.g. file: WalkClinic then, WalkArchive now)" in text


def test_a_filemaker_file_of_another_size_is_refused_and_can_be_waived(
    clinic: Clinic,
) -> None:
    clinic.add_prod()
    first = clinic.executed()
    had = first.run.load(Snapshot).extracts["notes"].rows
    with clinic.simulator.edit() as tables:
        notes = tables["API_Notes"].records
        del notes[-(len(notes) // 5) :]
        has = len(notes)
    said = f"notes: {had:,} then, {has:,} now; may differ by {had // 10:,}"
    with untouched(clinic, "dev", "prod"):
        for name in (DEV, PROD):  # prod has no record yet: it is compared with dev's
            text = refusal(partial(clinic.preflight, name))
            assert text.splitlines()[0] == "1 check failed"
            assert FILE_CHECK in text
            assert f"(e.g. {said})" in text
    found = runbook.resume(PROD).run.load(Report, "checks_before").results
    assert {r.note for r in found if r.check == FILE_CHECK} == {
        f"compared with sandbox-dev {first.run.id}"
    }
    path = clinic.folder / f"{DEV}.toml"
    waiver = f'check = "{FILE_CHECK}"\nat_most = 1\nreason = "meant so"\nwho = "x"\n'
    path.write_text(f'{path.read_text()}\n[[waivers]]\n{waiver}until = "2099-01-01"\n')
    results = runbook.resume(DEV).check_before().results
    assert [r.passed for r in results if r.check == FILE_CHECK] == [True]


def test_the_first_record_has_none_before_it(clinic: Clinic, rehearsed: Path) -> None:
    before = clinic.approved(rehearsed)._before()
    assert before.earlier is None
    found = filemaker_is_the_file_of_the_record_before(before)
    assert (found.looked_at, list(found.offending)) == (1, [])
    assert "nothing to compare with" in found.note


@pytest.mark.parametrize(
    ("then", "now", "offends"),
    [
        (5, 0, 0),
        (10, 0, 0),
        (11, 0, 1),
        (0, 10, 0),
        (0, 11, 1),
        (1000, 900, 0),
        (1000, 899, 1),
        (1000, 1100, 0),
        (1000, 1101, 1),
    ],
)
def test_the_band_is_a_tenth_here_and_never_less_than_ten_records(
    clinic: Clinic, rehearsed: Path, then: int, now: int, offends: int
) -> None:
    before = clinic.approved(rehearsed)._before()

    def of(rows: int) -> Snapshot:
        extracts = dict(before.snapshot.extracts)
        extracts["notes"] = replace(extracts["notes"], rows=rows)
        return replace(before.snapshot, extracts=extracts)

    found = filemaker_is_the_file_of_the_record_before(
        replace(
            before,
            intake=replace(before.intake, snapshot=of(now)),
            earlier=of(then),
            earlier_run="dev x",
        )
    )
    assert len(found.offending) == offends


# ------------------------------------------------------------------ asked again where it is written


def test_the_marker_is_asked_again_on_the_connection_that_writes(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    clinic.do("UPDATE nexus_reimport.deployment SET environment = 'sandbox-prod'", role=ROLE)
    with untouched(clinic, "dev"):
        text = refusal(book.apply)
    assert text.startswith("this database is sandbox-prod itself, not sandbox-dev\n")
    assert (book.run.verdict(), book.run.exit_code()) == (Verdict.STOPPED, 1)
    assert clinic.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


def test_no_other_database_is_given_the_seal(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    book.verify()
    book.sign_off()
    copy = clinic.databases["prod"]
    make_database(clinic.server, copy, clinic.databases["dev"])
    prods_place_in_devs_file(clinic)
    text = runner.seal(DEV).error
    assert text.startswith("this database is a copy of sandbox-dev: ")
    assert "  state: committed; the seal is in the run's folder only\n" in text
    assert text.endswith(" writes the seal there, or the next run")
    assert book.run.is_sealed
    seals = "SELECT run, seal FROM nexus_reimport.runs"
    there = clinic.rows(seals, "prod", role=ROLE)
    assert there == clinic.rows(seals, role=ROLE) == [(book.run.id, "")]


def test_no_other_database_is_asked_whether_a_run_was_committed(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    copy = clinic.databases["prod"]
    make_database(clinic.server, copy, clinic.databases["dev"])
    book.apply()
    journal = book.run.folder / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    last = next(n for n, line in enumerate(lines) if b'"committing"' in line)
    journal.write_bytes(b"".join(lines[: last + 1]))  # as a kill at COMMIT leaves it
    prods_place_in_devs_file(clinic)
    asked = runner.settle(DEV)
    assert asked.exit_code == 5, "whether it was committed is not known"
    text = asked.error
    assert text.startswith("this database is a copy of sandbox-dev: ")
    assert "  state: not known yet\n" in text
    assert book.run.verdict() is Verdict.IN_DOUBT
    assert runner.finish(DEV).exit_code == 5
    clinic.edit(DEV, copy, clinic.databases["dev"])
    assert runner.settle(DEV).verdict is Verdict.COMMITTED_UNVERIFIED


def test_a_run_is_closed_and_read_while_the_database_is_away(
    clinic: Clinic, rehearsed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = clinic.approved(rehearsed)
    secret(clinic, "NEXUS_SANDBOX_PG_PORT", 9)
    sealed = runner.seal(DEV)
    assert (sealed.sealed, sealed.verdict) == (True, Verdict.PARTIAL)
    assert book.run.problems() == []
    for arguments in (["list"], ["show", DEV], ["check", str(book.run.bag)]):
        assert command(capsys, "record", *arguments)[0] == 0
    assert command(capsys, "record", "check", DEV)[0] == 1, "it was not compared"
