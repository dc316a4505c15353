"""Records whose time FileMaker has lost: their row is found by what is left, on the first run.

An appointment that an earlier import has loaded without FileMaker's id is found by its patient and
its start. Where FileMaker has lost the time, midnight equals no row's start, and the appointment
would stand twice. So its day counts instead (of a time that a clock change repeats what the clock
shows), if one record and one row are left that it can be; else a person must look.

On a later run each row's record is known: then a row without an id was made in Nexus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from nexus_reimport.convert import moments
from nexus_reimport.files import columns
from nexus_reimport.mapping import Entity, Identity
from nexus_reimport.planning.matching import Matches
from nexus_reimport.planning.rows_before import RowsBefore
from nexus_reimport.planning.spooled import SpooledRecords
from nexus_reimport.planning.unsaid import shown
from nexus_reimport.text import folded

A_ROW_OF_THAT_DAY = "no time: a row of Nexus without a FileMaker id may be the same"
_TIMED = frozenset({"moment", "timestamp", "dated"})  # converters
_DAY, _CLOCK = "its day", "what the clock shows"
_COMPARED: Mapping[str, str] = {  # why a time is not said -> what of it counts
    moments.NO_TIME: _DAY,
    moments.NO_CLOCK: _DAY,
    moments.REPEATED: _CLOCK,
}
_Key = tuple[str, ...]


def pair(
    spec: Entity,
    sides: tuple[SpooledRecords, RowsBefore],
    matches: Matches,
    zone: ZoneInfo,
    *,
    is_first: bool,
) -> dict[int, str]:
    """Pair the records without a time; number of a record -> column, where a row may be the same.

    Nothing is paired on a run that is not the first.
    """
    records, rows = sides
    undecided: dict[int, str] = {}
    for rule in spec.identity:
        timed = _timed(spec, rule)
        compared = _Compared(rule, timed, zone)
        if timed and (of_records := _records(compared, records, matches)):
            of_rows = _rows(compared, rows, matches)
            both = [(those, of_rows[key]) for key, those in of_records.items() if key in of_rows]
            if is_first:
                unique = ((a[0], b[0]) for a, b in both if len(a) == len(b) == 1)
                matches.pair(f"{rule.name}, without a time", unique)
            some_left = (a for a, b in both if any(matches.free[row] for row in b))
            left = (number for those in some_left for number in those)
            undecided |= {number: timed for number in left if matches.rows[number] < 0}
    return undecided


def _timed(spec: Entity, rule: Identity) -> str:
    """The column of the time by which the rule compares; "" if there is none."""
    by = () if rule.by == "filemaker_id" else rule.by
    timed = [name for name in by if spec.columns[name].convert in _TIMED]
    return timed[0] if len(timed) == 1 else ""


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a rule compares where the time in ``timed`` is not said."""

    rule: Identity
    timed: str
    zone: ZoneInfo

    def keys(self, held: Mapping[str, Any], kinds: Iterable[str]) -> Iterator[_Key]:
        """What is compared of one record or row; nothing if a part of it is empty."""
        at = shown(str(held.get(self.timed) or ""), self.zone)
        beside = {name: str(held.get(name) or "") for name in self.rule.by if name != self.timed}
        if at is None or not all(beside.values()):
            return
        values = [folded(v) if n in self.rule.folded else v for n, v in beside.items()]
        for kind in kinds:
            yield kind, str(at.date() if kind == _DAY else at), *values


def _records(
    compared: _Compared, records: SpooledRecords, matches: Matches
) -> dict[_Key, list[int]]:
    """The records without a row whose time is not said, by what is compared."""
    groups: dict[_Key, list[int]] = defaultdict(list)
    free = matches.records
    for number, record in zip(free, records.converted(free), strict=True):
        reasons = {why for name, why in record.derived if name == compared.timed}
        kinds = {_COMPARED[why] for why in reasons if why in _COMPARED}
        # A day without a time may begin in an hour that is repeated: then the day counts.
        for key in compared.keys(record.values, sorted(kinds)[:1]):
            groups[key].append(number)
    return groups


def _rows(compared: _Compared, rows: RowsBefore, matches: Matches) -> dict[_Key, list[int]]:
    """The rows without a record, and without a FileMaker id, by what is compared."""
    groups: dict[_Key, list[int]] = defaultdict(list)
    free = [n for n, i in enumerate(columns.values(rows.written)) if not i and matches.free[n]]
    held = rows.values(free, (*compared.rule.by,))
    for number, row in zip(free, held, strict=True):
        for key in compared.keys(row, (_DAY, _CLOCK)):
            groups[key].append(number)
    return groups
