"""The examples for schedulers fit the product: parameters, exit codes, what is mailed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from nexus_reimport import CHECKOUT
from nexus_reimport.record.verdict import EXIT_CODES
from nexus_reimport.runner import notebook

EXAMPLES = CHECKOUT / "examples"
SEQUENCE = EXAMPLES / "airflow" / "sequence.ipynb"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which `nexus-reimport` ends as its first argument's file says."""
    shutil.copytree(EXAMPLES / "cron", tmp_path / "examples" / "cron")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in (
        ("nexus-reimport", 'echo "$@"; exit "$(cat "$PWD/code")"'),
        ("mailer", 'echo "$@" >"$0.said"; cat >>"$0.said"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o700)
    return tmp_path


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (1, "NO-GO: a check stopped it, or another run is at work; nothing was written"),
        (2, "it did not run; nothing was written"),
        (3, "it did not run; nothing was written"),
        (4, "A PERSON MUST DECIDE NOW (exit code 4)"),
        (5, "A PERSON MUST DECIDE NOW (exit code 5)"),
        (6, "GO: it waits for an approval"),
    ],
)
def test_cron_mails_what_became_of_the_preflight_and_keeps_its_exit_code(
    checkout: Path, code: int, result: str
) -> None:
    (checkout / "code").write_text(str(code))
    mailer = checkout / ".venv" / "bin" / "mailer"
    done = subprocess.run(
        [checkout / "examples" / "cron" / "nexus-reimport.sh", "dev", "team@clinic.example"],
        env={"PATH": "/usr/bin:/bin", "MAILER": str(mailer)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    subject, *text = Path(f"{mailer}.said").read_text().splitlines()
    assert subject == f"-s nexus-reimport dev: {result} team@clinic.example"
    assert text == [f"dev: {result}", "", "run dev"]


def test_cron_knows_every_exit_code_of_a_run() -> None:
    script = (EXAMPLES / "cron" / "nexus-reimport.sh").read_text()
    told = {
        int(c)
        for line in re.findall(r"^ +([\d| ]+)\) result", script, re.M)
        for c in line.split("|")
    }
    assert {*EXIT_CODES.values()} - told == {4, 5}  # of which it says that a person must decide


def test_the_page_for_airflow_has_the_parameters_that_its_dag_gives() -> None:
    dag = (EXAMPLES / "airflow" / "nexus_reimport_dags.py").read_text()
    given = set(re.findall(r'"(\w+)": "(?:digest|who|reason)"', dag)) | {"environment"}
    assert notebook.parameters_of(SEQUENCE) == given
    cells = nbformat.read(SEQUENCE, as_version=4).cells
    assert [cell.outputs for cell in cells if cell.cell_type == "code" and cell.outputs] == []
