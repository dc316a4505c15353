"""A person adopts a database for an environment, once; a copy only under its own name."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from typing import Any

import psycopg
import pytest

from crash.proxy import PostgresProxy, Side, _PostgresPair
from nexus_reimport import program, runbook
from nexus_reimport.errors import Busy, TargetError
from nexus_reimport.nexus import deployment
from nexus_reimport.nexus.connection.session import APPLICATION
from nexus_reimport.nexus.deployment import Identity
from nexus_reimport.nexus.writing import run_lock
from nexus_reimport.runbook import adoption
from nexus_sandbox.postgres.server import PostgresServer
from support.clinic import ROLE, Clinic, make_database
from support.commands import command
from support.interlock import DEV, PROD, oid, refusal, replica, secret, untouched

__all__ = ["replica"]

MARKER = (
    "SELECT environment, database_name, database_oid, adopted_by FROM nexus_reimport.deployment"
)


def unmarked(clinic: Clinic) -> None:
    clinic.do("DROP SCHEMA nexus_reimport CASCADE", role=ROLE)


def copied_from_prod(clinic: Clinic) -> None:
    clinic.add_prod()
    clinic.server.drop_database(clinic.databases["dev"])
    make_database(clinic.server, clinic.databases["dev"], clinic.databases["prod"])


def marker(clinic: Clinic, kind: str = "dev") -> list[tuple[Any, ...]]:
    return clinic.rows("SELECT * FROM nexus_reimport.deployment", kind, role=ROLE)


def test_a_database_is_adopted_once_and_then_it_says_so(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    unmarked(clinic)
    with untouched(clinic, "dev"):
        code, out, told = command(capsys, "adopt", DEV, "--yes")
    place = f"postgres 127.0.0.1:{clinic.server.port}/{clinic.databases['dev']}"
    assert (code, told) == (0, "")
    who = program.account()
    assert out.startswith(f"{place} is now sandbox-dev: sandbox-dev, written by {who} on 2")
    assert clinic.rows(MARKER, role=ROLE) == [
        (DEV, clinic.databases["dev"], oid(clinic, "dev"), who)
    ]
    first = marker(clinic)
    code, out, _ = command(capsys, "adopt", DEV)
    assert code == 0, "what is adopted already asks nobody"
    assert out.startswith(f"{place} was already sandbox-dev: ")
    assert out.endswith("; nothing was written\n")
    assert marker(clinic) == first
    runbook.begin(DEV)


def test_the_answer_can_be_read_by_a_program(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    unmarked(clinic)
    code, out, _ = command(capsys, "adopt", DEV, "--yes", "--json")
    said = json.loads(out)
    at = said.pop("adopted_at")
    assert at.startswith(
        str(clinic.value("SELECT adopted_at::date FROM nexus_reimport.deployment", role=ROLE))
    )
    assert said.pop("bytes") > 1_000_000
    assert said.pop("version").startswith("18")
    assert (code, said) == (
        0,
        {
            "environment": DEV,
            "adopted": True,
            "host": "127.0.0.1",
            "port": clinic.server.port,
            "database": clinic.databases["dev"],
            "oid": oid(clinic, "dev"),
            "marker": DEV,
            "adopted_by": program.account(),
        },
    )
    code, out, _ = command(capsys, "adopt", DEV, "--json")
    again = json.loads(out)
    assert (code, again["adopted"], again["adopted_at"]) == (0, False, at)


def test_a_copy_is_adopted_only_by_who_calls_it_one(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    copied_from_prod(clinic)
    before = marker(clinic)
    code, _, told = command(capsys, "adopt", DEV, "--yes")
    assert code == 1
    assert told.startswith("this database is a copy of sandbox-prod: its name was ")
    assert "nexus-reimport adopt sandbox-dev --this-is-a-copy" in told
    assert marker(clinic) == before
    with untouched(clinic, "dev", "prod"):
        code, _, _ = command(capsys, "adopt", DEV, "--this-is-a-copy", "--yes")
    assert code == 0
    assert [row[:2] for row in clinic.rows(MARKER, role=ROLE)] == [(DEV, clinic.databases["dev"])]
    assert marker(clinic, "prod") == before, "prod's own marker is as it was"
    runbook.begin(DEV)


@pytest.mark.parametrize("more", [[], ["--this-is-a-copy"]])
def test_prod_itself_is_never_adopted_as_dev(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    clinic.add_prod()
    clinic.edit(DEV, clinic.databases["dev"], clinic.databases["prod"])
    before = marker(clinic, "prod")
    code, _, told = command(capsys, "adopt", DEV, "--yes", *more)
    assert code == 1
    what, where, state, after = told.splitlines()
    assert what == "this database is sandbox-prod itself: it cannot be adopted as sandbox-dev"
    assert where.startswith(f"  where: postgres 127.0.0.1:{clinic.server.port}/nexus_prod_")
    assert state == "  state: nothing was written"
    assert after == (
        "  next:  correct host, port and database in sandbox-dev.toml. Only if this server is a"
        " copy of another server's files, or the database is no longer sandbox-prod: run"
        " DELETE FROM nexus_reimport.deployment; in this database, then adopt it"
    )
    assert marker(clinic, "prod") == before
    clinic.do("DELETE FROM nexus_reimport.deployment", "prod", role=ROLE)
    assert command(capsys, "adopt", DEV, "--yes")[0] == 0, "the statement does what it is shown for"


def test_prod_under_another_name_is_still_prod(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic.add_prod()
    dev, prod = clinic.databases["dev"], clinic.databases["prod"]
    clinic.server.drop_database(dev)
    with clinic.server.access.connect() as connection:
        connection.execute(f'ALTER DATABASE "{prod}" RENAME TO "{dev}"')
    with untouched(clinic, "dev"):
        text = refusal(lambda: runbook.begin(DEV))
        assert text.startswith("this database is sandbox-prod itself, not sandbox-dev\n")
        assert command(capsys, "adopt", DEV, "--this-is-a-copy", "--yes")[0] == 1
    clinic.edit(PROD, prod, dev)
    text = refusal(lambda: runbook.begin(PROD))
    assert text.startswith(
        "this database was renamed since it was adopted as sandbox-prod: its name was"
        f" {prod}, now it is {dev}\n"
    ), "it is no copy"
    assert command(capsys, "adopt", PROD, "--this-is-a-copy", "--yes")[0] == 0
    runbook.begin(PROD)


def test_a_replica_is_not_adopted(
    clinic: Clinic, replica: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    secret(clinic, "NEXUS_SANDBOX_PG_PORT", replica.port)
    for more in ([], ["--this-is-a-copy"]):
        code, _, told = command(capsys, "adopt", DEV, "--yes", *more)
        assert code == 1
        assert told.startswith("this server is a replica in recovery: nothing can be written")


def test_where_nobody_can_type_the_name_yes_is_asked_for(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    unmarked(clinic)
    code, out, told = command(capsys, "adopt", DEV)
    assert (code, out) == (2, "")
    assert told == (
        "a person must confirm that this is the database of sandbox-dev, and there is no terminal"
        " to ask on\n"
        f"  where: postgres 127.0.0.1:{clinic.server.port}/{clinic.databases['dev']}\n"
        "  state: nothing was written\n"
        "  next:  run the command in a terminal, or add --yes if you are sure\n"
    )
    assert clinic.value("SELECT to_regnamespace('nexus_reimport') IS NULL")


def on_a_terminal(typed: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of a command to which a person types one line."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "nexus_reimport.cli", *arguments],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            os.write(ours, f"{typed}\n".encode())
            out, told = running.communicate(timeout=120)
        return running.returncode, out, told
    finally:
        os.close(ours)
        os.close(theirs)


def test_on_a_terminal_the_database_is_shown_and_its_name_is_typed(clinic: Clinic) -> None:
    copied_from_prod(clinic)
    before = marker(clinic)
    asked = ("adopt", DEV, "--this-is-a-copy")
    code, out, told = on_a_terminal(PROD, *asked)
    assert (code, out) == (1, "")
    assert "the text that was typed is not sandbox-dev\n" in told
    assert marker(clinic) == before
    code, out, told = on_a_terminal(DEV, *asked)
    assert code == 0, told
    database = clinic.databases["dev"]
    size = clinic.value("SELECT pg_database_size(current_database())") / 1e6
    when = before[0][5].strftime("%Y-%m-%d %H:%M")
    assert told.splitlines()[:7] == [
        "  environment  sandbox-dev, of kind dev",
        "  host         127.0.0.1",
        f"  port         {clinic.server.port}",
        f"  database     {database} (oid {oid(clinic, 'dev')})",
        f"  PostgreSQL   {clinic.value('SHOW server_version')}",
        told.splitlines()[5],
        f"  its marker   sandbox-prod, written by {program.account()} on {when} UTC",
    ]
    shown = float(told.splitlines()[5].removeprefix("  size         ").removesuffix(" MB"))
    assert abs(shown - size) < 1
    assert "If this is the database of sandbox-dev, type sandbox-dev: " in told
    assert out.startswith(f"postgres 127.0.0.1:{clinic.server.port}/{database} is now sandbox-dev")
    assert clinic.rows(MARKER, role=ROLE)[0][0] == DEV


def test_what_was_shown_is_what_is_adopted(clinic: Clinic) -> None:
    unmarked(clinic)
    seen = adoption.candidate(DEV)
    clinic.adopt("dev")
    before = marker(clinic)
    text = refusal(lambda: adoption.adopt(seen))
    assert text.startswith("this is not the database that was shown, or its marker was changed")
    assert marker(clinic) == before


def test_no_database_is_adopted_while_a_run_is_at_work_in_it(clinic: Clinic) -> None:
    unmarked(clinic)
    seen = adoption.candidate(DEV)
    with clinic.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s)", (run_lock.LOCK_KEY,))
        refusal(lambda: adoption.adopt(seen), Busy, 1)
    assert clinic.value("SELECT to_regnamespace('nexus_reimport') IS NULL")
    assert adoption.adopt(seen).marker is not None


class AtTheMarker(PostgresProxy):
    """Cuts at the COMMIT of the transaction that writes the marker."""

    def _pair(self, client: socket.socket, server: socket.socket) -> _PostgresPair:
        return _OfTheMarker(client, server, self)


class _OfTheMarker(_PostgresPair):
    def _commits(self, head: bytes, body: bytes) -> bool:
        self._wrote = self._wrote or b"INSERT INTO nexus_reimport.deployment" in body
        return self._wrote and b"COMMIT" in body


@pytest.mark.parametrize("side", ["before", "after"])
def test_whether_the_marker_was_written_is_asked_where_the_connection_is_lost_at_commit(
    clinic: Clinic, side: Side
) -> None:
    """It said that it may have been written, although the database can tell."""
    unmarked(clinic)
    with AtTheMarker(clinic.server.port) as proxy:
        secret(clinic, "NEXUS_SANDBOX_PG_PORT", proxy.port)
        seen = adoption.candidate(DEV)
        snare = proxy.at_commit(clinic.databases["dev"], APPLICATION, side)
        if side == "after":
            assert adoption.adopt(seen).marker is not None
        else:
            text = refusal(lambda: adoption.adopt(seen), TargetError, 3)
            assert "state: nothing was written\n" in text
        assert snare.sprung.is_set()
    assert clinic.value("SELECT to_regnamespace('nexus_reimport') IS NULL") is (side == "before")


def test_a_server_that_cannot_be_reached_has_written_no_marker(clinic: Clinic) -> None:
    unmarked(clinic)
    seen = adoption.candidate(DEV)
    secret(clinic, "NEXUS_SANDBOX_PG_PORT", 9)
    text = refusal(lambda: adoption.adopt(seen), TargetError, 3)
    assert "state: nothing was written\n" in text


@pytest.mark.parametrize("side", ["before", "after"])
def test_where_nobody_can_be_asked_the_marker_may_have_been_written(
    clinic: Clinic, side: Side
) -> None:
    unmarked(clinic)
    with AtTheMarker(clinic.server.port) as proxy:
        secret(clinic, "NEXUS_SANDBOX_PG_PORT", proxy.port)
        seen = adoption.candidate(DEV)
        proxy.at_commit(clinic.databases["dev"], APPLICATION, side, stays_away=True)
        text = refusal(lambda: adoption.adopt(seen), TargetError, 3)
        assert "state: the marker may have been written; nothing else was\n" in text


def test_a_server_that_hides_its_identifier_is_told_by_name_and_oid(clinic: Clinic) -> None:
    database = clinic.databases["dev"]
    with psycopg.connect(clinic.server.dsn(database), autocommit=True) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    runbook.begin(DEV)
    unmarked(clinic)
    adoption.adopt(adoption.candidate(DEV))
    hidden = "SELECT system_identifier FROM nexus_reimport.deployment"
    assert clinic.value(hidden, role=ROLE) == ""
    runbook.begin(DEV)
    clinic.do("UPDATE nexus_reimport.deployment SET database_oid = database_oid + 1", role=ROLE)
    assert "its oid was " in refusal(lambda: runbook.begin(DEV))


def test_the_marker_holds_one_row_and_a_name(clinic: Clinic) -> None:
    columns = "environment, database_name, database_oid, system_identifier, adopted_by"
    for values in ("'x', 'x', 1, '', 'x'", "'', 'x', 1, '', 'x'"):
        insert = f"INSERT INTO nexus_reimport.deployment ({columns}) VALUES ({values})"
        with pytest.raises(psycopg.errors.IntegrityError):
            clinic.do(insert, role=ROLE)
    with pytest.raises(psycopg.errors.CheckViolation):
        clinic.do("UPDATE nexus_reimport.deployment SET only_row = false", role=ROLE)


@pytest.mark.parametrize(
    ("now", "differs", "is_still"),
    [
        (Identity("a", 1, "s"), 0, True),
        (Identity("b", 1, "s"), 1, True),  # renamed
        (Identity("a", 2, "s"), 1, False),
        (Identity("a", 1, "t"), 1, False),
        (Identity("a", 1, ""), 0, True),  # not known, not compared
        (Identity("b", 1, ""), 1, False),
        (Identity("b", 2, "t"), 3, False),
    ],
)
def test_one_difference_is_enough(now: Identity, differs: int, is_still: bool) -> None:
    then = Identity("a", 1, "s")
    assert (len(then.differences(now)), then.is_still(now)) == (differs, is_still)


def test_what_is_read_is_what_the_server_says(clinic: Clinic) -> None:
    with clinic.connect(role=ROLE) as connection:
        found = deployment.read(connection)
        assert deployment.size(connection) > 1_000_000
    with psycopg.connect(clinic.server.dsn(clinic.databases["dev"])) as connection:
        system = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    assert system is not None
    assert found.identity == Identity(clinic.databases["dev"], oid(clinic, "dev"), str(system[0]))
    assert found.marker is not None
    assert (found.marker.environment, found.marker.identity) == (DEV, found.identity)
    assert (found.host, found.port, found.in_recovery) == ("127.0.0.1", clinic.server.port, False)
