"""The kinds of run, and the list of cases: what is crossed with what, and what is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from nexus_reimport.record import Verdict

from .faults import AT_COMMIT, NEEDS_SESSION, Fault
from .fixture import ENVIRONMENT, World
from .journal import Point

RUN = ("run", ENVIRONMENT, "--approve-rehearsed")
NOT_DONE = (None, Verdict.STOPPED, Verdict.FAILED, Verdict.KILLED, Verdict.PARTIAL)
DONE = (Verdict.COMMITTED_UNVERIFIED, Verdict.COMPLETE)
OUTSIDE = (Fault.DISK, Fault.FILEMAKER, Fault.STORAGE)  # struck once a stage, not at each step


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run: how it begins, its command, and what may be there when it was disturbed.

    ``before`` and ``after`` are names of states; ``allowed`` tells for each of the two which
    verdicts say the truth.
    """

    name: str
    says: str
    start: str
    words: Callable[[World], tuple[str, ...]]
    before: str
    after: str
    allowed: Mapping[str, tuple[Verdict | None, ...]]
    exit_code: int = 0  # undisturbed
    until: str = ""  # the stage with which another kind's points begin

    @property
    def leaves(self) -> str:
        """The state that an undisturbed run leaves."""
        return self.after if self.allowed["after"] else self.before

    def word(self, state: str) -> str:
        """``state`` as the table says it."""
        return {self.before: "before", self.after: "after"}.get(state, "BETWEEN")


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "preflight",
            says="`run`, up to the digest",
            start="found",
            words=lambda _: ("run", ENVIRONMENT),
            before="found",
            after="reimported",
            allowed={"before": NOT_DONE, "after": ()},
            exit_code=1,
        ),
        Kind(
            "execute",
            says="`run --approve`, up to COMMIT",
            start="rehearsed",
            words=lambda world: ("run", ENVIRONMENT, "--approve", world.digest()),
            before="found",
            after="reimported",
            allowed={"before": NOT_DONE, "after": DONE},
            until="checks_after",
        ),
        Kind(
            "verify",
            says="`finish` of what is committed",
            start="committed",
            words=lambda _: ("finish", ENVIRONMENT),
            before="found",
            after="reimported",
            allowed={"before": (), "after": DONE},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Reference:
    """An undisturbed run of a kind: where it came along, and how long it took."""

    kind: str
    points: tuple[Point, ...]
    connected: frozenset[Point]  # a session of ours was open between this point and the next
    seconds: float


@dataclass(frozen=True, slots=True)
class Case:
    """One blow to one run: at a point, or (``share``) after a part of the usual time."""

    kind: str
    fault: Fault
    point: Point | None
    share: float = 0.0
    number: int = 0

    def __str__(self) -> str:
        place = self.point or f"at random {self.number}"
        return f"{self.kind}: {place} × {self.fault}"


def every(references: Iterable[Reference], seed: int, randoms: int) -> list[Case]:
    """All cases: at each point, at COMMIT, and at random instants."""
    known = list(references)
    cases = [case for reference in known for case in _crossed(reference)]
    return cases + list(_random(known, seed, randoms))


def _crossed(reference: Reference) -> Iterator[Case]:
    for point in reference.points:
        for fault in Fault:
            if fits(reference, point, fault):
                yield Case(reference.kind, fault, point)


def fits(reference: Reference, point: Point, fault: Fault) -> bool:
    """Whether a fault is struck at a point of a kind of run."""
    if fault in AT_COMMIT:
        return point.step == "committing"
    if fault in OUTSIDE:
        return not point.step and point.stage not in ("opened", "sealed")
    if fault in NEEDS_SESSION:
        return point in reference.connected
    return fault is not Fault.KERNEL or point.stage != "sealed"  # the runner seals, alone


def _random(references: list[Reference], seed: int, count: int) -> Iterator[Case]:
    faults = [fault for fault in Fault if fault not in AT_COMMIT]
    for number in range(1, count + 1):
        chance = random.Random(f"{seed}/{number}")
        reference = chance.choices(references, [r.seconds for r in references])[0]
        yield Case(reference.kind, chance.choice(faults), None, chance.random(), number)
