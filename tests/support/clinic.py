"""A clinic of one test's own: real databases, a FileMaker, an S3, its environment files."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql

from nexus_reimport import CHECKOUT, runbook, saboteur
from nexus_reimport.checks.after import After
from nexus_reimport.checks.before import Before
from nexus_reimport.model import Backup, Census, Report, SelfTest, Survey, Trial
from nexus_reimport.nexus import deployment
from nexus_reimport.nexus.connection import scratch
from nexus_reimport.runbook import rollback
from nexus_reimport.runbook.rollback import Rollback
from nexus_reimport.settings import ENVIRONMENT_VARIABLE, FOLDER_VARIABLE
from nexus_sandbox.clinic import Clinic as MadeUp
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.process import until
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack import fill
from support.untouched import Untouched

IN_MEMORY, ROOM = Path("/dev/shm"), 3 << 30  # noqa: S108 - bytes


SCALE = 0.03
TUNED = {"max_prepared_transactions": "4"}  # by default a server takes none


OWNER, ROLE = "nexus", "nexus_reimport"  # whose tables they are; who runs the reimport


PASSWORD = "a made-up password of the simulator"


BUCKETS = ("walk-nexus-dev", "walk-nexus-prod", "second-installation")


ENVIRONMENTS = CHECKOUT / "runbook" / "environments"


_number = itertools.count(1)
_DATABASE = "<database>"
_granted: dict[tuple[int, str], list[str]] = {}  # port, template -> what a copy of it lacks


def surveyed(name: str = "sandbox-dev", *, links_only: bool = False) -> runbook.Runbook:
    """A run that has read all that a plan is made of."""
    book = runbook.begin(name, links_only=links_only)
    book.snapshot()
    book.census()
    book.survey_and_backup()
    return book


def planned(name: str = "sandbox-dev", *, links_only: bool = False) -> runbook.Runbook:
    """A run up to its plan."""
    book = surveyed(name, links_only=links_only)
    book.plan()
    return book


def approved(
    book: runbook.Runbook, report: Report, dry_on: PostgresServer | None = None
) -> runbook.Runbook:
    """A run whose checks before let it pass, rehearsed and approved.

    Its rehearsal is a dry run where the server is named on which it is: see ``no_copies``.
    """
    assert not report.blocking, report.blocking
    with no_copies(dry_on) if dry_on else nullcontext():
        book.rehearse()
    book.propose()
    book.approve(rehearsed=True)
    return book


def taken_back(name: str) -> Report:
    """The latest run of an environment, taken back; what the verification of that says."""
    back = rollback.begin(name)
    back.back_up()
    back.preview()
    back.propose()
    back.approve(rehearsed=True)
    back.undo()
    return back.verify()


def as_tested(book: runbook.Runbook) -> None:
    """The table of a self-test that has found every kind, as if it had been made."""
    kinds = saboteur.of_scope(only_links=book.run.kind == "relink")
    trials = tuple(Trial(k.name, k.meaning, k.corrupts, 1, ("as_if",)) for k in kinds)
    book.run.save(SelfTest(book.settings.name, book.run.id, ("as_if",), trials, 0.0))


def finished(book: runbook.Runbook) -> runbook.Runbook:
    """An approved run, to its end, sealed."""
    as_tested(book)
    book.apply()
    return closed(book)


def closed(book: runbook.Runbook) -> runbook.Runbook:
    """A committed run, verified and sealed."""
    book.verify()
    book.sign_off()
    book.seal()
    return book


@dataclass(frozen=True, slots=True)
class Committed:
    """A run that was committed: its folders, and a template of the database after it."""

    run: str
    folder: Path
    template: str


@dataclass(frozen=True, slots=True)
class Executed(Committed):
    """One that was verified and sealed, too.

    ``before`` and ``after`` are what its checks look at; row files lie in its private folder.
    """

    before: Before
    after: After


@dataclass(frozen=True, slots=True)
class WayBack:
    """The rollback of an executed run, looked at and approved: its folders, and that run."""

    run: str
    folder: Path
    executed: Executed


@dataclass(frozen=True, slots=True)
class Twice:
    """An executed run and the next one: their ids, folders, and a template of the database."""

    first: str
    second: str
    folder: Path
    template: str


def _nothing(name: str) -> Any:
    raise LookupError(f"this clinic was opened without the session's {name}")


@dataclass(slots=True)
class Clinic:
    """A clinic of one test's own: two databases, a FileMaker, its environment files."""

    server: PostgresServer
    simulator: Simulator
    s3: S3Server
    folder: Path
    databases: dict[str, str]
    made_up: MadeUp
    environments: tuple[str, ...] = ("sandbox-dev", "sandbox-prod")
    made_once: Callable[[str], Any] = _nothing  # name of a session's fixture -> what it gives

    def add_prod(self) -> None:
        """Make the second database, which most tests do not need."""
        make_database(self.server, self.databases["prod"], "template_prod")
        self.adopt("prod")

    def adopt(self, kind: str, *, this_is_a_copy: bool = False) -> None:
        """Let one of the databases be its environment's own."""
        with self.connect(kind, ROLE) as connection:
            deployment.adopt(connection, f"sandbox-{kind}", this_is_a_copy=this_is_a_copy)

    def grant(self, kind: str = "dev") -> None:
        """Give our role what it lists and has not, by the statements that are printed."""
        fill.grant(self.server.access, self.databases[kind])

    def connect(self, kind: str = "dev", role: str = OWNER) -> psycopg.Connection[Any]:
        """A connection to one of the databases, autocommit, as the application's role."""
        dsn = self.server.dsn(self.databases[kind], role)
        return psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC")

    def superuser(self) -> psycopg.Connection[Any]:
        """A connection to dev's database, autocommit, as who may do everything there."""
        return psycopg.connect(self.server.dsn(self.databases["dev"]), autocommit=True)

    def rows(
        self, query: str, kind: str = "dev", *parameters: object, role: str = OWNER
    ) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.connect(kind, role) as connection:
            return connection.execute(query, parameters or None).fetchall()

    def value(self, query: str, kind: str = "dev", *parameters: object, role: str = OWNER) -> Any:
        """The first value of a query."""
        return self.rows(query, kind, *parameters, role=role)[0][0]

    def do(self, statement: str, kind: str = "dev", *parameters: object, role: str = OWNER) -> None:
        """Execute one statement."""
        with self.connect(kind, role) as connection:
            connection.execute(statement, parameters or None)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change the text of an environment file."""
        path = self.folder / f"{name}.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def as_production(self) -> None:
        """Make dev's environment one that people's signatures are asked for."""
        self.edit("sandbox-dev", "sandbox = true", "sandbox = false")
        of_prod = 'kind = "prod"\ndev_environment = "sandbox-prod"'
        self.edit("sandbox-dev", 'kind = "dev"', of_prod)

    def preflight(
        self, name: str = "sandbox-dev", *, links_only: bool = False, dry: bool = False
    ) -> runbook.Runbook:
        """A preflight to its end; a ``dry`` one where the copy is not tested: ``no_copies``."""
        book = planned(name, links_only=links_only)
        book.check_before()
        with no_copies(self.server) if dry else nullcontext():
            book.rehearse()
        book.propose()
        return book

    def planned(self) -> runbook.Runbook:
        """The session's run that has its plan, as if it had been made here.

        For a clinic as it is found: another one needs a plan of its own, by ``planned``.
        """
        return self.go_on(self.made_once("planned_once"))

    def planned_anew(self) -> runbook.Runbook:
        """A plan of what the session's run has read, in its place if one was made here before.

        For a clinic as it is found, where what a person has decided or filled in is another.
        """
        book = self.read_before()
        book.plan()
        return book

    def read_before(self) -> runbook.Runbook:
        """The session's run that has read all that a plan is made of, as if that was done here.

        Where Nexus is another one, its survey is to be made again.
        """
        surveyed: Path = self.made_once("surveyed_once")
        for run in surveyed.glob("*/sandbox-dev/*"):
            shutil.rmtree(self.folder.parent / run.relative_to(surveyed), ignore_errors=True)
        return self.go_on(surveyed)

    def planned_of_filemaker(self) -> runbook.Runbook:
        """A run up to its plan, of a clinic in which FileMaker alone is another.

        What the session's run has read of S3 and of Nexus stays: half of the work of ``planned``.
        """
        book = self.read_before()
        run = book.run
        counted, surveyed = run.load(Census), run.load(Survey)
        saved = run.load(Backup, "backup")
        book.snapshot()
        run.save(counted)
        run.save(surveyed)
        run.save(saved, "backup")
        book.plan()
        return book

    def proposed(self) -> runbook.Runbook:
        """The session's preflight, which waits for its approval, as if it had been made here.

        For a clinic as it is found: another one needs its own, by ``preflight``, of five seconds.
        """
        return self.go_on(self.made_once("proposed_once"))

    def approved(self, rehearsed: Path) -> runbook.Runbook:
        """The session's rehearsed and approved run, as if it had been made here."""
        return self.go_on(rehearsed)

    def go_on(self, folder: Path) -> runbook.Runbook:
        """The open run of another clinic as it is found, as if it had been made here."""
        for place in ("runs", "private"):
            shutil.copytree(folder / place, self.folder.parent / place, dirs_exist_ok=True)
        return runbook.resume("sandbox-dev")

    def executed(self) -> runbook.Runbook:
        """The session's run, executed and sealed, as if that had been done here."""
        once: Executed = self.made_once("executed_once")
        self.become(once.template)
        return self.resumed(once)

    def executed_twice(self) -> tuple[runbook.Runbook, runbook.Runbook]:
        """The session's executed run and one after it, as if both had been done here."""
        once: Twice = self.made_once("executed_twice")
        self.become(once.template)
        self.copy_records(once.folder)
        first = runbook.resume("sandbox-dev", once.first)
        return first, runbook.resume("sandbox-dev", once.second)

    def become(self, template: str) -> None:
        """Have another database in the place of dev's: a copy of ``template``."""
        self.server.drop_database(self.databases["dev"])
        make_database(self.server, self.databases["dev"], template)
        self.adopt("dev", this_is_a_copy=True)

    def resumed(self, once: Committed) -> runbook.Runbook:
        """The session's committed run, where the database is a copy of its template."""
        self.copy_records(once.folder)
        return runbook.resume("sandbox-dev", once.run)

    def copy_records(self, folder: Path) -> None:
        """Have the runs of another clinic, where there are none."""
        for place in ("runs", "private"):
            shutil.copytree(folder / place, self.folder.parent / place)

    def way_back(self) -> Rollback:
        """The rollback of the session's executed run, approved, as if both had been done here.

        Where people have written since, it needs a look of its own, by ``rollbacks.approved``.
        """
        once: WayBack = self.made_once("way_back_once")
        self.become(once.executed.template)
        self.copy_records(once.folder)
        return rollback.begin("sandbox-dev", once.run)

    def whole(
        self, name: str = "sandbox-dev", rehearsed: Path | None = None, *, dry: bool = False
    ) -> runbook.Runbook:
        """A run to its end, sealed; of a clinic as it is found, the session's ``rehearsed`` one.

        Another clinic needs a preflight of its own, which may be a ``dry`` one.
        """
        if rehearsed is not None:
            return finished(self.approved(rehearsed))
        book = self.preflight(name, dry=dry)
        book.approve(rehearsed=True)
        return finished(book)

    def state(self, kind: str = "dev", role: str = OWNER) -> dict[str, tuple[int, str]]:
        """A fingerprint of every table of the application, made by the test's own query."""
        query = (
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind = 'r' ORDER BY 1"
        )
        with self.connect(kind, role) as connection:
            return {
                table: connection.execute(
                    f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text))"
                    f' FROM "{table}" AS t'
                ).fetchone()
                for (table,) in connection.execute(query).fetchall()
            }


class Administrator:
    """A session of the superuser's, which stays: else each clinic would log in five times."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._connection = server.access.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def execute(self, statement: sql.Composed | str | bytes, *given: object) -> psycopg.Cursor[Any]:
        """Execute one statement; in a new session, where a test has crashed the server."""
        try:
            return self._connection.execute(statement, given or None)
        except psycopg.OperationalError:
            if not self._connection.closed:
                raise
        until(self._server.access.takes_password, 60)
        self._connection = self._server.access.connect()
        return self._connection.execute(statement, given or None)


def copies(server: PostgresServer) -> list[str]:
    """The scratch databases that the server holds."""
    with Administrator(server) as administrator:
        return _copies(administrator)


def _copies(administrator: Administrator) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
    return [name for (name,) in administrator.execute(query, scratch.PREFIX).fetchall()]


def let_copies_go(administrator: Administrator) -> None:
    """Leave no scratch database to the next test.

    Where a busy server did not let the run drop it, its watch still tries; once the clinic's own
    database is gone, the watch cannot connect.
    """
    end = time.monotonic() + 30
    while (left := _copies(administrator)) and time.monotonic() < end:
        time.sleep(0.2)
    for name in left:
        drop_database(administrator, name)


def drop_database(administrator: Administrator, name: str) -> None:
    """Drop a database if it is there, and end whoever is connected to it."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    administrator.execute(drop.format(sql.Identifier(name)))


@contextmanager
def no_copies(server: PostgresServer) -> Iterator[None]:
    """Our role may not create databases: a rehearsal is a dry run inside the real transaction.

    That is what the runbook does where no copy can be made, and a sixth of the work.
    """
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {ROLE} NOCREATEDB")
        try:
            yield
        finally:
            connection.execute(f"ALTER ROLE {ROLE} CREATEDB")


def make_database(server: PostgresServer, name: str, template: str) -> None:
    """A database of the application's, in which the reimport's role has what it lists."""
    with Administrator(server) as administrator:
        copy_template(administrator, server, name, template)


def copy_template(
    administrator: Administrator, server: PostgresServer, name: str, template: str
) -> None:
    """The same, by a connection that is open.

    Tests make some hundred: files are copied in half of the time in which rows are logged, and what
    a copy of the template lacks, rights on the database itself, is asked once.
    """
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY")
    names = (sql.Identifier(one) for one in (name, template, OWNER))
    place = (server.port, template)
    administrator.execute(copy.format(*names))
    for given in _granted.get(place, ()):
        administrator.execute(given.replace(_DATABASE, name).encode())
    if place not in _granted:
        given_here = fill.grant(server.access, name)
        _granted[place] = [one.replace(name, _DATABASE) for one in given_here]


@dataclass(frozen=True, slots=True)
class Clinics:
    """Opens clinics on the session's servers; ``templates`` hold each kind as it is found."""

    server: PostgresServer
    administrator: Administrator
    s3: S3Server
    made_up: MadeUp
    templates: dict[str, str]

    @contextmanager
    def opened(self, folder: Path, dev: str = "") -> Iterator[Clinic]:
        """Databases made of the templates, FileMaker as it is, environment files in ``folder``.

        ``dev`` is another template, for that one.
        """
        number = next(_number)
        databases = {kind: f"nexus_{kind}_{number}" for kind in self.templates}
        template = dev or self.templates["dev"]
        copy_template(self.administrator, self.server, databases["dev"], template)
        with (
            Untouched(self.made_up, PASSWORD) as simulator,
            pytest.MonkeyPatch.context() as patch,
        ):
            environments = folder / "environments"
            write_environments(environments, self.server, simulator, self.s3, databases)
            patch.setenv(FOLDER_VARIABLE, str(environments))
            patch.delenv(ENVIRONMENT_VARIABLE, raising=False)
            found = Clinic(self.server, simulator, self.s3, environments, databases, self.made_up)
            found.adopt("dev", this_is_a_copy=True)
            yield found
        let_copies_go(self.administrator)
        for database in databases.values():
            drop_database(self.administrator, database)

    def keep(self, clinic: Clinic, template: str) -> None:
        """Make a template of the clinic's dev as it is now."""
        dev = clinic.databases["dev"]
        self.server.create_database(template, template=dev, owner=OWNER)


SECRETS = {
    "NEXUS_SANDBOX_PG_PORT": "5999",
    "NEXUS_SANDBOX_PG_PASSWORD": "tell-nobody",
    "NEXUS_SANDBOX_FILEMAKER_URL": "http://127.0.0.1:1",
    "NEXUS_SANDBOX_FILEMAKER_PASSWORD": "tell-nobody",
    "NEXUS_SANDBOX_S3_ENDPOINT": "http://127.0.0.1:2",
    "NEXUS_SANDBOX_S3_ACCESS_KEY": "key",
    "NEXUS_SANDBOX_S3_SECRET_KEY": "tell-nobody",
}


def write_environments(
    folder: Path,
    server: PostgresServer,
    simulator: Simulator,
    s3: S3Server,
    databases: dict[str, str],
) -> None:
    """The sandbox's own environment files, for these servers."""
    folder.mkdir(parents=True)
    for kind, database in databases.items():
        name = f"sandbox-{kind}"
        text = (ENVIRONMENTS / f"{name}.toml").read_text()
        text = text.replace(f'database = "nexus_{kind}"', f'database = "{database}"')
        # To test the verification takes a minute or more: it has tests of its own.
        text += "\n[rehearsal]\nself_test = false\n"
        (folder / f"{name}.toml").write_text(text.replace("../../", "../"))
        secrets = {
            "NEXUS_SANDBOX_PG_PORT": server.port,
            "NEXUS_SANDBOX_PG_PASSWORD": server.access.passwords[ROLE],
            "NEXUS_SANDBOX_FILEMAKER_URL": simulator.url,
            "NEXUS_SANDBOX_FILEMAKER_PASSWORD": PASSWORD,
            "NEXUS_SANDBOX_S3_ENDPOINT": s3.access.endpoint,
            "NEXUS_SANDBOX_S3_ACCESS_KEY": s3.access.access_key,
            "NEXUS_SANDBOX_S3_SECRET_KEY": s3.access.secret_key,
        }
        path = folder / f".env.{name}"
        path.touch(0o600)
        path.write_text("".join(f"{k}={v}\n" for k, v in secrets.items()))
