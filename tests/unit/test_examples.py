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
        (
            "nexus-reimport",
            'code=$(cat "$PWD/code"); echo "$@"; [ "$code" -lt 128 ] || kill -$((code - 128)) $$;'
            ' exit "$code"',
        ),
        ("mailer", 'echo "$@" >"$0.said"; cat >>"$0.said"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o700)
    return tmp_path


def by_cron(
    checkout: Path, mailer: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The script as cron starts it: with hardly a variable."""
    return subprocess.run(
        [
            checkout / "examples" / "cron" / "nexus-reimport.sh",
            *(arguments or ("dev", "team@clinic.example")),
        ],
        env={"PATH": "/usr/bin:/bin", "MAILER": str(mailer), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (1, "NO-GO: a check stopped it, or another run is at work; nothing was written"),
        (2, "it did not run to its end; nothing was written"),
        (3, "it did not run to its end; nothing was written"),
        (4, "A PERSON MUST DECIDE NOW (exit code 4)"),
        (5, "A PERSON MUST DECIDE NOW (exit code 5)"),
        (6, "GO: it waits for an approval"),
        (137, "it was ended from outside (exit code 137): see nexus-reimport status dev"),
    ],
)
def test_cron_mails_what_became_of_the_preflight_and_keeps_its_exit_code(
    checkout: Path, code: int, result: str
) -> None:
    (checkout / "code").write_text(str(code))
    mailer = checkout / ".venv" / "bin" / "mailer"
    done = by_cron(checkout, mailer)
    assert (done.returncode, done.stderr.replace("Killed\n", "")) == (code, "")
    subject, *text = Path(f"{mailer}.said").read_text().splitlines()
    assert subject == f"-s nexus-reimport dev: {result} team@clinic.example"
    assert text == [f"dev: {result}", "", "run dev"]


def test_cron_says_it_where_the_program_is_not_there(checkout: Path) -> None:
    """Nobody must decide anything: it did not even begin."""
    (checkout / ".venv" / "bin" / "nexus-reimport").unlink()
    mailer = checkout / ".venv" / "bin" / "mailer"
    assert by_cron(checkout, mailer).returncode == 127
    assert "it did not run" in Path(f"{mailer}.said").read_text()


@pytest.mark.parametrize("code", [1, 4, 6])
def test_cron_prints_the_result_where_no_mail_can_be_sent(checkout: Path, code: int) -> None:
    (checkout / "code").write_text(str(code))
    done = by_cron(checkout, Path("/nowhere/mail"))
    assert done.returncode == code, "the exit code is that of the run, and not of the mail"
    assert "no mail could be sent to team@clinic.example" in done.stderr
    assert done.stderr.endswith("\n\nrun dev\n")


def test_cron_needs_no_room_for_temporary_files(checkout: Path) -> None:
    (checkout / "code").write_text("6")
    mailer = checkout / ".venv" / "bin" / "mailer"
    done = by_cron(checkout, mailer, TMPDIR="/nowhere")
    assert (done.returncode, done.stderr) == (6, "")
    assert Path(f"{mailer}.said").read_text().endswith("\nrun dev\n")


def test_cron_says_which_of_its_arguments_is_missing(checkout: Path) -> None:
    done = by_cron(checkout, checkout / ".venv" / "bin" / "mailer", "dev")
    assert done.returncode == 2
    assert "the address is missing: nexus-reimport.sh ENV ADDRESS" in done.stderr


def test_cron_knows_every_exit_code_of_a_run() -> None:
    script = (EXAMPLES / "cron" / "nexus-reimport.sh").read_text()
    told = {
        int(c)
        for line in re.findall(r"^ +([\d| ]+)\) result", script, re.M)
        for c in line.split("|")
    }
    assert {*EXIT_CODES.values()} <= told


def test_nobody_but_a_person_answers_the_gate_of_airflow() -> None:
    """An entry without options has a default, by which Airflow answers once its time is over."""
    dag = (EXAMPLES / "airflow" / "nexus_reimport_dags.py").read_text()
    gate = dag[dag.index("return HITLEntryOperator(") : dag.index("def dag_of")]
    assert "options=[" in gate
    assert "defaults" not in gate


def test_the_page_for_airflow_has_the_parameters_that_its_dag_gives() -> None:
    dag = (EXAMPLES / "airflow" / "nexus_reimport_dags.py").read_text()
    given = set(re.findall(r'"(\w+)": "(?:digest|who|reason)"', dag))
    assert notebook.parameters_of(SEQUENCE) == given | {"environment", "must_execute"}
    assert "must_execute=True" in dag
    cells = nbformat.read(SEQUENCE, as_version=4).cells
    assert [cell.outputs for cell in cells if cell.cell_type == "code" and cell.outputs] == []
