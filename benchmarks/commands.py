"""What the benchmarks' commands take and print."""

from __future__ import annotations

import argparse
import sys

from benchmarks.meter import Cost

MIB = 1 << 20


def parser(about: str | None) -> argparse.ArgumentParser:
    """A parser that knows ``--scale``: times the real size, several with commas between them."""
    options = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    options.add_argument(
        "--scale",
        "--scales",
        dest="scales",
        default="1",
        type=lambda text: [float(part) for part in text.split(",")],
        help="times the real size of a clinic; several with commas between them (default: 1)",
    )
    return options


def scales(about: str | None) -> list[float]:
    """The scales that were asked for; of a module that takes nothing else."""
    chosen = parser(about).parse_args().scales
    return [float(scale) for scale in chosen]


def say(cost: Cost) -> None:
    """One line about what was measured, on stderr: a run takes minutes."""
    wait = f", writers wait {cost.wait:.2f} s (CPU {cost.wait_cpu:.2f})" if cost.wait else ""
    sys.stderr.write(
        f"{cost.scale:>6g}  {cost.name:<28}{cost.seconds:>8.2f} s  CPU {cost.all_cpu:>7.2f} s"
        f"  {cost.rows:>9,} rows  {cost.peak / MIB:>6.0f} MiB{wait}\n"
    )
