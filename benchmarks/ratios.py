"""What the package costs, as multiples of what the same work costs by hand in the same run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks import loops, scripts, stages
from benchmarks.clinic import ANSWER
from benchmarks.meter import Cost


@dataclass(frozen=True, slots=True)
class Ratio:
    """One comparison: a measure of one cost, divided by the same or another measure of its floor.

    ``goal`` is the most that is wanted, None where nothing was promised.
    """

    what: str
    of: str
    floor: str
    measure: str
    goal: float | None = None

    def value(self, costs: Iterable[Cost], scale: float) -> float | None:
        """The ratio at one scale; None where one side was not measured."""
        at = {cost.name: cost for cost in costs if cost.scale == scale}
        if self.of not in at or self.floor not in at:
            return None
        floor = float(getattr(at[self.floor], self.measure))
        return float(getattr(at[self.of], self.measure)) / floor if floor else None


RATIOS = (
    Ratio("writers' wait / script A", stages.EXECUTE, scripts.A, "wait", 0.6),
    Ratio("writers' wait / script B", stages.EXECUTE, scripts.B, "wait", 1.3),
    Ratio("writers' wait, CPU / script A", stages.EXECUTE, scripts.A, "wait_cpu"),
    Ratio("writers' wait, CPU / script B", stages.EXECUTE, scripts.B, "wait_cpu"),
    Ratio("nothing changed / script B", stages.NOTHING_CHANGED, scripts.B, "wait"),
    Ratio("rollback / the way back of B", "rollback", scripts.BACK, "wait", 1.3),
    Ratio("extraction / bare loops", "snapshot", loops.named(1000), "seconds", 1.2),
    Ratio("the same, 100 a page", stages.BY_100, loops.named(100), "seconds", 1.2),
    Ratio(f"the same, {ANSWER:g} s for each answer", stages.SLOWER, loops.SLOWER, "seconds", 1.2),
    Ratio("extraction, client CPU / bare loops", "snapshot", loops.named(1000), "cpu"),
    Ratio("survey and backup / pg_dump", "survey and backup", "pg_dump alone", "seconds"),
    Ratio("rehearsal / pg_restore", "rehearsal", "pg_restore alone", "seconds"),
    Ratio("plan / plain COPY in", "plan", "plain COPY in", "seconds"),
    Ratio("verify / COPY out", "verify", "plain COPY out", "seconds"),
)
