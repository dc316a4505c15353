"""Fails if something has become much worse: by counts, and by processor time beside work by hand.

python -m benchmarks.guard

A busy machine changes no count: of statements, of pages that PostgreSQL touches, of bytes of its
log, of calls of Python. Processor time is the least of several repetitions, beside that of the same
work by hand: other work makes both wait, and neither do more.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import child, commands, counts, loops, many_notes, scripts, stages
from benchmarks.clinic import KIND, Clinic, running
from benchmarks.meter import Cost, measuring, own_cpu
from nexus_reimport import garbage
from nexus_reimport.model import Plan
from nexus_reimport.progress import heard_by
from nexus_reimport.settings import FOLDER_VARIABLE
from nexus_reimport.stages import apply
from nexus_sandbox.postgres.access import Postgres
from nexus_sandbox.stack.access import database

SMALL, LARGE = 0.05, 0.2  # times the real size
REPEAT, PAGE = 3, 1000
DRY_RUN, READ, LOOPS = "dry run", "reading", "bare loops"
COUNTED = "a dry run, counted"
CALLED = {"plan": "a plan, counted", "checks": "the checks before, counted"}
_MODULE = "benchmarks.guard"
_PAGES = "SELECT pg_database_size(%s) / current_setting('block_size')::int"


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a value may be, and what it was when the bound was set."""

    what: str
    most: float
    measured: float


WAIT = Bound("CPU in the writers' wait / script A's", 1.0, 0.62)
READING = Bound("CPU of our process in the extraction / that of bare loops", 4.5, 2.7)
STATEMENTS = Bound("statements under the locks", 70, 56)
HASHING = Bound("statements that hash rows under the locks", 1, 1)
PAGES = Bound("pages touched under the locks / script A's", 0.4, 0.32)
LOG = Bound("bytes of the server's log under the locks / script A's", 0.84, 0.65)
READS = {
    "survey and backup": Bound("pages touched by survey and backup / of the database", 17, 13.8),
    "rehearsal": Bound("pages touched by a rehearsal / of the database", 330, 283),
}
# How many more a clinic of four times the size needs: an error of one for each row would need
# hundreds.
MORE = {
    name: Bound(f"more statements of {name} for four times the rows", 100, 40)
    for name in (*READS, COUNTED)
}
CALLS = {
    CALLED["plan"]: Bound("calls of Python in a plan, for each row", 1350, 1205),
    CALLED["checks"]: Bound("calls of Python in the checks before, for each row", 105, 90),
}
NOTES = "plans with more and more notes"
TIMES = (1, 4, 16)  # the notes of the clinic; 16 times are twenty thousand on each side
# What twelve times the notes add to a plan, by what three times add: four where it is in proportion
# to them. A look through all of them at each, of 30 ns for one, gives nine.
GROWTH = Bound("growth of a plan's CPU with its notes, 4 in proportion", 7.5, 4.5)


def exceeded(measured: dict[Bound, float]) -> list[str]:
    """A line for each value that is beyond its bound."""
    return [
        f"{bound.what}: {value:,.2f}, more than {bound.most:g} (was {bound.measured:g})"
        for bound, value in measured.items()
        if value > bound.most
    ]


def main() -> None:
    """Measure, print every value, and end with 1 if one is beyond its bound."""
    costs: list[Cost] = []
    for scale in (SMALL, LARGE):
        with running(scale, counts.COUNTING) as clinic, counts.administrator(clinic) as asker:
            costs += _to_the_plan(clinic, asker)
            costs.append(child.cost(clinic, _MODULE, COUNTED))
            costs.append(_counted(clinic, asker, "rehearse"))
            if scale == LARGE:
                costs.append(child.cost(clinic, _MODULE, NOTES))
                costs += _transactions(clinic, asker)
                costs.append(child.cost(clinic, _MODULE, READ))  # last: it voids the plan
    measured = values(costs)
    for bound, value in measured.items():
        print(f"{value:>12,.2f}  at most {bound.most:<6g} {bound.what}")
    if worse := exceeded(measured):
        sys.exit("worse than it may be:\n  " + "\n  ".join(worse))


def values(costs: list[Cost]) -> dict[Bound, float]:
    """Bound -> what was measured."""
    at = {cost.name: cost for cost in costs if cost.scale == LARGE}
    small = {cost.name: cost for cost in costs if cost.scale == SMALL}
    under, script = at[COUNTED].facts, at[scripts.A].facts
    return {
        WAIT: at[DRY_RUN].wait_cpu / at[scripts.A].wait_cpu,
        READING: at[READ].cpu / at[READ].facts[LOOPS],
        STATEMENTS: under["statements"],
        HASHING: under["hashing"],
        PAGES: under["pages"] / script["pages"],
        LOG: under["log"] / script["log"],
        **{bound: _pages(at[name]) for name, bound in READS.items()},
        **{
            bound: at[name].facts["statements"] - small[name].facts["statements"]
            for name, bound in MORE.items()
        },
        **{bound: at[name].facts["calls"] / at[name].rows for name, bound in CALLS.items()},
        GROWTH: _growth([at[NOTES].facts[str(times)] for times in TIMES]),
    }


def _growth(costs: list[float]) -> float:
    """What the last step adds, by what the one before it does."""
    first, second, third = costs
    return (third - second) / (second - first)


def _pages(cost: Cost) -> float:
    return cost.facts["pages"] / cost.facts["of database"]


def _to_the_plan(clinic: Clinic, asker: counts.Administrator) -> list[Cost]:
    """The stages up to the checks; plan and checks once more, with all that they call counted."""
    costs = stages.of(clinic, stages.TO_PLAN[:2])
    costs.append(_counted(clinic, asker, "survey"))
    for stage, name in CALLED.items():
        costs += stages.of(clinic, [stage])
        costs.append(child.cost(clinic, _MODULE, name))
    return costs


def _counted(clinic: Clinic, asker: counts.Administrator, stage: str) -> Cost:
    """One stage, and what PostgreSQL was asked for in it."""
    ((pages,),) = asker.execute(_PAGES, (database(KIND),)).fetchall()
    counts.begin(asker)
    (cost,) = stages.of(clinic, [stage])
    counts.asked(asker).note(cost)
    cost.facts["of database"] = float(str(pages))
    return cost


def _transactions(clinic: Clinic, asker: counts.Administrator) -> list[Cost]:
    """The package's transaction and script A, in turns, each rolled back; the least of each."""
    book = stages.opened()
    ours, theirs = [], []
    with scripts.loaded(clinic, book, "guard"), scripts.script(clinic, book, "guard") as script:
        for _ in range(REPEAT):
            clinic.checkpoint()
            ours.append(child.cost(clinic, _MODULE, DRY_RUN))
            clinic.checkpoint()
            at_locks = partial(counts.begin, asker)
            theirs.append(script.run(script.all_rows, scripts.A, "ROLLBACK", at_locks))
            counts.asked(asker).note(theirs[-1])
            theirs[-1].scale = clinic.scale
            commands.say(theirs[-1])
            script.connection.execute("VACUUM")  # what was rolled back is still in the tables
    return [min(costs, key=lambda cost: cost.wait_cpu) for costs in (ours, theirs)]


def _dry_run(given: child.Given, note: Callable[[str], None] = lambda step: None) -> Cost:
    """The package's transaction with all its checks, rolled back before COMMIT.

    ``note`` gets the name of each step that has ended.
    """
    here, cost, at = stages.Here(given.servers, given.run), Cost(given.what), [""]
    book = here.book()

    def listen(done: int, total: int, step: str) -> None:
        here.note(done, total, step)
        if not step:
            note(at[0])
        at[0] = step

    request = book._request(book.run.load(Plan))
    with heard_by(listen):
        applied = apply.apply(book.settings.postgres, request, book._checked_inside, commit=False)
    cost.wait, cost.wait_cpu = applied.writers_waited, here.since_locked(applied.timings)
    return cost


def _counted_dry_run(given: child.Given) -> Cost:
    """The same, and what PostgreSQL was asked for from the locks on."""
    server = Postgres.at(Path(os.environ[FOLDER_VARIABLE]).parent.parent / "postgres")
    if server is None:
        sys.exit("the clinic's server is not there")
    with server.connect() as asker:
        asker.execute("CHECKPOINT")
        cost = _dry_run(given, lambda step: counts.begin(asker) if step == stages.LOCKED else None)
        counts.asked(asker).note(cost)
    return cost


def _called(given: child.Given) -> Cost:
    """One stage, with all that it calls counted."""
    stage = next(stage for stage, name in CALLED.items() if name == given.what)
    book, done = stages.Here(given.servers, given.run).book(), Cost(given.what)
    with counts.calls(done):
        _ = book.plan() if stage == "plan" else book.check_before()
    done.rows = stages._planned_rows(book.run)
    return done


def _more_notes(given: child.Given) -> Cost:
    """Plans of so many times the notes, in one process; processor seconds of each."""
    book, cost = stages.Here(given.servers, given.run).book(), Cost(NOTES)
    with TemporaryDirectory(dir=book.folder.parent) as folder, garbage.rarely_looked_for():
        for number, times in enumerate((1, *TIMES)):  # the first one loads the libraries
            began = own_cpu()
            cost.rows += many_notes.planned(book, times, Path(folder) / str(number))
            cost.facts[str(times)] = own_cpu() - began
    return cost


def _read(given: child.Given) -> Cost:
    """Reading FileMaker and the bare loops, in turns in one process; the least of each.

    Alone and once, each is a tenth of a second of several threads: it swayed by half.
    """
    book = stages.Here(given.servers, given.run).book()
    ours, theirs = [], []
    for _ in range(REPEAT):
        with measuring(READ, given.servers) as cost:
            taken = book.snapshot()
        cost.rows = sum(extract.rows for extract in taken.extracts.values())
        ours.append(cost)
        theirs.append(loops.measured(book, given.servers, PAGE))
    least = min(ours, key=lambda cost: cost.cpu)
    least.facts[LOOPS] = min(cost.cpu for cost in theirs)
    return least


_MEASURED: dict[str, Callable[[child.Given], Cost]] = {
    DRY_RUN: _dry_run,
    COUNTED: _counted_dry_run,
    READ: _read,
    NOTES: _more_notes,
    **dict.fromkeys(CALLED.values(), _called),
}


if __name__ == "__main__":
    if (given := child.given()) is not None:
        print(json.dumps(_MEASURED[given.what](given).saved()))
    else:
        main()
