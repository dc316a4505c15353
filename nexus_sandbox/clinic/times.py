"""Sydney's wall clock, which FileMaker keeps, and the instants that Nexus keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

TODAY = date(2025, 11, 15)
IMPORTED = datetime(2025, 11, 10, 3, 0, tzinfo=UTC)
"""When the last import of the past ran: what it brought into Nexus says so."""


@cache
def _sydney() -> ZoneInfo:
    return ZoneInfo("Australia/Sydney")


def instant(wall: datetime) -> datetime:
    """The instant of a Sydney wall clock; the first of two where the hour repeats."""
    return wall.replace(tzinfo=_sydney(), fold=0).astimezone(UTC)


def clock(day: date, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """A wall clock, as FileMaker has it: without a zone."""
    return datetime.combine(day, time(hour, minute, second))


def working_time(rng: Random, first: date, last: date) -> datetime:
    """A quarter of an hour between eight and six on a day from ``first`` to ``last``."""
    day = first + timedelta(days=rng.randrange((last - first).days + 1))
    return clock(day, rng.randrange(8, 18), rng.randrange(0, 60, 15))
