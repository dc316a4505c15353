"""The command's side of the supervisor: start it, send it commands, end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

from nexus_reimport.errors import SandboxError
from nexus_sandbox import process
from nexus_sandbox.stack import state

_PATIENCE = 90.0  # longer than that of any server
_ours: dict[Path, Supervisor] = {}  # open pipes: a supervisor ends when the other end is closed


class Supervisor:
    """A supervisor that we started. It ends with this process unless it is detached."""

    def __init__(self, folder: Path, running: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._running = running
        self._words = cast(IO[bytes], running.stdin)
        self._answers = cast(IO[bytes], running.stdout)

    @classmethod
    def launch(cls, folder: Path) -> Supervisor | None:
        """A new supervisor for ``folder``; None if the folder has one already."""
        with (folder / "supervisor.log").open("ab") as log:
            running = subprocess.Popen(
                [sys.executable, "-m", state.SUPERVISOR, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=process.clean_environment({**process.python_path(), **_place()}),
                start_new_session=True,
            )
        launched = cls(folder, running)
        if launched._answer()["said"] == "taken":
            launched.end()
            return None
        if (former := _ours.get(folder)) is not None:
            former.end()
        _ours[folder] = launched
        return launched

    def start(self) -> None:
        """Start all servers.

        Raises:
            SandboxError: one did not start. None is left running.
        """
        self._tell("start")
        answer = self._answer()
        if answer["said"] != "running":
            raise SandboxError(
                answer["what"],
                where=answer["where"],
                state="no server is running",
                next=answer["next"],
            )

    def detach(self) -> None:
        """Let it keep running when this process ends."""
        self._tell("detach")

    def end(self) -> None:
        """Stop all servers and end the supervisor; it has ended when this returns."""
        for pipe in (self._words, self._answers):
            pipe.close()
        process.stop(self._running, patience=_PATIENCE)
        _ours.pop(self._folder, None)

    def _tell(self, word: str) -> None:
        try:
            self._words.write(f"{word}\n".encode())
            self._words.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def _answer(self) -> dict[str, str]:
        line = self._answers.readline()
        if not line:
            raise self._gone()
        answer: dict[str, str] = json.loads(line)
        return answer

    def _gone(self) -> SandboxError:
        log = self._folder / "supervisor.log"
        return SandboxError(
            "the sandbox's supervisor ended unexpectedly",
            where=f"log={log}",
            state="no server is running",
            next=f"fix what its log says: {process.tail(log, 1)}",
        )


def ours(folder: Path) -> Supervisor | None:
    """The supervisor of this folder if this process started it."""
    return _ours.get(folder)


def end(folder: Path) -> None:
    """End the supervisor of this folder and its servers, whoever started it."""
    if (own := ours(folder)) is not None:
        own.end()
    if (pid := state.supervisor(folder)) > 0:
        process.end_leftover(pid, state.SUPERVISOR, polite=signal.SIGTERM, patience=_PATIENCE)


def _place() -> dict[str, str]:
    return {"TMPDIR": os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {}
