"""Real servers for all tests, started once; a fresh pair of databases for each test that asks."""

from __future__ import annotations

import compileall
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import requests

from nexus_reimport import CHECKOUT, garbage, settings
from nexus_reimport.settings import ENVIRONMENT_VARIABLE, FOLDER_VARIABLE
from nexus_reimport.stages import verify
from nexus_sandbox.clinic import Clinic as MadeUp
from nexus_sandbox.clinic import generate
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack import fill
from support.clinic import (
    BUCKETS,
    ENVIRONMENTS,
    IN_MEMORY,
    OWNER,
    ROLE,
    ROOM,
    SCALE,
    SECRETS,
    TUNED,
    Administrator,
    Clinic,
    Clinics,
    Committed,
    Executed,
    Twice,
    WayBack,
    as_tested,
    closed,
    no_copies,
    surveyed,
)
from support.once import of_all_workers
from support.pages import ServedPage, served
from support.rollbacks import approved

# Four thousand tests stay in memory to the end: to look through them for garbage every time that
# Python would, by default after 70,000 new objects, takes a tenth of the time.
gc.set_threshold(*garbage.RARELY)
# A machine with other work is no fault: an example may take as long as it takes.
hypothesis.settings.register_profile("as_long_as_it_takes", deadline=None)
hypothesis.settings.load_profile("as_long_as_it_takes")
# Else each of some hundred processes that tests start compiles the package anew: half a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" not in os.environ:
    # All of it before the first test: where one lets a file have few bytes, Python would keep half
    # of a compiled module, and every later process would end with "marshal data too short".
    for _room in ("nexus_reimport", "nexus_sandbox", "tests"):
        compileall.compile_dir(CHECKOUT / _room, quiet=1)

if (
    "TMPDIR" not in os.environ
    and IN_MEMORY.is_dir()
    and os.access(IN_MEMORY, os.W_OK)
    and shutil.disk_usage(IN_MEMORY).free > ROOM
):
    # Some hundred databases of six hundred files each are made and dropped: a third of the time.
    os.environ["TMPDIR"], tempfile.tempdir = str(IN_MEMORY), None


# What takes longest, and what is made for several of their tests alone: a browser, a table.
_FIRST = ("tests/browser/", "tests/crash/", "tests/oracle/", "tests/integration/test_saboteur.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin, in one worker: others take their work from the end of its queue."""
    items.sort(key=lambda item: not item.nodeid.startswith(_FIRST))


def pytest_configure() -> None:
    """Take signals as at a terminal: what is started by ``nohup`` ignores two of them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL of this session's own."""
    folder = tmp_path_factory.mktemp("pg") / "server"
    with PostgresServer.start(folder, durable=False, tuned=TUNED) as server:
        server.create_role(OWNER)
        server.create_role(ROLE)
        yield server
        server.remove()


@pytest.fixture(scope="session")
def made_up() -> MadeUp:
    """The made-up clinic, a few dozen patients large."""
    return generate(SCALE)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server of this session's own, its buckets empty."""
    with S3Server.start(tmp_path_factory.mktemp("s3") / "server", BUCKETS, alone=False) as server:
        yield server
        server.remove()


@pytest.fixture(scope="session")
def filled_s3(s3: S3Server, made_up: MadeUp) -> S3Server:
    """The S3 server with the made-up clinic's files."""
    for bucket in BUCKETS[:2]:
        s3.access.fill(bucket, made_up.objects(bucket.rpartition("-")[2]))
    return s3


@pytest.fixture(scope="session")
def templates(postgres: PostgresServer, made_up: MadeUp) -> dict[str, str]:
    """Environment -> the template database that holds it."""
    for name in ("dev", "prod"):
        fill.make_template(postgres.access, f"template_{name}", made_up.nexus(name))
    return {"dev": "template_dev", "prod": "template_prod"}


@pytest.fixture(scope="session")
def clinics(
    postgres: PostgresServer,
    filled_s3: S3Server,
    made_up: MadeUp,
    templates: dict[str, str],
) -> Iterator[Clinics]:
    """Opens a clinic wherever it is wanted."""
    with Administrator(postgres) as administrator:
        yield Clinics(postgres, administrator, filled_s3, made_up, templates)


@pytest.fixture
def clinic(
    request: pytest.FixtureRequest,
    clinics: Clinics,
    tmp_path: Path,
) -> Iterator[Clinic]:
    """A clinic of this test's own, as it is found."""
    with clinics.opened(tmp_path) as found:
        found.made_once = request.getfixturevalue
        yield found


@pytest.fixture
def no_createdb(clinic: Clinic) -> Iterator[Clinic]:
    """The clinic, whose role may not create databases: no copy can be made for a rehearsal."""
    with no_copies(clinic.server):
        yield clinic


@pytest.fixture(scope="session")
def surveyed_once(clinics: Clinics, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a run of sandbox-dev that has read all that its plan needs, once a session.

    A preflight changes nothing, so its run can go on, on any database of the same template, and of
    every worker: their templates hold the same rows.
    """

    def make(folder: Path) -> None:
        with clinics.opened(folder):
            surveyed()

    return of_all_workers(tmp_path_factory, "surveyed", make)


@pytest.fixture(scope="session")
def planned_once(
    clinics: Clinics,
    surveyed_once: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folders of that run, which has its plan."""

    def make(folder: Path) -> None:
        with clinics.opened(folder) as found:
            found.go_on(surveyed_once).plan()

    return of_all_workers(tmp_path_factory, "planned", make)


@pytest.fixture(scope="session")
def proposed_once(
    clinics: Clinics,
    planned_once: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folders of that run, rehearsed: it waits for its approval."""

    def make(folder: Path) -> None:
        with clinics.opened(folder) as found:
            book = found.go_on(planned_once)
            book.check_before()
            book.rehearse()
            book.propose()

    return of_all_workers(tmp_path_factory, "proposed", make)


@pytest.fixture(scope="session")
def rehearsed(
    clinics: Clinics,
    proposed_once: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folders of that run, approved."""

    def make(folder: Path) -> None:
        with clinics.opened(folder) as found:
            found.go_on(proposed_once).approve(rehearsed=True)

    return of_all_workers(tmp_path_factory, "rehearsed", make)


@pytest.fixture(scope="session")
def committed_once(
    clinics: Clinics,
    rehearsed: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Committed:
    """The session's approved run, committed once, and not verified."""
    folder, template = tmp_path_factory.mktemp("committed"), "template_committed"
    with clinics.opened(folder) as found:
        book = found.approved(rehearsed)
        as_tested(book)
        book.apply()
        clinics.keep(found, template)
        return Committed(book.run.id, folder, template)


@pytest.fixture(scope="session")
def executed_once(
    clinics: Clinics,
    committed_once: Committed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Executed:
    """That run, verified and sealed."""
    folder, template = tmp_path_factory.mktemp("executed"), "template_executed"
    with clinics.opened(folder, committed_once.template) as found:
        book = found.resumed(committed_once)
        closed(book)
        expected = book.expected()
        after = verify.gather(book.settings, expected, book._storage())
        clinics.keep(found, template)
        return Executed(book.run.id, folder, template, book._before(), after)


@pytest.fixture(scope="session")
def way_back_once(
    clinics: Clinics,
    executed_once: Executed,
    tmp_path_factory: pytest.TempPathFactory,
) -> WayBack:
    """The rollback of that run, looked at and approved once: it has written nothing."""
    folder = tmp_path_factory.mktemp("way_back")
    with clinics.opened(folder, executed_once.template) as found:
        found.resumed(executed_once)
        return WayBack(approved().run.id, folder, executed_once)


@pytest.fixture(scope="session")
def executed_twice(
    clinics: Clinics,
    executed_once: Executed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Twice:
    """That run, and the same again on top of it."""
    folder, template = tmp_path_factory.mktemp("twice"), "template_executed_twice"
    with clinics.opened(folder, executed_once.template) as found:
        found.resumed(executed_once)
        second = found.whole(dry=True)
        clinics.keep(found, template)
        return Twice(executed_once.run, second.run.id, folder, template)


@pytest.fixture(scope="session")
def shown(
    request: pytest.FixtureRequest,
    clinics: Clinics,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Clinic]:
    """The clinic of the page: one run was executed and sealed in its dev.

    No variable leads there: other tests of this process have clinics of their own.
    """
    folder = tmp_path_factory.mktemp("shown")
    with clinics.opened(folder) as found:
        found.made_once = request.getfixturevalue
        found.executed()
        del os.environ[FOLDER_VARIABLE]
        yield found


@pytest.fixture(scope="session")
def page(shown: Clinic) -> Iterator[ServedPage]:
    """The page of that clinic's dev, served once a session."""
    with served("sandbox-dev", shown.folder, shown.folder.parent / "page") as found:
        yield found


@pytest.fixture
def session(page: ServedPage) -> requests.Session:
    """Somebody who is signed in to the page, without a browser."""
    return page.signed_in()


@pytest.fixture
def environment_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sandbox's environment files, filled in, with no server behind them."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    for name in ("sandbox-dev", "sandbox-prod"):
        shutil.copy(ENVIRONMENTS / f"{name}.toml", tmp_path)
        path = tmp_path / f".env.{name}"
        path.touch(0o600)
        path.write_text("".join(f"{k}={v}\n" for k, v in SECRETS.items()))
    return tmp_path


@pytest.fixture
def known(environment_files: Path) -> settings.Settings:
    """An environment whose records and private files lie in a folder of this test's own."""
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace("../../", ""))
    return settings.load("sandbox-dev", environment_files)
