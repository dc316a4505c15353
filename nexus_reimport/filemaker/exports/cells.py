"""One cell of an exported file -> the text that the channel gives for it.

Nothing is tried out: a spreadsheet gives each cell its type, and a date that is written as text has
the one form that the environment declares. A value that does not fit is passed on with a remark
after it, so that ``convert`` refuses it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum

from nexus_reimport import forms as written
from nexus_reimport.errors import ExportError, ReimportError, SettingsError
from nexus_reimport.filemaker import NO_VALUE
from nexus_reimport.forms import DateForm, DecimalSign

SINCE_1900 = datetime(1899, 12, 30)  # noqa: DTZ001 — a wall clock, as everything in a file is


class Failed(Enum):
    """Stands for a value that could not be computed, such as ``#REF!``."""

    FAILED = "failed"


class Uncomputed(Enum):
    """Stands for a formula whose value was not saved: some programs save none."""

    UNCOMPUTED = "uncomputed"


@dataclass(frozen=True, slots=True)
class Dressed:
    """A number whose format shows a different text: ``50%``, ``$1.00``, ``00123``."""

    number: int | float


Value = bool | int | float | datetime | date | time | timedelta
Cell = str | Value | Failed | Uncomputed | Dressed | None

_EXPONENT = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?[eE][+-][0-9]{2,3}")  # as spreadsheets write
_WITH_A_CLOCK = ("time", "timestamp")
_OF_ROUNDING = 1e-5  # seconds by which a number of 15 digits can differ from a whole second
_FRACTION = re.compile(r"[.,][0-9]*[1-9]")
_DIGITS_OF_A_NUMBER = 15  # of a double, which is what a spreadsheet stores
# What to do about a file that is not as FileMaker writes it.
EXPORT_AGAIN = "export the table from FileMaker again"
EXPORT_AGAIN_UNSAVED = f"{EXPORT_AGAIN}, and do not save it in a spreadsheet program"
_LONGEST_TIME = timedelta(hours=9_999)  # convert accepts hours of four digits at most
UNCOMPUTED = "?"  # how FileMaker writes what it could not compute
NUMBER_AS_TEXT = "a number in the spreadsheet: zeros or a plus before it may be lost"
CUT = "the last value of a file whose last line has no end: it may be cut"
TO_A_MILLISECOND = "a time with a part of a second: a spreadsheet's is read to a millisecond"
ROUNDED = f"a number of more than {_DIGITS_OF_A_NUMBER} digits: a spreadsheet keeps only that many"


@dataclass(frozen=True, slots=True)
class Forms:
    """How one file is written.

    ``dates`` and ``decimal`` are for dates and numbers that are text; ``by_column`` overrides
    ``dates`` for single columns. Of a spreadsheet: ``epoch`` is the first day of its date numbers,
    ``cut_at`` the length at which FileMaker cuts a text. Of a text file: ``between_repetitions``
    separates the repetitions of a field.
    """

    dates: DateForm | None = None
    epoch: datetime = SINCE_1900
    cut_at: int = 0
    between_repetitions: str = ""
    decimal: DecimalSign | None = None
    by_column: Mapping[str, DateForm] = field(default_factory=dict)

    def dates_of(self, column: str) -> DateForm | None:
        """The form of the dates of one column."""
        return self.by_column.get(column, self.dates)

    def of(self, column: str) -> Forms:
        """How one column is written."""
        return replace(self, dates=self.by_column[column]) if column in self.by_column else self


class Refused(Exception):
    """A cell that stops the read. The caller adds file and line."""

    def __init__(self, error: type[ReimportError], what: str, next: str) -> None:
        super().__init__(what)
        self.error, self.what, self.next = error, what, next


def as_text(cell: Cell, kind: str, forms: Forms) -> str | None:
    """``cell`` as text of the type ``kind``; None if it could not be computed.

    Raises:
        Refused: a date as text, but no form is declared; a date where none is expected; a text
            that may have been cut.
    """
    if cell is None:
        return ""
    if isinstance(cell, Failed):
        return None
    if not isinstance(cell, str):
        return _OF_VALUE[kind](_value(cell, kind), forms)
    if kind == "text":
        return _uncut(cell, forms)
    if forms.between_repetitions and forms.between_repetitions in cell:
        parts = cell.split(forms.between_repetitions)
        return forms.between_repetitions.join(_of_text(p, kind, forms) or "" for p in parts)
    return _of_text(cell, kind, forms)


def remark(cell: Cell, kind: str, forms: Forms, *, is_id: bool) -> str:
    """What was lost of a cell that is passed on, or may have been; ``""`` usually.

    A text that looks like a number is one in a spreadsheet: 0800 is 800 there, +61 is 61. Of ids
    nothing is said: those that lost something find no record, which is counted.
    """
    if isinstance(cell, Failed):
        return NO_VALUE
    if isinstance(cell, str):
        if kind == "text" or UNCOMPUTED not in cell:
            return ""
        parts = cell.split(forms.between_repetitions) if forms.between_repetitions else [cell]
        return NO_VALUE if any(part.strip() == UNCOMPUTED for part in parts) else ""
    return _remark_of_value(cell.number if isinstance(cell, Dressed) else cell, kind, is_id=is_id)


def _remark_of_value(number: Value | Uncomputed | None, kind: str, *, is_id: bool) -> str:
    if kind in _WITH_A_CLOCK:
        return TO_A_MILLISECOND if _has_part_of_a_second(number) else ""
    if is_id or not isinstance(number, int | float):
        return ""
    if kind == "number":
        return ROUNDED if _digits(number) > _DIGITS_OF_A_NUMBER else ""
    return NUMBER_AS_TEXT if kind == "text" else ""


def _has_part_of_a_second(value: Value | Uncomputed | None) -> bool:
    """Whether a time does not end with a whole second; of a date and time it is known to a
    millisecond alone.
    """
    if isinstance(value, timedelta):
        return bool(value.microseconds)
    if isinstance(value, int | float):
        seconds = value * 86_400
        return math.isfinite(seconds) and abs(seconds - round(seconds)) > _OF_ROUNDING
    return bool(getattr(value, "microsecond", 0))


def _of_text(text: str, kind: str, forms: Forms) -> str | None:
    stripped = text.strip()
    if stripped == UNCOMPUTED:
        return None
    return _OF_TEXT[kind](stripped, forms) if stripped else ""


def _value(cell: Value | Uncomputed | Dressed, kind: str) -> Value:
    """The value of a cell, unless it was not saved, or a person sees a different text."""
    if isinstance(cell, Uncomputed):
        raise Refused(
            ExportError,
            "a formula whose value was not saved",
            f"{EXPORT_AGAIN}, or open the workbook in Excel and save it",
        )
    if isinstance(cell, Dressed):
        if kind == "text":
            raise Refused(
                ExportError, "a number whose format shows a different text", EXPORT_AGAIN_UNSAVED
            )
        return cell.number
    if kind == "text":
        _refuse_rounded(cell)
    return cell


def as_id(cell: Cell, kind: str, forms: Forms) -> str | None:
    """``cell`` as a key, or as a field that holds one: as ``as_text``, but with every digit.

    Raises:
        Refused: a spreadsheet has treated it as a number: an exponent, a fraction, more than 15
            digits, yes or no, an error. Zeros at the beginning that were lost that way leave no
            trace here: a check before looks for them among the ids that are known elsewhere.
    """
    if isinstance(cell, Failed):
        raise Refused(
            ExportError, "an error such as #N/A where a key is expected", EXPORT_AGAIN_UNSAVED
        )
    if not isinstance(cell, str | None):
        _refuse_rounded(_value(cell, kind))
    if isinstance(cell, str) and _EXPONENT.fullmatch(cell.strip()):
        raise Refused(
            ExportError,
            "a key with an exponent: a spreadsheet has treated it as a number",
            EXPORT_AGAIN_UNSAVED,
        )
    text = as_text(cell, kind, forms)
    if text and (kind == "number" or not isinstance(cell, str)) and _FRACTION.search(text):
        raise Refused(ExportError, "a key with a fraction", EXPORT_AGAIN_UNSAVED)
    return text


def _refuse_rounded(value: Value) -> None:
    """Stop at a number that cannot be the original text any more.

    Source: IEEE 754; Microsoft, "Excel specifications and limits" (15 digits of a number).
    """
    if isinstance(value, bool):
        raise Refused(ExportError, "yes or no where a text is expected", EXPORT_AGAIN_UNSAVED)
    if isinstance(value, int | float) and _digits(value) > _DIGITS_OF_A_NUMBER:
        raise Refused(
            ExportError,
            f"a number of more than {_DIGITS_OF_A_NUMBER} digits where a text is expected:"
            " a spreadsheet keeps only that many",
            "make it a text field in FileMaker, or export this table as .csv or .tab",
        )


def _digits(number: float) -> float:
    """How many digits ``number`` has, before and after its point."""
    if isinstance(number, float):
        if not math.isfinite(number):
            return math.inf
        if not number.is_integer():
            return len(Decimal(repr(number)).as_tuple().digits)
    return len(str(abs(int(number))))


def _uncut(text: str, forms: Forms) -> str:
    """``text``, unless it has the greatest length that a cell can have.

    Source: Claris FileMaker Pro Help, "Microsoft Excel format" (fields are cut at 32,767).
    """
    # Excel's limit counts UTF-16 units, of which a character can have two.
    if forms.cut_at and len(text) * 2 >= forms.cut_at:
        length = max(len(text), len(text.encode("utf-16-le", "surrogatepass")) // 2)
        if length >= forms.cut_at:
            raise Refused(
                ExportError,
                f"a text of {forms.cut_at:,} characters, the most that a cell holds: it may be cut",
                "export this table as .csv or .tab, which have no such limit",
            )
    return text


def _date_of_text(text: str, forms: Forms) -> str:
    return _day(text, forms) or written.misfit(text, f"{forms.dates}")


def _timestamp_of_text(text: str, forms: Forms) -> str:
    spelt = text.replace("T", " ", 1) if forms.dates and forms.dates[0] == "y" else text
    first, _, second = spelt.partition(" ")
    day, clock = _day(first, forms), _clock(second.strip())
    if day and clock:
        return f"{day} {clock}"
    return written.misfit(text, f"{forms.dates}{written.AND_A_TIME}")


def _day(text: str, forms: Forms) -> str:
    """The date in ISO form; ``""`` if ``text`` is not a date in the declared form."""
    if forms.dates is None:
        raise Refused(
            SettingsError,
            "a date written as text, but its form is not declared",
            'write dates = "d/m/y", "m/d/y" or "y/m/d" under [filemaker.exports], as the file has',
        )
    date = written.day(text, written.order_of(forms.dates))
    return date.isoformat() if date else ""


def _time_of_text(text: str, _: Forms) -> str:
    return _clock(text) or written.misfit(text, "a time")


def _clock(text: str) -> str:
    """A time or duration as ``HH:MM:SS``; ``""`` if ``text`` is neither."""
    time = written.clock(text)
    return time.text if time else ""


def _number_of_text(text: str, forms: Forms) -> str:
    """The digits of a number, with a decimal point. A number field may hold other text too."""
    return written.number(text, forms.decimal or ".") or text


def _plain(value: Value, _: Forms) -> str:
    """A number's digits. FileMaker has no booleans: yes and no are 1 and 0."""
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        # repr() is the shortest text of a double; a Decimal prints it without an exponent.
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    raise Refused(
        ExportError,
        "a date or time where the mapping expects a text or number",
        "check in FileMaker whether the field's type was changed; do not save the file in Excel",
    )


def _date_of_value(value: Value, _: Forms) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else written.misfit(value, "a date")


def _timestamp_of_value(value: Value, _: Forms) -> str:
    if isinstance(value, date):
        return value.isoformat(" ") if isinstance(value, datetime) else f"{value} 00:00:00"
    return written.misfit(value, "a timestamp")


def _time_of_value(value: Value, forms: Forms) -> str:
    """A time of day, a duration, a part of a day, or the date that 24 hours and more look like.

    A time cell that holds more than a day is read as a date and time that long after the
    spreadsheet's first day: 24 hours are 1900-01-01.
    """
    span: timedelta | None = None
    if isinstance(value, time):
        span = timedelta(
            hours=value.hour,
            minutes=value.minute,
            seconds=value.second,
            microseconds=value.microsecond,
        )
    elif isinstance(value, timedelta):
        span = value
    elif isinstance(value, datetime):
        span = value - forms.epoch
        if forms.epoch == SINCE_1900 and span < timedelta(days=61):
            span -= timedelta(days=1)  # Excel counts a 29 February 1900, which did not exist
    # A larger number is longer than `_LONGEST_TIME` anyway, and infinity would overflow.
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1_000:
        span = timedelta(milliseconds=round(value * 86_400_000))
    if span is None or not timedelta() <= span <= _LONGEST_TIME:
        return written.misfit(value, "a time")
    return _spelt(span)


def _spelt(span: timedelta) -> str:
    seconds, part = divmod(span // timedelta(microseconds=1), 1_000_000)
    fraction = f".{part:06}".rstrip("0") if part else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


_OF_TEXT: dict[str, Callable[[str, Forms], str]] = {
    "number": _number_of_text,
    "date": _date_of_text,
    "time": _time_of_text,
    "timestamp": _timestamp_of_text,
}
_OF_VALUE: dict[str, Callable[[Value, Forms], str]] = {
    "text": _plain,
    "number": _plain,
    "date": _date_of_value,
    "time": _time_of_value,
    "timestamp": _timestamp_of_value,
}
