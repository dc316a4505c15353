"""Fails if a ratio has become much worse: processor time against that of the same work by hand.

python -m benchmarks.guard

Processor time and not seconds, the least of several repetitions: other work on the machine
makes both sides wait, but makes neither of them do more.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from benchmarks import child, commands, growth, scripts, stages
from benchmarks.clinic import Clinic, running
from benchmarks.meter import Cost
from nexus_reimport.model import Plan
from nexus_reimport.progress import heard_by
from nexus_reimport.stages import apply

SMALL, LARGE = 0.05, 0.2  # times the real size
REPEAT = 3
DRY_RUN = "dry run"


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a value may be, and what it was when the bound was set."""

    what: str
    most: float
    measured: float


WAIT = Bound("CPU in the writers' wait / script A's", 2.0, 1.07)
READING = Bound("CPU of our process in the extraction / that of bare loops", 12.0, 5.5)
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
                costs.append(child.cost(clinic, "benchmarks.floors", "1000"))
    measured = values(costs)
    for bound, value in measured.items():
        print(f"{value:>8.2f}  at most {bound.most:<6g} {bound.what}")
    if worse := exceeded(measured):
        sys.exit("slower than it may be:\n  " + "\n  ".join(worse))


def values(costs: list[Cost]) -> dict[Bound, float]:
    """Bound -> what was measured."""
    at = {cost.name: cost for cost in costs if cost.scale == LARGE}
    loops = next(cost for name, cost in at.items() if name.startswith("bare HTTP loops"))
    grown = growth.exponents(costs)
    return {
        WAIT: at[DRY_RUN].wait_cpu / at[scripts.A].wait_cpu,
        READING: at["snapshot"].cpu / loops.cpu,
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
            ours.append(child.cost(clinic, "benchmarks.guard", DRY_RUN))
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


if __name__ == "__main__":
    if (given := child.given()) is not None:
        print(json.dumps(_dry_run(given).saved()))
    else:
        main()
