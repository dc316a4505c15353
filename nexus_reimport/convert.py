"""FileMaker's text -> values, one function per type.

Each converter takes text as the snapshot holds it (``""`` is empty; dates and times in ISO form,
wall clock, no zone) and gives the text that PostgreSQL itself would print for the value, None for
empty, or, for JSON columns, plain lists and dicts. What does not fit raises ``Misfit`` with a
reason, never with the value.

Wall-clock times get the clinic's zone. An hour that a clock change repeats is taken as the first
of the two; a time inside the hour that a clock change skips is moved forward by that hour.

Where a value had to be derived from another one, or only a part of it fits, the converter gives
``Made``: what came of it, and in words what was wrong or done.
"""

from __future__ import annotations

import html
import math
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from nexus_reimport import forms
from nexus_reimport.text import name_key

EARLIEST = date(1890, 1, 1)
_DURATION = re.compile(r"([0-9]{1,4}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?)?")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")  # Python alone takes 20250630 and 2025-W27-1 too
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_OFFSET = re.compile(r"([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)(?:Z|[+-][0-9]{2}:?[0-9]{2})$")
_REMARK = re.compile(r" \(not .*\)$")  # how a channel passes on what has not its form
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMERIC = re.compile(r"numeric\(([0-9]+),([0-9]+)\)")
_INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_BOOLEANS = {
    **dict.fromkeys(("t", "true", "yes", "y", "1", "1.0", "on"), "t"),
    **dict.fromkeys(("f", "false", "no", "n", "0", "0.0", "off"), "f"),
}
_TRUE = frozenset({"1", "1.0", "yes", "true"})
_KINDS = frozenset({"phone", "mobile", "email", "address"})
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")

Detail = Mapping[str, str]  # one contact-detail record: the names of `with` -> text


class Misfit(Exception):
    """A value does not fit its column. The reason names the kind of trouble, never the value."""


@dataclass(frozen=True, slots=True)
class Made:
    """A value, what of FileMaker's did not fit into it, and what in it was derived."""

    value: Any
    misfits: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def text(value: str) -> str | None:
    """``paragraphs`` without outer blanks; None when nothing is left."""
    joined = paragraphs(value)
    return joined.strip() if joined else None


def paragraphs(value: str) -> str | None:
    """Text with FileMaker's paragraph marks (``\\r``, 0x0B) as newlines; blanks are left alone.

    What PostgreSQL cannot hold is gone already: ``text.clean``.
    """
    joined = value.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n")
    return joined if joined.strip() else None


def identifier(value: str) -> str:
    """A FileMaker id as it is stored and shown: a UUID in lower case, any other as it stands.

    How ids compare is ``text.id_key``. By its shape and not by parsing it: asked often.
    """
    stripped = value.strip()
    if _UUID.fullmatch(stripped):
        return stripped.lower()
    return stripped


def as_uuid(value: str) -> str | None:
    """A UUID in lower case."""
    if not value.strip():
        return None
    try:
        return str(uuid.UUID(value.strip()))
    except ValueError:
        raise Misfit("not a UUID") from None


def whole(value: str) -> str | None:
    """A whole number; ``"7.0"`` counts as one. A decimal point is a point, and nothing groups."""
    if not value.strip():
        return None
    if not _NUMBER.fullmatch(value.strip()):
        raise Misfit("not a number")
    number = Decimal(value.strip())
    if number != number.to_integral_value():
        raise Misfit("not a whole number")
    return str(int(number))


def for_type(value: str, type_name: str) -> str:
    """``value`` as PostgreSQL prints it in a column of this type, as far as its type tells.

    Raises:
        Misfit: the column cannot hold it. Enumerations and domains are PostgreSQL's own affair.
    """
    limit = _INTEGERS.get(type_name)
    if limit is not None:
        number = whole(value) or ""
        if not -limit <= int(number or 0) < limit:
            raise Misfit(f"too large for {type_name}")
        return number
    numeric = _NUMERIC.fullmatch(type_name)
    if numeric:
        return _numeric(value, int(numeric[1]), int(numeric[2]))
    if type_name == "date":
        return iso_date(value) or ""
    if type_name == "uuid":
        return as_uuid(value) or ""
    if type_name == "boolean":
        if value.strip().casefold() not in _BOOLEANS:
            raise Misfit("neither yes nor no")
        return _BOOLEANS[value.strip().casefold()]
    return value


def _numeric(value: str, precision: int, scale: int) -> str:
    if not _NUMBER.fullmatch(value.strip()):
        raise Misfit("not a number")
    number = Decimal(value.strip())
    if abs(number) >= Decimal(10) ** (precision - scale):
        raise Misfit(f"too large for numeric({precision},{scale})")
    if number != round(number, scale):
        raise Misfit(f"more than {scale} digits behind the point")
    return format(round(number, scale), "f")


def iso_date(value: str) -> str | None:
    """A date in ISO form, between 1890 and 2200."""
    if not value.strip():
        return None
    return _date(value).isoformat()


def birth_date(value: str, as_of: datetime) -> str | None:
    """A date that is not in the future of ``as_of``."""
    if not value.strip():
        return None
    day = _date(value)
    if day > as_of.date():
        raise Misfit("a birth date in the future")
    return day.isoformat()


def _date(value: str) -> date:
    try:
        day = date.fromisoformat(value.strip()) if _ISO.fullmatch(value.strip()) else None
    except ValueError:
        day = None
    if day is None:
        raise Misfit(_no_date(value))
    if not EARLIEST <= day < date(2200, 1, 1):
        raise Misfit("a date out of range")
    return day


def _no_date(value: str) -> str:
    """Why ``value`` is no date: the form under which it would be one is named, if there is one."""
    written = _REMARK.sub("", value.strip()).partition(" ")[0]
    fitting = " or ".join(forms.orders(written))
    if fitting:
        return f"not a date in the form that is read, but one as {fitting}"
    return "not a date: its year has two digits" if forms.has_short_year(written) else "not a date"


def duration(value: str) -> timedelta:
    """A FileMaker time: hours may be 24 and more, seconds may have a fraction."""
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise Misfit("not a time")
    hours, minutes, seconds, fraction = match.groups()
    if int(minutes) > 59 or int(seconds or 0) > 59:
        raise Misfit("not a time")
    return timedelta(
        hours=int(hours), minutes=int(minutes), seconds=float((seconds or "0") + (fraction or ""))
    )


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a wall-clock time in ``zone``, in UTC; clock changes as the module says."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def as_text(moment: datetime) -> str:
    """An instant as PostgreSQL prints it when the session's zone is UTC."""
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%d %H:%M:%S}{fraction}+00"


def chronological(value: str) -> tuple[float, str]:
    """A key that sorts dates and instants as PostgreSQL prints them (UTC, ISO) by time.

    It prints years beyond 9999, ``BC`` and infinity, which Python's own types cannot hold. What is
    no date sorts as infinity does.
    """
    year, _, rest = value.partition("-")
    if not year.isdecimal():
        return -math.inf if value == "-infinity" else math.inf, ""
    return (-int(year) if value.endswith(" BC") else int(year)), rest


def on_the_clock(value: str, zone: ZoneInfo) -> str:
    """An instant as PostgreSQL prints it, on the clock of ``zone``; as it is beyond Python's years.

    Near its ends a zone's own offset may lead out of Python's years.
    """
    try:
        return f"{datetime.fromisoformat(value).astimezone(zone):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return value


def timestamp(value: str, zone: ZoneInfo) -> str | None:
    """A wall-clock timestamp; an offset that a server adds is dropped (it is the server's own)."""
    if not value.strip():
        return None
    return as_text(instant(_wall(value), zone))


def _wall(value: str) -> datetime:
    day, _, clock = _OFFSET.sub(r"\1", value.strip().replace("T", " ", 1)).partition(" ")
    return datetime.combine(_date(day), time.min) + duration(clock or "00:00:00")


def moment(day: str, clock: str, zone: ZoneInfo) -> str | None:
    """Midnight of ``day`` plus the duration ``clock``: 24:00:00 is the next day's midnight."""
    if not day.strip():
        return None
    return as_text(instant(_wall_moment(day, clock), zone))


def _wall_moment(day: str, clock: str) -> datetime:
    midnight = datetime.combine(_date(day), time.min)
    return midnight + (duration(clock) if clock.strip() else timedelta())


def end_moment(end: tuple[str, str], start: tuple[str, str], minutes: int, zone: ZoneInfo) -> Made:
    """When an event ends: its own date and time, else its start plus ``minutes``.

    ``end`` and ``start`` are date and time; an end without a date is on the start's date. An end
    before the start is none.
    """
    (day, clock), (start_day, start_clock) = end, start
    if not start_day.strip():
        return Made(None)
    begins = _wall_moment(start_day, start_clock)
    assumed = as_text(instant(begins, zone) + timedelta(minutes=minutes))
    if not clock.strip():
        return Made(assumed, derived=(f"no end: {minutes} minutes after the start",))
    ends = _wall_moment(day if day.strip() else start_day, clock)
    if ends < begins:
        return Made(assumed, derived=(f"ends before it starts: {minutes} minutes after it",))
    return Made(as_text(instant(ends, zone)))


def dated(day: str, stamp: str, zone: ZoneInfo) -> str | None:
    """The date of ``day`` with the time of day of ``stamp``; ``stamp`` alone where day is empty."""
    if not day.strip():
        return timestamp(stamp, zone)
    clock = _wall(stamp).time() if stamp.strip() else time.min
    return as_text(instant(datetime.combine(_date(day), clock), zone))


def choice(value: str, choices: Mapping[str, tuple[str, ...]]) -> str | None:
    """The choice whose spellings hold ``value``, with case, blanks and dots folded."""
    if not value.strip():
        return None
    spelt = name_key(value.replace(".", ""))
    for chosen, spellings in choices.items():
        if spelt == name_key(chosen) or spelt in spellings:
            return chosen
    raise Misfit("no such choice")


def phone(value: str, other: str = "") -> str | None:
    """A phone number as written; ``other`` where ``value`` is empty."""
    return text(value) or text(other)


def flag(value: str) -> bool:
    """Whether a FileMaker 0/1 flag is set."""
    return value.strip().casefold() in _TRUE


def e164(value: str) -> str | None:
    """A phone number in the form of E.164; None where its shape does not tell one.

    Australian numbers with their area code or a mobile's, also where a spreadsheet has taken the
    leading zero of a mobile; numbers that name their country. Service numbers (13, 1300) have none.

    Source: ITU-T E.164; Australian Communications and Media Authority, "Phone number types".
    """
    digits = re.sub(r"[\s().\-/]", "", value)
    national = re.fullmatch(r"(?:(?:\+|00|0011)?610?|0)([2-478]\d{8})|(4\d{8})", digits)
    if national:
        return f"+61{national[1] or national[2]}"
    return digits if re.fullmatch(r"\+(?!61)[1-9]\d{7,14}", digits) else None


def contact_entry(detail: Detail) -> tuple[str, dict[str, str]] | None:
    """The kind and the entry of a contact-detail record; None where it holds no phone or e-mail.

    Shape: email {address, label}; phone or mobile {type, number, phone, label} and, where the
    number has one, e164. Numbers and addresses stay as they were written.

    Raises:
        Misfit: an e-mail without ``@``.
    """
    kind, value = _kind(detail), detail["value"].strip()
    label = detail["label"].strip()
    if not value or kind == "address":
        return None
    if kind == "email":
        if "@" not in value:
            raise Misfit("an e-mail without @")
        return kind, {"address": value, "label": label}
    entry = {"type": kind, "number": value, "phone": value, "label": label}
    international = e164(value)
    return kind, {**entry, "e164": international} if international else entry


def contact_card(details: Iterable[Detail]) -> Made:
    """Phones, e-mails and the default e-mail of one person.

    Shape: ``phones`` and ``emails`` of ``contact_entry``, ``email``: the first address; an absent
    kind is left out. The default entry comes first.
    """
    phones: list[tuple[bool, dict[str, str]]] = []
    emails: list[tuple[bool, dict[str, str]]] = []
    misfits, derived = [], []
    for detail in details:
        try:
            found = contact_entry(detail)
        except Misfit as misfit:
            misfits.append(str(misfit))
            continue
        if found is None:
            continue
        kind, entry = found
        if kind == "email":
            emails.append((not flag(detail["default_email"]), entry))
            if not _EMAIL.fullmatch(entry["address"]):
                derived.append("an e-mail of an odd shape: kept as it was written")
        else:
            phones.append((not flag(detail["default_mobile"]), entry))
        if _declared(detail) not in _KINDS:
            derived.append(f"of no known kind: taken as a {kind} by what it holds")
    card: dict[str, Any] = {}
    if phones:
        card["phones"] = [entry for _, entry in sorted(phones, key=lambda pair: pair[0])]
    if emails:
        card["emails"] = [entry for _, entry in sorted(emails, key=lambda pair: pair[0])]
        card["email"] = card["emails"][0]["address"]
    return Made(card, tuple(misfits), tuple(derived))


def _declared(detail: Detail) -> str:
    return name_key(detail["kind"]).replace("-", "")


def _kind(detail: Detail) -> str:
    declared = _declared(detail)
    if declared in _KINDS:
        return declared
    value = detail.get("value", "")
    return "email" if "@" in value else "phone" if value.strip() else "address"


def address_entry(detail: Detail) -> Made | None:
    """The address that a contact-detail record holds; None where it holds none."""
    if _declared(detail) not in ("address", ""):
        return None
    parts = {
        name: (text(detail[name]) or "")
        for name in ("line1", "line2", "suburb", "state", "postcode", "country")
    }
    if not any(value for name, value in parts.items() if name != "country"):
        return None
    derived: tuple[str, ...] = ()
    if re.fullmatch(r"[2-9]\d\d", parts["postcode"]) and _is_australian(parts["country"]):
        parts["postcode"] = f"0{parts['postcode']}"
        derived = ("a postcode of three digits: its leading zero was put back",)
    shown = [v for v in parts.values() if v]
    entry = {**parts, "label": detail["label"].strip(), "full_address": ", ".join(shown)}
    return Made(entry, derived=derived)


def _is_australian(country: str) -> bool:
    return name_key(country) in ("", "australia", "au", "aus")


def address_card(details: Iterable[Detail]) -> Made:
    """The addresses of one person, and the first of them at the top level as Nexus reads it."""
    found = [made for detail in details if (made := address_entry(detail))]
    if not found:
        return Made({})
    first = found[0].value
    top = {
        "street": first["line1"],
        "street2": first["line2"],
        **{name: first[name] for name in ("suburb", "state", "postcode")},
    }
    card = {"addresses": [made.value for made in found]}
    card |= {name: value for name, value in top.items() if value}
    return Made(card, derived=tuple(said for made in found for said in made.derived))


def html_pages(body: str, opening: str) -> list[str]:
    """A letter's plain text as one page of HTML paragraphs; no page where there is no text."""
    lines = [line for part in (opening, body) for line in (paragraphs(part) or "").split("\n")]
    shown = [f"<p>{html.escape(line.strip())}</p>" for line in lines if line.strip()]
    return ["".join(shown)] if shown else []
