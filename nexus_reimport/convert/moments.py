"""Dates, times and instants.

Wall-clock times get the clinic's zone. A time in an hour that a clock change repeats is taken as
the first of the two; a time in the hour that a clock change skips is moved forward by that hour.
Both are marked as derived.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nexus_reimport import forms
from nexus_reimport.convert.registry import ConversionError, Partial

OTHER_FORM = "not a date in the expected form, but in the form"
EARLIEST = date(1890, 1, 1)  # an earlier date is a typing error: no living patient is that old
# Hours of four digits: to FileMaker a time is a duration, not a time of day.
_DURATION = re.compile(r"([0-9]{1,4}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,12}))?)?")
# FileMaker takes 930, typed for half past nine, for 930 hours. Past midnight events do last.
_TOO_LONG = timedelta(hours=48)
_LATER_DAY = "a time of 48 hours or more: set to a later day"
_OF_THE_DAY = "a time of 24 hours or more beside a date: its whole days do not count"
NO_TIME = "no time: set to midnight"  # on a calendar that looks like a time that was entered
NO_CLOCK = "a date beside a time that cannot be read: set to midnight"
REPEATED = "a time that a clock change repeats: taken as the first of the two"
_AFTER_THE_START = "minutes after the start"
EARLY = "an end before the start"
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")  # Python would also accept 20250630 and 2025-W27-1
_CLOCK = re.compile(r" [0-9]{2}:[0-9:.]*(?:[+-][0-9:]*)?")  # of an instant, as PostgreSQL has it
_ZONE = re.compile(r"(?<=[0-9])[+-][0-9:]+(?= BC$|$)")  # the same
_OFFSET = re.compile(r"([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)(?:Z|[+-][0-9]{2}:?[0-9]{2})$")


def iso_date(value: str) -> str | None:
    """A date in ISO form, between 1890 and 2200."""
    if not value.strip():
        return None
    return _date(value).isoformat()


def birth_date(value: str, as_of: datetime, zone: ZoneInfo) -> str | None:
    """A date that is not after the clinic's own day at ``as_of``."""
    if not value.strip():
        return None
    day = _date(value)
    # In Sydney it is still yesterday in UTC until the morning is over: a child of today is real.
    if day > as_of.astimezone(zone).date():
        raise ConversionError("a birth date in the future")
    return day.isoformat()


def _date(value: str) -> date:
    try:
        day = date.fromisoformat(value.strip()) if _ISO.fullmatch(value.strip()) else None
    except ValueError:
        day = None
    if day is None:
        raise ConversionError(_no_date(value))
    # `0202` for `2022` is a typing error, and must not become a year of the plan.
    if not EARLIEST <= day < date(2200, 1, 1):
        raise ConversionError("a date out of range")
    return day


def _no_date(value: str) -> str:
    """Why ``value`` is not a date, or not the timestamp that its remark asks for.

    If it would be a date in another form, that form is named.
    """
    remark = forms.REMARK.search(value)
    text = value[: remark.start()] if remark else value
    written, _, clock = text.strip().replace("T", " ", 1).partition(" ")
    expected = forms.order_of(remark["form"]) if remark and remark["form"] else forms.ISO
    fitting = forms.orders(written)
    if expected in fitting and remark and remark["clock"]:
        return "not a time" if clock else "a date without a time of day"
    if expected in fitting and clock:
        return "a date with a time of day"
    if fitting:
        return f"{OTHER_FORM} {' or '.join(fitting)}"
    return "not a date: its year has two digits" if forms.has_short_year(written) else "not a date"


def duration(value: str) -> timedelta:
    """A FileMaker time, which can be a duration: 24 hours and more, fractions of a second.

    PostgreSQL keeps six digits of them; a quotient has more, which are cut: rounded, the last
    moment of a day would be on the next one.
    """
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ConversionError("not a time")
    hours, minutes, seconds, fraction = match.groups()
    if int(minutes) > 59 or int(seconds or 0) > 59:
        raise ConversionError("not a time")
    return timedelta(
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "")[:6].ljust(6, "0")),
    )


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a wall-clock time in ``zone``, in UTC; for clock changes see the module."""
    # fold=0: the first of a repeated hour; a skipped hour moves forward (PEP 495).
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _stamped(wall: datetime, zone: ZoneInfo) -> Partial:
    """The instant of a wall-clock time as text; derived if a clock change skips or repeats it."""
    at = instant(wall, zone)
    reasons: tuple[str, ...] = ()
    if at.astimezone(zone).replace(tzinfo=None) != wall:
        reasons = ("a time that a clock change skips: moved forward",)
    elif wall.replace(tzinfo=zone, fold=1).astimezone(UTC) != at:
        reasons = (REPEATED,)
    return Partial(as_text(at), derived=reasons)


def as_text(moment: datetime) -> str:
    """An instant as PostgreSQL prints it if the session's zone is UTC."""
    return f"{_printed(moment.astimezone(UTC).replace(tzinfo=None))}+00"


def _printed(wall: datetime) -> str:
    # PostgreSQL prints no zeros at the end of a fraction.
    fraction = f".{wall.microsecond:06d}".rstrip("0") if wall.microsecond else ""
    return f"{wall.replace(microsecond=0).isoformat(' ')}{fraction}"


def wall_clock(value: str) -> str | None:
    """A wall-clock timestamp, or midnight of a date, as PostgreSQL prints it without a zone."""
    return _printed(_wall(value)) if value.strip() else None


def stamp(value: str) -> str:
    """A timestamp for a text: what the clock shows, in one form, whatever the channel."""
    shown = _printed(_wall(value))
    return shown.partition(" ")[0] if has_no_time(value) else shown


def clock(value: str) -> str:
    """A time for a text: as FileMaker has it."""
    duration(value)
    return value.strip()


def time_of_day(value: str) -> str | None:
    """A time as PostgreSQL prints it, of no more than 24 hours."""
    if not value.strip():
        return None
    since_midnight = duration(value)
    if since_midnight > timedelta(hours=24):
        raise ConversionError("a time of more than 24 hours")
    if since_midnight == timedelta(hours=24):
        return "24:00:00"
    return _printed(datetime.combine(EARLIEST, time.min) + since_midnight).partition(" ")[2]


def chronological(value: str) -> tuple[float, str]:
    """A key that sorts dates and instants by time, in PostgreSQL's print (UTC, ISO).

    PostgreSQL has years after 9999, ``BC`` and infinity, which Python's types cannot hold. A text
    that is not a date sorts like infinity, times of day among each other.
    """
    year, _, rest = value.partition("-")
    if not year.isdecimal():
        of_day = value if _DURATION.fullmatch(value) else ""
        return -math.inf if value == "-infinity" else math.inf, of_day
    return (-int(year) if value.endswith(" BC") else int(year)), rest


def is_before(value: str, other: str, zone: ZoneInfo) -> bool:
    """Whether a date or a time is before another one, both in PostgreSQL's print.

    Of a date and a time the days count. An instant is beside a date, or beside a time without a
    zone, what the clock of ``zone`` shows.
    """
    both = [value, other]
    if len({*map(_has_zone, both)}) > 1:
        both = [_on_the_wall(one, zone) for one in both]
    if len({":" in one for one in both}) > 1:
        both = [_CLOCK.sub("", one) for one in both]
    first, second = map(chronological, both)
    return first < second


def _has_zone(value: str) -> bool:
    return ":" in value and _ZONE.search(value) is not None


def _on_the_wall(value: str, zone: ZoneInfo) -> str:
    """An instant as the clock of ``zone`` shows it; what is none stays as it is."""
    if not _has_zone(value):
        return value
    try:
        return _printed(datetime.fromisoformat(value).astimezone(zone).replace(tzinfo=None))
    except (ValueError, OverflowError):  # a year that Python cannot hold
        return _ZONE.sub("", value)


def is_over(value: str | None, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a date or a time, on the calendar and the clock of ``zone``, is before ``now``."""
    return bool(value) and is_before(value or "", as_text(now), zone)


def on_the_clock(value: str, zone: ZoneInfo) -> str:
    """An instant, given as PostgreSQL prints it, on the clock of ``zone``.

    Unchanged if Python's years cannot hold it, with the zone's offset or without.
    """
    try:
        return f"{datetime.fromisoformat(value).astimezone(zone):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return value


def timestamp(value: str, zone: ZoneInfo) -> Partial:
    """A wall-clock timestamp as an instant; derived where it has no time of day.

    An offset is dropped: the server adds its own, +10:00 also on a day with summer time.
    """
    if not value.strip():
        return Partial(None)
    at = _stamped(_wall(value), zone)
    return Partial(at.value, derived=(*remarks(value), *at.derived))


def remarks(value: str) -> tuple[str, ...]:
    """What is told of the time of day of a timestamp that can be read."""
    clock = _parts(value)[1]
    return _of_length(clock) if clock else (NO_TIME,)


def _of_length(clock: str) -> tuple[str, ...]:
    """What is told of a time that cannot be meant as one of a day."""
    return (_LATER_DAY,) if duration(clock) >= _TOO_LONG else ()


def _wall(value: str) -> datetime:
    if forms.REMARK.search(value):
        raise ConversionError(_no_date(value))
    day, clock = _parts(value)
    return datetime.combine(_date(day), time.min) + duration(clock or "00:00:00")


def has_no_time(value: str) -> bool:
    """Whether a date or timestamp has no time of day, so that it would be midnight."""
    return not _parts(value)[1]


def _parts(value: str) -> tuple[str, str]:
    """The date of a timestamp, and its time of day; "" if it has none."""
    day, _, clock = _OFFSET.sub(r"\1", value.strip().replace("T", " ", 1)).partition(" ")
    return day, clock


def moment(day: str, clock: str, zone: ZoneInfo) -> Partial:
    """Midnight of ``day`` plus the duration ``clock``: 24:00:00 is the next day's midnight."""
    if not day.strip():
        if clock.strip():
            raise ConversionError("a time without a date")
        return Partial(None)
    at = _on_the_day(_wall_moment(day, clock), clock, zone)
    no_time = () if clock.strip() else (NO_TIME,)
    return Partial(at.value, derived=(*no_time, *at.derived))


def _on_the_day(wall: datetime, clock: str, zone: ZoneInfo) -> Partial:
    """The instant of ``wall``; derived if ``clock``, in it, cannot be meant as a time of a day."""
    at = _stamped(wall, zone)
    reasons = _of_length(clock) if clock.strip() else ()
    return Partial(at.value, derived=(*reasons, *at.derived))


def _wall_moment(day: str, clock: str) -> datetime:
    midnight = datetime.combine(_date(day), time.min)
    return midnight + (duration(clock) if clock.strip() else timedelta())


def end_moment(
    end: tuple[str, str], start: tuple[str, str], minutes: int, zone: ZoneInfo
) -> Partial:
    """When an event ends: its own end, else its start plus ``minutes``.

    ``end`` and ``start`` are date and time; an end without a date is on the start's date. An end
    before the start does not count.
    """
    (day, clock), (start_day, start_clock) = end, start
    if not start_day.strip():
        if day.strip() or clock.strip():
            raise ConversionError("an end without a start")
        return Partial(None)
    # As an instant: on the night of a clock change an event lasts as long as on any other.
    begins = instant(_wall_moment(start_day, start_clock), zone)
    assumed = as_text(begins + timedelta(minutes=minutes))
    if not clock.strip():
        # The end's date is often that of the start by itself.
        is_bare = day.strip() in ("", start_day.strip())
        why = "no end" if is_bare else "an end on another day without a time"
        return Partial(assumed, derived=(assumed_end(why, minutes),))
    ends = _wall_moment(day if day.strip() else start_day, clock)
    if instant(ends, zone) < begins:
        return Partial(assumed, derived=(assumed_end(EARLY, minutes),))
    return _on_the_day(ends, clock, zone)


def assumed_end(why: str, minutes: int | str) -> str:
    """The reason of an end that is assumed: why FileMaker's does not count, and what does."""
    return f"{why}: set to {minutes} {_AFTER_THE_START}"


def is_assumed_end(reason: str) -> bool:
    """Whether a reason is one of ``assumed_end``."""
    return reason.endswith(_AFTER_THE_START)


def later(begins: str, lasts: timedelta) -> str:
    """So long after an instant, or a wall-clock time, as PostgreSQL prints both.

    The same if Python's years cannot hold it.
    """
    try:
        at = datetime.fromisoformat(begins) + lasts
    except (ValueError, OverflowError):
        return begins
    return as_text(at) if at.tzinfo else _printed(at)


def dated(day: str, stamp: str, zone: ZoneInfo) -> Partial:
    """The date ``day`` with the time of day of ``stamp``; only ``stamp`` if ``day`` is empty.

    A stamp that cannot be read does not cost the date: it is at midnight then. Nor does one whose
    time is of a later day, as FileMaker counts on past 24 hours: the date was given.
    """
    if not day.strip():
        return timestamp(stamp, zone)
    date, clock, reasons = _date(day), time.min, tuple[str, ...]()
    try:
        clock = _wall(stamp).time() if stamp.strip() else clock
        if has_no_time(stamp):
            reasons = (NO_TIME,)
        elif duration(_parts(stamp)[1]) >= timedelta(hours=24):
            reasons = (_OF_THE_DAY,)
    except ConversionError:
        reasons = (NO_CLOCK,)
    at = _stamped(datetime.combine(date, clock), zone)
    return Partial(at.value, derived=(*reasons, *at.derived))
