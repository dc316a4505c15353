"""What people say for the record, their name and their words: whether it may stand there.

A record is kept for years and shown to many. So nothing of a patient may come into it by what a
person types: that is told while the command can be typed again, and not at the seal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nexus_reimport import wording
from nexus_reimport.errors import NOTHING_WRITTEN, SettingsError
from nexus_reimport.record import closing
from nexus_reimport.settings import Settings, Waiver
from nexus_reimport.settings.credentials import suspected
from nexus_reimport.text import one_line

NAME, TEXT = 100, 1_000  # characters at most


def problem(text: str, longest: int) -> str:
    """Why ``text`` cannot stand in a record, by its form alone; "" where it can."""
    if len(text) > longest:
        return f"has {wording.amount(len(text), 'character')}; {longest:,} are the most"
    if not text.isprintable():
        return "has characters that cannot be shown"
    if suspected(text):
        return "looks like a login or a token, and it is recorded and shown"
    return ""


def refuse_unfit(
    settings: Settings,
    name: str,
    reason: str,
    state: str = NOTHING_WRITTEN,
    waivers: Iterable[Waiver] = (),
) -> None:
    """Stop if the name, or the reason, of somebody who approves cannot stand in a record.

    Nor can the reason of one of ``waivers`` that identifies a patient: see ``refuse_waivers``.

    Raises:
        SettingsError: it is too long, cannot be shown, holds a secret, or identifies a patient.
            ``state`` is left.
    """
    for what, text, longest in (("name", one_line(name), NAME), ("reason", one_line(reason), TEXT)):
        if why := problem(text, longest):
            raise SettingsError(
                f"the {what} of the approval {why}",
                where=f"environment {settings.name}",
                state=state,
                next="give your own name, and say in short why you approve",
            )
    own = ("name or reason of the approval", name, reason)
    _refuse_patients(settings, [*_of_waivers(waivers), own], state)


def refuse_patient(settings: Settings, what: str, name: str, text: str) -> None:
    """Stop if ``text``, written by the person called ``name``, identifies a patient.

    People may be called as patients are; nobody is called as a number, or as a date.

    Raises:
        SettingsError: it does, by what the newest run has read. Nothing was written to Nexus.
    """
    _refuse_patients(settings, [(what, name, text)], NOTHING_WRITTEN)


def refuse_waivers(settings: Settings, waivers: Iterable[Waiver]) -> None:
    """Stop if the reason of a waiver identifies a patient: each report repeats it.

    Raises:
        SettingsError: it does, by what the newest run has read. Nothing was written to Nexus.
    """
    _refuse_patients(settings, _of_waivers(waivers), NOTHING_WRITTEN)


Written = tuple[str, str, str]  # what it is, who has written it, the text


def _of_waivers(waivers: Iterable[Waiver]) -> list[Written]:
    return [(f"the reason of the waiver for {w.check}", w.who, w.reason) for w in waivers]


def _refuse_patients(settings: Settings, written: Sequence[Written], state: str) -> None:
    pairs = [(one_line(name), one_line(text)) for _, name, text in written]
    for (what, _, _), does in zip(written, closing.naming_a_person(settings, pairs), strict=True):
        if does:
            raise SettingsError(
                f"{what} identifies a patient, and nothing of a patient may stand in a record",
                where=f"environment {settings.name}",
                state=state,
                next="say it without the name or number; write a FileMaker id where it must be"
                f' told. Is it a word for something else: add labels = ["..."] to'
                f" {settings.name}.toml",
            )
