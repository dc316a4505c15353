"""The hook that is told each run's result: once per command, with the verdict and without data."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import record, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError
from nexus_reimport.events import Event
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import maintenance
from support.clinic import Clinic
from support.stops import env

DEV = "sandbox-dev"


@dataclass(frozen=True, slots=True)
class Told:
    """A script that keeps what it is told, and what was told so far."""

    folder: Path

    def news(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("news.*"))]

    def does(self, then: str = "") -> None:
        script = self.folder / "told"
        script.write_text(
            f"#!/bin/sh\ncat > {self.folder}/news.$(ls {self.folder} | wc -l)\n{then}\n"
        )
        script.chmod(0o700)


@pytest.fixture
def told(clinic: Clinic, tmp_path: Path) -> Told:
    folder = tmp_path / "mail"
    folder.mkdir()
    script = Told(folder)
    script.does()
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(f'{path.read_text()}\n[hooks]\ntold = ["{folder}/told"]\ntimeout = 20\n')
    return script


def test_the_end_of_a_run_is_told_with_its_verdict_and_where_its_record_is(
    clinic: Clinic, told: Told
) -> None:
    run = record.create(environments.load(DEV))
    outcome = runner.seal(DEV)
    (news,) = told.news()
    assert {name: news[name] for name in ("environment", "run", "kind", "verdict", "sealed")} == {
        "environment": DEV,
        "run": run.id,
        "kind": "reimport",
        "verdict": str(outcome.verdict),
        "sealed": True,
    }
    assert news["seal"] == run.seal_digest()
    assert news["record"] == str(run.bag)
    assert news["exit_code"] == outcome.exit_code
    assert news["environment_kind"] == "dev"
    assert outcome.untold == ""


def test_a_rollback_is_told_with_the_run_that_it_undoes_and_the_window_if_it_is_still_up(
    clinic: Clinic, told: Told
) -> None:
    settings = environments.load(DEV)
    undone = "20260101T000000Z-0000"
    run = record.create(settings, "rollback", undoes=undone)
    clinic.edit(DEV, "timeout = 20", 'timeout = 20\nenter = ["/bin/true"]\nleave = ["/bin/false"]')
    with contextlib.suppress(ReimportError), maintenance.held(environments.load(DEV), run):
        pass
    runner.seal(DEV)
    run = record.create(settings, "rollback", undoes=undone)
    run.journal(Event.COMMITTED)
    outcome = runner.seal(DEV)
    first, news = told.news()
    assert (first["undoes"], first["database"]) == (undone, "as it was: nothing was written")
    assert (news["undoes"], news["database"]) == (undone, f"committed: run {undone} is undone")
    assert outcome.window
    assert news["window"] == outcome.window


def test_a_stopped_run_is_told_with_its_four_lines_and_no_secret(
    clinic: Clinic, told: Told
) -> None:
    env(clinic, "NEXUS_SANDBOX_FILEMAKER_URL", "http://127.0.0.1:9")
    (outcome,) = runner.run([DEV])
    (news,) = told.news()
    assert news["verdict"] == str(outcome.verdict) == "FAILED"
    assert news["error"] == outcome.error
    assert "next:" in news["error"]
    secrets = (clinic.folder / f".env.{DEV}").read_text().split("\n")
    values = [line.partition("=")[2] for line in secrets if line]
    assert values
    assert not [v for v in values if v in json.dumps(news)]


def test_a_command_that_began_no_run_tells_nobody(clinic: Clinic, told: Told) -> None:
    (outcome,) = runner.run([DEV], approve="0" * 12)
    assert outcome.run == ""
    assert told.news() == []


@pytest.mark.parametrize(
    ("then", "why"),
    [("exit 3", "`told` ended with exit code 3"), ("sleep 300", "it took longer than its 0.5 s")],
)
def test_a_hook_that_fails_is_said_and_changes_no_result(
    clinic: Clinic, told: Told, then: str, why: str
) -> None:
    told.does(then)
    clinic.edit(DEV, "timeout = 20", "timeout = 0.5" if "sleep" in then else "timeout = 60")
    record.create(environments.load(DEV))
    began = time.monotonic()
    outcome = runner.seal(DEV)
    assert time.monotonic() - began < 200
    assert outcome.verdict is Verdict.PARTIAL
    assert outcome.sealed
    assert why in outcome.untold
    assert "this does not affect the run's result" in outcome.untold


def test_a_hook_that_reads_nothing_holds_nobody_up(clinic: Clinic, told: Told) -> None:
    script = told.folder / "told"
    script.write_text("#!/bin/sh\nexit 0\n")
    record.create(environments.load(DEV))
    assert runner.seal(DEV).untold == ""
