"""A preflight says GO only where an approval would pass, and else what it is refused for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport import record, runbook, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError, StopError
from nexus_reimport.events import Event
from nexus_reimport.model import Proposal
from nexus_reimport.record import Verdict
from nexus_reimport.record.sealed import check
from nexus_reimport.runbook import whereabouts
from nexus_reimport.runbook.opening import today
from nexus_reimport.runner import notebook
from support.auditing import auditors_tool
from support.clinic import ROLE, Clinic, taken_back
from support.running import until

DEV, PROD = "sandbox-dev", "sandbox-prod"


def status() -> str:
    """What the command says of prod: the same as its gate."""
    return show.whereabouts(whereabouts.of(environments.load(PROD)))


def test_a_go_on_prod_says_what_its_approval_is_refused_for_and_stays_good_for_it(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    clinic.add_prod()
    asked: list[str] = []
    (waiting,) = runner.run([PROD], ask=lambda run, proposal: asked.append(run.id) or "")
    assert (waiting.verdict, waiting.exit_code) == (Verdict.WAITING, 6)
    assert asked == [], "nobody is asked for a digest that would be refused"
    assert f"  {DEV} has no COMPLETE run: run `nexus-reimport run {DEV}`" in waiting.advice
    assert f"until this is fixed: {DEV} has no COMPLETE run" in waiting.summary
    (run,) = record.every(environments.load(PROD))
    page = (run.folder / "01_preflight.html").read_text(encoding="utf-8")
    assert "is refused until you have fixed the following" in page
    digest = run.load(Proposal).digest[:12]
    before = clinic.state("prod")
    (refused,) = runner.run([PROD], approve=digest)
    assert (refused.exit_code, refused.verdict) == (1, None)
    assert f"{DEV} has no COMPLETE run" in refused.error
    assert run.verdict() is Verdict.WAITING, "a refused approval costs no preflight"
    assert clinic.state("prod") == before
    unfinished = record.create(environments.load(DEV))
    unfinished.journal(Event.COMMITTED)
    first = f"nexus-reimport finish {DEV} ends its run {unfinished.id} first; then: run `nexus-"
    assert whereabouts.of(environments.load(PROD)).next.startswith(first)
    shutil.rmtree(unfinished.bag)
    tried = clinic.whole(DEV, rehearsed)
    assert taken_back(DEV).passed, "a way back that was tried on dev costs prod nothing"
    gate = runbook.resume(PROD).gates()[0]
    assert gate.claim.endswith(f"was tested ({tried.run.id}; taken back since)")
    way_back = record.every(environments.load(DEV))[-1]
    way_back.bag.rename(tmp_path / way_back.id)  # the database says it without that record
    assert runbook.resume(PROD).gates()[0].claim == gate.claim
    assert f"dev       COMPLETE, run {tried.run.id} (taken back since)\n" in status()
    (tmp_path / way_back.id).rename(way_back.bag)
    for name, old, new in (
        (DEV, *(f'database = "{clinic.databases[kind]}"' for kind in ("dev", "prod"))),
        (PROD, "sandbox = true", "sandbox = false"),
    ):
        clinic.edit(name, old, new)
        assert "cannot stand for dev" in str(runbook.resume(PROD).gates()[0].refusal)
        assert f"not known: {DEV} cannot stand for dev" in status()
        clinic.edit(name, new, old)
    anchored = "UPDATE nexus_reimport.runs SET seal = %s WHERE run = %s"
    clinic.do(anchored, "dev", "0" * 64, tried.run.id, role=ROLE)
    not_ours = "is not the one whose seal its database holds"
    assert not_ours in str(runbook.resume(PROD).gates()[0].refusal)
    assert f"(no run can rely on it now: the record {tried.run.id} of {DEV} {not_ours})" in status()
    clinic.do(anchored, "dev", tried.run.seal_digest(), tried.run.id, role=ROLE)
    (done,) = runner.run([PROD], approve=digest)
    assert (done.run, done.verdict) == (run.id, Verdict.COMPLETE)


def test_a_dev_environment_that_cannot_stand_for_dev_is_said_with_the_go(clinic: Clinic) -> None:
    clinic.add_prod()
    clinic.edit(PROD, f'dev_environment = "{DEV}"', f'dev_environment = "{PROD}"')
    book = clinic.preflight(PROD)
    (refusal,) = book.outlook().refusals
    assert "cannot stand for dev" in refusal.what
    text = repr(show.proposal(book.run.load(Proposal), book.outlook()))
    assert text.splitlines()[0].startswith("GO, but an approval of ")
    assert "cannot stand for dev" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            '[decisions.patients]\nnot_in_filemaker = "keep"',
            '[decisions.patients]\nnot_in_filemaker = "purge"',
        ),
        ("at_most = 86", "at_most = 85"),
        ('bucket = "walk-nexus-dev"', 'bucket = "second-installation"'),
    ],
)
def test_who_decides_otherwise_after_the_preflight_is_told_that_its_plan_is_another(
    clinic: Clinic, old: str, new: str
) -> None:
    book = clinic.proposed()
    clinic.edit(DEV, old, new)
    before = clinic.state()
    reason = (
        "what the environment's file decides, waives and reads from was changed since the preflight"
    )
    assert reason in [refusal.what for refusal in runbook.resume(DEV).refusals()]
    (refused,) = runner.run([DEV], approve=book.run.load(Proposal).digest[:12])
    assert refused.exit_code == 1
    assert reason in refused.error
    assert "run 01_preflight again" in refused.error
    assert clinic.state() == before
    clinic.edit(DEV, new, old)
    assert runbook.resume(DEV).refusals() == ()


def test_a_plan_that_others_have_made_void_is_no_go(clinic: Clinic) -> None:
    book = clinic.planned()
    book.check_before()
    book.rehearse()
    clinic.do("UPDATE notes SET content = content || '.'")
    # The server counts what a session has written when that ends, some time after it was closed.
    until(lambda: book.activity().changed == ("notes",))
    with pytest.raises(StopError, match="so the plan is void: notes"):
        book.propose()
    assert book.run.verdict() is Verdict.STOPPED
    assert not book.run.has(Proposal)


def test_a_check_whose_outcome_was_edited_before_the_approval_lets_nothing_pass(
    clinic: Clinic,
) -> None:
    """In an open run a person could turn a check that stops into one that passed: no trace."""
    book = clinic.planned()
    report, path = book.check_before(), book.run.folder / "checks_before.json"
    passed = path.read_bytes()
    (stops,) = (r for r in report.results if r.check == "filemaker_was_read_completely")
    others = tuple(r for r in report.results if r != stops)
    book.run.save(replace(report, results=(replace(stops, offending=1), *others)), "checks_before")
    with pytest.raises(StopError, match="filemaker_was_read_completely"):
        book.rehearse()
    path.write_bytes(passed)
    with pytest.raises(RecordError, match="is not what its stage has written") as refused:
        book.rehearse()
    assert "run 01_preflight from the top" in refused.value.next
    problem = "checks_before.json: it is not what its stage has written"
    assert problem in check.of_record(book.run.bag).problems
    book.run.seal()
    assert problem in check.of_record(book.run.bag).problems
    assert problem in auditors_tool().check_record(book.run.bag)[1]


def test_a_waiver_that_ends_today_is_said_with_the_go(clinic: Clinic) -> None:
    path = clinic.folder / f"{DEV}.toml"
    day = today(environments.load(DEV)).isoformat()
    path.write_text(path.read_text().replace("2099-12-31", day))
    book = clinic.preflight(dry=True)
    assert f"every_patient_has_a_clinic, until {day}" in book.outlook().ending
    text = repr(show.proposal(book.run.load(Proposal), book.outlook()))
    assert "verification after midnight would stop: every_patient_has_a_clinic" in text


def test_a_page_that_was_executed_is_the_one_that_is_named(clinic: Clinic) -> None:
    run = record.create(environments.load(DEV))
    assert notebook.latest(run, "01_preflight") == "01_preflight"
    for name in ("01_preflight", "01_preflight-2"):
        (run.folder / f"{name}.html").touch()
    assert notebook.latest(run, "01_preflight").endswith("01_preflight-2.html")


def test_a_digest_that_needs_a_new_preflight_is_not_given_to_be_approved(clinic: Clinic) -> None:
    """It was listed as refused, and below that stood the command that approves it."""
    digest = clinic.proposed().run.load(Proposal).digest[:12]
    assert f"--approve {digest}" in runner.settle(DEV).advice
    clinic.edit(DEV, 'past_scheduled = "keep"', 'past_scheduled = "completed"')
    advice = runner.settle(DEV).advice
    assert f"{digest} can no longer be approved:" in advice
    assert "run 01_preflight again" in advice
    assert "--approve" not in advice
