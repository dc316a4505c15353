"""One case from its beginning to the run after it, and what of it was not as promised."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from nexus_reimport import runbook
from nexus_reimport.record import Verdict

from .cases import DONE, KINDS, RUN, Case, Kind, Reference
from .faults import KILLS_COMMAND, Fault, strike, take_back
from .faults import sessions as open_sessions
from .fixture import ENVIRONMENT, Command, World
from .journal import TICK, Journal, Point

MOST_STEPS = 6  # commands that an engineer would follow before calling somebody
_ADVISED = re.compile(
    r"nexus-reimport ((?:run|finish|settle|seal|rollback|relink)\b.*?)(?:\s\s|[`,;\n]|$)"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case."""

    case: Case
    hit: bool  # whether there was anything to strike
    at: Point | None  # where the run really was
    word: str  # before, after, BETWEEN
    verdict: Verdict | None
    taken: tuple[str, ...]  # the commands that were followed afterwards
    violations: tuple[str, ...]
    seconds: float
    said: str


def undisturbed(world: World, kind: Kind) -> Reference:
    """Run a kind without any fault, and see where it comes along."""
    world.begin(kind.start)
    journal = Journal(world.runs / ENVIRONMENT)
    began = time.monotonic()
    command = world.start(kind.words(world))
    connected: set[Point] = set()
    while command.runs():
        journal.look()
        if journal.last and world.postgres.open and open_sessions(world):
            connected.add(journal.last)
        time.sleep(TICK)
    journal.look()
    points = tuple(dict.fromkeys(journal.points))
    stages = [point.stage for point in points]
    if kind.until in stages:
        points = points[: stages.index(kind.until)]
    return Reference(kind.name, points, frozenset(connected), time.monotonic() - began)


def furnish(world: World) -> list[Reference]:
    """Make every state that a kind begins with, by runs that nobody disturbs."""
    world.begin("found")
    world.states["found"] = world.state()
    preflight = undisturbed(world, KINDS["preflight"])
    world.keep("rehearsed")
    execute = undisturbed(world, KINDS["execute"])
    world.states["reimported"] = world.state()
    world.begin("rehearsed")
    with world.inside():
        book = runbook.resume(ENVIRONMENT)
        book.approve(rehearsed=True)
        book.apply()
    if world.state_name() != "reimported":
        raise AssertionError(f"the same plan, applied twice: {world.state_name()}")
    world.keep("committed")
    return [preflight, execute, undisturbed(world, KINDS["verify"])]


def play(world: World, case: Case, reference: Reference) -> Result:
    """One case."""
    kind, began = KINDS[case.kind], time.monotonic()
    world.begin(kind.start, small_disk=case.fault is Fault.DISK)
    journal = Journal(world.runs / ENVIRONMENT)
    command = world.start(kind.words(world))
    came = _instant(case, reference, journal, command)
    struck = strike(world, command, journal, case.fault, came)
    code = command.wait()
    wrong = [f"left behind: {thing}" for thing in world.leftovers()]
    take_back(world)
    state = world.state_name()
    runs = world.records()
    verdict = runs[-1].verdict() if runs else None
    wrong += _judge(kind, state, verdict)
    if case.fault not in KILLS_COMMAND and runs and code != runs[-1].exit_code():
        wrong.append(f"exit code {code} with the verdict {verdict}")
    texts = [command.said]
    taken, more = _follow(world, command, texts)
    wrong += more
    if runs and verdict is not Verdict.PARTIAL:
        wrong += _judge_at_last(world, runs[-1].id, kind.word(state))
    world.close_disk()
    return Result(
        case, struck.hit, struck.at, kind.word(state), verdict, tuple(taken), tuple(wrong),
        time.monotonic() - began, "\n---\n".join(texts),
    )  # fmt: skip


def _instant(
    case: Case, reference: Reference, journal: Journal, command: Command
) -> Callable[[], bool]:
    point = case.point
    if point is not None:
        return lambda: journal.reach(point, command.runs)
    end = time.monotonic() + case.share * reference.seconds

    def over() -> bool:
        while command.runs() and time.monotonic() < end:
            journal.look()
            time.sleep(TICK)
        return command.runs()

    return over


def _judge(kind: Kind, state: str, verdict: Verdict | None) -> list[str]:
    word = kind.word(state)
    if word == "BETWEEN":
        return [f"the database is {state}"]
    if verdict is Verdict.IN_DOUBT or verdict in kind.allowed[word]:
        return []
    return [f"the verdict is {verdict}, but the database is as {word} the run"]


def _judge_at_last(world: World, run: str, word: str) -> list[str]:
    """Once all is settled, every verdict is a final one, and every record as it was sealed."""
    found = []
    for one in world.records():
        verdict = one.verdict()
        if not one.is_sealed:
            found.append(f"a run stays open as {verdict}")
        elif one.problems():
            found.append(f"a sealed record: {'; '.join(one.problems())}")
        if one.id == run and (verdict in DONE) != (word == "after"):
            found.append(f"at last the verdict is {verdict}, though the database was as {word}")
    return found


def _follow(world: World, first: Command, texts: list[str]) -> tuple[list[str], list[str]]:
    """What an engineer does next: what the last message advises, else the run again.

    Gives the commands, and what was wrong with them.
    """
    taken: list[str] = []
    words = _advised(first) or RUN
    for _ in range(MOST_STEPS):
        command = world.start(words)
        code = command.wait()
        texts.append(f"$ {' '.join(words)}\n{command.said}")
        taken.append(words[0])
        advised = _advised(command)
        if words[0] == "run" and code == 0:
            return taken, _after_all(world)
        if words[0] == "run" and (not advised or advised[0] == "run"):
            return taken, [f"the run after it failed with exit code {code}"]
        words = advised or RUN
    return taken, [f"the advice led nowhere: {', '.join(taken)}"]


def _advised(command: Command) -> tuple[str, ...]:
    """The first command that a message names; ENV stands for the environment."""
    found = _ADVISED.search(command.said)
    words = found[1].replace("ENV", ENVIRONMENT).split() if found else []
    return tuple([*words, ENVIRONMENT] if len(words) == 1 else words)


def _after_all(world: World) -> list[str]:
    found = [f"left behind at last: {thing}" for thing in world.leftovers()]
    state = world.state_name()
    if state != "reimported":
        found.append(f"after the next run the database is {state}")
    return found
