"""The floors: what the same work costs when it is written by hand, without any check.

python -m benchmarks.floors --scale 1
"""

from __future__ import annotations

import json

from benchmarks import child, commands, loops, scripts, stages, tools
from benchmarks.clinic import Clinic, running
from benchmarks.meter import Cost

PAGES = (100, 1000)
_SLOWER = "slower"


def of_filemaker(clinic: Clinic) -> list[Cost]:
    """The cost of reading FileMaker by bare loops; the clinic has a run with a snapshot."""
    return [child.cost(clinic, "benchmarks.floors", str(page)) for page in PAGES]


def of_slower_filemaker(clinic: Clinic) -> list[Cost]:
    """The same for the FileMaker of ``clinic.slower``."""
    return [child.cost(clinic, "benchmarks.floors", _SLOWER)]


def of_nexus(clinic: Clinic) -> list[Cost]:
    """The cost of each other floor; the run has a plan, and the database is unchanged."""
    book, costs = stages.opened(), []
    for cost in (*tools.measured(clinic, book), *scripts.measured(clinic, book)):
        cost.scale = clinic.scale
        commands.say(cost)
        costs.append(cost)
    return costs


def _loops(given: child.Given) -> Cost:
    if given.what == _SLOWER:
        return loops.measured(stages.opened(), given.servers, PAGES[-1], loops.SLOWER)
    return loops.measured(stages.opened(), given.servers, int(given.what))


def main() -> None:
    """Measure every floor, and print a table."""
    for scale in commands.scales(__doc__):
        with running(scale) as clinic:
            stages.of(clinic, stages.TO_PLAN)
            of_filemaker(clinic)
            of_nexus(clinic)


if __name__ == "__main__":
    if (given := child.given()) is not None:
        print(json.dumps(_loops(given).saved()))
    else:
        main()
