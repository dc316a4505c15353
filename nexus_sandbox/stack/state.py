"""The sandbox's state folder: what is kept from one ``up`` to the next, and who holds its lock.

.sandbox/
  sandbox.json      size, seed, and whether everything is in place; mode 0600, as all secrets
  supervisor.lock   held by the supervisor as long as it lives; its process id is in it
  users.lock        held, together, by those who are at work with the clinic
  kept              a person has started it, and it runs until that person stops it
  postgres/  s3/  filemaker/  *.log
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from nexus_reimport import PACKAGE
from nexus_reimport.errors import SandboxError
from nexus_reimport.files import private
from nexus_sandbox import process

SUPERVISOR = "nexus_sandbox.stack.supervisor"
_MEMORY = "sandbox.json"
_LOCK = "supervisor.lock"
_READY = "supervisor.ready"
ENVIRONMENTS = "environments"  # of a clinic that has its own
_USERS = "users.lock"
_KEPT = "kept"


@dataclass(frozen=True, slots=True)
class SavedState:
    """One made-up clinic. ``complete`` only once its last object is in place."""

    scale: float
    seed: int
    recipe: str
    filemaker_port: int = 0
    filemaker_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    complete: bool = False
    has_api: bool = False  # whether a stand-in for Nexus's API is served for each database
    api_ports: dict[str, int] = field(default_factory=dict)
    api_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """The saved state of this folder; None if there is none, or if another version wrote it."""
        try:
            return cls(**json.loads((folder / _MEMORY).read_text()))
        except (FileNotFoundError, TypeError, ValueError):
            return None

    def remember(self, folder: Path) -> Self:
        """Keep it for ``at``."""
        private.replace(folder / _MEMORY, json.dumps(asdict(self)).encode())
        return self

    @classmethod
    def complete_at(cls, folder: Path) -> None:
        """From now on, what this folder remembers is all in place."""
        if (started := cls.at(folder)) is not None:
            replace(started, complete=True).remember(folder)

    @staticmethod
    def forget(folder: Path) -> None:
        """Nothing is in place any more."""
        (folder / _MEMORY).unlink(missing_ok=True)

    def on_ports(self, filemaker: int, apis: dict[str, int], folder: Path) -> Self:
        """The same, with FileMaker on that port, and the API of each environment on its own."""
        return replace(self, filemaker_port=filemaker, api_ports=apis).remember(folder)

    def with_api(self, wanted: bool, folder: Path) -> Self:
        """The same, with or without Nexus's API from the next start on."""
        return replace(self, has_api=wanted).remember(folder)


def recipe() -> str:
    """A digest of what makes the clinic: a kept one of another recipe is made again."""
    here = Path(__file__).parent
    clinic = here.parent / "clinic"
    # what fills it writes the product's marker, and grants the rights that the product lists
    own = [PACKAGE / "sql" / "deployment.sql", PACKAGE / "nexus" / "rights" / "rules.py"]
    sources = sorted([here / "schema.sql", here / "fill.py", *own, *clinic.rglob("*.py")])
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def ours(folder: Path) -> Path:
    """The folder in full, which need not exist.

    Raises:
        SandboxError: another user made it. Nothing was touched.
    """
    folder = folder.resolve()
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        raise SandboxError(
            "the sandbox's folder belongs to another user",
            where=f"folder={folder}",
            state="nothing was changed",
            next="use it as that user, or have that user remove it",
        )
    return folder


class Hold:
    """The lock of a state folder: whoever has it is the supervisor. Ends with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, patience: float = 2.0) -> bool:
        """Take it, leaving our process id in it; False if another supervisor has it."""
        if not process.until(lambda: self._locked(fcntl.LOCK_EX), patience):
            return False
        self.ending()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        return True

    def ready(self) -> None:
        """Say that all servers answer."""
        (self._folder / _READY).touch(mode=0o600)

    def ending(self) -> None:
        """Say that they no longer do, before the first one stops."""
        (self._folder / _READY).unlink(missing_ok=True)

    def _locked(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def supervisor(folder: Path) -> int:
    """The process id of the live supervisor of this folder, 0 if there is none."""
    lock = folder / _LOCK
    if not lock.exists():
        return 0
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = file.read()
            return int(written) if written.isdigit() else -1
    return 0


@contextmanager
def used(folder: Path) -> Iterator[None]:
    """Held while a command is at work with the clinic; any number may be."""
    descriptor = os.open(folder / _USERS, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_used(folder: Path) -> bool:
    """Whether another command is at work with the clinic."""
    path = folder / _USERS
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def keep(folder: Path, *, kept: bool) -> None:
    """Note that the clinic runs until a person stops it, or that this is over."""
    if kept:
        (folder / _KEPT).touch(mode=0o600)
    else:
        (folder / _KEPT).unlink(missing_ok=True)


def is_kept(folder: Path) -> bool:
    """Whether the clinic runs until a person stops it."""
    return (folder / _KEPT).exists()


def is_ours(folder: Path) -> bool:
    """Whether a folder is empty but for environments, or a sandbox was made in it."""
    return {path.name for path in folder.iterdir()} <= {ENVIRONMENTS} or is_there(folder)


def remove(folder: Path) -> None:
    """Delete the folder, and last of all that by which it is known as a sandbox's."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    shutil.rmtree(folder)


def is_there(folder: Path) -> bool:
    """Whether a sandbox was made in the folder, or begun."""
    return any((folder / name).exists() for name in (_MEMORY, _LOCK))


def is_ready(folder: Path) -> bool:
    """Whether a supervisor lives, all its servers have answered, and all data is in place."""
    kept = SavedState.at(folder)
    ready = (folder / _READY).exists() and kept is not None and kept.complete
    return ready and supervisor(folder) != 0
