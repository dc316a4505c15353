"""``nexus-reimport sandbox …``: the made-up clinic on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_reimport.cli.output import AsJson, give, give_outcomes, progress
from nexus_reimport.errors import Busy, ReimportError, SandboxRefused
from nexus_sandbox.stack import SEED

if TYPE_CHECKING:
    from nexus_reimport.settings import Settings

app = typer.Typer(help="The made-up clinic on loopback.", no_args_is_help=True)
PASSWORD_VARIABLE = "NEXUS_SANDBOX_FILEMAKER_PASSWORD"  # noqa: S105 - its name, not the password

Force = Annotated[
    bool, typer.Option("--force", help="Also if a run is at work: it loses its databases.")
]
Folder = Annotated[Path, typer.Option(help="Folder of the made-up clinic.")]
Scale = Annotated[
    float | None,
    typer.Option(
        min=0.02,
        max=1.0,
        help="Size as a fraction of a real clinic; by default the existing clinic's, else 1.",
    ),
]
HERE = Path(".sandbox")
_COMMAND = re.compile(r"nexus-reimport sandbox (up|reset|down)\b(?! --folder)")


@contextlib.contextmanager
def _of(folder: Path) -> Iterator[None]:
    """The commands that a refusal names lead to the clinic of ``folder``, and to no other one."""
    try:
        yield
    except ReimportError as error:
        if folder != HERE:
            named = f" --folder {shlex.quote(str(folder))}"
            error.next = _COMMAND.sub(lambda command: command[0] + named, error.next)
        raise


@app.command()
def up(
    folder: Folder = HERE, scale: Scale = None, seed: int = SEED, as_json: AsJson = False
) -> None:
    """Start the clinic; it runs until `down`. The first start makes up its data.

    Where NEXUS_REIMPORT_ENVIRONMENTS names a folder, the clinic's environments are written there.
    """
    from nexus_reimport import settings as environments
    from nexus_reimport.cli import demo as demonstration
    from nexus_sandbox.stack import lifecycle

    own = environments.FOLDER_VARIABLE in os.environ
    with _of(folder):
        lifecycle.require_usable(folder)
        written = demonstration.write_environments(environments.folder()) if own else ()
        started = lifecycle.up(
            folder,
            scale=chosen_scale(folder, scale),
            seed=seed,
            environments=environments.folder(),
            progress=progress,
            detach=True,
        )
    text = (
        f"PostgreSQL 127.0.0.1:{started.postgres_port}, FileMaker {started.filemaker_url},"
        f" S3 {started.storage.endpoint}, {_size(started.scale)}"
    )
    text = "\n".join([text, *(f"written: {path}" for path in written)])
    give(asdict(lifecycle.status(folder)), text, as_json=as_json)


def _size(scale: float) -> str:
    """How large the made-up clinic is."""
    if scale == 1:
        return "as large as a real clinic"
    return f"{scale:.0%} of a real clinic" if scale < 1 else f"{scale:g} times a real clinic"


@app.command()
def status(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Show whether the clinic exists and which servers are running."""
    from nexus_sandbox.stack import lifecycle

    now = lifecycle.status(folder)
    size = _size(now.scale) if now.scale is not None else "not made yet"
    servers = [
        f"  {s.name:<12}127.0.0.1:{s.port} {'listening' if s.listens else 'not listening'}"
        for s in now.servers
    ]
    state = "running" if now.running else "stopped"
    text = "\n".join([f"{now.folder}: {size}, {state}", *servers])
    give(asdict(now), text, as_json=as_json)


@app.command()
def reset(folder: Folder = HERE, force: Force = False, as_json: AsJson = False) -> None:
    """Reset both databases to their first state, and add objects that are missing in S3."""
    from nexus_sandbox.stack import lifecycle

    with _of(folder):
        _require_made(folder)
        if not force:
            _refuse_at_work(folder, "nexus-reimport sandbox reset --force")
        lifecycle.reset(folder)
    text = (
        "both databases are in their first state again; records of former runs stay, and record"
        " check misses these runs until: nexus-reimport record restored ENV --why TEXT"
    )
    give(asdict(lifecycle.status(folder)), text, as_json=as_json)


@app.command()
def down(
    folder: Folder = HERE,
    remove: Annotated[
        bool, typer.Option("--remove", help="Also delete the clinic's data.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Stop all servers; the clinic's data is kept, unless --remove is given."""
    from nexus_sandbox.stack import lifecycle

    with _of(folder):
        _require_made(folder)
        if not force:
            removing = "nexus-reimport sandbox down --remove --force"
            _refuse_at_work(folder, removing if remove else "nexus-reimport sandbox down --force")
        lifecycle.down(folder, remove=remove)
    text = "stopped, and removed" if remove else "stopped"
    give({"folder": str(folder), "removed": remove}, text, as_json=as_json)


@app.command("filemaker")
def filemaker_alone(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free port.")] = 0,
    folder: Folder = HERE,
    scale: Scale = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="Delay added to each page, in ms.")] = 0,
) -> None:
    """Serve only the FileMaker simulator, for any client, until interrupted."""
    from nexus_sandbox import clinic
    from nexus_sandbox.filemaker import file
    from nexus_sandbox.filemaker import simulator as filemaker
    from nexus_sandbox.stack import lifecycle

    existing = lifecycle.status(folder)
    if existing.made and scale in (None, existing.scale):
        tables = file.load(folder / "filemaker")
    else:
        tables = list(clinic.generate(scale or 1.0).filemaker)
    password = os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(12)
    simulator = filemaker.Simulator(tables, password=password, port=port)
    simulator.latency_ms = latency_ms
    with simulator, contextlib.suppress(KeyboardInterrupt):
        typer.echo(f"{simulator.url}  database {filemaker.DATABASE}, account {filemaker.ACCOUNT}")
        if PASSWORD_VARIABLE not in os.environ:
            typer.echo(f"password {password}  (generated; set {PASSWORD_VARIABLE} to choose it)")
        threading.Event().wait()


def demo(folder: Folder = HERE, scale: Scale = None, as_json: AsJson = False) -> None:
    """Run the whole sequence on a made-up clinic: dev, then prod.

    With --folder it has environments, records and private files of its own in that folder.
    """
    from nexus_reimport import settings
    from nexus_reimport.cli import demo as demonstration

    size = chosen_scale(folder, scale)
    apart = folder != HERE and settings.FOLDER_VARIABLE not in os.environ
    give_outcomes(demonstration.run(folder, size, progress, apart=apart), as_json=as_json)


def _require_made(folder: Path) -> None:
    """Stop if a folder was named in which there is no clinic: its name may be mistyped.

    Raises:
        SandboxRefused: there is none. Nothing was changed.
    """
    from nexus_sandbox.stack import lifecycle

    if folder != HERE and not lifecycle.is_there(folder):
        raise SandboxRefused(
            "there is no made-up clinic in this folder",
            where=f"folder={folder.resolve()}",
            state="nothing was changed",
            next=f"check --folder (without it, {HERE} of the current folder is meant); or make one:"
            " nexus-reimport sandbox up",
        )


def _refuse_at_work(folder: Path, forced: str) -> None:
    """Stop if a run uses the clinic of this folder: it would lose its databases under its hands.

    Raises:
        Busy: names what is at work, and the command that is ``forced``. Nothing was changed.
    """
    from nexus_reimport.runbook import whereabouts

    busy = [text for one in _environments_of(folder) if (text := whereabouts.at_work(one))]
    if not busy:
        return
    raise Busy(
        f"this made-up clinic is in use: {'; '.join(busy)}",
        where=f"folder={folder.resolve()}",
        state="nothing was changed",
        next="wait until it has ended, or end it in its own terminal (Ctrl-C). To take the"
        f" databases from it: {forced}",
    )


def _environments_of(folder: Path) -> Iterator[Settings]:
    """The environments that lead to the clinic of this folder."""
    from nexus_reimport import settings as environments
    from nexus_sandbox.stack import state
    from nexus_sandbox.stack.access import Stack

    for place in (environments.folder(), folder / state.ENVIRONMENTS):
        if place.is_dir() and Stack.folder_of(place) == folder.resolve():
            yield from (one for one in environments.every(environments=place) if one.sandbox)


def chosen_scale(folder: Path, scale: float | None) -> float:
    """The requested scale; else that of the existing clinic; else 1, the size of a real clinic."""
    if scale is not None:
        return scale
    from nexus_sandbox.stack import lifecycle

    existing = lifecycle.status(folder)
    return existing.scale if existing.made and existing.scale else 1.0
