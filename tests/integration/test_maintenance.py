"""The maintenance window: up before an execution, down however it ends, and it says so if not."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import CHECKOUT, record, runbook, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import Busy, RecordError, SettingsError, StopError
from nexus_reimport.progress import heard_by
from nexus_reimport.record import Run, Verdict
from nexus_reimport.runbook import maintenance, whereabouts
from nexus_reimport.settings import Settings
from support.clinic import ROLE, Clinic
from support.commands import command
from support.halting import halted
from support.running import digest_of, in_background, kill_kernel, stage_pid, until

DEV = "sandbox-dev"
SAYS = "a word that only the hook says"


@dataclass(frozen=True, slots=True)
class Hooks:
    """Two scripts of a clinic, and what they have done."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "runs" / DEV / ".window"

    @property
    def log(self) -> Path:
        return self.folder / "private" / DEV / "hooks.log"

    def did(self) -> list[str]:
        """The hooks that were started, in order."""
        path = self.folder / "did"
        return path.read_text().split() if path.is_file() else []

    def does(self, hook: str, then: str) -> None:
        """Make a hook do this after it has written that it was started."""
        script = self.folder / hook
        made = f"#!/bin/sh\necho {SAYS}\necho {hook} >> {self.folder}/did\n{then}\n"
        script.write_text(made)
        script.chmod(0o700)


@pytest.fixture
def hooks(clinic: Clinic) -> Hooks:
    """The clinic's dev environment, with hooks that succeed."""
    made = Hooks(clinic.folder.parent)
    for hook in ("enter", "leave"):
        made.does(hook, "exit 0")
    path = clinic.folder / f"{DEV}.toml"
    named = "".join(f'{h} = ["{made.folder}/{h}", "an argument"]\n' for h in ("enter", "leave"))
    path.write_text(f"{path.read_text()}\n[hooks]\n{named}timeout = 20\n")
    return made


def told(run: Run) -> list[str]:
    return [e.event for e in run.events() if str(e.event).startswith("window")]


def settings() -> Settings:
    return environments.load(DEV)


# ---------------------------------------------------------------- around an execution


def test_the_window_is_up_from_before_the_locks_to_the_sign_off(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    seen: list[tuple[list[str], bool]] = []

    def look(done: int, _: int, begun: str) -> None:
        seen.append((hooks.did(), hooks.state.exists()))

    with heard_by(look):
        runbook.resume(DEV, book.run.id).apply()
    assert seen[0] == (["enter"], True)
    assert stat.S_IMODE(hooks.state.stat().st_mode) == 0o600
    runbook.resume(DEV, book.run.id)
    book.verify()
    assert hooks.did() == ["enter"], "what people write before the verification would differ"
    book.sign_off()
    assert hooks.did() == ["enter", "leave"]
    assert not hooks.state.exists()
    assert told(book.run) == ["window entered", "window left"]
    assert book.run.verdict() is Verdict.COMPLETE
    names = [e.event for e in book.run.events()]
    assert names.index("window entered") < names.index("committing")
    assert names.index("verified") < names.index("window left")
    facts = next(e.line for e in book.run.events() if e.event == "window entered")
    assert facts["exit_code"] == 0
    assert facts["seconds"] >= 0


def test_a_dry_run_puts_nothing_up(clinic: Clinic, hooks: Hooks) -> None:
    clinic.preflight()
    assert hooks.did() == []
    assert not hooks.state.exists()


def test_without_hooks_no_file_is_made(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    book.verify()
    book.sign_off()
    book.seal()
    assert told(book.run) == []
    assert list(clinic.folder.parent.rglob(".window*")) == []
    assert list(clinic.folder.parent.rglob("hooks.log")) == []


def test_a_failing_enter_starts_no_execution(clinic: Clinic, hooks: Hooks, rehearsed: Path) -> None:
    hooks.does("enter", "exit 7")
    book = clinic.approved(rehearsed)
    before = clinic.state()
    with pytest.raises(StopError, match="could not be put up: `enter` ended with exit code 7") as e:
        book.apply()
    assert "the execution was not started" in e.value.state
    assert hooks.did() == ["enter", "leave"]
    assert not hooks.state.exists()
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.STOPPED
    assert told(book.run) == ["window failed", "window left"]


def test_a_missing_enter_starts_no_execution(clinic: Clinic, hooks: Hooks, rehearsed: Path) -> None:
    (hooks.folder / "enter").unlink()
    book = clinic.approved(rehearsed)
    before = clinic.state()
    with pytest.raises(StopError, match="`enter` could not be started: No such file"):
        book.apply()
    assert hooks.did() == ["leave"]
    assert clinic.state() == before


def test_a_hanging_hook_is_ended_with_its_children(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    clinic.edit(DEV, "timeout = 20", "timeout = 0.5")
    child = hooks.folder / "child"
    hooks.does("enter", f"sleep 300 & echo $! > {child}; wait")
    book = clinic.approved(rehearsed)
    with pytest.raises(
        StopError, match=r"ended with all its children: it took longer than its 0\.5"
    ):
        book.apply()
    until(lambda: not is_alive(int(child.read_text())))
    assert hooks.did() == ["enter", "leave"]
    failed = next(e.line for e in book.run.events() if e.event == "window failed")
    assert failed["exit_code"] is None


def is_alive(pid: int) -> bool:
    """Whether a process is there and not only waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_stop_inside_the_transaction_takes_it_down_at_once(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    clinic.do("UPDATE notes SET content = content || '.'")
    with pytest.raises(StopError, match="was changed since the preflight"):
        book.apply()
    assert hooks.did() == ["enter", "leave"]
    assert not hooks.state.exists()


def test_an_interrupt_after_the_commit_leaves_it_up_for_the_verification(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)

    def interrupt(done: int, total: int, begun: str) -> None:
        if done == total and not begun:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), heard_by(interrupt):
        runbook.resume(DEV, book.run.id).apply()
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    assert hooks.did() == ["enter"]
    assert runner.finish(DEV).verdict is Verdict.COMPLETE
    assert hooks.did() == ["enter", "leave"]


def test_a_verification_that_says_no_takes_it_down_too(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    clinic.do("UPDATE notes SET content = content || '.'")
    assert not book.verify().passed
    with pytest.raises(StopError) as stopped:
        book.sign_off()
    assert stopped.value.next.startswith(f"nexus-reimport finish {DEV} prints what a person can")
    assert hooks.did() == ["enter", "leave"]
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED


def test_sealing_takes_it_down(clinic: Clinic, hooks: Hooks, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    book.seal()
    assert hooks.did() == ["enter", "leave"]
    assert told(book.run) == ["window entered", "window left"]
    assert book.run.problems() == []


# ---------------------------------------------------------------- after a kill


def killed_in_the_transaction(clinic: Clinic, hooks: Hooks, rehearsed: Path) -> runbook.Runbook:
    book = clinic.approved(rehearsed)
    with halted(book.settings.name, book.run.id, 7, hooks.folder / "marker") as process:
        process.kill()
        process.wait()
    assert hooks.did() == ["enter"]
    assert hooks.state.exists()
    return book


def next_run() -> Any:
    return runner.run([DEV])[0]


NEXT: dict[str, Callable[[], Any]] = {
    "run": next_run,
    "finish": lambda: runner.finish(DEV),
    "settle": lambda: runner.settle(DEV),
    "seal": lambda: runner.seal(DEV),
}


@pytest.mark.parametrize("name", NEXT)
def test_the_next_command_takes_down_what_a_killed_one_left_up(
    clinic: Clinic, hooks: Hooks, rehearsed: Path, name: str
) -> None:
    before = clinic.state()
    killed_in_the_transaction(clinic, hooks, rehearsed)
    outcome = NEXT[name]()
    assert outcome.window == ""
    assert hooks.did() == ["enter", "leave"]
    assert not hooks.state.exists()
    assert clinic.state() == before


def test_a_command_that_refuses_takes_it_down_too(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    killed_in_the_transaction(clinic, hooks, rehearsed)
    with pytest.raises(RecordError):
        runner.finish(DEV, "no such run")
    assert hooks.did() == ["enter", "leave"]


def test_a_new_run_takes_it_down_and_the_same_run_resumed_does_not(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    book = killed_in_the_transaction(clinic, hooks, rehearsed)
    again = runbook.resume(DEV, book.run.id)
    runbook.begin(DEV, book.run.id)
    again.settle()
    assert hooks.did() == ["enter"]
    new = runbook.begin(DEV)
    assert hooks.did() == ["enter", "leave"]
    assert told(new.run) == ["window left"]
    assert new.run.events()[-1].line["of"] == book.run.id


def test_a_window_whose_file_was_cut_short_is_taken_down(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    killed_in_the_transaction(clinic, hooks, rehearsed)
    assert "the window is still up" in show.whereabouts(whereabouts.of(settings()))
    hooks.state.write_text('{"run": "2026')
    assert maintenance.leave(settings()) == ""
    assert not hooks.state.exists()


def test_nobody_takes_down_the_window_that_another_process_is_inside_of(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    with halted(book.settings.name, book.run.id, 7, hooks.folder / "marker"):
        assert maintenance.leave(settings()) == ""
        assert maintenance.still_up(settings()) == ""
        with pytest.raises(Busy, match="another process is at a step of run"):
            runbook.resume(DEV, book.run.id).apply()
        with (
            pytest.raises(Busy, match="inside its maintenance window"),
            maintenance.held(settings(), book.run),
        ):
            pass
        assert hooks.did() == ["enter"]
        assert hooks.state.exists()
    maintenance.leave(settings())
    assert hooks.did() == ["enter", "leave"]


def test_a_killed_kernel_leaves_no_window_up(clinic: Clinic, hooks: Hooks) -> None:
    digest = digest_of(clinic.proposed())
    before = clinic.state()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with clinic.connect() as other, other.transaction():
        other.execute("LOCK TABLE xero_contact_links")
        thread, outcomes = in_background(lambda: runner.run([DEV], approve=digest))
        until(lambda: stage_pid("apply") and clinic.value(waiting, role=ROLE))
        assert hooks.state.exists()
        kill_kernel("apply")
    thread.join(120)
    assert outcomes[0].verdict is Verdict.KILLED
    assert hooks.did() == ["enter", "leave"]
    assert not hooks.state.exists()
    assert told(record.every(settings())[-1]) == ["window entered", "window left"]
    assert clinic.state() == before


# ---------------------------------------------------------------- a failing leave


def test_a_failing_leave_changes_no_verdict_and_a_person_is_told_until_it_succeeds(
    clinic: Clinic, hooks: Hooks, rehearsed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hooks.does("leave", "exit 9")
    book = clinic.approved(rehearsed)
    book.apply()
    code, out, err = command(capsys, "finish", DEV)
    assert code == 0
    assert book.run.verdict() is Verdict.COMPLETE
    assert book.run.problems() == []
    assert "THE MAINTENANCE WINDOW IS STILL UP: `leave` ended with exit code 9" in err
    by_hand = err.partition("run by hand: ")[2].splitlines()[0]
    assert f"{hooks.folder}/leave 'an argument'" in by_hand
    assert "STILL UP" in out
    assert "STILL UP" in repr(show.signed_off(book.run))
    assert set(told(book.run)) == {"window entered", "window failed"}
    assert hooks.state.exists()
    tried = hooks.did().count("leave")
    subprocess.run(["/bin/sh", "-c", by_hand], check=False)
    assert hooks.did().count("leave") == tried + 1, "what is told can be pasted as it stands"
    tried += 1
    hooks.does("leave", "exit 0")
    code, _, err = command(capsys, "settle", DEV, "--run", book.run.id)
    assert "STILL UP" not in err
    assert hooks.did().count("leave") == tried + 1
    assert not hooks.state.exists()
    assert book.run.problems() == [], "a sealed record is never written to"


def test_an_error_tells_besides_that_the_window_is_still_up(
    clinic: Clinic, hooks: Hooks, rehearsed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hooks.does("leave", "exit 9")
    book = clinic.approved(rehearsed)
    clinic.do("UPDATE notes SET content = content || '.'")
    with pytest.raises(StopError) as error:
        book.apply()
    assert "was changed since the preflight" in str(error.value)
    assert "STILL UP" in error.value.__notes__[0]
    assert book.run.verdict() is Verdict.STOPPED
    code, _, err = command(capsys, "finish", DEV, "--run", "nowhere")
    assert (code, err.splitlines()[0]) == (2, "no run nowhere of sandbox-dev")
    assert "STILL UP: `leave` ended with exit code 9" in err


def test_hooks_taken_out_of_the_file_meanwhile_do_not_hide_the_window(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    killed_in_the_transaction(clinic, hooks, rehearsed)
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(path.read_text().partition("\n[hooks]")[0])
    outcome = runner.settle(DEV)
    assert "STILL UP: [hooks] no longer has a `leave`" in outcome.window
    assert hooks.state.exists()


# ---------------------------------------------------------------- what a hook knows and says


def test_a_hook_knows_environment_and_run_and_no_secret(
    clinic: Clinic, hooks: Hooks, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXUS_SANDBOX_PG_PASSWORD", clinic.server.access.passwords[ROLE])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tell-nobody")
    hooks.does("enter", f"env > {hooks.folder}/environment; pwd >> {hooks.folder}/environment")
    book = clinic.approved(rehearsed)
    book.apply()
    lines = (hooks.folder / "environment").read_text().splitlines()
    known = dict(line.split("=", 1) for line in lines if "=" in line)
    assert known["NEXUS_REIMPORT_ENVIRONMENT"] == DEV
    assert known["NEXUS_REIMPORT_RUN"] == book.run.id
    shell = {"PWD", "_", "SHLVL", "OLDPWD"}  # set by the shell itself
    ours = {"PATH", "HOME", "LANG", "NEXUS_REIMPORT_ENVIRONMENT", "NEXUS_REIMPORT_RUN"}
    assert known.keys() <= ours | shell
    assert known["PATH"] == os.environ["PATH"]


def test_what_a_hook_prints_stays_private(clinic: Clinic, hooks: Hooks, rehearsed: Path) -> None:
    hooks.does("leave", "echo out; echo err >&2; exit 9")
    book = clinic.approved(rehearsed)
    book.apply()
    book.verify()
    book.sign_off()
    book.seal()
    assert stat.S_IMODE(hooks.log.stat().st_mode) == 0o600
    text = hooks.log.read_text()
    assert {SAYS, "out", "err"} <= set(text.splitlines())
    assert "exit code 9" in text
    for path in book.run.folder.rglob("*"):
        assert SAYS.encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("hooks_text", "said"),
    [
        ('enter = ["/bin/true"]', "enter and leave belong together"),
        ('enter = ["./up"]\nleave = ["./down"]', "an absolute path"),
        ('enter = ["true", ""]\nleave = ["true"]', "an argument is empty"),
        ('enter = "true"\nleave = "true"', "must be a list"),
        ('enter = ["true"]\nleave = ["true"]\ntimeout = 0', "greater than 0"),
        (
            'enter = ["true", { env = "NEXUS_SANDBOX_PG_PASSWORD" }]\nleave = ["true"]',
            "must not hold a secret",
        ),
    ],
)
def test_hooks_that_could_not_work_are_told_before_anything_starts(
    environment_files: Path, hooks_text: str, said: str
) -> None:
    path = environment_files / f"{DEV}.toml"
    path.write_text(f"{path.read_text()}\n[hooks]\n{hooks_text}\n")
    with pytest.raises(SettingsError, match=said) as error:
        environments.load(DEV, environment_files)
    assert "tell-nobody" not in str(error.value)


def test_an_interrupt_while_enter_is_at_work_ends_it(
    clinic: Clinic, hooks: Hooks, rehearsed: Path
) -> None:
    # a shell that starts the tests in the background lets them ignore it
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    hooks.does("enter", f"echo $$ > {hooks.folder}/pid; exec sleep 300")
    book = clinic.approved(rehearsed)

    def interrupt() -> None:
        until((hooks.folder / "pid").exists)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            book.apply()
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert not is_alive(int((hooks.folder / "pid").read_text()))
    assert hooks.did() == ["enter", "leave"]
    assert not hooks.state.exists()


# ---------------------------------------------------------------- what a clinic gets

RUNBOOK = CHECKOUT / "runbook"


@pytest.mark.parametrize("kind", ["dev", "prod"])
def test_the_templates_example_can_be_taken_as_it_stands(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (RUNBOOK / "environments" / f"{kind}.toml.template").read_text()
    before, _, after = text.partition("\n# [hooks]\n")
    example, _, rest = after.partition("\n\n")
    lines = "\n".join(line.removeprefix("# ") for line in example.splitlines())
    (tmp_path / f"{kind}.toml").write_text(f"{before}\n[hooks]\n{lines}\n\n{rest}")
    for name in ("PG_PASSWORD", "FILEMAKER_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(f"NEXUS_{kind.upper()}_{name}", "x")
    found = environments.load(kind, tmp_path).hooks
    assert found.enter[-1] == found.leave[-1], "what is put up is what is taken away"
    assert Path(found.enter[-2]).name == (RUNBOOK / "maintenance.html").name


def test_the_maintenance_page_asks_no_host_for_anything_and_runs_nothing() -> None:
    text = (RUNBOOK / "maintenance.html").read_text()
    for asked in ("http:", "https:", "//", "<script", "<link", "<img", "@import", "url(", "src="):
        assert asked not in text, asked
    assert "width=device-width" in text
    assert "prefers-color-scheme: dark" in text
    assert "Nothing that was saved is lost" in text
