"""The whole made-up clinic: ``up``, ``status``, ``reset``, ``down``.

    with lifecycle.running(Path(".sandbox"), scale=0.02) as sandbox:
        psycopg.connect(sandbox.dsn("nexus_dev"))

Everything that is kept lies in one folder, closed to other users; as root, PostgreSQL's data lies
among the system's temporary files (``postgres.home``). The first ``up`` makes the clinic, later
ones start from what is there, and one that was interrupted is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nexus_reimport.errors import Busy, SandboxError, SandboxRefused
from nexus_reimport.files import private
from nexus_sandbox import process
from nexus_sandbox.clinic import generate
from nexus_sandbox.filemaker import file
from nexus_sandbox.filemaker import server as filemaker_server
from nexus_sandbox.postgres import server as postgres
from nexus_sandbox.postgres.access import Postgres
from nexus_sandbox.s3 import server as s3
from nexus_sandbox.s3.access import Storage
from nexus_sandbox.stack import SEED, client, fill, state
from nexus_sandbox.stack.access import Stack
from nexus_sandbox.stack.state import SavedState

__all__ = [
    "SEED",
    "Server",
    "Stack",
    "Status",
    "down",
    "is_there",
    "require_usable",
    "reset",
    "running",
    "status",
    "up",
]

_BUSY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """One of them, and whether something listens where it should."""

    name: str
    port: int
    listens: bool


@dataclass(frozen=True, slots=True)
class Status:
    """What is kept in the folder, and what runs. ``made``: a later ``up`` starts from it."""

    folder: Path
    made: bool
    running: bool
    scale: float | None
    seed: int | None
    servers: tuple[Server, ...]


def up(
    folder: Path,
    *,
    scale: float = 1.0,
    seed: int = SEED,
    environments: Path | None = None,
    progress: Callable[[str], None] | None = None,
    detach: bool = False,
) -> Stack:
    """Start the clinic, or give the one that runs already.

    ``scale`` is the part of the real size. In ``environments`` (the checkout's own folder unless
    named) the files with the secrets are written. The clinic lives as long as this process, or with
    ``detach`` until ``down``.

    Raises:
        SandboxError: it is not running; what was made before is kept.
    """
    folder = require_usable(folder)
    _refuse_second(folder, environments)
    private.close_folder(folder)
    _refuse_other(folder, scale, seed)
    wanted = SavedState(scale, seed, state.recipe(), has_api=Stack.wants_api(environments))
    _end_without_api(folder, wanted)
    supervisor = _launch(folder)
    if supervisor is not None:
        state.keep(folder, kept=False)
        try:
            _bring_up(folder, supervisor, wanted, progress or _silent)
        except BaseException:
            supervisor.end()
            raise
    if detach:
        state.keep(folder, kept=True)
        _detach(folder)
    stack = Stack.at(folder)
    stack.write_secrets(environments)
    return stack


@contextmanager
def running(
    folder: Path,
    *,
    scale: float = 1.0,
    seed: int = SEED,
    environments: Path | None = None,
    progress: Callable[[str], None] | None = None,
    in_use: Callable[[], bool] = lambda: False,
) -> Iterator[Stack]:
    """The clinic for the time of a ``with`` block.

    It is left running where a person has started it, where another command is at work with it, and
    where ``in_use`` says that something else is.
    """
    folder = state.ours(folder)
    stack = up(folder, scale=scale, seed=seed, environments=environments, progress=progress)
    try:
        with state.used(folder):
            yield stack
    finally:
        if state.is_kept(folder) or state.is_used(folder) or in_use():
            _detach(folder)
            (progress or _silent)(f"the servers of {folder} run on: something else uses them")
        else:
            down(folder)


def status(folder: Path) -> Status:
    """What exists and what runs. Changes nothing, and does not fail if nothing exists."""
    folder = state.ours(folder)
    held = SavedState.at(folder)
    is_filled = held is not None and held.complete
    return Status(
        folder=folder,
        made=is_filled,
        running=state.is_ready(folder),
        scale=held.scale if held else None,
        seed=held.seed if held else None,
        servers=_servers(Stack.at(folder)) if is_filled else (),
    )


def is_there(folder: Path) -> bool:
    """Whether a clinic was made in the folder, or begun."""
    return state.is_there(state.ours(folder))


def reset(folder: Path) -> None:
    """Reset both databases to their first state, and add objects that are missing in S3.

    Sessions that are connected to the databases are ended.

    Raises:
        SandboxRefused: the clinic is not running. Nothing was changed.
    """
    folder = state.ours(folder)
    _refuse_used(folder)
    if not state.is_ready(folder):
        raise SandboxRefused(
            "the made-up clinic is not running",
            where=f"folder={folder}",
            state="nothing was changed",
            next="start it: nexus-reimport sandbox up; then run this again",
        )
    fill.reset_databases(Stack.at(folder))
    fill.refill_buckets(Stack.at(folder))


def down(folder: Path, *, remove: bool = False) -> None:
    """Stop all servers, if they run. The clinic's data is kept unless ``remove``.

    Raises:
        Busy: another command is at work with them. Nothing was stopped.
    """
    folder = state.ours(folder)
    if not folder.exists():
        return
    _refuse_used(folder)
    client.end(folder)
    state.keep(folder, kept=False)
    if remove:
        _delete(folder)
        state.remove(folder)


def _refuse_other(folder: Path, scale: float, seed: int) -> None:
    """Stop if the existing clinic is not the one that is asked for."""
    held = SavedState.at(folder)
    if held is None or not held.complete or (held.scale, held.seed) == (scale, seed):
        return
    raise SandboxError(
        f"the existing clinic has scale {held.scale:g} and seed {held.seed}, "
        f"not scale {scale:g} and seed {seed}",
        where=f"folder={folder}",
        state="nothing was changed",
        next=f"use scale {held.scale:g} and seed {held.seed}, or remove the clinic first: "
        "nexus-reimport sandbox down --remove",
    )


def require_usable(folder: Path) -> Path:
    """The folder in full, if a sandbox is in it, or can be made in it.

    Raises:
        SandboxRefused: it would be closed to others, and written to, and is not ours. Nothing was
            changed.
    """
    folder = state.ours(folder)
    if folder.exists() and folder.is_dir() and state.is_ours(folder):
        return folder
    if folder.exists():
        what = "the folder holds other files, and no made-up clinic"
    elif not folder.parent.is_dir():
        what = f"there is no folder {folder.parent}"
    else:
        return folder
    raise SandboxRefused(
        what,
        where=f"folder={folder}",
        state="nothing was changed",
        next="check --folder: name an empty folder, or a new one in a folder that exists",
    )


def _refuse_second(folder: Path, environments: Path | None) -> None:
    """Stop if the environments lead to another running clinic: its users would change servers."""
    other = Stack.folder_of(environments)
    if other is None or other == folder or not state.is_ready(other):
        return
    raise SandboxRefused(
        "the made-up clinic of another folder is running for the same environments",
        where=f"folder={other}",
        state="nothing was started",
        next=f"nexus-reimport sandbox down --folder {other}; or set NEXUS_REIMPORT_ENVIRONMENTS to"
        " a folder with copies of sandbox-dev.toml and sandbox-prod.toml, whose [folders] are"
        " others",
    )


def _refuse_used(folder: Path) -> None:
    if state.is_used(folder):
        raise Busy(
            "another command is at work with this made-up clinic",
            where=f"folder={folder}",
            state="nothing was changed",
            next="wait until it has ended, or end it in its own terminal (Ctrl-C)",
        )


def _detach(folder: Path) -> None:
    if (ours := client.ours(folder)) is not None:
        ours.detach()


def _end_without_api(folder: Path, wanted: SavedState) -> None:
    """Stop a clinic that runs without Nexus's API where it is asked for: it starts anew with it."""
    held = SavedState.at(folder)
    if held is None or held.has_api == wanted.has_api:
        return
    if wanted.has_api:
        client.end(folder)
    held.with_api(wanted.has_api, folder)


def _launch(folder: Path) -> client.Supervisor | None:
    """A new supervisor; None if the clinic runs under another one."""
    launched: list[client.Supervisor] = []

    def settled() -> bool:
        if state.supervisor(folder) == 0 and (new := client.Supervisor.launch(folder)) is not None:
            launched.append(new)
        return bool(launched) or state.is_ready(folder)

    if not process.until(settled, _BUSY_SECONDS, pause=0.2):
        raise SandboxError(
            "another command is starting or stopping this sandbox",
            where=f"folder={folder}",
            state="nothing was changed",
            next="wait until it has ended, then try again",
        )
    return launched[0] if launched else None


def _bring_up(
    folder: Path, supervisor: client.Supervisor, wanted: SavedState, say: Callable[[str], None]
) -> None:
    if _is_all_there(folder, wanted.recipe):
        say("starting PostgreSQL, S3 and FileMaker")
        supervisor.start()
        return
    held = SavedState.at(folder)
    if held is not None and held.complete and held.recipe != wanted.recipe:
        say(
            "another version of this package made the clinic in this folder: it is deleted, with"
            " its databases and the runs in them, and made again"
        )
        say(
            "records of those runs stay; nexus-reimport record restored ENVIRONMENT --why TEXT"
            " acknowledges that the databases do not know them any more"
        )
    _delete(folder)
    wanted.remember(folder)
    say(f"generating a clinic of {wanted.scale:g} times the real size")
    clinic = generate(wanted.scale, wanted.seed)
    file.save(clinic.filemaker, folder / "filemaker")
    say("starting PostgreSQL, S3 and FileMaker")
    supervisor.start()
    say("filling the databases and the buckets")
    fill.fill(Stack.at(folder), clinic)
    SavedState.complete_at(folder)


def _is_all_there(folder: Path, recipe: str) -> bool:
    """Whether a later ``up`` can start from what is kept.

    It cannot if the first ``up`` was interrupted, or if the system's temporary files were cleaned.
    """
    held, server = SavedState.at(folder), Postgres.at(folder / "postgres")
    return (
        held is not None
        and (held.complete, held.recipe) == (True, recipe)
        and server is not None
        and server.data.exists()
        and Storage.at(folder / "s3") is not None
        and (folder / "filemaker").exists()
    )


def _servers(stack: Stack) -> tuple[Server, ...]:
    ports = {
        "PostgreSQL": stack.postgres_port,
        "S3": stack.s3_port,
        "FileMaker": stack.filemaker_port,
        **{f"API of {name}": port for name, port in stack.api_ports.items()},
    }
    return tuple(Server(name, port, process.listens(port)) for name, port in ports.items())


def _delete(folder: Path) -> None:
    """All that was made. The lock stays, and with it whoever holds it."""
    postgres.delete(folder / "postgres")
    s3.delete(folder / "s3")
    filemaker_server.end_leftover(folder / "filemaker")
    shutil.rmtree(folder / "filemaker", ignore_errors=True)
    SavedState.forget(folder)


def _silent(message: str) -> None:
    """Show no progress."""
