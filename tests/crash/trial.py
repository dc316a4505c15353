"""One case from its beginning to the run after it, and what of it was not as promised."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexus_reimport.record import Run, Verdict

from . import look
from .cases import DONE, KINDS, RUN, Case, Kind, Words
from .faults import KILLS_COMMAND, Fault, strike, take_back
from .fixture import DATABASE, ENVIRONMENT, Command, World
from .journal import TICK, Journal, Point
from .undisturbed import step_through

MOST_STEPS = 6  # commands that an engineer would follow before calling somebody
_ADVISED = re.compile(
    r"nexus-reimport (?:run|finish|settle|seal|rollback|relink)\b"
    r"(?: [\w-]+(?: --approve [0-9a-f]+| --[\w-]+)*)?"
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


def play(world: World, case: Case, *, briskly: bool = False) -> Result:
    """One case; ``briskly``: the next run is stepped through here, at a quarter of the cost."""
    kind, began = KINDS[case.kind], time.monotonic()
    world.begin(kind.start, small_disk=case.fault is Fault.DISK)
    known = {run.id: len(run.events()) for run in world.records()}
    journal = Journal(world.runs / ENVIRONMENT)
    command = world.start(kind.words(world))
    came = _instant(case, journal, command)
    struck = strike(world, command, journal, case.fault, came, anywhere=case.point is None)
    code = command.wait()
    wrong = [f"left behind: {thing}" for thing in world.leftovers()]
    take_back(world)
    word, run = kind.word(state := world.state_name()), _its_own(world, kind, known)
    verdict = run.verdict() if run else None
    wrong += _judge(kind, state, verdict)
    if run and case.fault not in KILLS_COMMAND:
        # A command that ended before it went on with the run that waits says so by its own code.
        is_own = len(run.events()) != known.get(run.id)
        if (code != run.exit_code()) if is_own else (code == 0):
            wrong.append(f"exit code {code} with the verdict {verdict}")
    texts = [command.said]
    taken, more = _follow(world, kind, word, texts, briskly=briskly)
    wrong += more + _judge_at_last(world, run.id if run else "", word, verdict)
    world.close_disk()
    return Result(
        case,
        struck.hit,
        struck.at,
        word,
        verdict,
        tuple(taken),
        tuple(wrong),
        time.monotonic() - began,
        "\n---\n".join(texts),
    )


def _its_own(world: World, kind: Kind, known: Mapping[str, int]) -> Run | None:
    """The record of the disturbed run; None if it was not begun yet."""
    runs = world.records()
    candidates = runs if kind.continues else [run for run in runs if run.id not in known]
    return candidates[-1] if candidates else None


def _instant(case: Case, journal: Journal, command: Command) -> Callable[[], bool]:
    point, past = case.point, case.past
    if point is not None:
        return lambda: journal.reach(point, command.runs)

    def came() -> bool:
        """The pause after a point is over, or the next point has come."""
        if past is not None and not journal.reach(past, command.runs):
            return False
        reached, end = len(journal.points), time.monotonic() + case.pause
        while command.runs() and time.monotonic() < end and len(journal.points) == reached:
            journal.look()
            time.sleep(TICK)
        return command.runs()

    return came


def _judge(kind: Kind, state: str, verdict: Verdict | None) -> list[str]:
    word = kind.word(state)
    if word == "BETWEEN":
        return [f"the database is {state}"]
    if verdict is Verdict.IN_DOUBT or verdict in kind.allowed[word]:
        return []
    return [f"the verdict is {verdict}, but the database is as {word} the run"]


def _judge_at_last(world: World, run: str, word: str, first: Verdict | None) -> list[str]:
    """Once all is settled, every verdict is a final one, and every record as it was sealed."""
    found, anchors = [], look.anchors(world.server.dsn(DATABASE))
    for one in world.records():
        verdict = one.verdict()
        if not one.is_sealed:
            found.append(f"a run stays open as {verdict}")
        elif one.problems():
            found.append(f"a sealed record: {'; '.join(one.problems())}")
        elif verdict is Verdict.COMPLETE and anchors.get(one.id) != one.seal_digest():
            found.append("the database does not know the seal of a COMPLETE run")
        # Approved afterwards.
        went_on = first in (Verdict.PARTIAL, Verdict.WAITING) and verdict is not first
        if one.id == run and not went_on and (verdict in DONE) != (word == "after"):
            found.append(f"at last the verdict is {verdict}, though the database was as {word}")
    return found + [f"not even the next run has swept up {thing}" for thing in world.swept()]


def _follow(
    world: World, kind: Kind, word: str, texts: list[str], *, briskly: bool
) -> tuple[list[str], list[str]]:
    """What an engineer does next: what the last message advises, else the run again.

    Adds to ``texts`` what was said. Gives the commands, and what was wrong with them.
    """
    again, goal = (kind.again(world), kind.goal) if word == "before" else (RUN, "reimported")
    taken: list[str] = []
    while len(taken) < MOST_STEPS:
        words = _advised(texts[-1]) or again
        stepping = briskly and words[0] == "run"
        code, said = step_through(world) if stepping else _given(world.start(words))
        taken.append("steps" if stepping else words[0])
        texts.append(f"$ nexus-reimport {' '.join(words)}\n{said}")
        if words[0] == again[0] and code == 0:
            return taken, _after_all(world, goal)
        if words[0] == again[0] and not _leads_on(_advised(said), again):
            return taken, [f"the {words[0]} after it failed with exit code {code}"]
    return taken, [f"the advice led nowhere: {', '.join(taken)}"]


def _given(command: Command) -> tuple[int, str]:
    return command.wait(), command.said


def _leads_on(words: Words, again: Words) -> bool:
    """Whether a run that did not end well says what must be done first, or asks for approval."""
    return words[:1] not in ((), again[:1]) or "--approve" in words


def _advised(said: str) -> Words:
    """The first command that a message names; ENV stands for the environment."""
    found = _ADVISED.search(said.partition("\n")[2] if said.startswith("$ ") else said)
    if found is None:
        return ()
    name, *rest = found[0].removeprefix("nexus-reimport ").replace("ENV", ENVIRONMENT).split()
    return (name, *(rest or [ENVIRONMENT]))


def _after_all(world: World, goal: str) -> list[str]:
    found = [f"left behind at last: {thing}" for thing in world.leftovers()]
    state = world.state_name()
    if state != goal:
        found.append(f"after the next run the database is {state}")
    return found
