"""Fails if a ratio has become much worse: processor time against that of the same work by hand.

python -m benchmarks.guard

Processor time and not seconds, the least of several repetitions: other work on the machine
makes both sides wait, but makes neither of them do more.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from benchmarks import child, commands, growth, loops, scripts, stages
from benchmarks.clinic import Clinic, running
from benchmarks.meter import Cost, measuring
from nexus_reimport.model import Plan
from nexus_reimport.progress import heard_by
from nexus_reimport.stages import apply

SMALL, LARGE = 0.05, 0.2  # times the real size
REPEAT, PAGE = 3, 1000
DRY_RUN, READ, LOOPS = "dry run", "reading", "bare loops"


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a value may be, and what it was when the bound was set."""

    what: str
    most: float
    measured: float


WAIT = Bound("CPU in the writers' wait / script A's", 1.4, 0.63)
READING = Bound("CPU of our process in the extraction / that of bare loops", 4.5, 2.7)
GROWTH = 1.35  # exponent of CPU from SMALL to LARGE; quadratic work would give nearly 2
GROWING = ("plan", "survey and backup", "checks before")


def exceeded(measured: dict[Bound, float]) -> list[str]:
    """A line for each value that is beyond its bound."""
    return [
        f"{bound.what}: {value:.2f}, more than {bound.most:g} (was {bound.measured:g})"
        for bound, value in measured.items()
        if value > bound.most
    ]


def main() -> None:
    """Measure, print every ratio, and end with 1 if one is beyond its bound."""
    costs: list[Cost] = []
    for scale in (SMALL, LARGE):
        with running(scale) as clinic:
            costs += stages.of(clinic, (*stages.TO_PLAN, "checks"))
            if scale == LARGE:
                costs += _transactions(clinic)
                costs.append(child.cost(clinic, "benchmarks.guard", READ))
    measured = values(costs)
    for bound, value in measured.items():
        print(f"{value:>8.2f}  at most {bound.most:<6g} {bound.what}")
    if worse := exceeded(measured):
        sys.exit("slower than it may be:\n  " + "\n  ".join(worse))


def values(costs: list[Cost]) -> dict[Bound, float]:
    """Bound -> what was measured."""
    at = {cost.name: cost for cost in costs if cost.scale == LARGE}
    grown = growth.exponents(costs)
    return {
        WAIT: at[DRY_RUN].wait_cpu / at[scripts.A].wait_cpu,
        READING: at[READ].cpu / at[READ].facts[LOOPS],
        **{
            Bound(f"growth of {name}, as an exponent of CPU", GROWTH, 1.0): grown[name]
            for name in GROWING
        },
    }


def _transactions(clinic: Clinic) -> list[Cost]:
    """The package's transaction and script A, in turns, each rolled back; the least of each."""
    book = stages.opened()
    ours, theirs = [], []
    with scripts.loaded(clinic, book, "guard"), scripts.script(clinic, book, "guard") as script:
        for _ in range(REPEAT):
            clinic.checkpoint()
            ours.append(child.cost(clinic, "benchmarks.guard", DRY_RUN))
            clinic.checkpoint()
            theirs.append(script.run(script.all_rows, scripts.A, end="ROLLBACK"))
            theirs[-1].scale = clinic.scale
            commands.say(theirs[-1])
            script.connection.execute("VACUUM")  # what was rolled back is still in the tables
    return [min(costs, key=lambda cost: cost.wait_cpu) for costs in (ours, theirs)]


def _dry_run(given: child.Given) -> Cost:
    """The package's transaction with all its checks, rolled back before COMMIT."""
    here, cost = stages.Here(given.servers, given.run), Cost(DRY_RUN)
    book = here.book()
    request = book._request(book.run.load(Plan))
    with heard_by(here.note):
        applied = apply.apply(book.settings.postgres, request, book._checked_inside, commit=False)
    cost.wait, cost.wait_cpu = applied.writers_waited, here.since_locked(applied.timings)
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


if __name__ == "__main__":
    if (given := child.given()) is not None:
        print(json.dumps({DRY_RUN: _dry_run, READ: _read}[given.what](given).saved()))
    else:
        main()
