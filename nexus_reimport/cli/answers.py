"""Who answers the questions of ``nexus-reimport init``: a person at a terminal, or a file."""

from __future__ import annotations

import getpass
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus_reimport.cli.output import write
from nexus_reimport.errors import ReimportError, SettingsError, StopError

NOTHING_WRITTEN = "no file was written"


@dataclass(frozen=True, slots=True)
class Question:
    """One value of the file: what is asked, and what stands if nothing is answered."""

    key: str
    text: str
    default: str | int = ""
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret: asked for without showing it, and written into ``.env.<name>``."""

    key: str
    text: str
    suffix: str  # of its variable: NEXUS_<ENV>_<suffix>


class Terminal:
    """Answers of a person: asked until they are usable."""

    def value(self, section: str, question: Question, default: str | int) -> str | int:
        """The answer, of the default's type."""
        hint = f" ({', '.join(question.choices)})" if question.choices else ""
        while True:
            shown = f" [{default}]" if default != "" else ""
            typed = _typed(f"  {question.text}{hint}{shown}: ").strip() or str(default)
            if problem := _problem(question, typed):
                tell(f"  {problem}")
                continue
            return int(typed) if isinstance(question.default, int) else typed

    def secret(self, secret: Secret, variable: str, known: str) -> str:
        """The secret as typed; "" keeps the one that is known."""
        keep = f" [Enter: that of {variable}]" if known else ""
        while True:
            try:
                typed = getpass.getpass(f"  {secret.text}{keep}: ", stream=sys.stderr)
            except EOFError:
                raise _unanswered() from None
            if typed or known:
                return typed
            tell(f"  it is needed; or break off, and export {variable} first")

    def again(self, error: ReimportError) -> bool:
        """Whether the section is asked again, after what was tried has failed."""
        tell(f"\n{error}\n")
        return self.yes("  Answer these again?", default=True)

    def all_were_asked(self) -> None:
        """A person answers nothing else."""

    def yes(self, text: str, *, default: bool) -> bool:
        """A question for yes or no."""
        while True:
            typed = _typed(f"{text} [{'Y/n' if default else 'y/N'}]: ").strip().lower()
            if typed in ("", "y", "yes", "n", "no"):
                return typed[0] == "y" if typed else default
            tell("  answer y or n")


class Given:
    """Answers of a file: a missing one has its default, a wrong one ends the command."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self._asked: set[str] = set()

    def value(self, section: str, question: Question, default: str | int) -> str | int:
        """The answer of the file, or the default."""
        name = ".".join(filter(None, (section, question.key)))
        self._asked.add(name)
        value = dict(_by_name(self._answers)).get(name, default)
        if not isinstance(value, str | int) or (problem := _problem(question, str(value))):
            raise SettingsError(
                f"{name}: "
                f"{problem if isinstance(value, str | int) else 'must be a text or a number'}",
                where="the answers",
                state=NOTHING_WRITTEN,
                next=f"add it there: {question.text}",
            )
        return value

    def secret(self, secret: Secret, variable: str, known: str) -> str:
        """A secret comes from its variable alone."""
        if not known:
            raise SettingsError(
                f"{variable} is not set: {secret.text}",
                state=NOTHING_WRITTEN,
                next=f"export {variable}, then run the command again",
            )
        return ""

    def again(self, error: ReimportError) -> bool:
        """Nobody can be asked again."""
        raise error

    def all_were_asked(self) -> None:
        """Check that every answer of the file was used.

        Raises:
            SettingsError: what nobody asks for, and would be missing in silence.
        """
        from nexus_reimport import wording

        if others := [name for name, _ in _by_name(self._answers) if name not in self._asked]:
            raise SettingsError(
                f"{wording.amount(len(others), 'answer')} to no question: {wording.some(others)}",
                where="the answers",
                state=NOTHING_WRITTEN,
                next="correct the name; or take it out, and write it into the environment's file"
                " afterwards. Secrets come from environment variables",
            )


Asked = Terminal | Given


def who_answers(answers: str) -> Asked:
    """A file where one is named, else the person at the terminal.

    Raises:
        SettingsError: the file cannot be read, or there is no terminal. Nothing was written.
    """
    if answers:
        try:
            text = sys.stdin.read() if answers == "-" else Path(answers).read_text(encoding="utf-8")
            return Given(tomllib.loads(text))
        except (OSError, ValueError) as error:  # TOMLDecodeError is one
            reason = error.strerror if isinstance(error, OSError) else "is not valid TOML"
            raise SettingsError(
                f"the answers cannot be read: {reason}",
                where=answers,
                state=NOTHING_WRITTEN,
                next="correct the file, or its name",
            ) from None
    if sys.stdin.isatty():
        return Terminal()
    raise SettingsError(
        "there is no terminal to ask on",
        state=NOTHING_WRITTEN,
        next="run the command in a terminal, or give --answers FILE (--help)",
    )


def _by_name(answers: dict[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Each answer by its name with its sections: ``filemaker.exports.folder``."""
    for key, value in answers.items():
        if isinstance(value, dict):
            yield from _by_name(value, f"{section}{key}.")
        else:
            yield f"{section}{key}", value


def _problem(question: Question, typed: str) -> str:
    """Why an answer cannot be used; "" if it can."""
    from nexus_reimport.settings.environment import zone_problem

    if not typed:
        return "" if question.may_be_empty else "an answer is needed"
    if question.choices and typed not in question.choices:
        return f"answer {' or '.join(question.choices)}"
    is_number = typed.isascii() and typed.isdecimal() and len(typed) <= 5
    if isinstance(question.default, int) and not (is_number and 0 < int(typed) < 65536):
        return "must be a number from 1 to 65535"
    return zone_problem(typed) if question.key == "timezone" else ""


def _typed(text: str) -> str:
    """A line of the terminal.

    Raises:
        StopError: there are no more.
    """
    write(text, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        raise _unanswered()
    return line


def _unanswered() -> StopError:
    return StopError("a question was not answered", state=NOTHING_WRITTEN, next="run it again")


def tell(text: str) -> None:
    """A line for the person, beside what the command prints."""
    write(text, err=True)
