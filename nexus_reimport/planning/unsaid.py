"""What FileMaker does not say of a value: there Nexus's stays.

Of a date without a time, of an event without an end, of a letter without a text, a converter makes
what it can. That is for a row that holds nothing better: an appointment at 9:45 for an hour does
not become one at midnight for 30 minutes because FileMaker's fields of its times are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from nexus_reimport import strict_json
from nexus_reimport.convert import moments, texts
from nexus_reimport.mapping import ColumnSpec, Entity
from nexus_reimport.planning.merge import Row
from nexus_reimport.planning.spooled import ConvertedRecord

_CLOCK_STAYS = "a date beside a time that cannot be read: Nexus's time stays"
_UNSAID = frozenset({moments.NO_TIME, moments.NO_CLOCK, moments.REPEATED})
_END_STAYS, _LENGTH_STAYS = "Nexus's end stays", "it lasts as long as in Nexus"


@dataclass(frozen=True, slots=True)
class Unsaid:
    """The columns of an entity of which a converter may have to assume something.

    ``takes`` says of a column whether FileMaker's value counts where Nexus has another one.
    """

    zone: ZoneInfo
    takes: Callable[[str], bool]
    starts: Mapping[str, str]  # column of an end -> that of its start
    minutes: Mapping[str, timedelta]  # column of an end -> how long what has none is taken to last
    cleared: Set[str]  # columns in which nothing of Nexus's stays where FileMaker is empty

    @classmethod
    def of(cls, spec: Entity, zone: ZoneInfo, takes: Callable[[str], bool]) -> Self:
        """Those of ``spec``."""
        cleared = {name for name, one in spec.columns.items() if one.when_empty == "clear"}
        ends = {
            name: (start, timedelta(minutes=int(column.with_["minutes"])))
            for name, column in spec.columns.items()
            if (start := _start_of(spec, column)) and name not in cleared
        }
        starts = {name: start for name, (start, _) in ends.items()}
        minutes = {name: lasts for name, (_, lasts) in ends.items()}
        return cls(zone, takes, starts, minutes, cleared)

    def settled(self, was: Row, record: ConvertedRecord) -> ConvertedRecord:
        """``record`` for the row ``was``, without what was only assumed and the row knows."""
        if record.derived:
            record = _times(was, record, self.zone, self.cleared)
        for name, start in self.starts.items():
            takes = self.takes(start) or not was.get(start)
            begins = record.values[start] if takes else was.get(start)
            why = self._why_assumed(name, begins, record)
            if begins and why:
                event = _Event(was.get(start), was.get(name), begins, self.minutes[name])
                record = _with_end(name, event, why, record)
        return record

    def _why_assumed(self, name: str, begins: str | None, record: ConvertedRecord) -> str:
        """Why the end is not FileMaker's, or cannot be, of what ``begins`` then; else ""."""
        for other, reason in record.derived:
            if other == name and moments.is_assumed_end(reason):
                return reason
        ends = record.values[name]
        if begins and ends and moments.chronological(ends) < moments.chronological(begins):
            return moments.assumed_end(moments.EARLY, self.minutes[name] // timedelta(minutes=1))
        return ""


def _times(was: Row, record: ConvertedRecord, zone: ZoneInfo, cleared: Set[str]) -> ConvertedRecord:
    """With Nexus's time of day, where FileMaker has its date alone; with its letter's pages."""
    stays: dict[str, str | None] = {
        name: held
        for name, reason in record.derived
        if (held := was.get(name)) and _says_the_same(held, record.values[name], reason, zone)
    }
    without = [
        name
        for name, why in record.derived
        if why == texts.NO_BODY and name not in cleared and _has_text(was, name)
    ]
    stays |= dict.fromkeys(without)  # no value of FileMaker's, so that Nexus's pages are kept
    if not stays:
        return record
    derived = [(name, why) for name, why in record.derived if name not in stays]
    unread = [name for name, why in record.derived if name in stays and why == moments.NO_CLOCK]
    derived += [(name, _CLOCK_STAYS) for name in unread]  # of a time that is empty nothing is told
    return replace(record, values={**record.values, **stays}, derived=derived)


def _has_text(was: Row, name: str) -> bool:
    """Whether Nexus has a letter's pages."""
    return bool(strict_json.loads(was.get(name) or "[]"))


def _says_the_same(held: str, value: str, reason: str, zone: ZoneInfo) -> bool:
    """Whether a time of Nexus is one that FileMaker's can mean: of its day, or on its clock."""
    if reason not in _UNSAID:  # of a card, or of a word
        return False
    known, given = shown(held, zone), shown(value, zone)
    if known is None or given is None:
        return False
    return known == given if reason == moments.REPEATED else known.date() == given.date()


def shown(value: str, zone: ZoneInfo) -> datetime | None:
    """What the clinic's clock shows at an instant; None if Python's years cannot hold it."""
    try:
        at = datetime.fromisoformat(value)
        return (at.astimezone(zone) if at.tzinfo else at).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


class _Event(NamedTuple):
    """When an event starts and ends in Nexus, and when it will begin."""

    start: str | None
    end: str | None
    begins: str
    assumed: timedelta  # how long it is taken to last, where nobody knows

    @property
    def length(self) -> timedelta:
        """How long it lasts in Nexus; nothing if that is not known."""
        try:
            start, end = (datetime.fromisoformat(at or "") for at in (self.start, self.end))
            return end - start
        except (ValueError, TypeError):  # one of them may have no zone
            return timedelta()


def _start_of(spec: Entity, end: ColumnSpec) -> str:
    """The column of the start whose end this column is; "" if there is none."""
    if end.convert != "end_moment":
        return ""
    fields = end.with_["start_date"], end.with_["start_time"]
    starts = (
        name
        for name, column in spec.columns.items()
        if column.convert == "moment" and (column.source_field, column.with_["time"]) == fields
    )
    return next(starts, "")


def _with_end(name: str, event: _Event, why: str, record: ConvertedRecord) -> ConvertedRecord:
    """With no end, so that Nexus's stays; else with one that is as long after the start."""
    derived = [one for one in record.derived if one != (name, why)]
    end, reason = None, ""
    if event.end and event.begins == event.start:
        # FileMaker's end is not taken; where it has none, nothing is to tell.
        reason = f"{moments.EARLY}: {_END_STAYS}" if why.startswith(moments.EARLY) else ""
    elif event.length > timedelta():
        end = moments.later(event.begins, event.length)
        reason = f"{why.partition(':')[0]}: {_LENGTH_STAYS}"
    else:
        end = moments.later(event.begins, event.assumed)
        reason = why
    derived += [(name, reason)] if reason else []
    return replace(record, values={**record.values, name: end}, derived=derived)
