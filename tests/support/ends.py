"""Every way in which a run can end, each made on a real clinic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from nexus_reimport import record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError
from nexus_reimport.progress import heard_by
from nexus_reimport.record import Run
from nexus_reimport.runbook import rollback
from support import rollbacks
from support.clinic import ROLE, Clinic, planned, surveyed
from support.halting import halted
from support.relinking import linked_wrongly, relinked
from support.stops import undecided, without_field

DEV = "sandbox-dev"
TABLES = {  # of each entity that is wiped
    "patients": "patients",
    "appointments": "appointments",
    "notes": "notes",
    "sms_messages": "sms_messages",
    "sms_inbound": "sms_inbound",
    "letters": "letters_patientletter",
    "reminders": "reminders",
}
OTHER_NOTE = (
    "UPDATE notes SET content = content || '.' WHERE id = (SELECT min(id::text)::uuid FROM notes)"
)
End = Callable[[Clinic, Path, Path], Run]


def last() -> Run:
    """The newest run."""
    return record.every(environments.load(DEV))[-1]


def committed(clinic: Clinic, run: Run) -> bool:
    """Whether the database has the run's row, by the test's own query."""
    if clinic.value("SELECT to_regclass('nexus_reimport.runs')", role=ROLE) is None:
        return False
    query = "SELECT count(*) FROM nexus_reimport.runs WHERE run = %s"
    return bool(clinic.value(query, "dev", run.id, role=ROLE))


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What is done here ends in an error of ours."""
    try:
        yield
    except ReimportError:
        return
    raise AssertionError("it was not refused")


def read_and_left(_: Clinic, __: Path, ___: Path) -> Run:
    return surveyed().run


def planned_and_left(clinic: Clinic, _: Path, __: Path) -> Run:
    return clinic.planned().run


def stopped_while_reading(clinic: Clinic, _: Path, __: Path) -> Run:
    without_field(clinic, "API_Contacts", "nameLast")
    with refused():
        planned()
    return last()


def stopped_by_a_check(clinic: Clinic, _: Path, __: Path) -> Run:
    undecided(clinic)
    book = clinic.planned_anew()
    book.check_before()
    with refused():
        book.rehearse()
    return book.run


def waiting(clinic: Clinic, _: Path, __: Path) -> Run:
    return clinic.proposed().run


def given_up(clinic: Clinic, _: Path, __: Path) -> Run:
    run = clinic.proposed().run
    runner.seal(DEV)
    return run


def approval_refused(clinic: Clinic, _: Path, __: Path) -> Run:
    book = clinic.proposed()
    with refused():
        book.approve("0" * 12)
    return book.run


def approved_and_left(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    return clinic.approved(rehearsed).run


def stopped_inside(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    book = clinic.approved(rehearsed)
    clinic.do(OTHER_NOTE)
    with refused():
        book.apply()
    return book.run


def in_doubt(clinic: Clinic, rehearsed: Path, folder: Path) -> Run:
    run = clinic.approved(rehearsed).run
    with halted(DEV, run.id, 7, folder / "marker") as process:
        process.kill()
        process.wait()
    return run


def killed(clinic: Clinic, rehearsed: Path, folder: Path) -> Run:
    run = in_doubt(clinic, rehearsed, folder)
    runner.settle(DEV)
    return run


def not_verified(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    return rollbacks.executed(clinic, rehearsed, verified=False).run


def not_right(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    book = rollbacks.executed(clinic, rehearsed, verified=False)
    clinic.do(OTHER_NOTE)
    with refused():
        book.verify()
        book.sign_off()
    return book.run


def counts_lost(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    run = rollbacks.executed(clinic, rehearsed, verified=False).run
    (run.folder / "applied.json").unlink()
    return run


def complete(clinic: Clinic, _: Path, __: Path) -> Run:
    return clinic.executed().run


def complete_where_nothing_differed(clinic: Clinic, _: Path, __: Path) -> Run:
    return clinic.executed_twice()[1].run


def complete_and_all_written(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.edit(DEV, 'write = "differences"', 'write = "all"')
    return clinic.whole(dry=True).run


def links_alone(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    linked_wrongly(clinic)
    return relinked(clinic).run


def no_link_to_fix(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    return relinked(clinic).run


def taken_back_unverified(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    run = rollbacks.executed(clinic, rehearsed, verified=False).run
    rollbacks.taken_back()
    return run


def taken_back_complete(clinic: Clinic, _: Path, __: Path) -> Run:
    run = clinic.executed().run
    rollbacks.taken_back()
    return run


def rolled_back(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    return rollbacks.taken_back()[0].run


def rolled_back_what_was_not_verified(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    rollbacks.executed(clinic, rehearsed, verified=False)
    return rollbacks.taken_back()[0].run


def _written_since(clinic: Clinic) -> None:
    clinic.executed()
    clinic.do(OTHER_NOTE)
    rollbacks.copy_row(clinic, "notes")


def rolled_back_with_newer(clinic: Clinic, _: Path, __: Path) -> Run:
    _written_since(clinic)
    return rollbacks.taken_back("keep")[0].run


def rolled_back_without_newer(clinic: Clinic, _: Path, __: Path) -> Run:
    _written_since(clinic)
    return rollbacks.taken_back("discard")[0].run


def rollback_undecided(clinic: Clinic, _: Path, __: Path) -> Run:
    _written_since(clinic)
    with refused():
        rollbacks.approved()
    return last()


def rollback_waiting(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    book = rollback.begin(DEV)
    book.back_up()
    book.preview()
    book.propose()
    return book.run


def rollback_stopped_inside(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    book = rollbacks.approved()
    clinic.do(OTHER_NOTE)
    with refused():
        book.undo()
    return book.run


def rollback_not_verified(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    book = rollbacks.approved()
    book.undo()
    return book.run


def rollback_not_right(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed()
    book = rollbacks.approved()
    book.undo()
    clinic.do(OTHER_NOTE)
    book.verify()
    with contextlib.suppress(ReimportError):
        book.sign_off()
    return book.run


def rolled_back_what_wrote_nothing(clinic: Clinic, _: Path, __: Path) -> Run:
    clinic.executed_twice()
    return rollbacks.taken_back()[0].run


def failed(clinic: Clinic, rehearsed: Path, _: Path) -> Run:
    run = clinic.approved(rehearsed).run

    def cut(done: int, _: int, begun: str) -> None:
        if done == 6 and not begun:
            clinic.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                " application_name = 'nexus_reimport' AND datname = current_database()",
                role=ROLE,
            )

    with refused(), heard_by(cut):
        runbook.resume(DEV, run.id).apply()
    return run


ENDS: list[End] = [
    read_and_left,
    planned_and_left,
    stopped_while_reading,
    stopped_by_a_check,
    waiting,
    given_up,
    approval_refused,
    approved_and_left,
    stopped_inside,
    failed,
    in_doubt,
    killed,
    not_verified,
    not_right,
    counts_lost,
    complete,
    complete_where_nothing_differed,
    complete_and_all_written,
    links_alone,
    no_link_to_fix,
    taken_back_unverified,
    taken_back_complete,
    rolled_back,
    rolled_back_what_was_not_verified,
    rolled_back_what_wrote_nothing,
    rolled_back_with_newer,
    rolled_back_without_newer,
    rollback_undecided,
    rollback_waiting,
    rollback_stopped_inside,
    rollback_not_verified,
    rollback_not_right,
]
