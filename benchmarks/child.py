"""One measurement in a process of its own: its memory is its own, and so is its processor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

from benchmarks import commands
from benchmarks.clinic import Clinic
from benchmarks.meter import Cost
from nexus_reimport import CHECKOUT
from nexus_reimport.settings import FOLDER_VARIABLE

_FLAG = "--child"


@dataclass(frozen=True, slots=True)
class Given:
    """What such a process is told: what to measure, of which run, beside which servers."""

    what: str
    run: str
    servers: dict[str, int]


def given() -> Given | None:
    """What this process was told; None if a person has started it."""
    return Given(**json.loads(sys.argv[2])) if sys.argv[1:2] == [_FLAG] else None


def cost(clinic: Clinic, module: str, what: str, run: str = "") -> Cost:
    """The cost that ``module`` measures in a process of its own; it prints it as its last line."""
    given = json.dumps(asdict(Given(what, run, clinic.pids)))
    done = subprocess.run(
        [sys.executable, "-m", module, _FLAG, given],
        env={
            **os.environ,
            FOLDER_VARIABLE: str(clinic.environments),
            "PYTHONPATH": str(CHECKOUT),
        },
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{module} {what} failed at scale {clinic.scale:g}")
    measured = Cost.of(json.loads(done.stdout.splitlines()[-1]))
    measured.scale = clinic.scale
    commands.say(measured)
    return measured
