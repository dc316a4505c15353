"""One worker's clinic: a server of its own, proxies before it, and states to begin cases with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.model import Proposal
from nexus_reimport.nexus import deployment
from nexus_reimport.runner import fork_server
from nexus_reimport.settings import FOLDER_VARIABLE
from nexus_sandbox.clinic import Clinic
from nexus_sandbox.clinic.layouts import ONLY_ODATA
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.process import python_path, until
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack import fill
from support.clinic import (
    BUCKETS,
    OWNER,
    PASSWORD,
    ROLE,
    make_database,
    write_environments,
)
from support.untouched import filemaker_of

from . import look
from .disk import SmallDisk
from .proxy import PostgresProxy, Proxy

SCALE = 0.02
ENVIRONMENT, DATABASE, BUCKET = "sandbox-dev", "nexus_dev", BUCKETS[0]
FOUND = "found"  # the state in which the clinic is found; nobody has adopted it
PATIENCE = 300.0  # seconds for one command
GRACE = 10.0  # seconds in which what a killed process left behind has to be gone
# The machine does not crash here, only processes do; a run logs in forty times.
_TUNED = {"fsync": "off", "scram_iterations": "1"}


@dataclass(slots=True)
class Command:
    """A command line of the product in a process of its own."""

    words: tuple[str, ...]
    process: subprocess.Popen[bytes]
    output: Path

    def runs(self) -> bool:
        """Whether it is still at work."""
        return self.process.poll() is None

    def wait(self) -> int:
        """Its exit code; negative for a signal. One that never ends is killed: that is a -9."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def family(self) -> set[psutil.Process]:
        """Every process that it has started so far and that still runs."""
        try:
            return set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.Error:
            return set()

    def kernel(self, known: int = 0) -> int:
        """The process of the notebook that it runs now; 0 where there is none.

        ``known`` is looked at first, since a look at all processes takes milliseconds.
        """
        if known and _is_kernel(known):
            return known
        return next((child.pid for child in self.family() if _is_kernel(child.pid)), 0)

    @property
    def said(self) -> str:
        """What it wrote for the person before the screen."""
        return self.output.read_text(errors="replace")


def _is_kernel(pid: int) -> bool:
    try:
        return psutil.Process(pid).name() == fork_server.KERNEL
    except psutil.Error:
        return False


@dataclass(slots=True)
class World:
    """Everything that a case plays on."""

    folder: Path
    server: PostgresServer
    simulator: Simulator
    postgres: PostgresProxy
    filemaker: Proxy
    storage: Proxy
    made_up: Clinic
    disk: SmallDisk | None = None
    states: dict[str, look.State] = field(default_factory=dict)
    watched: set[psutil.Process] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    @property
    def runs(self) -> Path:
        """The folder of all records."""
        return self.folder / "runs"

    @property
    def private(self) -> Path:
        """The folder of all private files."""
        return self.folder / "private"

    @property
    def places(self) -> Path:
        """The folder of environment files; every command of ours knows it by a variable."""
        return self.folder / "environments"

    @property
    def scratch(self) -> Path:
        """TMPDIR of every command of a case."""
        return self.folder / "tmp"

    @property
    def dsn(self) -> str:
        """The way to the database past the proxy."""
        return self.server.dsn(DATABASE, OWNER)

    # -------------------------------------------------------------- states to begin with

    def begin(self, start: str, *, small_disk: bool = False) -> None:
        """Put database, records and private files into the state that was kept as ``start``."""
        self.close_disk()
        self.server.drop_database(DATABASE)
        make_database(self.server, DATABASE, f"kept_{start}")
        for folder in (self.runs, self.private, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
        self.scratch.mkdir(mode=0o700)
        kept = self.folder / "kept" / start
        if (kept / "runs").exists():
            shutil.copytree(kept / "runs", self.runs)
        self.disk = SmallDisk.on(self.private) if small_disk else None
        if (kept / "private").exists():
            there = self.disk.folder if self.disk else self.private
            shutil.copytree(kept / "private", there, dirs_exist_ok=True)
        with look.connect(self.server.dsn(DATABASE, ROLE)) as connection:  # a copy is adopted
            deployment.adopt(connection, ENVIRONMENT, this_is_a_copy=start != FOUND)
        self.known = look.databases(self.server.dsn())
        self.watched.clear()

    def keep(self, name: str) -> None:
        """Keep database, records and private files as a state to begin with."""
        self.server.create_database(f"kept_{name}", template=DATABASE, owner=OWNER)
        for folder in (self.runs, self.private):
            if folder.exists():
                shutil.copytree(folder, self.folder / "kept" / name / folder.name)

    def close_disk(self) -> None:
        """Take the small disk away, if there is one."""
        if self.disk:
            self.disk.close()
            self.disk = None

    # -------------------------------------------------------------- the product

    def start(self, words: Sequence[str]) -> Command:
        """Start ``nexus-reimport`` with these words."""
        output = self.folder / f"said-{time.monotonic_ns()}.txt"
        command = [
            *(self.disk.prefix if self.disk else ()),
            sys.executable,
            "-m",
            "nexus_reimport.cli",
            *words,
        ]
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=self._variables(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return Command(tuple(words), process, output)

    def _variables(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith("NEXUS_")}
        return {
            **ours,
            **python_path(),
            "TMPDIR": str(self.scratch),
            FOLDER_VARIABLE: str(self.places),
        }

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This process itself sees the environment, for steps that no command takes alone."""
        before = os.environ.get(FOLDER_VARIABLE)
        os.environ[FOLDER_VARIABLE] = str(self.places)
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]
            if before is not None:
                os.environ[FOLDER_VARIABLE] = before

    def settings(self) -> environments.Settings:
        """The environment as the product reads it."""
        return environments.load(ENVIRONMENT, self.places)

    def records(self) -> list[record.Run]:
        """All runs, oldest first."""
        return record.every(self.settings())

    def latest(self, kind: str) -> str:
        """The newest run of a kind: reimport, relink, rollback."""
        return [run.id for run in self.records() if run.kind == kind][-1]

    def digest(self) -> str:
        """What approves the newest run."""
        return self.records()[-1].load(Proposal).digest[:12]

    # -------------------------------------------------------------- what is there

    def state(self) -> look.State:
        """The application's tables now."""
        return look.state(self.dsn, self.runs)

    def state_name(self) -> str:
        """Which of the known states it is, or the tables in which it is none of them."""
        now = self.state()
        known = next((name for name, one in self.states.items() if one == now), "")
        return known or "between: " + "; ".join(
            f"not {name} in {look.differing(one, now)}" for name, one in self.states.items()
        )

    def leftovers(self) -> list[str]:
        """What a run left behind and should not have."""

        def found() -> list[str]:
            alive = [*look.processes(self.places), *filter(look.lives, self.watched)]
            return [
                *(f"process {look.name(process)}" for process in alive),
                *look.files(self.scratch, self.runs),
                *look.on_the_server(self.server.dsn(), self.known),
            ]

        until(lambda: not found(), GRACE, 0.1)
        return found()

    def swept(self) -> list[str]:
        """What may stay until the next command, and has to be gone after it."""
        private, runs = self.private / ENVIRONMENT, self.runs / ENVIRONMENT
        found = [
            private / ".kernel",
            *(private / ".preview").glob("*"),
            runs / ".window",
            self.closed_sign,
            *(private / "scratch").glob("*.json"),
        ]
        return [path.name for path in found if path.exists()]

    @property
    def closed_sign(self) -> Path:
        """What the clinic's maintenance page is made by: it is up while this file is there."""
        return self.folder / "closed"

    # -------------------------------------------------------------- the server's own life

    def stop_server(self) -> None:
        """Stop PostgreSQL at once: no checkpoint, every session gone."""
        os.kill(self.server.pid, signal.SIGQUIT)
        until(self.server.exited, 30)

    def start_server(self) -> None:
        """Start it again on the same port; it recovers what was committed."""
        self.server = PostgresServer.start(self.server.folder, port=self.server.port, tuned=_TUNED)

    def await_server(self) -> None:
        """Wait until it takes connections."""
        until(self.server.access.takes_password, 30)


@contextmanager
def opened(folder: Path, s3: S3Server, made_up: Clinic) -> Iterator[World]:
    """A worker's clinic, the state "found" kept in it."""
    folder.mkdir(parents=True)
    tables = filemaker_of(made_up)
    server = PostgresServer.start(folder / "server", tuned=_TUNED)
    with (
        Simulator(tables, password=PASSWORD, only_odata=ONLY_ODATA) as simulator,
        PostgresProxy(server.port) as postgres,
        Proxy(int(simulator.url.rpartition(":")[2])) as filemaker,
        Proxy(s3.access.ports["s3"]) as storage,
    ):
        world = World(folder, server, simulator, postgres, filemaker, storage, made_up)
        try:
            _furnish(world, s3)
            yield world
        finally:
            world.close_disk()
            for process in look.processes(world.places):
                process.kill()
            world.server.remove()


def _furnish(world: World, s3: S3Server) -> None:
    world.server.create_role(OWNER)
    world.server.create_role(ROLE)
    fill.make_template(world.server.access, f"kept_{FOUND}", world.made_up.nexus("dev"))
    write_environments(world.places, world.server, world.simulator, s3, {"dev": DATABASE})
    through = {
        "NEXUS_SANDBOX_PG_PORT": world.postgres.port,
        "NEXUS_SANDBOX_FILEMAKER_URL": f"http://127.0.0.1:{world.filemaker.port}",
        "NEXUS_SANDBOX_S3_ENDPOINT": f"http://127.0.0.1:{world.storage.port}",
    }
    sign = world.closed_sign
    with (world.places / f"{ENVIRONMENT}.toml").open("a") as file:
        file.write(f'\n[hooks]\nenter = ["touch", "{sign}"]\nleave = ["rm", "-f", "{sign}"]\n')
    secrets = world.places / f".env.{ENVIRONMENT}"
    kept = [
        line for line in secrets.read_text().splitlines() if line.partition("=")[0] not in through
    ]
    secrets.write_text("\n".join([*kept, *(f"{n}={v}" for n, v in through.items())]) + "\n")
