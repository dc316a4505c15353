"""The crash matrix in short: a few blows, and whether the harness itself strikes true.

The whole of it takes the better part of an hour: ``make crash``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from crash import look
from crash.cases import Case
from crash.disk import SmallDisk
from crash.faults import Fault
from crash.fixture import World, opened
from crash.journal import Point
from crash.proxy import PostgresProxy, Side
from crash.trial import play
from crash.undisturbed import furnish
from nexus_reimport.record import Verdict
from nexus_sandbox.clinic import Clinic
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.process import until
from nexus_sandbox.s3.server import S3Server

COMMIT = Point("apply", "committing")
CASES = [
    (Case("preflight", Fault.KERNEL, Point("survey_and_backup")), "before", Verdict.KILLED),
    (Case("execute", Fault.RUNNER, COMMIT), "after", Verdict.COMMITTED_UNVERIFIED),
    (Case("execute", Fault.UNHEARD_AWAY, COMMIT), "after", Verdict.IN_DOUBT),
    (Case("verify", Fault.DISK, Point("checks_after")), "after", Verdict.COMMITTED_UNVERIFIED),
]


@pytest.fixture(scope="session")
def world(
    filled_s3: S3Server, made_up: Clinic, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A clinic with a server of its own, which may be stopped at once."""
    with opened(tmp_path_factory.mktemp("crash") / "world", filled_s3, made_up) as found:
        furnish(found)
        yield found


@pytest.mark.parametrize(("case", "word", "verdict"), CASES, ids=str)
def test_a_blow_leaves_before_or_after_and_the_next_run_succeeds(
    world: World, case: Case, word: str, verdict: Verdict
) -> None:
    result = play(world, case, briskly=True)
    assert result.violations == (), result.said
    assert (result.hit, result.word, result.verdict) == (True, word, verdict), result.said


@pytest.fixture
def table(postgres: PostgresServer) -> Iterator[tuple[str, PostgresProxy]]:
    """A database with an empty table, and a proxy before it."""
    postgres.create_database("proxied")
    with psycopg.connect(postgres.dsn("proxied")) as connection:
        connection.execute("CREATE TABLE t (n integer)")
    with PostgresProxy(postgres.port) as proxy:
        yield postgres.dsn("proxied"), proxy
    postgres.drop_database("proxied")


def insert(dsn: str, proxy: PostgresProxy, *, extended: bool = False) -> None:
    """One row in a transaction, through the proxy; COMMIT by the one or the other protocol."""
    with psycopg.connect(
        dsn, port=proxy.port, application_name="writer", autocommit=True, sslmode="disable"
    ) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT 1")
        connection.execute("COMMIT")  # it wrote nothing, and goes by
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("COMMIT", binary=extended)


def rows(dsn: str) -> int:
    with look.connect(dsn) as connection:
        return len(connection.execute("SELECT * FROM t").fetchall())


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(("side", "left"), [("before", 0), ("after", 1)])
def test_a_connection_is_cut_on_the_one_or_the_other_side_of_commit(
    table: tuple[str, PostgresProxy], side: Side, left: int, extended: bool
) -> None:
    dsn, proxy = table
    snare = proxy.at_commit("proxied", "writer", side)
    with pytest.raises(psycopg.OperationalError):
        insert(dsn, proxy, extended=extended)
    assert snare.sprung.is_set()
    until(lambda: rows(dsn) == left, 60)
    assert rows(dsn) == left
    insert(dsn, proxy)
    assert rows(dsn) == left + 1, "it is for one COMMIT"


def test_another_application_and_another_database_are_let_through(
    table: tuple[str, PostgresProxy],
) -> None:
    dsn, proxy = table
    proxy.at_commit("proxied", "somebody else", "before")
    insert(dsn, proxy)
    proxy.at_commit("elsewhere", "writer", "before")
    insert(dsn, proxy)
    assert rows(dsn) == 2


def test_a_server_that_went_away_is_out_of_reach_until_it_comes_back(
    table: tuple[str, PostgresProxy],
) -> None:
    dsn, proxy = table
    snare = proxy.at_commit("proxied", "writer", "after", stays_away=True)
    with pytest.raises(psycopg.OperationalError):
        insert(dsn, proxy)
    assert snare.sprung.is_set()
    with pytest.raises(psycopg.OperationalError):
        insert(dsn, proxy)
    proxy.come_back()
    insert(dsn, proxy)
    assert rows(dsn) == 2


def test_a_small_disk_can_be_filled_and_emptied(tmp_path: Path) -> None:
    disk = SmallDisk.on(tmp_path / "private")
    if disk is None:
        return  # this system lets nobody mount one: a limit on files takes its place
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        (disk.folder / "file").write_bytes(b"x")
    disk.empty()
    (disk.folder / "file").write_bytes(b"x")
    disk.close()
    assert list((tmp_path / "private").iterdir()) == []
