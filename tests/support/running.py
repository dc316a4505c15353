"""A run in the background: what it asks, its processes, and killing one of them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from nexus_reimport import record, runbook
from nexus_reimport import settings as environments
from nexus_reimport.model import Proposal
from nexus_reimport.runner import CommandOutcome

DEV = "sandbox-dev"


def until(found: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def killed_after(events: int, work: Callable[[], object]) -> bool:
    """Do ``work`` in a process that dies before its next touch of a file after so many."""
    child = os.fork()
    if child == 0:
        left = iter(range(events))

        def die(name: str, _: Any) -> None:
            if name in {"open", "os.rename", "os.remove"} and next(left, None) is None:
                os._exit(9)

        sys.addaudithook(die)
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), "it failed by itself"
    return code == 9


def in_background(
    call: Callable[[], list[CommandOutcome]],
) -> tuple[threading.Thread, list[CommandOutcome]]:
    outcomes: list[CommandOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.extend(call()))
    thread.start()
    return thread, outcomes


def stage_pid(stage: str) -> int:
    """The kernel that is at work on ``stage`` of the newest run; 0 before it is."""
    runs = record.every(environments.load(DEV))
    events = runs[-1].events() if runs else []
    running = [e.line for e in events if e.event == "started" and e.stage == stage]
    return int(running[-1]["pid"]) if running else 0


def kill_kernel(stage: str) -> None:
    assert stage_pid(stage) != os.getpid()
    os.kill(stage_pid(stage), signal.SIGKILL)


def digest_of(book: runbook.Runbook) -> str:
    return book.run.load(Proposal).digest[:12]
