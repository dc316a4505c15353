"""A made-up clinic for one measurement: its servers, its environment, its databases."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from nexus_reimport import CHECKOUT
from nexus_reimport.settings import FOLDER_VARIABLE
from nexus_sandbox.clinic import generate
from nexus_sandbox.clinic.layouts import ONLY_ODATA
from nexus_sandbox.filemaker import file
from nexus_sandbox.filemaker.server import FileMakerServer
from nexus_sandbox.postgres.access import Postgres
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.access import Storage
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack import SEED, fill
from nexus_sandbox.stack.access import (
    OWNER,
    ROLE,
    Stack,
    bucket,
    database,
    template,
)

KIND, ENVIRONMENT = "dev", "sandbox-dev"
ANSWER = 0.1  # seconds that a slower FileMaker takes for each page
LARGE = 10  # times the real size; of a larger one not everything is kept in memory at once
_OBJECTS = "objects.pickle"
_LIMITS = ("at_most = ", "max_writers_wait = ")  # of the environment's file: they grow with scale


@dataclass(frozen=True, slots=True)
class Clinic:
    """A running clinic. ``pids`` are its servers', by name."""

    scale: float
    stack: Stack
    environments: Path
    pids: dict[str, int]
    filemaker: FileMakerServer

    @property
    def folder(self) -> Path:
        """Where everything of it lies but PostgreSQL's data."""
        return self.stack.folder

    def fresh(self, name: str) -> str:
        """A new database as Nexus is found; gives its name."""
        self.stack.postgres.create_database(name, template=template(KIND), owner=OWNER)
        fill.grant(self.stack.postgres, name)
        return name

    @property
    def repeat(self) -> int:
        """How often a transaction is measured, for one alone sways by a fifth; a large one once."""
        return 3 if self.scale <= 1 else 1

    def checkpoint(self) -> None:
        """Write everything to the disk, so that each page is logged whole when it is next touched.

        Before each transaction, because a clinic's tables are mostly at rest. Else who comes after
        a database was dropped, which is a checkpoint, would pay for it, and others would not.
        """
        with self.stack.postgres.connect() as administrator:
            administrator.execute("CHECKPOINT")

    def forget_filemaker(self) -> None:
        """FileMaker was read: that of a large clinic would keep its memory to the end."""
        if self.scale > LARGE:
            self.filemaker.stop()

    def drop(self, name: str) -> None:
        """Drop one of those."""
        self.stack.postgres.drop_database(name)


@contextmanager
def running(scale: float, tuned: Mapping[str, str] | None = None) -> Iterator[Clinic]:
    """A clinic ``scale`` times as large as the real one; removed at the end with all its data.

    PostgreSQL has its default settings, but for those ``tuned``, and writes to the disk as in
    production.
    """
    signal.signal(signal.SIGTERM, _end)  # else nothing of it would be removed
    folder = Path(tempfile.mkdtemp(prefix="nexus-benchmark-"))
    before = os.environ.get(FOLDER_VARIABLE)
    try:
        with (
            PostgresServer.start(folder / "postgres", tuned=tuned) as postgres,
            S3Server.start(folder / "s3", [bucket(KIND)]) as s3,
            ExitStack() as at_the_end,
        ):
            at_the_end.callback(postgres.remove)
            at_the_end.callback(s3.remove)
            server = postgres.access.with_role(OWNER).with_role(ROLE)
            server.remember(folder / "postgres")
            _apart(_make, folder, scale, server)
            _apart(_fill_bucket, folder, s3.access)
            fill.copy_template(server, KIND)
            password = secrets.token_urlsafe(24)
            filemaker = _filemaker(folder / "filemaker", password, scale)
            at_the_end.callback(filemaker.stop)
            stack = Stack(folder, scale, SEED, server, s3.access, filemaker.port, password)
            environments = _environments(stack)
            os.environ[FOLDER_VARIABLE] = str(environments)
            pids = {"PostgreSQL": postgres.pid, "S3": s3.pid, "FileMaker": filemaker.pid}
            yield Clinic(scale, stack, environments, pids, filemaker)
    finally:
        os.environ.pop(FOLDER_VARIABLE, None)
        if before is not None:
            os.environ[FOLDER_VARIABLE] = before
        shutil.rmtree(folder, ignore_errors=True)


def _filemaker(folder: Path, password: str, scale: float, latency: float = 0) -> FileMakerServer:
    return FileMakerServer.start(
        folder,
        port=0,
        password=password,
        only_odata=ONLY_ODATA,
        processes=1 if scale > LARGE else os.cpu_count() or 1,
        latency_ms=latency * 1000,
    )


@contextmanager
def slower(clinic: Clinic) -> Iterator[Clinic]:
    """The same clinic, of which another FileMaker over the same tables takes ``ANSWER`` for a page.

    A server on a machine of its own does not take our processors, and is waited for.
    """
    folder = clinic.folder / "slower"
    folder.mkdir()
    (folder / "filemaker").symlink_to(clinic.folder / "filemaker")
    password = clinic.stack.filemaker_password
    filemaker = _filemaker(folder / "filemaker", password, clinic.scale, ANSWER)
    try:
        stack = replace(clinic.stack, filemaker_port=filemaker.port)
        pids = clinic.pids | {"FileMaker": filemaker.pid}
        yield beside(replace(clinic, stack=stack, pids=pids), "slower_environments")
    finally:
        filemaker.stop()


def _apart(work: Callable[..., None], *given: object) -> None:
    """Do it in a process of its own, which takes with it the memory that it needed."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=given)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{work.__name__} ended with {process.exitcode}")


def _make(folder: Path, scale: float, server: Postgres) -> None:
    """Make the clinic up: FileMaker's tables, Nexus's database, and what the bucket will hold."""
    made_up = generate(scale)
    file.save(made_up.filemaker, folder / "filemaker")
    fill.make_template(server, template(KIND), made_up.nexus(KIND))
    (folder / _OBJECTS).write_bytes(pickle.dumps(made_up.objects(KIND)))


def _fill_bucket(folder: Path, storage: Storage) -> None:
    storage.fill(bucket(KIND), pickle.loads((folder / _OBJECTS).read_bytes()))  # noqa: S301 - ours


def _end(sign: int, frame: object) -> NoReturn:
    sys.exit(128 + sign)


def _environments(stack: Stack, name: str = "environments", of: str = "") -> Path:
    """The sandbox's environment file for this clinic, with limits that fit its size."""
    folder = stack.folder / name / "environments"
    folder.mkdir(parents=True)
    text = (CHECKOUT / "runbook" / "environments" / f"{ENVIRONMENT}.toml").read_text("utf-8")
    lines = [_scaled(line, max(1.0, stack.scale)) for line in text.splitlines()]
    text = "\n".join(lines).replace("../../", "../")
    if of:
        text = text.replace(f'database = "{database(KIND)}"', f'database = "{of}"')
    # The self-test of the verification takes minutes, and is no part of a run's work.
    text += "\n[rehearsal]\nself_test = false\n"
    (folder / f"{ENVIRONMENT}.toml").write_text(text, encoding="utf-8")
    stack.write_secrets(folder)
    return folder


def _scaled(line: str, scale: float) -> str:
    for name in _LIMITS:
        if line.startswith(name):
            return f"{name}{int(int(line.removeprefix(name).split()[0]) * scale * 1.2)}"
    return line


def beside(clinic: Clinic, name: str, of: str = "") -> Clinic:
    """The same clinic with records of its own: those made so far. ``of`` is another database."""
    environments = _environments(clinic.stack, name, of)
    for place in ("runs", "private"):
        shutil.copytree(clinic.environments.parent / place, environments.parent / place)
    return replace(clinic, environments=environments)
