"""Between an approval and its COMMIT: what was changed since, and who else is at the same run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport import model, runbook, runner
from nexus_reimport.errors import Busy, ReimportError, StopError
from nexus_reimport.events import Event
from nexus_reimport.model import Approval, NewerDecision, Proposal
from nexus_reimport.page import front
from nexus_reimport.page.desk import Desk
from nexus_reimport.progress import heard_by
from nexus_reimport.record import Verdict
from nexus_reimport.settings import Write
from nexus_reimport.stages import apply, approval
from support.applying import apply_with, order_of
from support.clinic import Clinic
from support.rollbacks import request_of
from support.running import DEV
from support.sheets import asked_of, fill, put_back

CLOSED = '\n[window]\nfrom = "03:00"\nto = "03:01"\n'


def refused(work: Callable[[], object]) -> ReimportError:
    with pytest.raises(ReimportError) as told:
        work()
    return told.value


def in_a_thread(work: Callable[[], object], told: list[ReimportError]) -> threading.Thread:
    """The work as of another engineer, begun; how it is refused goes to ``told``."""
    thread = threading.Thread(target=lambda: told.append(refused(work)))
    thread.start()
    return thread


def test_what_was_changed_since_the_approval_is_not_executed(
    clinic: Clinic, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An approval covers package, mapping and decisions: by another one another plan is meant."""
    book, before = clinic.approved(rehearsed), clinic.state()
    with monkeypatch.context() as upgraded:
        upgraded.setattr(approval, "code_digest", lambda: "of another package")
        told = refused(book.apply)
    assert told.what == "the package, with its libraries, was changed since the preflight"
    assert told.state == "nothing was written"
    assert told.next.startswith(f"run 01_preflight again (nexus-reimport run {DEV})")
    clinic.edit(DEV, 'past_scheduled = "keep"', 'past_scheduled = "completed"')
    told = refused(runbook.resume(DEV, book.run.id).apply)
    reason = "what the environment's file decides, waives and reads from was changed"
    assert reason in told.what
    assert "otherwise" not in told.what
    with monkeypatch.context() as upgraded:
        upgraded.setattr(approval, "code_digest", lambda: "of another package")
        told = refused(runbook.resume(DEV, book.run.id).apply)
    doubt = " since the preflight, or this version of the package reads it otherwise"
    assert f"{reason}{doubt}" in told.what
    assert clinic.state() == before
    clinic.edit(DEV, 'past_scheduled = "completed"', 'past_scheduled = "keep"')
    assert runbook.resume(DEV, book.run.id).apply().committed


def test_what_people_fill_in_after_the_preflight_is_not_left_out_in_silence(
    clinic: Clinic, rehearsed: Path
) -> None:
    """Of this run they expect it; the run's own sheet, as it is handed out, holds nothing of it."""
    book, before = clinic.approved(rehearsed), clinic.state()
    path, sheets = put_back(book)
    people, ((name,), *_) = sheets["clinics"], clinic.rows("SELECT name FROM clinics ORDER BY name")
    fill(people, asked_of(people, "clinic_id")[0], clinic_id=name)
    sheets.save(path)
    assert [one.what.partition(" since")[0] for one in book.refusals()] == [
        "manual.xlsx was changed"
    ]  # the page and the last lines of 01 tell it, too
    for work in (book.apply, lambda: book.approve(rehearsed=True)):
        told = refused(work)
        assert "manual.xlsx was changed since the preflight, and holds 1 value" in told.what
        assert told.state == "nothing was written"
    assert clinic.state() == before
    put_back(book)
    assert runbook.resume(DEV, book.run.id).apply().committed


def test_what_another_package_has_rehearsed_is_not_proposed(
    clinic: Clinic, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update in the middle of a preflight: it was proposed as the work of the new package."""
    book = runbook.resume(DEV, clinic.approved(rehearsed).run.id)
    monkeypatch.setattr(approval, "code_digest", lambda: "of another package")
    told = refused(book.propose)
    assert told.what == "the package, or a library of it, was changed since this page loaded it"
    assert told.state == "nothing was written"


def test_an_approval_of_another_run_is_none_of_this_one(clinic: Clinic, rehearsed: Path) -> None:
    """With its digest written into it, the run was executed, and its record was as it should be."""
    run, before = clinic.approved(rehearsed).run, clinic.state()
    given = run.folder / "approval.json"
    kept = given.read_bytes()
    runbook.resume(DEV, run.id).propose()
    assert not given.exists()
    given.write_bytes(kept)
    assert run.damaged() == ("approval.json",)
    assert "it cannot be approved" in front.gather(Desk(DEV)).now.text
    told = refused(runbook.resume(DEV, run.id).apply)
    assert told.what == (
        "approval.json: the journal does not say that what was proposed last was approved"
    )
    assert clinic.state() == before
    runbook.resume(DEV, run.id).approve(rehearsed=True)
    assert runbook.resume(DEV, run.id).apply().committed


def test_a_package_that_was_changed_since_the_approval_takes_nothing_back(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, before = clinic.way_back(), clinic.state()
    with monkeypatch.context() as upgraded:
        upgraded.setattr(approval, "code_digest", lambda: "of another package")
        told = refused(book.undo)
    assert told.what == "the package, with its libraries, was changed since the preview"
    assert told.next == "run 90_rollback again and read it again"
    assert clinic.state() == before
    assert book.undo().exact


def test_an_approval_is_for_all_that_was_approved(clinic: Clinic, rehearsed: Path) -> None:
    order = order_of(clinic.approved(rehearsed))
    assert order.is_approved
    assert order.proposal
    assert order.approval
    survey, another = order.intake.survey, replace(order.plan, entities={}, digest="")
    others = (
        replace(order, environment="sandbox-prod"),
        replace(order, write=Write.ALL),
        replace(order, approval=replace(order.approval, digest="0" * 64)),
        replace(order, proposal=replace(order.proposal, after={})),
        replace(order, plan=replace(order.plan, entities={})),
        replace(order, plan=replace(another, digest=model.digest(another))),
        replace(order, intake=replace(order.intake, survey=replace(survey, schema=()))),
        replace(order, approval=None),
        replace(order, proposal=None),
    )
    assert [one.is_approved for one in others] == [False] * len(others)


def test_a_rollback_s_approval_is_for_all_that_was_approved(clinic: Clinic) -> None:
    order = request_of(clinic.way_back())
    assert order.is_approved
    assert order.proposal
    assert order.approval
    others = (
        replace(order, environment="sandbox-prod"),
        replace(order, undoes="another"),
        replace(order, newer=NewerDecision.DISCARD),
        replace(order, approval=replace(order.approval, digest="0" * 64)),
        replace(order, proposal=replace(order.proposal, now={})),
        replace(order, approval=None),
        replace(order, proposal=None),
    )
    assert [one.is_approved for one in others] == [False] * len(others)


def test_the_cell_of_the_approval_run_again_says_that_it_was_given(
    clinic: Clinic, rehearsed: Path
) -> None:
    """It said that nobody has approved this plan yet."""
    book = clinic.approved(rehearsed)
    given = book.run.load(Approval)
    told = refused(book.approve)
    assert told.what == (
        f"this plan was approved already, by {given.by}; nothing was typed this time"
    )
    assert told.state == "the approval stands; nothing was written"
    assert told.next.startswith("run the next cell")
    assert book.run.load(Approval) == given
    assert refused(lambda: book.approve("0" * 12)).what.startswith("the typed digest is not")


def test_a_committed_run_says_so_whatever_was_changed_since(
    clinic: Clinic, rehearsed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that nothing was written, and to approve it at another time."""
    book = clinic.approved(rehearsed)
    book.apply()
    file = clinic.folder / f"{DEV}.toml"
    file.write_text(file.read_text() + CLOSED)
    monkeypatch.setattr(approval, "code_digest", lambda: "of another package")
    told = refused(runbook.resume(DEV, book.run.id).apply)
    assert told.what == "this run was committed already"
    assert told.next.startswith(f"nexus-reimport finish {DEV} settles, verifies and seals it")
    runner.seal(DEV)
    for step in (book.apply, book.propose):
        told = refused(step)
        assert "finish" not in told.next, (
            "it would close the record of the run that is open by then"
        )
        assert told.next.startswith("nothing with this page: the record is closed")


def test_who_waits_for_the_same_run_is_told_that_it_was_committed(
    clinic: Clinic, rehearsed: Path
) -> None:
    """It was "SQLSTATE 42P06 (DuplicateSchema)", and that this step should be run again."""
    book = clinic.approved(rehearsed)
    told: list[ReimportError] = []
    waits = threading.Event()

    def journal(event: Event, **_: object) -> None:
        if event is Event.WAITING:
            waits.set()

    def second() -> object:
        return apply.apply(
            book.settings.postgres, order_of(book), book._check_inside, commit=True, journal=journal
        )

    others: list[threading.Thread] = []

    def at_the_fifth(done: int, _: int) -> None:
        if done == 5:
            others.append(in_a_thread(second, told))
            assert waits.wait(10)

    apply_with(book, progress=at_the_fifth)
    after = clinic.state()
    others[0].join()
    assert told[0].what == f"run {book.run.id} was committed already"
    assert told[0].state == "committed by this run; nothing was written a second time"
    assert told[0].next == f"nexus-reimport finish {DEV} verifies and seals it"
    assert clinic.state() == after


def test_of_two_who_approve_at_once_the_second_is_refused(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were accepted: the record named who had pressed last, also after the COMMIT."""
    book = clinic.proposed()
    other = runbook.resume(DEV, book.run.id)
    typed, told = book.run.load(Proposal).digest, list[ReimportError]()
    require = approval.require

    def while_another(*given: object) -> Approval:
        in_a_thread(lambda: other.approve(typed, name="Ben"), told).join()
        return require(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as slow:
        slow.setattr(approval, "require", while_another)
        book.approve(typed, name="Ann")
    assert isinstance(told[0], Busy)
    assert told[0].what == f"another process is at a step of run {book.run.id}"
    assert told[0].state == "that step goes on; this one was not begun"
    assert f"nexus-reimport status {DEV}" in told[0].next
    assert book.run.load(Approval).name == "Ann"


def test_nobody_approves_or_plans_anew_what_is_being_executed(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    other = runbook.resume(DEV, book.run.id)
    typed, told = book.run.load(Proposal).digest, list[ReimportError]()
    given = book.run.load(Approval)

    def hear(done: int, _: int, begun: str) -> None:
        if done == 5 and not begun:
            for work in (lambda: other.approve(typed), other.plan, other.apply):
                in_a_thread(work, told).join()

    with heard_by(hear):
        book.apply()
    assert [type(error) for error in told] == [Busy] * 3
    assert book.run.load(Approval) == given
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    with pytest.raises(StopError, match="no step before it can be run again") as refused:
        other.approve(typed)
    assert refused.value.state.startswith("committed; this step wrote nothing")
    assert book.verify().passed
