"""A command loads what it uses, when it uses it: help costs a fraction of what a run costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nexus_reimport import CHECKOUT, PACKAGE
from nexus_reimport.runbook import doctor

HEAVY = {
    "papermill",
    "nbclient",
    "nbconvert",
    "nbformat",
    "pandas",
    "numpy",
    "matplotlib",
    "pyarrow",
    "boto3",
    "botocore",
    "sqlalchemy",
    "psycopg",
    "requests",
    "openpyxl",
}
OURS = {f"nexus_reimport.{name}" for name in ("cli", "disks", "errors", "interrupt")}
PROGRAM = """
import json, sys
from nexus_reimport.cli import main
try:
    main(json.loads(sys.argv[1]))
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


WATCH = """
import json, sys
from nexus_reimport.nexus.connection.scratch_watch import main
code = main()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def loaded_by(program: str, *arguments: str, given: str = "") -> tuple[str, set[str]]:
    """What a program prints in a process of its own, and the modules that it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["record", "check", "--help"],
        ["sandbox", "up", "--help"],
        ["rollback", "--help"],
        ["adopt", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_no_library_of_the_work(arguments: list[str]) -> None:
    printed, modules = loaded_by(PROGRAM, json.dumps(arguments))
    assert printed.strip()
    assert modules >= OURS
    assert modules & HEAVY == set()
    rooms = {name for name in modules if name.startswith(("nexus_reimport.", "nexus_sandbox."))}
    assert rooms - OURS - {n for n in rooms if n.startswith("nexus_reimport.cli.")} <= {
        "nexus_sandbox.stack"  # the seed that a help text names
    }


def test_the_watch_of_a_copy_that_was_dropped_loads_no_driver() -> None:
    _, modules = loaded_by(WATCH, given="{}\ndone\n")
    assert modules & HEAVY == set()
    rooms = {name for name in modules if name.startswith("nexus_reimport.")}
    assert rooms == {
        "nexus_reimport.disks",
        "nexus_reimport.errors",
        "nexus_reimport.nexus",
        "nexus_reimport.nexus.connection",
        "nexus_reimport.nexus.connection.scratch_watch",
    }


def test_no_run_begins_without_the_page_that_takes_it_back(tmp_path: Path) -> None:
    """S6: it was found out in the night, by `rollback`, when there was something to take back."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "runbook", tmp_path / "runbook")
    program = "from nexus_reimport.runner import sequence; sequence.run([])"
    command, path = [sys.executable, "-c", program], {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(command, env=path, cwd=tmp_path, check=True)
    (tmp_path / "runbook" / "90_rollback.ipynb").unlink()
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        subprocess.run(command, env=path, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "the runbook has no page 90_rollback" in stopped.value.stderr
    (found,) = doctor._pages(tmp_path / "runbook")
    assert (found.state, "lacks 90_rollback:" in found.text) == (doctor.State.WRONG, True)
