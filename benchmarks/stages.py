"""The stages of a run, each measured in a fresh process.

python -m benchmarks.stages --scale 1
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from benchmarks import child, commands
from benchmarks.clinic import ANSWER, ENVIRONMENT, Clinic, beside, running
from benchmarks.meter import Cost, cpu_of, measuring, own_cpu
from nexus_reimport import garbage, record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.model import Census, Plan, Report, Snapshot
from nexus_reimport.nexus import deployment
from nexus_reimport.progress import heard_by
from nexus_reimport.runbook import Runbook, rollback
from nexus_reimport.settings import Settings
from nexus_reimport.stages import snapshot
from nexus_sandbox.stack import fill
from nexus_sandbox.stack.access import ROLE, database

MODULE = "benchmarks.stages"
SEQUENCE = "the whole sequence, papermill included"
BY_100 = "snapshot, 100 a page"
SLOWER = f"snapshot, {ANSWER:g} s for each answer"
EXECUTE, NOTHING_CHANGED = "execute", "execute, nothing changed"
LOCKED, AGAIN = "wait for locks", "nexus_again"
# Loaded before the extraction is measured: those of the bare loops are, too.
LIBRARIES = ("pyarrow.parquet", "pyarrow.compute")


@dataclass(slots=True)
class Here:
    """This process, which measures one stage: the servers, and the run that is named."""

    servers: dict[str, int]
    run: str
    marks: list[float] = field(default_factory=list)

    def book(self) -> Runbook:
        """The run, so that the processor time at the end of each step is noted."""
        return runbook.resume(ENVIRONMENT, self.run)

    def note(self, done: int, total: int, step: str) -> None:
        """Where a step has ended: note the processor time so far."""
        if step:  # it begins
            return
        self.marks.append(own_cpu() + cpu_of(self.servers["PostgreSQL"]))

    def since_locked(self, timings: dict[str, float]) -> float:
        """Processor seconds of ours and PostgreSQL's since the locks were taken."""
        return self.marks[-1] - self.marks[list(timings).index(LOCKED)]


Stage = Callable[[Here], Cost]


def _load_libraries() -> None:
    for library in LIBRARIES:
        import_module(library)


def _snapshot(here: Here) -> Cost:
    book = runbook.begin(ENVIRONMENT)
    _load_libraries()
    with measuring("snapshot", here.servers, book.folder) as cost:
        taken = book.snapshot()
    cost.rows = sum(e.rows for e in taken.extracts.values())
    cost.facts["bytes_read"] = sum(c.bytes_read for c in taken.channels)
    return cost


def _snapshot_by_100(here: Here) -> Cost:
    return _read_again(here, BY_100, page=100)


def _snapshot_slower(here: Here) -> Cost:
    return _read_again(here, SLOWER)


def _read_again(here: Here, name: str, page: int = 0) -> Cost:
    """FileMaker read once more beside the run."""
    book = here.book()
    folder = book.folder / "again"
    _load_libraries()
    with (
        Channels(book.settings.filemaker, book.mapping) as channels,
        garbage.rarely_looked_for(),  # as in every step of a run
        measuring(name, here.servers, folder) as cost,
    ):
        taken = snapshot.take(channels, book.mapping, folder, page=page)
    cost.rows = sum(e.rows for e in taken.extracts.values())
    shutil.rmtree(folder)
    return cost


def _census(here: Here) -> Cost:
    book = here.book()
    with measuring("census", here.servers, book.folder) as cost:
        cost.rows = book.census().objects
    return cost


def _survey(here: Here) -> Cost:
    book = here.book()
    with measuring("survey and backup", here.servers, book.folder) as cost:
        surveyed, saved = book.survey_and_backup()
    cost.rows = sum(t.fingerprint.rows for t in surveyed.tables.values())
    cost.facts["dump"] = saved.dump_bytes
    return cost


def _plan(here: Here) -> Cost:
    book = here.book()
    with measuring("plan", here.servers, book.folder) as cost:
        planned = book.plan()
    cost.rows = sum(e.rows_after for e in planned.entities.values())
    return cost


def _checks(here: Here) -> Cost:
    return _judged(here, "checks before", Runbook.check_before)


def _judged(here: Here, name: str, judge: Callable[[Runbook], Report]) -> Cost:
    """What the checks cost; a clinic that does not pass them is not measured any further."""
    book = here.book()
    with measuring(name, here.servers, book.folder) as cost:
        report = judge(book)
    cost.rows = _planned_rows(book.run)
    if report.blocking:
        sys.exit("; ".join(r.check for r in report.blocking))
    return cost


def _rehearse(here: Here) -> Cost:
    book = here.book()
    with measuring("rehearsal", here.servers, book.folder) as cost:
        rehearsed = book.rehearse()
    cost.rows, cost.wait = _planned_rows(book.run), rehearsed.writers_waited
    cost.facts.update({f"seconds: {name}": s for name, s in rehearsed.times.items()})
    return cost


def _execute(here: Here) -> Cost:
    book = here.book()
    book.propose()
    book.approve(rehearsed=True)
    return _applied(here, book, EXECUTE)


def _applied(here: Here, book: Runbook, name: str) -> Cost:
    here.marks.clear()
    with measuring(name, here.servers, book.folder) as cost, heard_by(here.note):
        applied = book.apply()
    cost.rows, cost.wait = _planned_rows(book.run), applied.writers_waited
    cost.wait_cpu = here.since_locked(applied.timings)
    cost.facts["rows written"] = sum(applied.written.values())
    cost.facts.update({f"seconds: {step}": s for step, s in applied.timings.items()})
    return cost


def _verify(here: Here) -> Cost:
    return _judged(here, "verify", Runbook.verify)


def _seal(here: Here) -> Cost:
    book = here.book()
    with measuring("sign off and seal", here.servers, book.folder) as cost:
        book.sign_off()
        book.seal()
    cost.rows = _planned_rows(book.run)
    return cost


def _roll_back(here: Here) -> Cost:
    back = rollback.begin(ENVIRONMENT)
    back.back_up()
    back.preview()
    back.propose()
    back.approve(rehearsed=True)
    here.marks.clear()
    with measuring("rollback", here.servers, back.run.private) as cost, heard_by(here.note):
        undone = back.undo()
    cost.rows, cost.wait = sum(undone.put_back.values()), undone.writers_waited
    cost.wait_cpu = here.since_locked(undone.timings)
    cost.facts["rows written"] = sum(undone.written.values())
    cost.facts.update({f"seconds: {step}": s for step, s in undone.timings.items()})
    if back.verify().blocking:
        sys.exit("the rollback is not exact")
    back.sign_off()
    runner.seal(ENVIRONMENT, back.run.id)
    return cost


def _sequence(here: Here) -> Cost:
    """The command as a person types it: its pages by papermill, each in a kernel of its own."""
    words = ("-m", "nexus_reimport.cli", "run", ENVIRONMENT, "--approve-rehearsed")
    with measuring(SEQUENCE, here.servers) as cost:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    cost.rows = _planned_rows(record.every(_settings())[-1])
    return cost


def _again(here: Here) -> Cost:
    """A second run from the same FileMaker, after the first: it finds nothing to write."""
    return _another_run(here, NOTHING_CHANGED)


def _once_more(here: Here) -> Cost:
    """A second run from the same FileMaker, after a rollback: it writes what the first wrote."""
    return _another_run(here, EXECUTE)


def _another_run(here: Here, name: str) -> Cost:
    """The cost of executing what was read for the first run; it is planned afresh."""
    first = record.find(_settings(), here.run)
    book = runbook.begin(ENVIRONMENT)
    read, listed = first.load(Snapshot), first.load(Census)
    files = [e.file for e in read.extracts.values()] + [listed.file]
    for file in (*files, *([read.cleaned] if read.cleaned else [])):
        os.link(first.private / file.name, book.folder / file.name)
    book.run.save(read)
    book.run.save(listed)
    book.survey_and_backup()
    book.plan()
    approve_unrehearsed(book)
    cost = _applied(here, book, name)
    book.verify()
    book.sign_off()
    book.seal()
    return cost


def approve_unrehearsed(book: Runbook) -> None:
    """Approve a plan whose dry run was made inside the transaction, without a copy."""
    book.check_before()
    book.run.save(book._rehearse_inside(book.run.load(Plan), "a benchmark"), "rehearsal")
    book.propose()
    book.approve(rehearsed=True)


def _settings() -> Settings:
    return environments.load(ENVIRONMENT)


def _planned_rows(run: record.Run) -> int:
    return sum(e.rows_after for e in run.load(Plan).entities.values())


STAGES: dict[str, Stage] = {
    "snapshot": _snapshot,
    "snapshot_by_100": _snapshot_by_100,
    "snapshot_slower": _snapshot_slower,
    "census": _census,
    "survey": _survey,
    "plan": _plan,
    "checks": _checks,
    "rehearse": _rehearse,
    "execute": _execute,
    "verify": _verify,
    "seal": _seal,
    "roll_back": _roll_back,
    "sequence": _sequence,
    "again": _again,
    "once_more": _once_more,
}
TO_PLAN = ("snapshot", "census", "survey", "plan")
FROM_PLAN = ("checks", "rehearse", "execute", "verify", "seal")
A_RUN = (*TO_PLAN, *FROM_PLAN)


def opened() -> Runbook:
    """The clinic's one open run."""
    return runbook.resume(ENVIRONMENT)


def of(clinic: Clinic, stages: Sequence[str] = A_RUN) -> list[Cost]:
    """The cost of each of these stages of one run."""
    return [_after_a_checkpoint(clinic, stage) for stage in stages]


def _after_a_checkpoint(clinic: Clinic, stage: str, run: str = "") -> Cost:
    clinic.checkpoint()
    return child.cost(clinic, MODULE, stage, run)


def afterwards(clinic: Clinic) -> list[Cost]:
    """After a run: the same again, on a copy, where nothing has changed; then the way back.

    Both, and the execution, as often as a transaction of this clinic is measured. Of a clinic that
    is not larger than the real one, all of it once more, by the command.
    """
    run = record.every(_settings())[-1].id
    costs = _unchanged(clinic, run)
    costs.append(_after_a_checkpoint(clinic, "roll_back"))
    for _ in range(clinic.repeat - 1):
        costs.append(_after_a_checkpoint(clinic, "once_more", run))
        costs.append(_after_a_checkpoint(clinic, "roll_back"))
    if clinic.scale <= 1:
        costs.append(_after_a_checkpoint(clinic, "sequence"))
    return costs


def _unchanged(clinic: Clinic, run: str) -> list[Cost]:
    server = clinic.stack.postgres
    server.create_database(AGAIN, template=database("dev"))
    fill.grant(server, AGAIN)
    copy = beside(clinic, "again", AGAIN)
    with server.connect(AGAIN, ROLE) as connection:
        deployment.adopt(connection, ENVIRONMENT, this_is_a_copy=True)
    costs = [_after_a_checkpoint(copy, "again", run) for _ in range(clinic.repeat)]
    clinic.drop(AGAIN)
    return costs


def main() -> None:
    """Measure every stage, and print a table."""
    for scale in commands.scales(__doc__):
        with running(scale) as clinic:
            of(clinic)
            afterwards(clinic)


if __name__ == "__main__":
    if (given := child.given()) is not None:
        print(json.dumps(STAGES[given.what](Here(given.servers, given.run)).saved()))
    else:
        main()
