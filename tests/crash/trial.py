"""One case from its beginning to the run after it, and what of it was not as promised."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from nexus_reimport.record import Verdict

from .cases import DONE, KINDS, RUN, Case, Kind
from .faults import KILLS_COMMAND, Fault, strike, take_back
from .fixture import ENVIRONMENT, Command, World
from .journal import TICK, Journal, Point
from .undisturbed import step_through

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


def play(world: World, case: Case, usual: float = 0.0, *, briskly: bool = False) -> Result:
    """One case. ``usual`` is how long an undisturbed run takes.

    ``briskly`` steps through the next run in this process, at a quarter of the cost.
    """
    kind, began = KINDS[case.kind], time.monotonic()
    world.begin(kind.start, small_disk=case.fault is Fault.DISK)
    journal = Journal(world.runs / ENVIRONMENT)
    command = world.start(kind.words(world))
    came = _instant(case, usual, journal, command)
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
    taken, more = _follow(world, texts, briskly=briskly)
    wrong += more
    if runs and verdict is not Verdict.PARTIAL:
        wrong += _judge_at_last(world, runs[-1].id, kind.word(state))
    world.close_disk()
    return Result(
        case, struck.hit, struck.at, kind.word(state), verdict, tuple(taken), tuple(wrong),
        time.monotonic() - began, "\n---\n".join(texts),
    )  # fmt: skip


def _instant(case: Case, usual: float, journal: Journal, command: Command) -> Callable[[], bool]:
    point = case.point
    if point is not None:
        return lambda: journal.reach(point, command.runs)
    end = time.monotonic() + case.share * usual

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


def _follow(world: World, texts: list[str], *, briskly: bool) -> tuple[list[str], list[str]]:
    """What an engineer does next: what the last message advises, else the run again.

    Adds to ``texts`` what was said. Gives the commands, and what was wrong with them.
    """
    taken: list[str] = []
    while len(taken) < MOST_STEPS:
        words = _advised(texts[-1]) or RUN
        stepping = briskly and words[0] == "run"
        code, said = step_through(world) if stepping else _given(world.start(words))
        taken.append("steps" if stepping else words[0])
        texts.append(f"$ nexus-reimport {' '.join(words)}\n{said}")
        if words[0] == "run" and code == 0:
            return taken, _after_all(world)
        if words[0] == "run" and not _leads_on(_advised(said)):
            return taken, [f"the run after it failed with exit code {code}"]
    return taken, [f"the advice led nowhere: {', '.join(taken)}"]


def _given(command: Command) -> tuple[int, str]:
    return command.wait(), command.said


def _leads_on(words: tuple[str, ...]) -> bool:
    """Whether a run that did not end well says what must be done first, or asks for approval."""
    return words[:1] not in ((), ("run",)) or "--approve" in words


def _advised(said: str) -> tuple[str, ...]:
    """The first command that a message names; ENV stands for the environment."""
    found = _ADVISED.search(said.partition("\n")[2] if said.startswith("$ ") else said)
    words = found[1].replace("ENV", ENVIRONMENT).split() if found else []
    return tuple([*words, ENVIRONMENT] if len(words) == 1 else words)


def _after_all(world: World) -> list[str]:
    found = [f"left behind at last: {thing}" for thing in world.leftovers()]
    state = world.state_name()
    if state != "reimported":
        found.append(f"after the next run the database is {state}")
    return found
