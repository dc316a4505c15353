"""What a piece of work cost: seconds, processor, memory, bytes."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

_TICKS = os.sysconf("SC_CLK_TCK")  # a second
LEAST, MOST = "least wait", "most wait"  # facts of what was measured several times


@dataclass(slots=True)
class Cost:
    """The cost of one piece of work.

    ``cpu`` and ``peak`` (bytes) are those of its own process, with the processes that it started;
    ``servers`` is the processor time of each server meanwhile. ``wait`` is how long writers wait
    for it, ``wait_cpu`` the processor time of all in that time.
    """

    name: str
    scale: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0
    servers: dict[str, float] = field(default_factory=dict)
    peak: int = 0
    rows: int = 0
    bytes: int = 0
    wait: float = 0.0
    wait_cpu: float = 0.0
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def all_cpu(self) -> float:
        """Processor seconds of everybody."""
        return self.cpu + sum(self.servers.values())

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """The cost that ``saved`` describes."""
        return cls(**saved)

    def saved(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def medians(costs: Iterable[Cost]) -> list[Cost]:
    """Of each name the one of median wait, in the order of the first of each.

    Of what was measured several times, its facts say the least and the most wait, and its peak is
    the least: a process that had also planned had that much before.
    """
    by_name: dict[str, list[Cost]] = {}
    for cost in costs:
        by_name.setdefault(cost.name, []).append(cost)
    return [_median(sorted(several, key=lambda cost: cost.wait)) for several in by_name.values()]


def _median(sorted_costs: list[Cost]) -> Cost:
    median = sorted_costs[len(sorted_costs) // 2]
    if len(sorted_costs) > 1:
        median.peak = min(cost.peak for cost in sorted_costs)
        median.facts.update({LEAST: sorted_costs[0].wait, MOST: sorted_costs[-1].wait})
    return median


def cpu_of(pid: int) -> float:
    """Processor seconds of a process, of those that it started, and of those that have ended.

    It is asked while writers wait: through psutil, which looks at every process of the machine,
    each answer took as long as a statement.
    """
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        own, ended = _ticks(Path(f"/proc/{pid}/stat"))
        while True:
            living = sum(map(cpu_of, _children(pid)))
            before, (own, ended) = ended, _ticks(Path(f"/proc/{pid}/stat"))
            # One that ended meanwhile would count twice, or not at all: a third of a second was
            # lost of an execution whose session had just been closed.
            if before == ended:
                return living + (own + ended) / _TICKS
    return 0.0


def _ticks(stat: Path) -> tuple[int, int]:
    """Of a process itself, and of those that it started and that have ended."""
    # After the name, which may hold blanks: state, …, utime, stime, cutime, cstime.
    fields = stat.read_text(encoding="ascii").rpartition(")")[2].split()
    user, system, of_ended, system_of_ended = map(int, fields[11:15])
    return user + system, of_ended + system_of_ended


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    listed = (thread / "children" for thread in threads)
    return [int(child) for file in listed for child in file.read_text(encoding="ascii").split()]


def own_cpu() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def peak() -> int:
    """The most memory that this process, or the largest one that it started, has had; bytes."""
    return max(own_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def own_peak() -> int:
    """The most memory that this process has had; bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@contextmanager
def measuring(name: str, servers: Mapping[str, int], folder: Path | None = None) -> Iterator[Cost]:
    """The cost of the block, complete at its end; ``bytes`` is what it wrote into ``folder``."""
    cost = Cost(name)
    before = {server: cpu_of(pid) for server, pid in servers.items()}
    held, cpu, began = _size(folder), own_cpu(), time.monotonic()
    yield cost
    cost.seconds, cost.cpu = time.monotonic() - began, own_cpu() - cpu
    cost.servers = {server: cpu_of(pid) - before[server] for server, pid in servers.items()}
    cost.peak, cost.bytes = peak(), cost.bytes or max(0, _size(folder) - held)


def _size(folder: Path | None) -> int:
    if folder is None:
        return 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
