"""No patient's value and no secret in a record, on a terminal, in a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from nexus_reimport import CHECKOUT, record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import NotClean, StopError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import closing, journal
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.search.identifiers import Kind
from support.clinic import PASSWORD, Clinic
from support.leaking import files, leaks
from support.running import DEV
from support.stops import STOPS

ROOT = CHECKOUT
BY_COMMAND = ("two patients with one id",)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nexus_reimport.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        timeout=280,
    )


def test_the_canaries_can_be_found(clinic: Clinic) -> None:
    said = clinic.made_up.canaries()
    assert {"name", "phone", "email", "address", "birth_date", "health_number"} <= said.keys()
    name = said["name"][0]
    assert leaks(clinic, [("a place", f"the patient {name.upper()}")]) == ["name in a place"]


def test_a_whole_run_by_papermill_leaks_nothing(clinic: Clinic) -> None:
    done = command("run", "sandbox-dev", "--approve-rehearsed")
    assert done.returncode == 0, done.stderr + done.stdout
    runs = clinic.folder.parent / "runs"
    names = {name for name, _ in files(runs)}
    assert {"01_preflight.ipynb", "02_execute.html", "README.txt", "journal.jsonl"} <= names
    texts = [*files(runs), ("stdout", done.stdout), ("stderr", done.stderr)]
    assert leaks(clinic, texts) == []
    (run,) = record.every(environments.load(DEV))
    (swept,) = [e.line for e in run.events() if e.event is Event.SWEPT]
    assert (swept["found"], swept["hits"], swept["not_read"]) == (0, [], [])
    assert min(swept["looked_for"].values()) > 0
    assert swept["looked_for"].keys() == set(Kind)

    as_an_auditor_reads_it(run.folder)


def as_an_auditor_reads_it(folder: Path) -> None:
    """Its pages link to nothing that is not beside them, and call no run running that has ended."""
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert len(pages) == 3
    for name, text in pages.items():
        links = re.findall(r'href="([^"#][^"]*)"', text)
        assert [link for link in links if not (folder / link).exists()] == [], name
        assert "Terms are explained in docs/glossary.md of" in text
        assert "running, pid" not in text, name
    assert "Verdict: COMPLETE" in pages["03_verify.html"]


PLANTED = {
    "journal.jsonl": lambda value: json.dumps({"event": "step", "step": value}) + "\n",
    "plan.json": lambda value: json.dumps(value) + "\n",
    "ledger.csv": lambda value: f'patients,"{value}",left out\n',
    "checks.log": lambda value: f"ValueError: {value!r}\n",
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_record_with_an_identifier_in_it_is_not_sealed(
    clinic: Clinic, rehearsed: Path, name: str
) -> None:
    book = clinic.approved(rehearsed)
    planted = {kind: values[0] for kind, values in of_today(book).items()}
    path = book.run.folder / name
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = "".join(map(PLANTED[name], planted.values()))
    path.write_text(before + lines, encoding="utf-8")
    with pytest.raises(NotClean) as refused:
        closing.require_clean(book.settings, book.run)
    told, first = str(refused.value), before.count("\n") + 1
    for line, kind in enumerate(planted, first):
        assert f"data/{name}, line {line:,}: {kind}" in told
    after = (book.run.folder / JOURNAL).read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(after)["found"] >= len(planted), "an e-mail address can hold a name"
    assert [value for value in planted.values() if value in told + after] == []
    assert not book.run.is_sealed


def of_today(book: runbook.Runbook) -> dict[Kind, list[str]]:
    """One value of each kind, as FileMaker and the environment have them."""
    contacts = read_table(book.folder / "read_contacts.parquet").to_pydict()
    details = read_table(book.folder / "read_contact_details.parquet").to_pydict()
    notes = read_table(book.folder / "read_notes.parquet").to_pydict()
    values = [v or "" for v in details["ph"]]
    note = next(n for n in notes["Note"] if n and len(n.split()) > 8)
    return {
        Kind.NAME: [n for n in contacts["nameLast"] if n and len(n) > 6],
        Kind.BIRTH_DATE: [d for d in contacts["DOB"] if d],
        Kind.PHONE: [v for v in values if v and v[-1].isdigit()],
        Kind.EMAIL: [v for v in values if "@" in v],
        Kind.ADDRESS: [a for a in details["address 1"] if a and a[0].isdigit()],
        Kind.NUMBER: [n for n in contacts["Health Number"] if n],
        Kind.TEXT: [" ".join(note.split()[1:7])],
        Kind.SECRET: [PASSWORD],
    }


def test_a_run_whose_record_is_not_clean_says_where_and_a_next_run_can_begin(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    note = book.run.folder / "note.txt"
    private.write_new(note, of_today(book)[Kind.NAME][0].encode())
    told = runner.seal(DEV)
    assert (told.sealed, told.exit_code) == (False, 1), "the exit code is that of the run"
    assert "data/note.txt, line 1: a name" in told.error
    assert "labels" in told.error
    other = record.create(environments.load(DEV))
    assert [run.id for run in record.open_runs(book.settings)] == [book.run.id, other.id]
    note.unlink()
    assert runner.seal(DEV, book.run.id).sealed
    hits = [e.line["found"] for e in book.run.events() if e.event is Event.SWEPT]
    assert hits == [1, 1, 0]


def test_what_was_found_in_the_journal_is_redacted_and_stands_nowhere_afterwards(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    planted = [values[0] for values in of_today(book).values()]
    told = StopError(f"a check failed: {' | '.join(planted)}", where=planted[0])
    book.run.journal(Event.FAILED, stage="plan", **journal.failure(told))
    verdict = book.run.verdict()
    assert "nexus-reimport record redact" in runner.seal(DEV).error
    done = command("record", "redact", DEV, "--run", book.run.id, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    sealed = runner.seal(DEV)
    assert (sealed.sealed, sealed.verdict) == (True, verdict)
    assert ", redacted" in sealed.summary
    texts = [*files(book.run.bag.parent), ("stdout", done.stdout), ("stderr", done.stderr)]
    texts += [("summary", sealed.summary + sealed.error)]
    assert [(where, value) for where, text in texts for value in planted if value in text] == []
    assert leaks(clinic, texts) == []
    assert book.run.problems() == []


def test_a_word_that_the_environment_calls_a_label_bars_no_seal(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    name = of_today(book)[Kind.NAME][0]
    (book.run.folder / "note.txt").write_text(name)
    clinic.edit(DEV, "counts_may_differ", f'labels = ["{name}"]\ncounts_may_differ')
    assert runner.seal(DEV).sealed


@pytest.mark.parametrize("name", BY_COMMAND)
def test_a_provoked_error_leaks_nothing_by_command(clinic: Clinic, name: str) -> None:
    spoil, told, exit_code = STOPS[name]
    spoil(clinic)
    done = command("run", "sandbox-dev", "--approve-rehearsed")
    assert done.returncode == exit_code, done.stderr
    assert told in done.stdout + done.stderr
    texts = [
        *files(clinic.folder.parent / "runs"),
        ("stdout", done.stdout),
        ("stderr", done.stderr),
    ]
    assert leaks(clinic, texts) == []
