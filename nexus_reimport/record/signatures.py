"""Signatures before production: lines of the register beside an environment's records.

A signature stands until a run that relied on it is committed, or until it is withdrawn: who agreed
to last month's night has not agreed to tonight's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexus_reimport.errors import SettingsError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Signature, SignOff
from nexus_reimport.record import runs, statements
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.run import Run
from nexus_reimport.record.sealed import register
from nexus_reimport.settings import Settings
from nexus_reimport.text import one_line


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
    place = settings.records_folder
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


def spent_by(settings: Settings) -> str:
    """The latest committed run that relied on signatures; "" if none did."""
    if not register.entries(settings.records_folder, Event.SIGNED):
        return ""
    return next((run for run, numbers in _relied_on(settings) if numbers), "")


def _spent(settings: Settings) -> set[int]:
    """The numbers of the signatures on which a committed run has relied."""
    return {number for _, numbers in _relied_on(settings) for number in numbers}


def _relied_on(settings: Settings) -> Iterator[tuple[str, list[int]]]:
    """Each committed run, the latest first, and the signatures on which it has relied.

    One whose record was changed, so that nobody knows whether it was, has spent them too.
    """
    for run in reversed(runs.every(settings)):
        if (run.is_committed() or run.was_changed) and run.has(SignOff):
            sheet = run.loaded(SignOff)
            # One that was changed says nothing: every signature before its seal is spent.
            until = 0 if sheet else _signed_until(run)
            lines = sheet.lines if sheet else ()
            yield run.id, [*range(1, until + 1), *(n.signed.number for n in lines if n.signed)]


def _signed_until(run: Run) -> int:
    """No signature with a higher number was there when ``run`` was sealed; of an open one, ever."""
    at_most = register.size(run.bag.parent)  # each line has more bytes than one
    return min(at_most, register.held(run.bag)[0]) if run.is_sealed else at_most


def problems(who: str, text: str) -> dict[str, str]:
    """What is wrong with the ``name`` or the ``text`` of a signature; nothing if it can be used."""
    reasons = {"name": _wrong(who, statements.NAME), "text": _wrong(text, statements.TEXT)}
    return {what: why for what, why in reasons.items() if why}


def _append(settings: Settings, event: Event, line: str, who: str, text: str) -> Entry:
    for what, why in problems(who, text).items():
        raise SettingsError(
            f"the {what} of the signature {why}",
            next="sign with your own name (--who) and with what you vouch for (--text)",
        )
    statements.refuse_patient(settings, "name or text of the signature", who, text)
    place = settings.records_folder
    private.close_folder(place)
    return register.note(place, event, line=line, name=one_line(who), text=one_line(text))


def _wrong(given: str, longest: int) -> str:
    text = one_line(given)
    return statements.problem(text, longest) if text else "is missing"
