"""Measures stages and floors at each scale, and writes docs/performance.md.

python -m benchmarks --scales 1,10
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands, floors, report, stages
from benchmarks.clinic import LARGE, running, slower
from benchmarks.meter import Cost, medians


def main() -> None:
    """Measure, keep the figures, and write the page."""
    parser = commands.parser(__doc__)
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="where figures go")
    parser.add_argument("--page", type=Path, default=report.PAGE, help="the page that is written")
    chosen = parser.parse_args()
    for scale in sorted(chosen.scales):
        began = time.monotonic()
        costs = medians(_at(scale))
        sys.stderr.write(f"{scale:>6g}  all of it: {time.monotonic() - began:.0f} s\n")
        # After each scale: a larger one may be interrupted.
        report.keep(costs, chosen.results)
        report.write(chosen.results, chosen.page)


def _at(scale: float) -> Iterator[Cost]:
    """Everything at one scale."""
    with running(scale) as clinic:
        yield from stages.of(clinic, stages.TO_PLAN[:1])
        if scale <= LARGE:
            yield from floors.of_filemaker(clinic)
            yield from stages.of(clinic, ["snapshot_by_100"])
            with slower(clinic) as waited_for:
                yield from floors.of_slower_filemaker(waited_for)
                yield from stages.of(waited_for, ["snapshot_slower"])
        clinic.forget_filemaker()
        yield from stages.of(clinic, stages.TO_PLAN[1:])
        yield from floors.of_nexus(clinic)
        yield from stages.of(clinic, stages.FROM_PLAN)
        yield from stages.afterwards(clinic)


if __name__ == "__main__":
    main()
