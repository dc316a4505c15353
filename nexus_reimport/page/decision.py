"""The decision that a person must make about a run: a terminal's text, in parts for a page."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A command with the names that it is given; what a sentence says of it follows.
_COMMAND = re.compile(r"(nexus-reimport (?:record )?[a-z]+ [^\s;,]+(?: --[a-z-]+(?: [A-Z]+)?)*)")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a line: a command to paste, or words."""

    text: str
    is_command: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be done, and for which case."""

    letter: str
    case: str
    lines: tuple[tuple[Part, ...], ...]

    @property
    def is_rollback(self) -> bool:
        """Whether it takes the run back: the page has a section for that."""
        parts = (part for line in self.lines for part in line if part.is_command)
        return any(part.text.startswith("nexus-reimport rollback ") for part in parts)


@dataclass(frozen=True, slots=True)
class Decision:
    """What has happened, and the choices, of which the first that applies is taken."""

    what: str
    choices: tuple[Choice, ...]


def of(advice: str) -> Decision:
    """The decision that ``advice`` tells: choices are indented, what they say is so further."""
    what, *choices = re.split(r"^  (?=[A-Z]\. )", advice, flags=re.MULTILINE)
    return Decision(" ".join(what.split()), tuple(map(_choice, choices)))


def _choice(text: str) -> Choice:
    case, *lines = text.splitlines()
    letter, _, case = case.partition(". ")
    return Choice(letter, case, tuple(_parts(line.strip()) for line in lines))


def _parts(line: str) -> tuple[Part, ...]:
    pieces = enumerate(_COMMAND.split(line))  # every second one is a command
    return tuple(Part(text, bool(number % 2)) for number, text in pieces if text)
