"""``nexus-reimport sandbox …``: the made-up clinic on loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nexus_reimport import settings as environments
from nexus_reimport.cli.output import AsJson, give, progress
from nexus_sandbox import clinic
from nexus_sandbox.filemaker import file
from nexus_sandbox.filemaker import simulator as filemaker
from nexus_sandbox.stack import lifecycle

app = typer.Typer(help="The made-up clinic on loopback.", no_args_is_help=True)
PASSWORD_VARIABLE = "NEXUS_SANDBOX_FILEMAKER_PASSWORD"  # noqa: S105 - its name, not the password

Folder = Annotated[Path, typer.Option(help="Where the clinic is kept.")]
Scale = Annotated[
    float | None,
    typer.Option(min=0.02, max=1.0, help="Part of the real size; else as kept, else all of it."),
]
HERE = Path(".sandbox")


@app.command()
def up(folder: Folder = HERE, scale: Scale = None, seed: int = lifecycle.SEED) -> None:
    """Start the clinic; it runs until `down`. The first time it is made up."""
    started = lifecycle.up(
        folder,
        scale=chosen_scale(folder, scale),
        seed=seed,
        environments=environments.folder(),
        progress=progress,
        detach=True,
    )
    typer.echo(
        f"PostgreSQL 127.0.0.1:{started.postgres_port}, FileMaker {started.filemaker_url},"
        f" S3 {started.storage.endpoint}, {started.scale:g} times the real size"
    )


@app.command()
def status(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Say what is kept and what runs."""
    found = lifecycle.status(folder)
    kept = f"{found.scale:g} times the real size" if found.made else "not made yet"
    servers = [
        f"  {s.name:<12}127.0.0.1:{s.port} {'listens' if s.listens else 'is silent'}"
        for s in found.servers
    ]
    state = "running" if found.running else "stopped"
    text = "\n".join([f"{found.folder}: {kept}, {state}", *servers])
    give(asdict(found), text, as_json=as_json)


@app.command()
def reset(folder: Folder = HERE) -> None:
    """Put both databases and the buckets back as they were made."""
    lifecycle.reset(folder)
    typer.echo("both databases are as they were made")


@app.command()
def down(
    folder: Folder = HERE,
    remove: Annotated[bool, typer.Option("--remove", help="Delete the clinic too.")] = False,
) -> None:
    """Stop all servers; what was made is kept unless removed."""
    lifecycle.down(folder, remove=remove)
    typer.echo("stopped, and removed" if remove else "stopped")


@app.command("filemaker")
def filemaker_alone(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 0,
    folder: Folder = HERE,
    scale: Scale = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="Added to each page.")] = 0,
) -> None:
    """Serve FileMaker alone, for any client, until interrupted."""
    kept = lifecycle.status(folder)
    if kept.made and scale in (None, kept.scale):
        tables = file.load(folder / "filemaker")
    else:
        tables = list(clinic.generate(scale or 1.0).filemaker)
    password = os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(12)
    simulator = filemaker.Simulator(tables, password=password, port=port, latency_ms=latency_ms)
    with simulator, contextlib.suppress(KeyboardInterrupt):
        typer.echo(f"{simulator.url}  database {filemaker.DATABASE}, account {filemaker.ACCOUNT}")
        if PASSWORD_VARIABLE not in os.environ:
            typer.echo(f"password {password}  (made up; {PASSWORD_VARIABLE} would be taken)")
        threading.Event().wait()


def chosen_scale(folder: Path, scale: float | None) -> float:
    """What was asked for, else what is kept, else the real size."""
    if scale is not None:
        return scale
    found = lifecycle.status(folder)
    return found.scale if found.made and found.scale else 1.0
