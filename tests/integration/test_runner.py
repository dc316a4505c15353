"""papermill runs the pages; the journal tells what became of them, whoever is killed when."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nbformat
import pytest
from ipykernel.iostream import OutStream

from nexus_reimport import forked, record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import InDoubt, NotNow, RecordError, SettingsError
from nexus_reimport.events import Event
from nexus_reimport.model import Approval, Plan, Proposal, Report, losses
from nexus_reimport.record import Run, Verdict, anchor, journal, lock
from nexus_reimport.record.notebooks import pages
from nexus_reimport.runner import fork_server, notebook
from nexus_reimport.runner.kernel_manager import QuietManager
from support.clinic import ROLE, Clinic
from support.running import DEV, digest_of, in_background, kill_kernel, stage_pid, until


def page_that(folder: Path, source: str) -> None:
    """A page with the parameter ``run_id`` and one cell."""
    parameters = nbformat.v4.new_code_cell('run_id: str = ""', metadata={"tags": ["parameters"]})
    made = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, folder / "page.ipynb")


def run_page(clinic: Clinic, source: str) -> Run:
    """A new run in which one page with one cell was executed."""
    page_that(clinic.folder, source)
    made = record.create(environments.load(DEV))
    notebook.execute(made, "page", {"run_id": made.id}, clinic.folder)
    return made


def test_a_run_waits_for_the_digest_and_goes_on_when_it_is_given(clinic: Clinic) -> None:
    asked: list[str] = []

    def decline(run: Run, proposal: Proposal) -> str:
        asked.append(proposal.digest)
        return "not that one" if len(asked) == 1 else ""

    before = clinic.state()
    (waiting,) = runner.run([DEV], ask=decline)
    assert (waiting.verdict, waiting.exit_code, waiting.sealed) == (Verdict.WAITING, 6, False)
    assert len(asked) == 2, "a digest that is not the run's own is asked for again"
    assert asked[0][:12] in waiting.advice
    assert clinic.state() == before
    signed = {"name": "A. Person", "reason": "agreed with reception"}
    (done,) = runner.run([DEV], approve=asked[0][:12], **signed)
    assert (done.verdict, done.exit_code, done.sealed) == (Verdict.COMPLETE, 0, True)
    assert done.run == waiting.run
    run = record.find(environments.load(DEV), done.run)
    approval = run.load(Approval)
    assert (approval.by, approval.reason) == ("A. Person", "agreed with reception")
    assert "by A. Person (as " in Path(done.record, "data", "02_execute.html").read_text()
    names = {p.name for p in Path(done.record, "data").iterdir()}
    pages = ("01_preflight", "02_execute", "03_verify")
    assert {f"{page}.{kind}" for page in pages for kind in ("ipynb", "html")} <= names
    front = Path(done.record, "README.txt").read_text()
    listed = Path(done.record).with_name("index.html").read_text()
    for word in (
        "COMPLETE",
        "Approved by ",
        " patients, ",
        "Wiped and reimported: ",
        " had to be written for it. ",
        "Linked anew: ",
        "Writers waited ",
        "03_verify.html",
    ):
        assert word.strip() in front
        assert word.strip() in listed
    lines = Path(done.record, "data", "ledger.csv").read_text(encoding="utf-8").splitlines()
    left_out = sum(line.split(",")[2] == "left out" for line in lines)
    assert f"Deleted for good: nothing. Left out by a rule: {left_out:,} records of" in front
    assert "Each by its id: data/ledger.csv, data/misfits.csv." in front
    lost = losses(run.load(Plan).entities.values())
    assert f"what Nexus had is gone: {lost}. What was decided" in front
    assert "besides the rows' own time stamps: " in lost
    assert "notes (created_at)" in lost
    assert record.every(environments.load(DEV))[-1].problems() == []
    assert "waited" in done.summary
    after = {r.check: r for r in run.load(Report, "checks_after").results}
    clinicians = after["every_appointment_has_a_clinician"]
    assert clinicians.offending
    for text in (front, listed, done.summary):
        assert f"{clinicians.found} fail: every appointment has a clinician" in text


def test_a_digest_of_no_open_run_starts_nothing(clinic: Clinic) -> None:
    (refused,) = runner.run([DEV], approve="0123456789ab")
    assert (refused.run, refused.exit_code) == ("", 1)
    assert "no open run" in refused.error
    assert record.every(environments.load(DEV)) == []


@pytest.mark.parametrize("what", ["another server", "another name", "a copy"])
def test_an_approval_that_finds_another_database_leaves_the_run_waiting(
    clinic: Clinic, what: str
) -> None:
    """The page stopped there: the run was closed, and the preflight had to be made again."""
    book = clinic.proposed()
    digest, name = book.run.load(Proposal).digest, clinic.databases["dev"]
    away, port = f"{name}_away", str(clinic.server.port)
    secrets = clinic.folder / ".env.sandbox-dev"
    if what == "another server":
        secrets.write_text(secrets.read_text().replace(port, "9"))
    else:
        with clinic.server.access.connect() as connection:
            connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{away}"')
            if what == "a copy":
                connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{away}"')
    try:
        (outcome,) = runner.run([book.run.environment], approve=digest)
        assert outcome.exit_code in (1, 2, 3)
        assert "state: nothing was started" in outcome.error
        assert (book.run.is_open, book.run.verdict()) == (True, Verdict.WAITING)
    finally:
        secrets.write_text(secrets.read_text().replace("=9\n", f"={port}\n"))
        if what != "another server":
            clinic.server.drop_database(name)
            with clinic.server.access.connect() as connection:
                connection.execute(f'ALTER DATABASE "{away}" RENAME TO "{name}"')
    assert [one.exit_code for one in runner.run([book.run.environment], approve=digest)] == [0]


def test_the_digest_of_a_closed_run_is_told_as_that(clinic: Clinic) -> None:
    """It was called wrong, although it was the right one."""
    book = clinic.proposed()
    digest = book.run.load(Proposal).digest
    runner.seal(book.run.environment)
    (outcome,) = runner.run([book.run.environment], approve=digest)
    assert outcome.error.startswith(
        "the run of this digest waits for no approval any more: it is PARTIAL\n"
    )
    assert book.run.id in outcome.error
    assert outcome.error.endswith("; nexus-reimport run sandbox-dev begins another")


def test_one_digest_is_not_taken_for_two_environments(clinic: Clinic) -> None:
    with pytest.raises(SettingsError, match="cannot approve 2"):
        runner.run([DEV, "sandbox-prod"], approve="0123456789ab")


def test_an_environment_that_is_named_twice_is_not_run_at_all(clinic: Clinic) -> None:
    with pytest.raises(SettingsError, match="sandbox-prod would be run more than once"):
        runner.run(["sandbox-prod", DEV, "sandbox-prod"], approve_rehearsed=True)
    assert not record.every(environments.load(DEV))


def test_what_was_rehearsed_is_not_enough_for_a_real_prod(clinic: Clinic) -> None:
    clinic.edit("sandbox-prod", "sandbox = true", "sandbox = false")
    with pytest.raises(SettingsError, match="is prod"):
        runner.run(["sandbox-prod"], approve_rehearsed=True)


def test_a_second_run_is_refused_while_one_is_at_work(clinic: Clinic) -> None:
    with record.at_work(environments.load(DEV)):
        token = os.environ.pop(lock.RUNNER_VARIABLE)
        (refused,) = runner.run([DEV])
        os.environ[lock.RUNNER_VARIABLE] = token
    assert refused.exit_code == 1
    assert "at work" in refused.error


def test_a_stop_in_a_page_reaches_the_person_as_four_lines(clinic: Clinic) -> None:
    clinic.edit(DEV, "walk-nexus-dev", "walk-nexus-none")
    (failed,) = runner.run([DEV], approve_rehearsed=True)
    assert (failed.verdict, failed.exit_code, failed.sealed) == (Verdict.STOPPED, 2, True)
    what, *lines = failed.error.splitlines()
    assert "NoSuchBucket" in what
    assert [line.split(":")[0].strip() for line in lines][-2:] == ["state", "next"]
    assert "Traceback" not in failed.error


def test_a_page_that_could_not_open_its_run_says_how_to_begin_another(clinic: Clinic) -> None:
    secrets = clinic.folder / f".env.{DEV}"
    server = f"NEXUS_SANDBOX_PG_PORT={clinic.server.port}"
    secrets.write_text(secrets.read_text().replace(server, "NEXUS_SANDBOX_PG_PORT=9"))
    (failed,) = runner.run([DEV], approve_rehearsed=True)
    assert (failed.verdict, failed.sealed) == (Verdict.FAILED, True)
    page = Path(failed.record, "data", "01_preflight.html").read_text(encoding="utf-8")
    for text in (failed.error, page):
        assert "again" in text
        assert "this step again" not in text
        assert f"begin again (nexus-reimport run {DEV})" in text


def test_a_kernel_killed_in_the_preflight_is_no_success(clinic: Clinic) -> None:
    clinic.simulator.latency_ms = 400
    before = clinic.state()
    thread, outcomes = in_background(lambda: runner.run([DEV], approve_rehearsed=True))
    until(lambda: stage_pid("snapshot"))
    kill_kernel("snapshot")
    thread.join(120)
    (killed,) = outcomes
    assert (killed.verdict, killed.exit_code, killed.sealed) == (Verdict.KILLED, 3, True)
    assert not Path(killed.record, "data", "02_execute.ipynb").exists()
    assert Path(killed.record, "data", "01_preflight.html").is_file()
    assert clinic.state() == before


def test_a_kernel_killed_in_the_transaction_leaves_the_database_as_it_was(clinic: Clinic) -> None:
    digest = digest_of(clinic.proposed())
    before = clinic.state()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with clinic.connect() as other, other.transaction():
        other.execute("LOCK TABLE xero_contact_links")  # read by the checks, after all writes
        thread, outcomes = in_background(lambda: runner.run([DEV], approve=digest))
        until(lambda: stage_pid("apply") and clinic.value(waiting, role=ROLE))
        kill_kernel("apply")
    thread.join(120)
    (killed,) = outcomes
    assert (killed.verdict, killed.exit_code, killed.sealed) == (Verdict.KILLED, 3, True)
    events = record.every(environments.load(DEV))[-1].events()
    assert [e.line["committed"] for e in events if e.event == "settled"] == [False]
    assert clinic.state() == before


def test_a_committed_run_is_finished_later(clinic: Clinic) -> None:
    book = clinic.proposed()
    with pytest.raises(NotNow, match="nothing to finish"):
        runner.finish(DEV)
    book.approve(rehearsed=True)
    book.apply()
    with pytest.raises(RecordError, match="COMMITTED_UNVERIFIED"):
        record.create(environments.load(DEV))
    done = runner.finish(DEV)
    assert (done.run, done.verdict, done.sealed) == (book.run.id, Verdict.COMPLETE, True)


def test_a_committed_run_that_is_wrong_stays_open_until_a_person_closes_it(clinic: Clinic) -> None:
    book = clinic.proposed()
    book.approve(rehearsed=True)
    book.apply()
    clinic.do(
        "UPDATE notes SET content = content || '.' WHERE id = (SELECT min(id::text)::uuid"
        " FROM notes)"
    )
    unsure = runner.finish(DEV)
    assert (unsure.verdict, unsure.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
    assert not unsure.sealed
    assert "every_row_is_as_planned" in unsure.error
    assert f"nexus-reimport rollback {unsure.run}" in unsure.advice
    closed = runner.seal(DEV)
    assert (closed.verdict, closed.exit_code, closed.sealed) == (unsure.verdict, 4, True)


def test_parameters_are_compared_with_the_pages_own_before_a_kernel_starts(tmp_path: Path) -> None:
    page_that(tmp_path, "1 / 0")
    with pytest.raises(SettingsError) as error:
        notebook.check("page", {"run": "x"}, tmp_path)
    assert "do not fit: run is none of its own, run_id is missing" in str(error.value)


def test_the_text_of_a_foreign_error_stays_out_of_the_record(clinic: Clinic) -> None:
    run = run_page(clinic, "raise ValueError('Ms Canary, born 1970-01-01')")
    assert run.verdict() is Verdict.FAILED
    what, _, state, todo = notebook.last_error(run).splitlines()
    assert what == "an unforeseen ValueError"
    assert state == "  state: the database is as it was"
    assert todo.startswith("  next:  report these lines; the error's own text is hidden")
    names = {p.name for p in run.folder.iterdir()}
    assert {"page.ipynb", "page.html"} <= names
    outputs = nbformat.read(run.folder / "page.ipynb", 4).cells[-1].outputs
    assert "Canary" not in str(outputs)
    assert [o.data["text/plain"].partition(":")[0] for o in outputs] == [
        "1 output withheld (1 error)"
    ]
    executed = run.private / pages.EXECUTED / "page.ipynb"
    assert "Canary" in str(nbformat.read(executed, 4).cells[-1].outputs)


@pytest.mark.parametrize(("committed", "said"), [(True, "did happen"), (False, "did not happen")])
def test_a_doubt_that_was_settled_is_told_as_what_the_database_said(
    clinic: Clinic, committed: bool, said: str
) -> None:
    run = record.create(environments.load(DEV))
    with pytest.raises(InDoubt), run.stage("apply"):
        raise InDoubt("the connection was lost", state="not known yet", next="settle it")
    assert "not known yet" in notebook.last_error(run)
    run.journal(Event.SETTLED, committed=committed)
    assert said in notebook.last_error(run)
    assert "not known yet" not in notebook.last_error(run)


def test_a_killed_runner_leaves_its_kernels_files_to_the_next_page_alone(clinic: Clinic) -> None:
    run = run_page(clinic, "1")
    left = run.private.parent / notebook.HOME
    assert not left.exists()
    left.mkdir()
    (left / "kernel.json").write_text("a key")
    source = (
        "import tempfile; from pathlib import Path; from nexus_reimport import show\n"
        "place = Path(tempfile.gettempdir())\n"
        "show.Page(place.name + str(len(list(place.glob('k*')))), ())"
    )
    run = run_page(clinic, source)
    assert f"{notebook.HOME}0</h3>" in (run.folder / "page.html").read_text()
    assert not left.exists()


def test_a_page_that_leaves_early_is_partial(clinic: Clinic) -> None:
    run = run_page(clinic, "import sys\nsys.exit(0)")
    assert run.verdict() is Verdict.PARTIAL


def test_a_kernel_whose_last_words_take_a_moment_ends_by_itself(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuietManager, "shutdown_wait_time", 120.0)
    # Else it is a race that one of some kernels loses: what is to be sent is sent by nobody. At its
    # end a kernel forgets the names of the page, so they are a function's own.
    source = (
        "def slow_down():\n"
        "    import sys, threading, time\n"
        "    sends = sys.stdout.pub_thread\n    send = sends.schedule\n"
        "    def later(what):\n"
        "        if threading.current_thread().name == 'Control':\n"
        "            open('first', 'a').close()\n            time.sleep(0.05)\n"
        "        if sends.thread.is_alive():\n            send(what)\n"
        "    sends.schedule = later\n"
        "slow_down()"
    )
    run = run_page(clinic, source)
    took = time.time() - (clinic.folder / "first").stat().st_mtime
    assert took < OutStream.flush_timeout * 0.9
    assert not journal.only(run.events(), Event.FAILED)


def test_a_kernel_that_dies_between_stages_is_killed(clinic: Clinic) -> None:
    run = run_page(clinic, "import os\nos._exit(9)")
    assert run.verdict() is Verdict.KILLED
    assert "the kernel died" in notebook.last_error(run)
    assert "next:  Linux ends a program like this where memory runs out" in notebook.last_error(run)


def test_where_no_kernel_can_be_forked_jupyter_starts_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked, "SUITABLE", False)
    source = (
        "from pathlib import Path\nPath('cell').write_text(Path('/proc/self/cmdline').read_text())"
    )
    run = run_page(clinic, source)
    assert "ipykernel_launcher" in (clinic.folder / "cell").read_text()
    assert not journal.only(run.events(), Event.FAILED)


def test_a_kernel_is_forked_from_a_process_that_ends_with_the_runner(clinic: Clinic) -> None:
    code = (
        "import sys; from pathlib import Path; from nexus_reimport import record, settings\n"
        "from nexus_reimport.runner import notebook\n"
        "run = record.create(settings.load(sys.argv[1]))\n"
        "notebook.execute(run, 'page', {'run_id': run.id}, Path(sys.argv[2]))"
    )
    source = "import os, time\nopen('pids', 'w').write(f'{os.getppid()} {os.getpid()} ')\n"
    page_that(clinic.folder, source + "while True: pass")
    words = [sys.executable, "-c", code, DEV, str(clinic.folder)]
    pids = clinic.folder / "pids"
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as command:
        until(lambda: pids.exists() and pids.read_text().endswith(" "))
        server, kernel = map(int, pids.read_text().split())
        assert (comm(server), comm(kernel)) == (fork_server.SERVER, fork_server.KERNEL)
        assert os.getsid(kernel) == kernel, "Ctrl-C at the terminal does not reach it"
        command.kill()
        until(lambda: not comm(server) and not comm(kernel))
    assert record.every(environments.load(DEV))[-1].workers() == ()


def comm(pid: int) -> str:
    """The name of a process; "" where there is none, or only its exit code."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if ") Z " in state else state.partition("(")[2].rpartition(")")[0]


def test_a_kernel_whose_fork_server_is_killed_has_died_and_the_next_has_another(
    clinic: Clinic,
) -> None:
    source = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)"
    run = run_page(clinic, source)
    assert run.verdict() is Verdict.KILLED
    assert "the kernel died" in notebook.last_error(run)
    assert run.workers() == ()
    run = run_page(clinic, "open('cell', 'w').close()")
    assert (clinic.folder / "cell").exists()


@pytest.fixture
def taken_ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many kernels are yet to be started whose port another program takes before them."""
    left = [0]
    start = forked.kernel

    def after_another(arguments: list[str], *others: Any) -> Any:
        if left[0] == 0:
            return start(arguments, *others)
        left[0] -= 1
        connection = json.loads(Path(arguments[arguments.index("-f") + 1]).read_bytes())
        other = taken.enter_context(socket.socket())
        other.bind((connection["ip"], connection["shell_port"]))
        other.listen()
        return start(arguments, *others)

    with ExitStack() as taken:
        monkeypatch.setattr(forked, "kernel", after_another)
        yield left


def test_a_kernel_whose_port_another_program_took_is_started_anew(
    clinic: Clinic, taken_ports: list[int]
) -> None:
    taken_ports[0] = notebook.STARTS - 1
    run = run_page(clinic, "open('cell', 'w').close()")
    assert (clinic.folder / "cell").exists()
    assert not journal.only(run.events(), Event.FAILED)


def test_a_kernel_that_never_starts_is_told(clinic: Clinic, taken_ports: list[int]) -> None:
    taken_ports[0] = notebook.STARTS
    run = run_page(clinic, "open('cell', 'w').close()")
    assert run.verdict() is Verdict.FAILED
    assert not (clinic.folder / "cell").exists()
    error = notebook.last_error(run)
    assert error.startswith(f"no kernel could be started: each of {notebook.STARTS} died")
    assert "the database is as it was" in error
    log = next(word for word in error.split() if word.endswith(".log"))
    assert "Address already in use" in Path(log).read_text()


def test_html_asks_no_other_host_for_anything(clinic: Clinic) -> None:
    run = run_page(clinic, "import nexus_reimport.show as s\ns.Page('t', ())")
    text = (run.folder / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert 'src="http' not in text
    assert 'href="http' not in text
    assert "url(http" not in text


def test_a_seal_that_a_kill_kept_from_the_database_reaches_it_with_the_next_run(
    clinic: Clinic,
    rehearsed: Path,
) -> None:
    book = clinic.whole(rehearsed=rehearsed)
    clinic.do("UPDATE nexus_reimport.runs SET seal = ''", role=ROLE)
    later = runbook.begin(DEV).run
    assert anchor.rows(book.settings)[0].seal == book.run.seal_digest()
    assert [e.line["of"] for e in later.events() if e.event == "anchored"] == [book.run.id]


def test_a_record_that_was_edited_is_not_anchored_afterwards(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.whole(rehearsed=rehearsed)
    clinic.do("UPDATE nexus_reimport.runs SET seal = ''", role=ROLE)
    with (book.run.folder / "journal.jsonl").open("a") as file:
        file.write("{}\n")
    runbook.begin(DEV)
    assert anchor.rows(book.settings)[0].seal == ""


def test_an_archive_that_fails_is_told_loudly_and_changes_no_result(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(
        path.read_text() + '\n[record.archive]\nbucket = "records"\nregion = "us-east-1"\n'
        'days = 30\nendpoint = "http://127.0.0.1:9"\n'
        'access_key = {env = "NEXUS_SANDBOX_S3_ACCESS_KEY"}\n'
        'secret_key = {env = "NEXUS_SANDBOX_S3_SECRET_KEY"}\n'
    )
    closed = runner.seal(DEV)
    assert (closed.sealed, closed.verdict, closed.exit_code) == (True, Verdict.PARTIAL, 1)
    assert closed.error.startswith("the record is not in the archive: a request failed")
    assert "nexus-reimport record archive" in closed.error
    assert book.run.problems() == []


@pytest.mark.parametrize(
    "program",
    [
        "nexus_reimport.runner, papermill",
        "nexus_reimport.page.application",
        "nexus_reimport.runner.lab_server",
    ],
)
def test_no_program_waits_for_what_no_notebook_needs(program: str) -> None:
    spared = "sys.modules['rfc3987_syntax']"
    code = f"import sys, {program}; sys.exit(bool({spared}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
