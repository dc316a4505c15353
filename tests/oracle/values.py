"""A field's value, by the converters of docs/mapping.md."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from oracle.texts import clean, fold, ident, is_uuid, line, paragraphs, phones_differ

Record = Mapping[str, Any]
Spec = Mapping[str, Any]
DAYS_OF_A_TIME = timedelta(hours=48)  # a duration from here on is no time of a day


class Misfit(Exception):
    """A value that the column cannot hold."""


NO_ROW = "names a record that has no row"
# Why a value is not as FileMaker holds it, which a list must tell.
NO_TIME, NO_CLOCK, REPEATED = "no time", "a time that cannot be read", "a repeated hour"
NO_END, EARLY, NO_TEXT = "no end", "an end before the start", "no text"
OTHERWISE = "otherwise"
UNSAID = frozenset({NO_TIME, NO_CLOCK, REPEATED})  # Nexus may know better


@dataclass(frozen=True, slots=True)
class Value:
    """What a column gets, and why it is not as FileMaker holds it."""

    value: Any
    derived: frozenset[str] = frozenset()
    has_misfit: bool = False  # a part of it does not fit; the other parts are the value


def day(value: Any) -> date | None:
    """A date."""
    text = clean(value).strip()
    if not text:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise Misfit("no date")
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Misfit("no date of the calendar") from None
    if not 1890 <= found.year < 2200:
        raise Misfit("a date that nobody meant")
    return found


def duration(value: Any) -> timedelta | None:
    """A time, which may be of the next day."""
    text = clean(value).strip()
    if not text:
        return None
    parts = re.fullmatch(r"(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?", text)
    if not parts:
        raise Misfit("no time")
    seconds = round(float(parts[3] or 0) * 1e6)
    return timedelta(hours=int(parts[1]), minutes=int(parts[2]), microseconds=seconds)


def stamp(value: Any) -> datetime | None:
    """A timestamp, by the clock on the wall; an offset means nothing."""
    text = clean(value).strip()
    if not text:
        return None
    parts = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[ T](\d+:\d\d(?::\d\d(?:\.\d+)?)?))?(?:[+-]\d\d:?\d\d|Z)?", text
    )
    if not parts:
        raise Misfit("no timestamp")
    return datetime.combine(day(parts[1]), time()) + (duration(parts[2] or "") or timedelta())


@dataclass(slots=True)
class Converters:
    """The converters, and what they look things up in."""

    zone: ZoneInfo
    as_of: datetime
    records: Callable[[str], Sequence[Record]]  # of a source
    key: Callable[[str], str]  # of a source
    tables: Mapping[str, Sequence[Record]]  # of Nexus, as they were
    # Entity -> FileMaker id -> the id of its row; as far as entities are done.
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, spec: Spec, record: Record) -> Value:
        """What ``record`` gives for a column.

        Raises:
            Misfit: it has something that the column cannot hold.
        """
        convert = getattr(self, "_" + spec.get("convert", "text"))
        result = convert(record.get(spec.get("from", ""), ""), spec, record)
        return result if isinstance(result, Value) else Value(result)

    def instant(self, wall: datetime | None) -> datetime | None:
        """By the clock on the wall: of a repeated hour the first, and a skipped one moves on."""
        return wall and wall.replace(tzinfo=self.zone).astimezone(UTC)

    def shown(self, instant: datetime) -> datetime:
        """What the clock on the wall shows."""
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def at(self, wall: datetime | None, *reasons: str) -> Value:
        """The instant of a time; derived if the clock shows it never, or twice."""
        if wall is None:
            return Value(None)
        instant = self.instant(wall)
        second = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        if self.shown(instant) != wall:
            reasons += (OTHERWISE,)
        elif second != instant:
            reasons += (REPEATED,)
        return Value(instant, frozenset(reasons))

    def _text(self, value: Any, *_: Any) -> str | None:
        return line(value)

    def _paragraphs(self, value: Any, *_: Any) -> str | None:
        return paragraphs(value)

    def _date(self, value: Any, *_: Any) -> date | None:
        return day(value)

    def _birth_date(self, value: Any, *_: Any) -> date | None:
        born = day(value)
        if born and born > self.as_of.astimezone(self.zone).date():
            raise Misfit("not born yet")
        return born

    def _uuid(self, value: Any, *_: Any) -> uuid.UUID | None:
        text = line(value)
        if text and not is_uuid(text):
            raise Misfit("no UUID")
        return uuid.UUID(text) if text else None

    def _whole(self, value: Any, *_: Any) -> int | None:
        text = clean(value).strip()
        if not text:
            return None
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise Misfit("no number") from None
        if number != number.to_integral_value() or not -(2**31) <= number < 2**31:
            raise Misfit("no whole number that the column can hold")
        return int(number)

    def _choice(self, value: Any, spec: Spec, _: Record) -> str | None:
        def folded(text: str) -> str:
            return re.sub(r"[\s.]", "", fold(text))

        if not clean(value).strip():
            return None
        for choice, spellings in spec["choices"].items():
            if folded(clean(value)) in {folded(s) for s in (choice, *spellings)}:
                return choice
        raise Misfit("none of the choices")

    def _lookup(self, _: Any, spec: Spec, record: Record) -> Value:
        named, derived, missed, given = None, False, set(), False
        for step in spec["lookup"]:
            text = clean(record.get(step["from"], ""))
            if not text.strip():
                continue
            given = True
            rows = self._rows_of(step, text)
            if len(rows) != 1:
                missed |= {step["from"]} if named is None else set()
            elif named is None:
                (named,) = rows
                derived = bool(missed - {step["from"]})
            else:
                derived |= rows != {named}
        if given and named is None:
            raise Misfit("names no row, or several")
        return Value(named, frozenset({OTHERWISE} if derived else ()))

    def _rows_of(self, step: Spec, text: str) -> set[Any]:
        texts = [text]
        if through := step.get("through"):
            key = self.key(through)
            rows = [r for r in self.records(through) if ident(r.get(key, "")) == ident(text)]
            texts = [clean(r.get(step["take"], "")) for r in rows]
        compare = ident if step["match"] == "filemaker_id" else fold
        wanted = {compare(t) for t in texts if t.strip()}
        return {
            row["id"]
            for row in self.tables[step["table"]]
            if row[step["match"]] is not None and compare(str(row[step["match"]])) in wanted
        }

    def _entity(self, value: Any, spec: Spec, _: Record) -> Any:
        name = ident(value)
        if name and self.ids[spec["entity"]].get(name) is None:
            raise Misfit(NO_ROW)
        return self.ids[spec["entity"]][name] if name else None

    def _timestamp(self, value: Any, *_: Any) -> Value:
        wall = stamp(value)
        has_time = re.search(r"\S[ T]\S", clean(value)) is not None
        return self.at(wall) if has_time else self.at(wall, NO_TIME)

    def _moment(self, value: Any, spec: Spec, record: Record) -> Value:
        began = day(value)
        if began is None and clean(record.get(spec["with"]["time"], "")).strip():
            raise Misfit("a time without a date")
        if began is None:
            return Value(None)
        at = duration(record.get(spec["with"]["time"], ""))
        if at is None:
            return self.at(datetime.combine(began, time()), NO_TIME)
        return self._on_the_day(began, at)

    def _on_the_day(self, of: date, at: timedelta) -> Value:
        wall = datetime.combine(of, time()) + at
        return self.at(wall, OTHERWISE) if at >= DAYS_OF_A_TIME else self.at(wall)

    def _end_moment(self, value: Any, spec: Spec, record: Record) -> Value:
        names = spec["with"]
        began, ended = day(record.get(names["start_date"], "")), day(value)
        at = duration(record.get(names["time"], ""))
        from_ = duration(record.get(names["start_time"], ""))
        ended = ended or began
        if ended is None:
            return Value(None)
        wall = began and datetime.combine(began, time()) + (from_ or timedelta())
        start = self.instant(wall)
        assumed = start and start + timedelta(minutes=int(names["minutes"]))
        if at is None:
            return Value(assumed, frozenset({NO_END})) if assumed else Value(None)
        end = self._on_the_day(ended, at)
        if assumed and end.value < start:
            return Value(assumed, frozenset({EARLY}))
        return end

    def _dated(self, value: Any, spec: Spec, record: Record) -> Value:
        of, why = day(value), NO_TIME
        try:
            wall = stamp(record.get(spec["with"]["timestamp"], ""))
        except Misfit:
            if of is None:  # nothing else says when
                raise
            wall, why = None, NO_CLOCK
        if of is None:
            return self.at(wall)
        if wall is None:
            return self.at(datetime.combine(of, time()), why)
        return self.at(datetime.combine(of, wall.time()))

    def _phone(self, value: Any, spec: Spec, record: Record) -> Value:
        first = line(value)
        other = line(record.get(spec.get("with", {}).get("else", ""), ""))
        differ = first and other and phones_differ(first, other)
        return Value(first or other, frozenset({OTHERWISE} if differ else ()))

    def _html_pages(self, value: Any, spec: Spec, record: Record) -> Value:
        opening = line(record.get(spec["with"]["opening"], "")) or ""
        lines = f"{opening}\n{paragraphs(value) or ''}".split("\n")
        page = "".join(f"<p>{html.escape(t.strip())}</p>" for t in lines if t.strip())
        is_opening = page and not clean(value).strip()
        return Value([page] if page else None, frozenset({NO_TEXT} if is_opening else ()))

    def _sentence(self, _: Any, spec: Spec, record: Record) -> Value:
        sentences = re.findall(r"[^.]+\.?", spec["with"]["text"])
        named = {sentence: re.findall(r"\{([^}]*)\}", sentence) for sentence in sentences}
        texts = {n: line(record.get(n, "")) for names in named.values() for n in names}
        odd = {name for name, text in texts.items() if name.endswith("_Date") and not _is_day(text)}
        texts |= dict.fromkeys(odd)
        said = [sentence for sentence, names in named.items() if all(texts[n] for n in names)]
        unsaid = {n for n in texts if texts[n]} - {n for sentence in said for n in named[sentence]}
        text = " ".join(sentence.strip().format(**texts) for sentence in said) or None
        derived = frozenset({OTHERWISE} if unsaid and text else ())
        return Value(text, derived, has_misfit=bool(odd or (unsaid and not text)))


def _is_day(text: str | None) -> bool:
    try:
        day(text)
    except Misfit:
        return False
    return True
