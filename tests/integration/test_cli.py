"""The command line: what it says where, and its exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.events import Event
from nexus_reimport.model import Proposal
from nexus_reimport.record.sealed import bag
from support.clinic import ROLE, Clinic
from support.commands import command

DEV = "sandbox-dev"
OUTSIDE = Path(__file__).parent


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = command(capsys, *arguments, "--json")
    return code, json.loads(out)


def test_an_option_without_its_value_leads_to_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for given in (["run", "sandbox-dev", "--approve"], ["record", "show", "x", "--run"]):
        code, _, told = command(capsys, *given)
        words = "record show" if given[0] == "record" else "run"
        assert code == 2
        assert f"next:  nexus-reimport {words} --help shows" in told


@pytest.mark.parametrize("address", ["https://nexus.example/", "nexus.example:443", "x', 'y", "*"])
def test_a_page_behind_what_is_no_host_is_not_served(
    capsys: pytest.CaptureFixture[str], clinic: Clinic, address: str
) -> None:
    """It was served, and every request that came through the proxy was refused."""
    code, _, told = command(capsys, "page", DEV, "--behind", address)
    assert code == 2
    assert "--behind is not the name of a host" in told


@pytest.mark.parametrize(
    "wrong",
    [["run"], ["run", "--nope", "x"], ["nothing"], ["sandbox", "up", "--scale", "2"]],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    code, _, told = command(capsys, *wrong)
    assert code == 2
    assert "state: nothing was started" in told
    assert "--help shows how it is used" in told
    code, out, _ = command(capsys, *wrong, "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)


def test_an_unknown_environment_is_exit_code_2_and_four_lines(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    code, out, told = command(capsys, "run", "nowhere")
    assert (code, out) == (2, "")
    assert told.splitlines()[0] == "no environment is called 'nowhere'"
    assert f"known environments: sandbox-dev, sandbox-prod, in {clinic.folder}" in told
    assert "NEXUS_REIMPORT_ENVIRONMENT" not in told, "the variable is not asked where one is named"


def test_a_wrong_digest_is_said_to_be_wrong_and_which_is_open(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    book = clinic.proposed()
    digest = book.run.load(Proposal).digest[:12]
    for given, why in (("0123456789ab", "no open run"), (digest[:7], "it has 7 characters of 12")):
        code, _, told = command(capsys, "run", DEV, "--approve", given)
        assert code == 1
        assert told.startswith("\nthe digest is wrong: ")
        assert why in told
        assert f"where: run {book.run.id} has {digest}" in told
        assert "state: nothing was started" in told
    assert len(record.every(environments.load(DEV))) == 1


def test_what_is_to_correct_is_told_before_a_run_and_leaves_no_record(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    clinic.edit(DEV, "[decisions.notes]", "[decisions.note]")
    code, _, told = command(capsys, "run", DEV)
    assert code == 2
    assert "no entity is called note; did you mean notes?" in told
    clinic.edit(DEV, "[decisions.note]", "[decisions.notes]")
    clinic.do(f"REVOKE DELETE ON notes FROM {ROLE}")
    code, _, told = command(capsys, "run", DEV)
    assert code == 2
    assert "missing for role" in told
    assert record.every(environments.load(DEV)) == []


def test_an_error_is_one_json_object_too(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    code, said = as_json(capsys, "run", "nowhere")
    assert (code, said["exit_code"]) == (2, 2)
    assert "no environment is called" in said["error"]


def test_an_unforeseen_error_is_reported_without_its_text(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    book = clinic.proposed()
    book.run.journal(Event.VOID, of=[["Ms Canary"]])  # no list of names: nothing writes it
    code, out, told = command(capsys, "record", "list", DEV)
    assert (code, out) == (3, "")
    assert told.startswith("an unforeseen TypeError")
    assert "unhashable" not in told


def test_a_run_says_what_it_did_as_text_and_as_json(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    code, said = as_json(capsys, "run", DEV, "--approve-rehearsed")
    (outcome,) = said["outcomes"]
    assert (code, said["exit_code"], outcome["verdict"]) == (0, 0, "COMPLETE"), outcome["error"]
    code, text, _ = command(capsys, "record", "show", DEV)
    assert code == 0
    for word in (
        "reimported",
        "written",
        "left out",
        "kept",
        "re-linked",
        "waited",
        "Checks after",
    ):
        assert word in text
    _, shown = as_json(capsys, "record", "show", DEV, "--run", outcome["run"])
    assert shown["seal"] == record.every(environments.load(DEV))[0].seal_digest()


FIRST_LINES = """
import json, sys
from nexus_reimport import runner

def said(line):
    print(json.dumps([line, sorted(sys.modules)]))
    if "01_preflight" in line:
        raise SystemExit

runner.run(sys.argv[1:], progress=said)
"""


def test_a_preflight_says_its_first_lines_before_it_loads_what_its_pages_need(
    clinic: Clinic,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_LINES, DEV], capture_output=True, text=True, check=True
    )
    (asking, _), (begins, modules) = map(json.loads, done.stdout.splitlines())
    assert asking == f"{DEV}: asking the database for its marker and for every right"
    assert begins.startswith(f"{DEV}: 01_preflight, run ")
    for library in ("papermill", "nbformat", "nbconvert", "pandas", "matplotlib", "pyarrow"):
        assert library not in modules


def test_a_record_that_was_edited_is_found_out(
    capsys: pytest.CaptureFixture[str],
    clinic: Clinic,
) -> None:
    first, second = clinic.executed_twice()
    code, out, _ = command(capsys, "record", "check", DEV)
    assert (code, out.count("as sealed")) == (0, 2)
    (first.run.folder / "plan.json").write_text("{}")
    code, said = as_json(capsys, "record", "check", DEV)
    assert (code, said["as_sealed"]) == (1, False)
    assert said["checked"][0]["problems"] == ["data/plan.json: changed after the seal"]
    clinic.do(
        "UPDATE nexus_reimport.runs SET seal = 'another' WHERE run = %s",
        "dev",
        second.run.id,
        role=ROLE,
    )
    code, out, _ = command(capsys, "record", "check", DEV, "--run", second.run.id)
    assert code == 1
    assert "the database has a different seal for this run" in out


def test_a_record_is_checked_while_the_database_is_down(
    capsys: pytest.CaptureFixture[str],
    clinic: Clinic,
) -> None:
    book = clinic.executed()
    path = clinic.folder / f".env.{DEV}"
    port = f"NEXUS_SANDBOX_PG_PORT={clinic.server.port}"
    path.write_text(path.read_text().replace(port, "NEXUS_SANDBOX_PG_PORT=9"))
    for run in ([], ["--run", book.run.id]):
        code, out, _ = command(capsys, "record", "check", DEV, *run)
        assert (code, "as sealed" in out) == (1, True)
        assert out.count("not compared with the database") == 1
        names = [book.run.id] if run else [book.run.id, f"all of {DEV}"]
        assert f"\n{', '.join(names)}: not compared with the database: " in out
    assert command(capsys, "record", "check", str(book.run.bag))[0] == 0


def test_the_database_knows_which_records_must_be_there(
    capsys: pytest.CaptureFixture[str], clinic: Clinic, tmp_path: Path
) -> None:
    first, second = clinic.executed_twice()
    columns = "run, sequence, verdict, seal"
    held = clinic.rows(f"SELECT {columns} FROM nexus_reimport.runs ORDER BY number", role=ROLE)
    assert held == [
        (book.run.id, number, "COMPLETE", book.run.seal_digest())
        for number, book in ((1, first), (2, second))
    ]
    kept = tmp_path / "kept"
    shutil.copytree(second.run.bag.parent, kept)
    shutil.rmtree(second.run.bag.parent)
    code, out, _ = command(capsys, "record", "check", DEV)
    assert code == 1
    for run in (first.run.id, second.run.id):
        assert f"the record of run {run} is missing" in out
    shutil.copytree(kept, second.run.bag.parent)
    assert command(capsys, "record", "check", DEV)[0] == 0
    clinic.do("DELETE FROM nexus_reimport.runs WHERE run = %s", "dev", second.run.id, role=ROLE)
    code, out, _ = command(capsys, "record", "check", DEV)
    assert (code, "the database does not know this run" in out) == (1, True)


def test_a_damaged_record_does_not_spoil_the_runs_after_it(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    first = clinic.executed().run
    for name in (bag.MANIFEST, bag.INFO, bag.TAG_MANIFEST):
        (first.bag / name).write_bytes(b"\xff{")
    second = clinic.whole(dry=True).run
    assert (second.verdict(), second.is_sealed) == ("COMPLETE", True)
    _, said = as_json(capsys, "record", "check", DEV)
    assert [(c["run"], c["is_right"]) for c in said["checked"]] == [
        (first.id, False),
        (second.id, True),
        ("", True),
    ]


def test_runs_of_all_environments_are_listed(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    assert command(capsys, "record", "list")[1] == "no runs yet\n"
    clinic.proposed()
    clinic.add_prod()
    clinic.preflight("sandbox-prod")
    _, said = as_json(capsys, "record", "list")
    assert [(r["environment"], r["verdict"], r["sealed"]) for r in said["runs"]] == [
        (DEV, "WAITING", False),
        ("sandbox-prod", "WAITING", False),
    ]


def test_an_open_run_is_sealed_by_hand(capsys: pytest.CaptureFixture[str], clinic: Clinic) -> None:
    book = clinic.proposed()
    code, _, told = command(capsys, "finish", DEV)
    assert code == 2, "no gate has refused: the run is not that far"
    assert "nothing to finish" in told
    code, said = as_json(capsys, "seal", DEV)
    assert (code, said["outcomes"][0]["sealed"]) == (1, True)
    assert book.run.problems() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ('[decisions.notes]\nnot_in_filemaker = "keep"', '[decisions.notes]\nnot_in_ = "keep'),
        ('not_in_filemaker = "keep"', 'not_in_filemaker = "perhaps"'),
        ("[[waivers]]", "[[waivers]]\nuntil_then = 3"),
        ("NEXUS_SANDBOX_FILEMAKER_PASSWORD", "NOT_SET_HERE"),
    ],
)
def test_settle_asks_the_database_whatever_else_is_wrong_in_the_environments_file(
    capsys: pytest.CaptureFixture[str], clinic: Clinic, old: str, new: str
) -> None:
    book = clinic.proposed()
    book.run.journal(Event.STARTED, stage="apply", pid=0)  # as a kill would leave it
    if old:
        clinic.edit(DEV, old, new)
    code, out, err = command(capsys, "settle", DEV, "--json")
    assert (code, json.loads(out)["outcomes"][0]["verdict"]) == (3, "KILLED")
    assert ("the database is asked all the same" in err) is bool(old)


def test_settle_is_refused_where_the_database_is_not_known(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    clinic.edit(DEV, "[postgres]", "[postgre]")
    assert command(capsys, "settle", DEV)[0] == 2


def test_no_clinic_is_kept_in_an_empty_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = command(capsys, "sandbox", "status", "--folder", str(tmp_path / "none"))
    assert code == 0
    assert "not made yet, stopped" in out
    code, _, told = command(capsys, "sandbox", "reset", "--folder", str(tmp_path / "none"))
    assert code != 0
    assert f"nexus-reimport sandbox up --folder {tmp_path / 'none'}" in told


def test_filemaker_runs_alone_for_any_client(tmp_path: Path) -> None:
    arguments = ["sandbox", "filemaker", "--scale", "0.02", "--folder", str(tmp_path)]
    secret = {"NEXUS_SANDBOX_FILEMAKER_PASSWORD": "of this test"}
    with subprocess.Popen(
        [sys.executable, "-m", "nexus_reimport.cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=OUTSIDE,
        env={**os.environ, **secret},
    ) as running:
        assert running.stdout is not None
        url = running.stdout.readline().split()[0]
        place = f"{url}/fmi/data/v1/databases/WalkClinic/sessions"
        answer = requests.post(place, auth=("nexus_reader", "of this test"), json={}, timeout=30)
        running.terminate()
    assert answer.status_code == 200
