"""The sheet before production: seven lines, each proven, accepted, signed, or open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LineState(StrEnum):
    """How a line of the sheet stands."""

    PROVEN = "proven"  # by the run itself
    WAIVED = "accepted by a waiver"  # of a check that found what the claim denies
    SIGNED = "signed"  # by a person
    OPEN = "open"
    NOT_ASKED = "not asked"  # this environment needs no signature for it


@dataclass(frozen=True, slots=True)
class Signature:
    """What a person signed, in their own words.

    ``who`` is the name that was given, ``account`` the operating system's account that gave it.
    """

    line: str
    who: str
    text: str
    account: str
    at: datetime
    number: int  # of its line in the register


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One line of the sheet. ``by`` are checks, or a person; ``text`` says what they vouch for.

    It is ``for_a_person`` where somebody can close it now: what a dry run can prove it proves
    first, and for a check that stops the run no word can stand.
    """

    id: str
    claim: str
    state: LineState
    by: str = ""
    text: str = ""
    at: datetime | None = None
    signed: Signature | None = None
    for_a_person: bool = False

    def command(self, environment: str) -> str:
        """What a person types to sign it."""
        return f'nexus-reimport sign {environment} {self.id} --who "…" --text "…"'


@dataclass(frozen=True, slots=True)
class SignOff:
    """The whole sheet, as it stood at one moment; ``asked``: production does not run without it."""

    lines: tuple[SheetLine, ...]
    asked: bool

    @property
    def open(self) -> tuple[SheetLine, ...]:
        """The lines that are not proven, accepted or signed, and that production needs."""
        return tuple(line for line in self.lines if line.state is LineState.OPEN)
