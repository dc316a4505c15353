"""The whole sequence on a made-up clinic: dev, then prod."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nexus_reimport import CHECKOUT, runner, settings, wording
from nexus_reimport.errors import Busy, SandboxError, SettingsError
from nexus_reimport.files import private
from nexus_reimport.record import lock
from nexus_reimport.runner import CommandOutcome
from nexus_sandbox.stack import lifecycle

ENVIRONMENTS = ("sandbox-dev", "sandbox-prod")
_MINUTES, _GIGABYTES = 4.0, 1.0  # of a whole clinic; 3.4 minutes were measured on two cores
_LEAST_MINUTES = 2.0  # however small it is: both runs test their verification


def run(
    folder: Path, scale: float, say: Callable[[str], None], *, apart: bool
) -> list[CommandOutcome]:
    """Start the sandbox, run both environments approved as rehearsed, stop the servers.

    The databases are kept, so the next run finds nothing to change. A sandbox that was already
    running, or that somebody else uses by now, is left running. ``apart``: with environments,
    records and private files of its own, inside of ``folder``.

    Raises:
        Busy: a run of these environments is at work. Nothing was started.
        SandboxError: the folder cannot be used, or the clinic's environments are not where they
            are looked for. Nothing was started.
    """
    folder = lifecycle.require_usable(folder)
    if apart:
        own = folder / "environments"
        write_environments(own)
        os.environ[settings.FOLDER_VARIABLE] = str(own)
    _require_environments()
    if _is_at_work():
        raise Busy(
            "a run of the made-up clinic is at work with the same environments",
            where=f"environments={settings.folder()}",
            state="nothing was started",
            next="wait until it has ended; or add --folder with another folder",
        )
    minutes = max(_LEAST_MINUTES, _MINUTES * scale)
    say(
        f"the demo takes about {minutes:.0f} minutes and {max(0.1, _GIGABYTES * scale):.1f} GB of"
        f" disk, in {folder}"
    )
    places = settings.folder()
    with lifecycle.running(
        folder, scale=scale, environments=places, progress=say, in_use=_is_at_work
    ):
        return runner.run(ENVIRONMENTS, approve_rehearsed=True, progress=say)


def write_environments(own: Path) -> tuple[Path, ...]:
    """Copy the checkout's environments into the folder ``own``; gives those that it had not.

    Their records and private files are beside that folder.

    Raises:
        SandboxError: the package was installed without a checkout. Nothing was written.
    """
    written = []
    for name in ENVIRONMENTS:
        shipped, path = CHECKOUT / "runbook" / "environments" / f"{name}.toml", own / f"{name}.toml"
        if path.exists():
            continue
        if not shipped.is_file():
            raise SandboxError(
                "the sandbox's environments are not here",
                where=str(shipped),
                state="nothing was started",
                next="run from a checkout",
            )
        private.make_folder(own)
        text = shipped.read_text(encoding="utf-8").replace('"../../', '"../')
        private.write_new(path, text.encode())
        written.append(path)
    return tuple(written)


def _require_environments() -> None:
    files = [settings.folder() / f"{name}.toml" for name in ENVIRONMENTS]
    if absent := [str(path) for path in files if not path.is_file()]:
        raise SandboxError(
            f"{wording.amount(len(absent), 'environment')} of the made-up clinic not found",
            where=", ".join(absent),
            state="nothing was started",
            next=f"unset {settings.FOLDER_VARIABLE}, or name there the folder that has them:"
            " runbook/environments of a checkout",
        )


def _is_at_work() -> bool:
    """Whether a run of one of the environments is at work."""
    for name in ENVIRONMENTS:
        try:
            if lock.is_taken(settings.load(name)):
                return True
        except SettingsError:  # the servers were never started: it has no secrets yet
            continue
    return False
