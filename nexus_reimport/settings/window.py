"""When an environment may be executed: one span of time, or the same hours of every day."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from nexus_reimport.settings.values import Strict

_EXAMPLE = "write a day with its time, such as 2026-03-01T22:00:00, or a time of day: 22:00:00"


class Window(Strict):
    """The window of one environment.

    ``opens`` and ``closes`` are ``from`` and ``to`` of the file: two days with their times, or two
    times of day. They are wall clock in the environment's time zone, unless a day has an offset of
    its own. Hours may go over midnight.
    """

    opens: datetime | time = Field(alias="from")
    closes: datetime | time = Field(alias="to")

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _a_moment(cls, value: object) -> object:
        """A day with its time, or a time of day; pydantic alone would also accept numbers."""
        moment = _moment(value) if isinstance(value, str) else value
        if type(moment) is datetime or (type(moment) is time and moment.tzinfo is None):
            return moment
        raise ValueError(_EXAMPLE)

    @model_validator(mode="after")
    def _of_one_kind(self) -> Window:
        if type(self.opens) is not type(self.closes):
            raise ValueError("from and to must both be days with a time, or both times of day")
        if self.opens == self.closes:
            raise ValueError("from and to are the same: the window would never be open")
        return self

    def is_ordered(self, zone: ZoneInfo) -> bool:
        """Whether it closes after it opens; hours of a day always do."""
        span = self._span(zone)
        return span is None or span[0] < span[1]

    def has_ended(self, now: datetime, zone: ZoneInfo) -> bool:
        """Whether it will not open again; hours of a day always do."""
        span = self._span(zone)
        return span is not None and span[1] <= now

    def is_open(self, now: datetime, zone: ZoneInfo) -> bool:
        """Whether ``now``, an instant, lies inside: from the first moment on, before the last."""
        if span := self._span(zone):
            return span[0] <= now < span[1]
        clock, (opens, closes) = now.astimezone(zone).time(), self._hours()
        if opens < closes:
            return opens <= clock < closes
        return clock >= opens or clock < closes

    def closing(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The instant at which a window that is open ``now`` closes."""
        if span := self._span(zone):
            return span[1]
        here, (_, closes) = now.astimezone(zone), self._hours()
        day = here.date() + timedelta(days=here.time() >= closes)
        return _instant(datetime.combine(day, closes), zone, fold=0)

    def skipped(self, zone: ZoneInfo) -> str:
        """The day and time of an end that the clocks of ``zone`` never show; "" if both exist."""
        for end in (self.opens, self.closes):
            if isinstance(end, datetime) and end.tzinfo is None:
                there_and_back = _instant(end, zone, fold=0).astimezone(zone).replace(tzinfo=None)
                if there_and_back != end:
                    return f"{end:%Y-%m-%d %H:%M}"
        return ""

    def spelled(self, zone: ZoneInfo) -> str:
        """The window for a person."""
        if span := self._span(zone):
            days = " to ".join(f"{end.astimezone(zone):%Y-%m-%d %H:%M}" for end in span)
            return f"{days} ({zone.key})"
        return f"{self.opens:%H:%M} to {self.closes:%H:%M} of each day ({zone.key})"

    def _hours(self) -> tuple[time, time]:
        """The two times of day, of a window that is no span."""
        opens, closes = (end for end in (self.opens, self.closes) if isinstance(end, time))
        return opens, closes

    def _span(self, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """The two instants of one span of time; None for hours of each day.

        Where the clock shows a time twice, the window is the longer of the two.
        """
        if isinstance(self.opens, datetime) and isinstance(self.closes, datetime):
            return _instant(self.opens, zone, fold=0), _instant(self.closes, zone, fold=1)
        return None


def _moment(text: str) -> datetime | time | None:
    """What a text of the file means; None where it is neither."""
    for kind in (time, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    return None


def _instant(moment: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    """The instant of a wall clock's time; ``fold`` chooses where the clock shows it twice."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone, fold=fold)
    return moment.astimezone(UTC)
