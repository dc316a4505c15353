"""FileMaker's text -> values, one function per type.

Each converter takes text as the snapshot holds it (``""`` is empty; dates and times in ISO form,
wall clock, no zone) and gives the text that PostgreSQL itself would print for the value, None for
empty, or, for JSON columns, plain lists and dicts. What does not fit raises ``Misfit`` with a
reason, never with the value.

Wall-clock times get the clinic's zone. An hour that a clock change repeats is taken as the first
of the two; a time inside the hour that a clock change skips is moved forward by that hour.
"""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

EARLIEST = date(1890, 1, 1)
_DURATION = re.compile(r"(\d{1,4}):(\d{2})(?::(\d{2})(\.\d{1,6})?)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TRUE = frozenset({"1", "1.0", "yes", "true"})

Detail = Mapping[str, str]  # one contact-detail record: the names of `with` -> text


class Misfit(Exception):
    """A value does not fit its column. The reason names the kind of trouble, never the value."""


def text(value: str) -> str | None:
    """``value`` without outer blanks; None when nothing is left.

    Raises:
        Misfit: a NUL character, which PostgreSQL cannot hold.
    """
    if "\x00" in value:
        raise Misfit("holds a NUL character")
    return value.strip() or None


def paragraphs(value: str) -> str | None:
    """Text with FileMaker's paragraph marks (``\\r``, 0x0B) as newlines; blanks are left alone."""
    if "\x00" in value:
        raise Misfit("holds a NUL character")
    joined = value.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n")
    return joined if joined.strip() else None


def folded(value: str) -> str:
    """What is left of a text when every run of blanks and line ends counts as one blank."""
    return " ".join(value.split())


def name_key(value: str) -> str:
    """A name as lookups compare it: case and blanks folded."""
    return folded(value).casefold()


def identifier(value: str) -> str:
    """A FileMaker id as ids compare: a UUID in lower case, any other text as it stands.

    Asked some twenty times for every record, so by its shape and not by parsing it.
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
    """A whole number; ``"7.0"`` counts as one."""
    if not value.strip():
        return None
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        raise Misfit("not a number") from None
    if not number.is_finite() or number != number.to_integral_value():
        raise Misfit("not a whole number")
    return str(int(number))


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
        day = date.fromisoformat(value.strip())
    except ValueError:
        raise Misfit("not a date") from None
    if not EARLIEST <= day < date(2200, 1, 1):
        raise Misfit("a date out of range")
    return day


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


def timestamp(value: str, zone: ZoneInfo) -> str | None:
    """A wall-clock timestamp; an offset that a server adds is dropped (it is the server's own)."""
    if not value.strip():
        return None
    return as_text(instant(_wall(value), zone))


def _wall(value: str) -> datetime:
    day, _, clock = re.sub(r"(Z|[+-]\d{2}:?\d{2})$", "", value.strip().replace("T", " ")).partition(
        " "
    )
    return datetime.combine(_date(day), time.min) + duration(clock or "00:00:00")


def moment(day: str, clock: str, zone: ZoneInfo) -> str | None:
    """Midnight of ``day`` plus the duration ``clock``: 24:00:00 is the next day's midnight."""
    if not day.strip():
        return None
    wall = datetime.combine(_date(day), time.min)
    return as_text(instant(wall + (duration(clock) if clock.strip() else timedelta()), zone))


def end_moment(
    end: tuple[str, str], start: tuple[str, str], minutes: int, zone: ZoneInfo
) -> str | None:
    """When an event ends: its own date and time, else its start plus ``minutes``.

    ``end`` and ``start`` are date and time; an end without a date is on the start's date.
    """
    (day, clock), (start_day, start_clock) = end, start
    if not start_day.strip():
        return None
    if clock.strip():
        return moment(day if day.strip() else start_day, clock, zone)
    wall = datetime.combine(_date(start_day), time.min)
    begins = wall + (duration(start_clock) if start_clock.strip() else timedelta())
    return as_text(instant(begins, zone) + timedelta(minutes=minutes))


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


def contact_card(details: Iterable[Detail]) -> tuple[dict[str, Any], int]:
    """Phones, e-mails and the default e-mail of one person, and how many entries did not fit.

    Shape: ``phones``: [{type, number, phone, label}], ``emails``: [{address, label}], ``email``;
    an absent kind is left out. The default entry comes first. An e-mail without ``@`` does not fit.
    """
    phones: list[tuple[bool, dict[str, str]]] = []
    emails: list[tuple[bool, dict[str, str]]] = []
    misfits = 0
    for detail in details:
        kind, value = _kind(detail), detail["value"].strip()
        label = detail["label"].strip()
        if not value or kind == "address":
            continue
        if kind == "email":
            if "@" in value:
                is_default = flag(detail["default_email"])
                emails.append((not is_default, {"address": value, "label": label}))
            else:
                misfits += 1
        else:
            entry = {"type": kind, "number": value, "phone": value, "label": label}
            phones.append((not flag(detail["default_mobile"]), entry))
    card: dict[str, Any] = {}
    if phones:
        card["phones"] = [entry for _, entry in sorted(phones, key=lambda pair: pair[0])]
    if emails:
        card["emails"] = [entry for _, entry in sorted(emails, key=lambda pair: pair[0])]
        card["email"] = card["emails"][0]["address"]
    return card, misfits


def _kind(detail: Detail) -> str:
    declared = name_key(detail["kind"]).replace("-", "")
    if declared in ("phone", "mobile", "email", "address"):
        return declared
    value = detail.get("value", "")
    return "email" if "@" in value else "phone" if value.strip() else "address"


def address_card(details: Iterable[Detail]) -> dict[str, Any]:
    """The addresses of one person, and the first of them at the top level as Nexus reads it."""
    addresses = []
    for detail in details:
        parts = {
            name: (text(detail[name]) or "")
            for name in ("line1", "line2", "suburb", "state", "postcode", "country")
        }
        if any(value for name, value in parts.items() if name != "country"):
            shown = [v for v in parts.values() if v]
            parts["label"] = detail["label"].strip()
            addresses.append({**parts, "full_address": ", ".join(shown)})
    if not addresses:
        return {}
    first = addresses[0]
    top = {
        "street": first["line1"],
        "street2": first["line2"],
        **{name: first[name] for name in ("suburb", "state", "postcode")},
    }
    return {"addresses": addresses, **{name: value for name, value in top.items() if value}}


def html_pages(body: str, opening: str) -> list[str]:
    """A letter's plain text as one page of HTML paragraphs; no page where there is no text."""
    lines = [line for part in (opening, body) for line in (paragraphs(part) or "").split("\n")]
    shown = [f"<p>{html.escape(line.strip())}</p>" for line in lines if line.strip()]
    return ["".join(shown)] if shown else []


def contents(value: Any) -> frozenset[str]:
    """What a contact or address column says, in whichever shape: digits, addresses, words.

    Two columns with equal contents differ in shape only. Labels, types and flags do not count.
    """
    found: set[str] = set()
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in ("label", "type", "default", "full_address", "country"):
                found |= contents(part)
    elif isinstance(value, list):
        for part in value:
            found |= contents(part)
    elif isinstance(value, str) and value.strip():
        digits = re.sub(r"\D", "", value)
        is_number = len(digits) >= 6 and not re.search(r"[A-Za-z@]", value)
        found.add(digits if is_number else name_key(value))
    return frozenset(found)
