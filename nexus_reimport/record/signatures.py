"""Signatures before production: lines of the register beside an environment's records.

A signature stands until a run that relied on it is committed, or until it is withdrawn: who agreed
to last month's night has not agreed to tonight's.
"""

from __future__ import annotations

from collections.abc import Mapping

from nexus_reimport.errors import SettingsError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Signature, SignOff
from nexus_reimport.record import closing, register, runs
from nexus_reimport.record.journal import Entry
from nexus_reimport.settings import Settings
from nexus_reimport.settings.credentials import suspected

_NAME, _TEXT = 100, 1_000  # characters at most


def sign(settings: Settings, line: str, who: str, text: str) -> Signature:
    """Write a signature into the register; it is on the disk when this returns.

    Raises:
        SettingsError: name or text is missing, too long, or cannot be shown. Nothing was written.
    """
    return _signature(_append(settings, Event.SIGNED, line, who, text))


def withdraw(settings: Settings, line: str, who: str, text: str) -> None:
    """Take the signature of a line back; the register keeps both.

    Raises:
        SettingsError: the line is not signed, or name or text cannot be used. Nothing was written.
    """
    if line not in standing(settings):
        raise SettingsError(
            f"{line} is not signed, so there is nothing to withdraw",
            where=f"environment {settings.name}",
            next=f"nexus-reimport sign {settings.name} shows the sheet",
        )
    _append(settings, Event.WITHDRAWN, line, who, text)


def standing(settings: Settings) -> Mapping[str, Signature]:
    """Line -> its signature, where it has one that is neither spent nor withdrawn."""
    place = settings.folders.runs / settings.name
    entries = register.entries(place, Event.SIGNED, Event.WITHDRAWN)
    spent = _spent(settings) if entries else set()  # every page asks, and few have signed
    by_line: dict[str, Signature] = {}
    for entry in entries:
        if entry.event is Event.WITHDRAWN:
            by_line.pop(entry.text("line"), None)
        elif entry.event is Event.SIGNED and int(entry.line["n"]) not in spent:
            by_line[entry.text("line")] = _signature(entry)
    return by_line


def _signature(entry: Entry) -> Signature:
    line, who, text, account = (entry.text(name) for name in ("line", "name", "text", "who"))
    return Signature(line, who, text, account, entry.at, int(entry.line["n"]))


def _spent(settings: Settings) -> set[int]:
    """The numbers of the signatures on which a committed run has relied."""
    return {
        line.signed.number
        for run in runs.every(settings)
        if run.is_committed() and run.has(SignOff)
        for line in run.load(SignOff).lines
        if line.signed
    }


def problems(who: str, text: str) -> dict[str, str]:
    """What is wrong with the ``name`` or the ``text`` of a signature; nothing if it can be used."""
    reasons = {"name": _wrong(_tidy(who), _NAME), "text": _wrong(_tidy(text), _TEXT)}
    return {what: why for what, why in reasons.items() if why}


def _append(settings: Settings, event: Event, line: str, who: str, text: str) -> Entry:
    for what, why in problems(who, text).items():
        raise SettingsError(
            f"the {what} of the signature {why}",
            next="sign with your own name (--who) and with what you vouch for (--text)",
        )
    if closing.names_a_person(settings, (_tidy(who), _tidy(text)), signer=_tidy(who)):
        raise SettingsError(
            "name or text of the signature identifies a patient, and nothing of a patient may"
            " stand in a record",
            where=f"environment {settings.name}",
            next="say it without the name or number; write a FileMaker id where it must be told."
            f' Is it a word for something else: add labels = ["..."] to {settings.name}.toml',
        )
    place = settings.folders.runs / settings.name
    private.close_folder(place)
    return register.note(place, event, line=line, name=_tidy(who), text=_tidy(text))


def _tidy(given: str) -> str:
    return " ".join(given.split())


def _wrong(text: str, longest: int) -> str:
    if not text:
        return "is missing"
    if len(text) > longest:
        return f"has {len(text):,} characters; {longest:,} are the most"
    if not text.isprintable():
        return "has characters that cannot be shown"
    if suspected(text):
        return "looks like a login or a token, and it is recorded and shown"
    return ""
