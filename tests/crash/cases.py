"""The kinds of run, and the list of cases: what is crossed with what, and what is not."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from nexus_reimport.record import Verdict

from .faults import AT_COMMIT, KILLING, NEEDS_SESSION, Fault
from .fixture import ENVIRONMENT, FOUND, World
from .journal import Point

RUN = ("run", ENVIRONMENT, "--approve-rehearsed")
NOT_DONE = (None, Verdict.STOPPED, Verdict.FAILED, Verdict.KILLED, Verdict.PARTIAL, Verdict.WAITING)
DONE = (Verdict.COMMITTED_UNVERIFIED, Verdict.COMPLETE)
EITHER: Mapping[str, tuple[Verdict | None, ...]] = {"before": NOT_DONE, "after": DONE}
OUTSIDE = (Fault.DISK, Fault.FILEMAKER, Fault.STORAGE)  # struck once a stage, not at each step
COMMIT = ("committing", "committed")
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of run: how it begins, its command, and what may be there when it was disturbed.

    ``before`` and ``after`` are names of states; ``allowed`` tells for each of the two which
    verdicts say the truth.
    """

    name: str
    says: str
    start: str
    words: Callable[[World], Words]
    after: str
    before: str = FOUND
    allowed: Mapping[str, tuple[Verdict | None, ...]] = field(default_factory=lambda: EITHER)
    again: Callable[[World], Words] = lambda _: RUN  # what is done next where it did not happen
    goal: str = "reimported"  # the state that this leaves
    continues: bool = True  # goes on with a run that is there, and begins none of its own
    exit_code: int = 0  # undisturbed
    until: str = ""  # the stage with which another kind's points begin
    turns: int = len(KILLING)  # how many of the faults that kill strike at each step, by turns

    @property
    def leaves(self) -> str:
        """The state that an undisturbed run leaves."""
        return self.after if self.allowed["after"] else self.before

    def word(self, state: str) -> str:
        """``state`` as the table says it."""
        return {self.before: "before", self.after: "after"}.get(state, "BETWEEN")


def _rollback(world: World) -> Words:
    return ("rollback", world.latest("reimport"), "--discard-newer", "--approve-rehearsed")


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "preflight",
            says="`run`, up to the digest",
            start=FOUND,
            words=lambda _: ("run", ENVIRONMENT),
            after="reimported",
            allowed={"before": NOT_DONE, "after": ()},
            continues=False,
            exit_code=6,
            turns=3,
        ),
        Kind(
            "execute",
            says="`run --approve`, up to COMMIT",
            start="rehearsed",
            words=lambda world: ("run", ENVIRONMENT, "--approve", world.digest()),
            after="reimported",
            until="checks_after",
        ),
        Kind(
            "verify",
            says="`finish` of what is committed",
            start="committed",
            words=lambda _: ("finish", ENVIRONMENT),
            after="reimported",
            allowed={"before": (), "after": DONE},
        ),
        Kind(
            "rollback",
            says="`rollback` of the latest run; *after* is the state before that run",
            start="complete",
            words=_rollback,
            before="reimported",
            after=FOUND,
            again=_rollback,
            goal=FOUND,
            continues=False,
            turns=3,
        ),
        Kind(
            "relink",
            says="`relink --approve`, up to COMMIT",
            start="rehearsed-links",
            words=lambda world: ("relink", ENVIRONMENT, "--approve", world.digest()),
            after="relinked",
            again=lambda _: ("relink", ENVIRONMENT, "--approve-rehearsed"),
            goal="relinked",
            until="checks_after",
            turns=1,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Reference:
    """An undisturbed run of a kind: where it came along, and how long it took."""

    kind: str
    points: tuple[Point, ...]
    reached: tuple[float, ...]  # seconds after the start, one for each point
    connected: frozenset[Point]  # a session of ours was open between this point and the next
    seconds: float

    def at(self, seconds: float) -> tuple[Point | None, float]:
        """The point that came before that instant, and how long before; None before all."""
        number = bisect.bisect_right(self.reached, seconds)
        if number == 0:
            return None, seconds
        return self.points[number - 1], seconds - self.reached[number - 1]


@dataclass(frozen=True, slots=True)
class Case:
    """One blow to one run: at a point, or at random: some seconds past one, or past the start.

    A random instant is counted from a point, since a run takes longer beside other work.
    """

    kind: str
    fault: Fault
    point: Point | None
    past: Point | None = None
    pause: float = 0.0  # seconds
    number: int = 0

    def __str__(self) -> str:
        place = self.point or f"at random {self.number}"
        return f"{self.kind}: {place} × {self.fault}"


def every(references: Iterable[Reference], seed: int, randoms: int) -> list[Case]:
    """All cases: at COMMIT, at random instants, and at each point, one fault after the other.

    In the order in which they are played: whoever stops early has struck at every point.
    """
    known = list(references)
    cases = [case for reference in known for case in _crossed(reference)]
    at_commit = [case for case in cases if case.fault in AT_COMMIT]
    turns: list[tuple[int, Case]] = []
    for number, (_, group) in enumerate(groupby(cases, key=lambda case: (case.kind, case.point))):
        ordered = [case for case in group if case.fault not in AT_COMMIT]
        first = number % len(ordered) if ordered else 0
        turns += enumerate([*ordered[first:], *ordered[:first]])
    by_turns = [case for _, case in sorted(turns, key=lambda turn: turn[0])]
    return [*at_commit, *_random(known, seed, randoms), *by_turns]


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
    if fault in NEEDS_SESSION and point not in reference.connected:
        return False
    if fault is Fault.KERNEL and point.stage == "sealed":
        return False  # the runner seals, alone
    turns = KINDS[reference.kind].turns
    if not point.step or point.step in COMMIT:
        return True
    first = reference.points.index(point)
    return fault in [KILLING[(first + n) % len(KILLING)] for n in range(turns)]


def _random(references: list[Reference], seed: int, count: int) -> Iterator[Case]:
    faults = [fault for fault in Fault if fault not in AT_COMMIT]
    for number in range(1, count + 1):
        chance = random.Random(f"{seed}/{number}")
        reference = chance.choices(references, [r.seconds for r in references])[0]
        past, pause = reference.at(0.95 * reference.seconds * chance.random())
        yield Case(reference.kind, chance.choice(faults), None, past, pause, number)
