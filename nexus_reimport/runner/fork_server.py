"""A process that has the package loaded, and forks the kernels of pages from itself.

    python -P -m nexus_reimport.runner.fork_server

Each line of JSON on stdin is answered by one on stdout. ``start`` forks a kernel and gives its
process id; ``ended`` gives the exit code of one that has ended. It ends with its stdin, as when the
runner is killed, and the system kills a kernel together with it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nexus_reimport.files import private
from nexus_reimport.interrupt import ends_with_us

# What every page needs.
LOADED = (
    "ipykernel.kernelapp",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "nexus_reimport.runbook.rollback",
    "nexus_reimport.show.kernel",
)
_LAST_WORDS = 2.0  # seconds
SERVER, KERNEL = "nexus-forks", "nexus-kernel"  # as `ps` and `top` list them


def main() -> None:
    """Answer until stdin ends."""
    _be_called(SERVER)
    _load()
    tie = ends_with_us(signal.SIGKILL)
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        answer = _fork(asked["start"], tie) if "start" in asked else _ended(asked["ended"])
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _load() -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection in a kernel copies all of its memory


def _fork(start: dict[str, Any], tie: Callable[[], None] | None) -> dict[str, int]:
    pid = os.fork()
    if pid == 0:
        _kernel(start, tie)
    return {"pid": pid}


def _ended(pid: int) -> dict[str, int | None]:
    """Asked for by its parent alone: until then its process id is no other's."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return {"code": os.waitstatus_to_exitcode(status) if ended else None}


def _kernel(start: dict[str, Any], tie: Callable[[], None] | None) -> None:
    """Be a kernel, as one that ``python -m ipykernel_launcher`` starts; never returns."""
    code = 1
    try:
        if tie:
            tie()
        parent = os.getppid()
        os.setsid()
        _be_called(KERNEL)
        _own_files(Path(start["log"]))
        os.umask(0o077)
        os.environ.clear()
        os.environ.update(start["variables"])
        os.chdir(start["folder"])
        from ipykernel import kernelapp

        sys.argv[:] = [*start["arguments"], f"--IPKernelApp.parent_handle={parent}"]
        kernelapp.launch_new_instance()
        _let_finish(kernelapp.IPKernelApp.instance().control_thread)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _let_finish(control: threading.Thread | None) -> None:
    """Let the thread that was asked for the end say all that it has to say.

    It flushes what was printed. If the app's own end was faster, which stops who sends it, it would
    wait for that for ten seconds, and the runner for two and a half, to terminate us then.
    """
    if control is not None:
        control.join(_LAST_WORDS)


def _be_called(name: str) -> None:
    """Its command line is that of the process it was forked from."""
    Path("/proc/self/comm").write_text(name, encoding="ascii")


def _own_files(log: Path) -> None:
    """Nothing to read, the log to write; the pipes to the runner are the parent's alone."""
    with private.append(log) as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _leave(code: int) -> None:
    """As Python ends; what belongs to the parent is not taken down piece by piece."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
