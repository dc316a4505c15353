"""What the tests of the interlock share: other servers, and how a refusal is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexus_reimport.errors import ReimportError, StopError
from nexus_sandbox import process
from nexus_sandbox.postgres import home
from nexus_sandbox.postgres.access import SUPERUSER, Postgres
from nexus_sandbox.postgres.server import PostgresServer
from support.clinic import PASSWORD, ROLE, TUNED, Clinic
from support.running import until

DEV, PROD = "sandbox-dev", "sandbox-prod"


def secret(clinic: Clinic, name: str, value: object, environment: str = DEV) -> None:
    """Set one line of an environment's file of secrets."""
    path = clinic.folder / f".env.{environment}"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name}=")]
    path.write_text("\n".join([*lines, f"{name}={value}"]) + "\n")


def runs_in(clinic: Clinic, kind: str) -> int:
    """How many runs the database says that it was written by."""
    known = clinic.value("SELECT to_regclass('nexus_reimport.runs') IS NOT NULL", kind, role=ROLE)
    counted = "SELECT count(*) FROM nexus_reimport.runs"
    return int(clinic.value(counted, kind, role=ROLE)) if known else 0


@contextmanager
def untouched(clinic: Clinic, *kinds: str) -> Iterator[None]:
    """Whatever happens inside, these databases are as they were, and no run wrote into them."""
    before = {kind: (clinic.state(kind), runs_in(clinic, kind)) for kind in kinds}
    yield
    assert {kind: (clinic.state(kind), runs_in(clinic, kind)) for kind in kinds} == before


def refusal(
    call: Callable[[], object], kind: type[ReimportError] = StopError, exit_code: int = 1
) -> str:
    """The four lines in which ``call`` refuses."""
    with pytest.raises(ReimportError) as told:
        call()
    assert type(told.value) is kind
    assert told.value.exit_code == exit_code
    assert told.value.next, "it says what to do next"
    assert PASSWORD not in str(told.value)
    return str(told.value)


def oid(clinic: Clinic, kind: str) -> int:
    question = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"
    return int(clinic.value(question, kind))


def adopted(clinic: Clinic, kind: str) -> str:
    """How a message says when and by whom a database was adopted."""
    question = (
        "SELECT format('adopted as %s by %s on %s UTC', environment, adopted_by,"
        " to_char(adopted_at, 'YYYY-MM-DD HH24:MI')) FROM nexus_reimport.deployment"
    )
    return str(clinic.value(question, kind, role=ROLE))


@contextmanager
def standby(clinic: Clinic, folder: Path) -> Iterator[PostgresServer]:
    """A hot standby of this session's server, as that is now."""
    primary = clinic.server.access
    folder.mkdir(mode=0o700)
    access = Postgres(0, home.make(folder, home.binaries()), primary.passwords)
    user = home.server_user()
    draft = access.home / "draft"
    draft.mkdir(mode=0o700)
    if user is not None:
        os.chown(draft, user, user)
    tool = home.programs(access.home, home.binaries()) / "pg_basebackup"
    done = process.run(
        [
            tool,
            f"--dbname={primary.dsn()}",
            f"--pgdata={draft}",
            "--wal-method=fetch",
            "--checkpoint=fast",
            "--no-sync",
        ],
        user=user,
    )
    assert done.returncode == 0, done.stderr
    (draft / "standby.signal").touch()
    if user is not None:
        os.chown(draft / "standby.signal", user, user)
    draft.rename(access.data)
    access.remember(folder)
    with PostgresServer.start(folder, durable=False, tuned=TUNED) as server:
        yield server
        server.remove()


@contextmanager
def a_standby_is_away(clinic: Clinic) -> Iterator[None]:
    """Each COMMIT of the server waits for it."""

    def ask_for(names: str) -> None:
        with clinic.superuser() as admin:
            admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            admin.execute("SELECT pg_reload_conf()")
        until(lambda: clinic.value("SHOW synchronous_standby_names", role=SUPERUSER) == names)

    try:
        ask_for("away")
        yield
    finally:
        ask_for("")


@pytest.fixture
def replica(clinic: Clinic, tmp_path: Path) -> Iterator[PostgresServer]:
    """A hot standby of this session's server."""
    with standby(clinic, tmp_path / "replica") as server:
        yield server


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[PostgresServer]:
    """Another server altogether."""
    with PostgresServer.start(tmp_path / "elsewhere", durable=False) as server:
        server.create_role(ROLE)
        yield server
        server.remove()
