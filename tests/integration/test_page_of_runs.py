"""The page over HTTP, run by run: their pages, what was archived, what has to be decided."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from nexus_reimport import record, settings
from nexus_reimport.events import Event
from nexus_reimport.model import Plan
from nexus_reimport.page import outcome, to_decide
from nexus_reimport.record import Verdict
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.runbook import whereabouts
from nexus_reimport.runner.lab import prepare
from nexus_reimport.settings import FOLDER_VARIABLE
from nexus_sandbox import process
from support.clinic import Clinic
from support.pages import PATH, TOKEN, ServedPage, said, settings_of, words
from support.running import until


def test_an_archived_page_is_shown_as_it_lies_there_and_can_do_nothing(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """Also one into which somebody has put a script."""
    run = record.find(settings_of(shown), shown.made_once("executed_once").run)
    planted = run.folder / "planted.html"
    planted.write_text("<script>alert(1)</script>")
    try:
        listed = words(session.get(f"{page.url}/runs/{run.id}", timeout=60).text)
        assert "planted.html (not as it was sealed)" in listed
        assert listed.count("not as it was sealed") == 2, "among the pages, and among all files"
        answer = session.get(f"{page.url}/runs/{run.id}/files/planted.html", timeout=60)
        assert answer.text == planted.read_text()
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none';")
        assert "script" not in policy
    finally:
        planted.unlink()
    for name, path in (("plan.json", "files/"), ("journal.jsonl", "files/")):
        (found,) = run.folder.rglob(name)
        place = found.relative_to(run.folder).as_posix()
        answer = session.get(f"{page.url}/runs/{run.id}/{path}{place}", timeout=60)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for wrong in (
        "..%2f..%2f..%2fenvironments%2fsandbox-dev.toml",
        "nothing.html",
        "%2fetc%2fpasswd",
    ):
        address = f"{page.url}/runs/{run.id}/files/{wrong}"
        assert session.get(address, timeout=60).status_code == 404, wrong
    assert session.get(f"{page.url}/runs/nothing", timeout=60).status_code == 404


def test_of_a_large_file_of_a_record_a_piece_is_in_memory(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """The whole of it was: the lists of a large clinic have hundreds of megabytes."""
    assert page.process is not None
    status = Path(f"/proc/{page.process.pid}/status")

    def most() -> int:
        (line,) = (line for line in status.read_text().splitlines() if "VmHWM" in line)
        return int(line.split()[1]) << 10

    run = record.find(settings_of(shown), shown.made_once("executed_once").run)
    planted, size = run.folder / "planted.csv", 600 << 20
    with planted.open("wb") as file:
        file.truncate(size)  # nothing is stored of it
    try:
        before, place = most(), f"{page.url}/runs/{run.id}/files/planted.csv"
        assert session.head(place, timeout=60).headers["Content-Length"] == str(size)
        with session.get(place, timeout=60, stream=True) as answer:
            assert sum(map(len, answer.iter_content(1 << 20))) == size
        assert most() < before + size // 4
    finally:
        planted.unlink()


def test_the_page_of_a_run_tells_it_whole(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    run = shown.made_once("executed_once").run
    text = words(session.get(f"{page.url}/runs/{run}", timeout=60).text)
    for told in (
        "COMPLETE",
        "Approved by",
        "read FileMaker finished (",
        "committed",
        "journal.jsonl",
        "SMS messages",
    ):
        assert told in text
    assert "sms_messages" not in text


def test_the_runs_can_be_read_a_table_at_a_time(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    runs = [run.id for run in record.every(settings_of(shown))]
    every = session.get(f"{page.url}/runs", timeout=60)
    oldest = session.get(f"{page.url}/runs", params={"newest": runs[0]}, timeout=60)
    assert (every.status_code, oldest.status_code) == (200, 200)
    assert runs
    for run in runs:
        link = f'href="{PATH}/runs/{run}"'
        assert link in every.text
        assert (link in oldest.text) is (run == runs[0]), run
    for wrong in ("nothing", "../" + runs[0], runs[0] + "x"):
        answer = session.get(f"{page.url}/runs", params={"newest": wrong}, timeout=60)
        assert answer.status_code == 404, wrong


def test_each_run_in_the_table_says_what_its_verdict_means(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """PARTIAL, in capitals, told a practice manager nothing."""
    run = record.find(settings_of(shown), shown.made_once("executed_once").run)
    text = words(session.get(f"{page.url}/runs", timeout=60).text)
    verdict, _, meaning = run.headline().partition(": ")
    assert f"{verdict} {meaning}" in text[text.index("became of it") :]


def test_the_page_of_a_run_whose_record_is_damaged_says_so_and_stands(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """One value that was changed made an error of the whole page; an empty journal was told as a
    run that was given up, with nothing written."""
    run = record.find(settings_of(shown), shown.made_once("executed_once").run)

    def told() -> str:
        answer = session.get(f"{page.url}/runs/{run.id}", timeout=60)
        assert answer.status_code == 200
        return words(answer.text)

    for name in ("plan.json", "applied.json", "proposal.json", "checks_after.json"):
        path = run.folder / name
        kept = path.read_bytes()
        path.write_text("{}")
        try:
            assert f"damaged {name} was changed, or is missing, and cannot be read back" in told()
        finally:
            path.write_bytes(kept)
    journal = run.folder / JOURNAL
    kept = journal.read_bytes()
    journal.write_bytes(b"")
    try:
        text = told()
        assert "IN DOUBT" in text
        assert "nothing was written" not in text
        assert "journal.jsonl: it is not the one that was sealed" in text
    finally:
        journal.write_bytes(kept)


def test_a_run_that_is_committed_and_not_verified_takes_the_top_of_the_page(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    run = record.create(settings_of(shown))
    try:
        run.journal(Event.STARTED, stage="apply", pid=1)
        run.journal(Event.COMMITTING)
        run.journal(Event.COMMITTED)
        run.journal(Event.FINISHED, stage="apply")
        assert run.verdict() is Verdict.COMMITTED_UNVERIFIED
        text = said(page, session)
        assert "A person must decide: read what stands below." in text
        assert text.index("COMMITTED, NOT VERIFIED") < text.index("Current data")
        assert "nexus-reimport finish sandbox-dev" in text
        assert f"run {run.id} is COMMITTED UNVERIFIED" in text
    finally:
        shutil.rmtree(run.folder)
        shutil.rmtree(run.private)


def test_a_run_to_be_finished_stays_at_the_top_after_a_rollback_that_was_killed(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    """The page said "Start a dry run", which would be refused, and had no button to finish it."""
    settings = settings_of(shown)
    run = record.create(settings)
    run.journal(Event.COMMITTED)
    back = record.create(settings, "rollback", undoes=run.id)
    back.journal(Event.STARTED, stage="back_up")
    try:
        text = said(page, session)
        assert "A person must decide: read what stands below." in text
        assert "COMMITTED, NOT VERIFIED" in text
        assert f"Nothing else can be started before run {run.id} is finished." in text
    finally:
        for one in (run, back):
            shutil.rmtree(one.bag)
            shutil.rmtree(one.private)


def test_the_page_loads_beside_jupyterlab(
    shown: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `nexus-reimport lab` starts it: the same page, in a server that has kernels and files."""
    monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
    monkeypatch.setenv(FOLDER_VARIABLE, str(shown.folder))
    port = process.free_port()
    copies = prepare("sandbox-dev", browser=False, port=port)
    log = (tmp_path / "log").open("wb")
    with subprocess.Popen(
        copies.command, env=copies.variables, stdout=log, stderr=log, umask=0o077
    ) as lab:
        try:
            address = f"http://127.0.0.1:{port}"
            until(lambda: lab.poll() is None and answers(address), 120)
            token = {"Authorization": f"token {TOKEN}"}
            found = requests.get(address + PATH, headers=token, timeout=30)
            assert "<title>DEV · Data management" in found.text
            assert requests.get(f"{address}/lab", headers=token, timeout=30).status_code == 200
        finally:
            lab.terminate()


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/login", timeout=60).status_code == 200
    except requests.ConnectionError:
        return False


def test_what_must_be_decided_is_told_as_lines_with_their_place_in_the_file(
    clinic: Clinic,
) -> None:
    """Put where they say, they make a file that decides all; a table stands there only once."""
    waiver = 'check = "every_planned_patient_has_a_clinic"\nat_most = 86'
    clinic.edit("sandbox-dev", 'when_different = { "*" = "filemaker" }\n', "")
    clinic.edit("sandbox-dev", 'past_scheduled = "keep"\n', "")
    clinic.edit("sandbox-dev", waiver, waiver.replace("86", "0"))
    clinic.edit("sandbox-dev", "at_most = 432\n", "at_most = 0\n")
    waived = settings.load("sandbox-dev").waivers
    book = clinic.planned_anew()
    book.check_before()
    assert "everything_is_decided" in {r.check for r in outcome.of(book.run).failed}
    file = settings.folder() / "sandbox-dev.toml"
    asked = to_decide.lines(book.run, settings.load("sandbox-dev"))
    assert whereabouts.of(settings.load("sandbox-dev")).undecided
    file.write_text(put(asked, file.read_text()))
    decided = settings.load("sandbox-dev")
    assert decided.decisions["appointments"].past_scheduled == "keep"
    assert {w.check for w in decided.waivers} == {w.check for w in waived}
    assert not to_decide.lines(book.run, decided), "what the file has by now is asked for again"
    assert not whereabouts.of(decided).undecided
    book = clinic.planned_anew()
    assert not book.run.load(Plan).undecided()
    assert book.check_before().passed
    assert not to_decide.lines(book.run, decided)


def put(lines: str, file: str) -> str:
    """The file with the lines where each part says that it belongs, filled in."""
    for part in filter(None, lines.split("\n\n")):
        filled = re.sub(r'"" +# (\w+) or .*', r'"\1"', part)
        first, _, rest = filled.partition("\n")
        if first.startswith("# under"):
            header = first.split("[")[1].split("]")[0]
            file = file.replace(f"[{header}]\n", f"[{header}]\n{rest}\n")
        elif first.startswith("# in the waiver"):
            check = first.split()[5].rstrip(",")
            file = re.sub(rf'(check = "{check}"\n)at_most = \d+', rf"\1{rest}", file)
        else:
            assert first.startswith("[decisions.")
            file = f"{file}\n{filled}\n"
    return file
