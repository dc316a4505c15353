"""What FileMaker does not say of a value: there the row's own stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from oracle.seen import Mapped, Row
from oracle.values import EARLY, NO_CLOCK, NO_END, NO_TEXT, OTHERWISE, REPEATED, UNSAID, Converters

Reasons = Mapping[str, frozenset[str]]  # column -> why its value is derived


@dataclass(frozen=True, slots=True)
class LostTimes:
    """What of each record's times counts, where FileMaker does not say all of it."""

    converters: Converters
    reasons: Mapping[str, Reasons]  # FileMaker id -> why its values are derived

    @property
    def ways(self) -> Sequence[tuple[str, Callable[[Any], Any]]]:
        """By the day, and by what the clock shows."""
        shown = self.converters.shown
        return ("day", lambda value: shown(value).date()), ("clock", shown)

    def of(self, name: str, column: str) -> Sequence[tuple[str, Callable[[Any], Any]]]:
        """The way for one record; none where its time is said."""
        why = self.reasons[name].get(column, frozenset()) & UNSAID
        by_day, by_clock = self.ways
        return () if not why else (by_clock,) if why == {REPEATED} else (by_day,)


@dataclass(frozen=True, slots=True)
class UnsaidTimes:
    """The times of one row that is there, beside those that a record gives."""

    converters: Converters
    spec: Mapped
    old: Row
    takes: Mapping[str, bool]  # column -> whether FileMaker's value counts

    def settled(self, values: Row, reasons: Reasons) -> tuple[Row, Reasons]:
        """What the row gets, and what is still derived."""
        values, reasons = dict(values), dict(reasons)
        for column, why in reasons.items():
            if self._knows(column, values[column], why):
                values[column], reasons[column] = self.old[column], why & {NO_CLOCK}
            elif NO_TEXT in why and self.old[column] and not self._clears(column):
                values[column], reasons[column] = None, frozenset()
        for column, spec in self.spec["columns"].items():
            if spec.get("convert") == "end_moment" and not self._clears(column):
                self._end(column, spec, values, reasons)
        return values, reasons

    def _clears(self, column: str) -> bool:
        """Whether nothing of the row stays where FileMaker is empty."""
        return bool(self.spec["columns"][column].get("when_empty") == "clear")

    def _knows(self, column: str, value: object, why: frozenset[str]) -> bool:
        """Whether the row has a time that FileMaker's can mean: of its day, or on its clock."""
        if not why & UNSAID or not self.old.get(column):
            return False
        had, given = (self.converters.shown(at) for at in (self.old[column], value))
        return had == given if why == {REPEATED} else had.date() == given.date()

    def _end(
        self,
        column: str,
        spec: Mapped,
        values: Row,
        reasons: dict[str, frozenset[str]],
    ) -> None:
        start = next(
            name
            for name, other in self.spec["columns"].items()
            if other.get("convert") == "moment" and other["from"] == spec["with"]["start_date"]
        )
        had, ended = self.old[start], self.old[column]
        begins = values[start] if self.takes[start] or not had else had
        why = reasons.get(column, frozenset()) & {NO_END, EARLY}
        if not why and begins and values[column] and values[column] < begins:
            why = frozenset({EARLY})
        if not begins or not why:
            return
        length = ended - had if had and ended else timedelta()
        if ended and begins == had:
            values[column], reasons[column] = None, why & {EARLY}
        else:
            if length <= timedelta():
                length = timedelta(minutes=int(spec["with"]["minutes"]))
            values[column], reasons[column] = begins + length, frozenset({OTHERWISE})
