"""Why a connection was refused: each cause by its own words and advice, nothing quoted."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from nexus_reimport import record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import TargetError
from nexus_reimport.nexus.connection import pg_tools, refusal, session
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.settings import Postgres
from nexus_sandbox.postgres.server import binaries
from support import SUPPORT
from support.clinic import PASSWORD, ROLE, Clinic
from support.poolers import (
    http,
    lending_nothing,
    listening,
    refusing,
    silent,
    with_certificate,
    without_tls,
)

DEV = "sandbox-dev"
CERTIFICATES = SUPPORT / "authority"
AUTHORITY = str(CERTIFICATES / "ca.pem")
OTHERS = "Meier Hans"  # what a server may say of others


def place() -> Postgres:
    return environments.load(DEV).postgres


def told_by(target: Postgres) -> TargetError:
    """How a session is refused, and one of pg_dump's in the same words."""
    with pytest.raises(TargetError) as told, connected(target):
        pass
    error = told.value
    assert error.where == f"postgres {target.host}:{target.port}/{target.database}"
    assert error.state == "nothing was written"
    assert error.next
    for withheld in (
        "FATAL",
        "libpq",
        "connection to server",
        PASSWORD,
        OTHERS,
        target.password.get_secret_value(),
    ):
        assert withheld not in str(error)
    assert error.__cause__ is None
    return error


def dump_is_told(target: Postgres, folder: Path) -> str:
    command: list[str | Path] = [binaries() / "pg_dump", "--no-password", "--schema-only"]
    with pytest.raises(TargetError) as told:
        pg_tools.run(command, target, folder / "log")
    return told.value.what


@pytest.mark.parametrize(
    ("change", "what", "advice"),
    [
        ({"password": SecretStr("nope")}, "did not accept the password of the role", "VALID UNTIL"),
        ({"user": "nobody"}, "did not accept the password of the role", "does not exist"),
        ({"database": "nosuch"}, "has no such database", "[postgres] database"),
        ({"port": 1}, "nothing listens at this host and port", "listen_addresses"),
        ({"host": "nosuch.invalid"}, "the host's name cannot be resolved", "VPN"),
        ({"host": "/nowhere"}, "the server's socket does not exist", "socket's folder"),
        ({"sslmode": "require"}, "the server does not encrypt (TLS)", "sslmode_waiver"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(
    clinic: Clinic, tmp_path: Path, change: dict[str, Any], what: str, advice: str
) -> None:
    target = place().model_copy(update=change)
    error = told_by(target)
    assert what in error.what
    assert advice in error.next
    assert error.next.endswith(". Then run this again")
    if "sslmode" not in change:  # the tests' own pg_dump has no TLS, and says that
        assert dump_is_told(target, tmp_path) == f"pg_dump: {error.what}"


def test_a_library_that_the_server_cannot_load_is_no_socket(clinic: Clinic, tmp_path: Path) -> None:
    """It was told that the server's socket does not exist, of a server that had answered."""
    with clinic.superuser() as admin:
        admin.execute(f"ALTER ROLE {ROLE} SET session_preload_libraries = 'no_such_library'")
    try:
        error = told_by(place())
        assert dump_is_told(place(), tmp_path) == f"pg_dump: {error.what}"
    finally:
        with clinic.superuser() as admin:
            admin.execute(f"ALTER ROLE {ROLE} RESET session_preload_libraries")
    assert "cannot load a library" in error.what
    assert "session_preload_libraries" in error.next


def test_what_a_server_says_behind_a_socket_is_not_that_there_is_none(clinic: Clinic) -> None:
    socket_of = 'connection to server on socket "/run/.s.PGSQL.5432" failed: '
    assert "socket" in refusal.why(f"{socket_of}No such file or directory", place()).what
    unknown = refusal.why(f"{socket_of}FATAL:  something new", place())
    assert unknown.what == "the server refused the connection"


def test_a_pg_dump_without_tls_is_told_as_that(clinic: Clinic, tmp_path: Path) -> None:
    target = place().model_copy(update={"sslmode": "require"})
    assert "was built without TLS" in dump_is_told(target, tmp_path)


@pytest.mark.parametrize(
    ("server", "what"),
    [
        (
            refusing("08P01", "unsupported startup parameter in options: statement_timeout"),
            "a connection pooler refuses the settings of our sessions",
        ),
        (
            refusing("08P01", "unsupported startup parameter: options"),
            "a connection pooler refuses the settings of our sessions",
        ),
        (
            refusing(
                "0A000",
                "Feature not supported: RDS Proxy currently doesn't support command-line options.",
            ),
            "a connection pooler refuses the settings of our sessions",
        ),
        (refusing("08P01", f"no such database: {OTHERS}"), "a connection pooler refused"),
        (
            refusing(
                "08P01", "server login has been failing, try again later (server_login_retry)"
            ),
            "a connection pooler refused",
        ),
        (refusing("53300", "sorry, too many clients already"), "has no free connection"),
        (
            refusing(
                "53300",
                "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            ),
            "has no free connection",
        ),
        (
            refusing("53300", f'too many connections for role "{OTHERS}"'),
            "the role has reached its limit of connections",
        ),
        (
            refusing("53300", f'too many connections for database "{OTHERS}"'),
            "the database has reached its limit of connections",
        ),
        (refusing("57P03", "the database system is starting up"), "the server is starting up"),
        (
            refusing("57P03", "the database system is not yet accepting connections"),
            "the server is starting up",
        ),
        (refusing("57P03", "the database system is shutting down"), "the server is shutting down"),
        (refusing("57P03", "the database system is in recovery mode"), "the server is in recovery"),
        (
            refusing("55000", f'database "{OTHERS}" is not currently accepting connections'),
            "the database is closed to connections",
        ),
        (
            refusing("42501", f'permission denied for database "{OTHERS}"'),
            "the role may not connect to this database",
        ),
        (refusing("28000", f'role "{OTHERS}" does not exist'), "the role does not exist on the"),
        (
            refusing("28000", f'role "{OTHERS}" is not permitted to log in'),
            "the role may not log in",
        ),
        (
            refusing(
                "28000",
                f'no pg_hba.conf entry for host "10.0.0.1", user "{OTHERS}", database'
                ' "x", no encryption',
            ),
            "accepts no unencrypted connection",
        ),
        (
            refusing(
                "28000",
                f'no pg_hba.conf entry for host "10.0.0.1", user "{OTHERS}", database'
                ' "x", SSL encryption',
            ),
            "no connection of this role from this machine",
        ),
        (
            refusing("28000", "connection requires a valid client certificate"),
            "the server requires a client certificate",
        ),
        (
            refusing("28000", f'Peer authentication failed for user "{OTHERS}"'),
            "uses another login method than a password",
        ),
        (
            refusing("28P01", f"Passwort-Authentifizierung für »{OTHERS}« fehlgeschlagen"),
            "the server refused the connection",
        ),
        # As pgbouncer writes it: without the place in the source that PostgreSQL's own errors have.
        (
            lending_nothing("08P01", "query_wait_timeout"),
            "a connection pooler refused a statement or ended the session: SQLSTATE 08P01",
        ),
        (http, "the service at this host and port is not PostgreSQL"),
    ],
)
def test_what_a_server_says_is_told_in_our_own_words(
    clinic: Clinic, server: Callable[[socket.socket], None], what: str
) -> None:
    with listening(server) as port:
        assert what in told_by(place().model_copy(update={"port": port})).what


@pytest.mark.parametrize(
    ("certificate", "change", "what"),
    [
        ("expired", {}, "the server's certificate has expired"),
        ("other", {}, "the server's certificate is for another host name"),
        (
            "other",
            {"sslrootcert": str(CERTIFICATES / "expired.pem")},
            "the server's certificate cannot be verified",
        ),
        ("expired", {"sslrootcert": "/nowhere/ca.pem"}, "certificate authority does not exist"),
        ("expired", {"sslrootcert": __file__}, "authority holds no readable certificate"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(
    clinic: Clinic, certificate: str, change: dict[str, Any], what: str
) -> None:
    with listening(with_certificate(CERTIFICATES / f"{certificate}.pem")) as port:
        settings = {
            "port": port,
            "host": "localhost",
            "sslmode": "verify-full",
            "sslrootcert": AUTHORITY,
            **change,
        }
        assert what in told_by(place().model_copy(update=settings)).what


def test_a_server_without_tls_is_told_from_one_with_a_wrong_certificate(clinic: Clinic) -> None:
    with listening(without_tls) as port:
        settings = {"port": port, "sslmode": "verify-full", "sslrootcert": AUTHORITY}
        assert "does not encrypt" in told_by(place().model_copy(update=settings)).what


def test_a_host_that_never_answers_is_told(clinic: Clinic) -> None:
    with listening(silent) as port:
        error = told_by(place().model_copy(update={"port": port}))
    assert error.what == "the host did not answer in time"


def test_a_server_that_is_busy_after_the_commit_is_asked_again(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ended with exit code 4, and people waited until somebody had finished it."""
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 2)
    runbook.begin(DEV)
    os.kill(clinic.server.pid, signal.SIGSTOP)
    goes_on = threading.Timer(3, os.kill, (clinic.server.pid, signal.SIGCONT))
    goes_on.start()
    try:
        assert runbook.resume(DEV).settings.name == DEV
    finally:
        goes_on.join()


def test_roles_and_databases_that_are_full_or_closed_are_told(clinic: Clinic) -> None:
    name = clinic.databases["dev"]
    with psycopg.connect(clinic.server.dsn(), autocommit=True) as admin:
        for closed, what in (
            (f"ALTER DATABASE {name} CONNECTION LIMIT 0", "the database has reached its limit"),
            (f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", "the database is closed"),
        ):
            admin.execute(closed)
            assert what in told_by(place()).what
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true CONNECTION LIMIT -1")
        admin.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")
        try:
            assert "the role has reached its limit" in told_by(place()).what
        finally:
            admin.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")


def test_what_is_to_correct_is_told_before_a_run_and_leaves_no_record(clinic: Clinic) -> None:
    book = runbook.begin(DEV)
    clinic.edit(DEV, clinic.databases["dev"], "nosuch")
    with pytest.raises(TargetError, match="has no such database"):
        runbook.resume(DEV, book.run.id)
    runs = len(record.every(environments.load(DEV)))
    (outcome,) = runner.run([DEV], approve_rehearsed=True)
    assert outcome.error.startswith("the server has no such database\n")
    assert (outcome.exit_code, outcome.run) == (2, "")
    assert len(record.every(environments.load(DEV))) == runs, "what is to correct leaves no record"


def test_every_cause_has_words_of_its_own() -> None:
    texts = [why.what for _, why in refusal._SHAPES]
    assert len(texts) == len(set(texts))
