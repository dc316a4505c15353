"""Dates, times and instants at their edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import convert
from nexus_reimport.convert import ConversionError, Partial
from nexus_reimport.convert.moments import NO_TIME, time_of_day, wall_clock

SYDNEY, UTC_ZONE = ZoneInfo("Australia/Sydney"), ZoneInfo("UTC")
NOW = datetime(2026, 2, 28, 20, tzinfo=UTC)  # in Sydney it is the first of March
BLANKS = ("", " ", "\t\r")


@pytest.mark.parametrize("blank", BLANKS)
def test_nothing_is_no_date_no_time_and_no_instant(blank: str) -> None:
    assert convert.iso_date(blank) is None
    assert convert.birth_date(blank, NOW, SYDNEY) is None
    assert wall_clock(blank) is None
    assert time_of_day(blank) is None
    nothing = Partial(None)
    assert convert.timestamp(blank, SYDNEY) == nothing
    assert convert.moment(blank, blank, SYDNEY) == nothing
    assert convert.end_moment((blank, blank), (blank, blank), 30, SYDNEY) == nothing
    assert convert.dated(blank, blank, SYDNEY) == nothing


@pytest.mark.parametrize("day", ["1890-01-01", "2199-12-31", "2024-02-29"])
def test_a_date_may_have_blanks_around_it(day: str) -> None:
    assert convert.iso_date(f" {day} ") == day


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1889-12-31", "a date out of range"),
        ("2200-01-01", "a date out of range"),
        ("0202-01-01", "a date out of range"),
        ("2025-02-29", "not a date"),
        ("20250630", "not a date"),
        ("2025-W27-1", "not a date"),
        ("2025-6-30", "not a date in the expected form, but in the form y/m/d"),
        ("30/06/2025", "not a date in the expected form, but in the form d/m/y"),
        ("03/04/2025", "not a date in the expected form, but in the form d/m/y or m/d/y"),
        ("30/06/25", "not a date: its year has two digits"),
        ("2025-06-30 09:00", "a date with a time of day"),
        (" 2025-06-30  09:00", "a date with a time of day"),
        ("2025-06-30 (not m/d/y)", "not a date in the expected form, but in the form y/m/d"),
        ("31/06/2025 (not d/m/y)", "not a date"),
    ],
)
def test_what_is_no_date_is_told_by_what_is_wrong_with_it(value: str, reason: str) -> None:
    with pytest.raises(ConversionError) as wrong:
        convert.iso_date(value)
    assert str(wrong.value) == reason


def test_a_birth_date_may_be_the_clinics_own_day_and_no_later_one() -> None:
    assert convert.birth_date(" 2026-03-01 ", NOW, SYDNEY) == "2026-03-01"
    with pytest.raises(ConversionError, match="a birth date in the future"):
        convert.birth_date("2026-03-01", NOW, UTC_ZONE)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0:00", 0),
        (" 09:30 ", 34_200),
        ("09:59:59", 35_999),
        ("9:00:00.5", 32_400.5),
        ("24:00:00", 86_400),
        ("9999:59:59.999999", 35_999_999.999999),
    ],
)
def test_a_time_is_a_duration(value: str, seconds: float) -> None:
    assert convert.duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["", "9", "930", "9:5", "09:60", "09:00:60", "09:99:00", "10000:00", "-1:00", "9.30"]
)
def test_what_is_no_time_does_not_fit(value: str) -> None:
    with pytest.raises(ConversionError, match="not a time"):
        convert.duration(value)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("2025-06-30", "2025-06-30 00:00:00"),
        ("2025-06-30T09:30", "2025-06-30 09:30:00"),
        (" 2025-06-30 09:30:15.50 ", "2025-06-30 09:30:15.5"),
        ("2025-06-30 24:00:00", "2025-07-01 00:00:00"),
        ("2025-10-05 02:30:00+10:00", "2025-10-05 02:30:00"),  # no clock of a zone skips it
    ],
)
def test_a_timestamp_without_a_zone_is_what_the_clock_shows(value: str, printed: str) -> None:
    assert wall_clock(value) == printed
    type_name = "timestamp without time zone"
    assert convert.for_type(value, type_name) == printed
    noted = (NO_TIME,) if value == "2025-06-30" else ()
    assert convert.derived_for_type(value, type_name) == noted


def test_nothing_is_derived_of_a_date_in_a_column_of_dates_or_of_nothing() -> None:
    assert convert.derived_for_type("2025-06-30", "date") == ()
    assert convert.derived_for_type(" ", "timestamp without time zone") == ()


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("00:00", "00:00:00"),
        ("9:30", "09:30:00"),
        ("23:59:59.25", "23:59:59.25"),
        ("24:00:00", "24:00:00"),
    ],
)
def test_a_time_of_day_is_printed_as_postgresql_prints_it(value: str, printed: str) -> None:
    assert time_of_day(value) == printed


@pytest.mark.parametrize("value", ["24:00:01", "24:00:00.1", "25:00"])
def test_no_time_of_day_is_of_more_than_24_hours(value: str) -> None:
    with pytest.raises(ConversionError, match="a time of more than 24 hours"):
        time_of_day(value)


def test_dates_and_instants_sort_by_time_whatever_their_years() -> None:
    ordered = [
        "-infinity",
        "0044-03-15 BC",
        "0001-01-01",
        "1999-12-31",
        "2025-06-30 00:00:00+00",
        "2025-06-30 00:00:00.5+00",
        "2025-06-30 09:00:00+00",
        "10000-01-01",
        "infinity",
    ]
    assert sorted({*ordered}, key=convert.chronological) == ordered
    assert convert.chronological("no date") == convert.chronological("infinity")


@pytest.mark.parametrize(
    ("value", "is_over"),
    [
        (None, False),
        ("", False),
        ("2026-02-28 19:59:59+00", True),
        ("2026-02-28 20:00:00+00", False),
        ("2026-02-28 20:00:01+00", False),
        ("2026-02-28", True),  # in Sydney, where it is the first of March
        ("2026-03-01", False),
        ("0044-03-15 BC", True),
        ("-infinity", True),
        ("infinity", False),
    ],
)
def test_what_is_before_now_is_over(value: str | None, is_over: bool) -> None:
    assert convert.is_over(value, NOW, SYDNEY) is is_over


def test_a_day_that_is_not_over_on_the_clinics_calendar_is_not_over() -> None:
    at = datetime(2026, 3, 1, 2, tzinfo=UTC)  # in New York it is still the day before
    assert not convert.is_over("2026-02-28", at, ZoneInfo("America/New_York"))
    assert convert.is_over("2026-02-27", at, ZoneInfo("America/New_York"))


def test_an_instant_is_shown_on_the_clinics_clock_if_python_can_hold_it() -> None:
    assert convert.on_the_clock("2026-02-28 20:00:00+00", SYDNEY) == "2026-03-01 07:00"
    for value in ("infinity", "0044-03-15 10:00:00 BC", "9999-12-31 23:00:00+00"):
        assert convert.on_the_clock(value, SYDNEY) == value


SKIPPED = "a time that a clock change skips: moved forward"
LATER = "a time of 48 hours or more: set to a later day"


@pytest.mark.parametrize(
    ("value", "instant", "derived"),
    [
        ("2025-07-01", "2025-06-30 14:00:00+00", (NO_TIME,)),
        ("2025-07-01 00:00:00", "2025-06-30 14:00:00+00", ()),
        (" 2025-07-01T09:30:00+11:00", "2025-06-30 23:30:00+00", ()),
        ("2025-07-01 09:30:00.250Z", "2025-06-30 23:30:00.25+00", ()),
        ("2025-10-05 02:00:00", "2025-10-04 16:00:00+00", (SKIPPED,)),
        ("2025-10-05 02:59:59", "2025-10-04 16:59:59+00", (SKIPPED,)),
        ("2025-10-05 03:00:00", "2025-10-04 16:00:00+00", ()),
        ("2025-04-06 02:30:00", "2025-04-05 15:30:00+00", ()),  # the first of the two
    ],
)
def test_a_timestamp_is_an_instant_of_the_clinics_zone(
    value: str, instant: str, derived: tuple[str, ...]
) -> None:
    assert convert.timestamp(value, SYDNEY) == Partial(instant, derived=derived)


def test_a_zone_that_skips_midnight_moves_a_bare_date_forward_and_tells_both() -> None:
    made = convert.timestamp("2018-11-04", ZoneInfo("America/Sao_Paulo"))
    assert made == Partial("2018-11-04 03:00:00+00", derived=(NO_TIME, SKIPPED))
    made = convert.moment("2018-11-04", " ", ZoneInfo("America/Sao_Paulo"))
    assert made == Partial("2018-11-04 03:00:00+00", derived=(NO_TIME, SKIPPED))
    made = convert.dated("2018-11-04", "", ZoneInfo("America/Sao_Paulo"))
    assert made == Partial("2018-11-04 03:00:00+00", derived=(NO_TIME, SKIPPED))


@pytest.mark.parametrize(
    ("clock", "instant", "derived"),
    [
        ("00:00:00", "2025-06-30 14:00:00+00", ()),
        (" ", "2025-06-30 14:00:00+00", (NO_TIME,)),
        ("24:00:00", "2025-07-01 14:00:00+00", ()),
        ("47:59:59", "2025-07-02 13:59:59+00", ()),
        ("48:00:00", "2025-07-02 14:00:00+00", (LATER,)),
        ("930:00:00", "2025-08-08 08:00:00+00", (LATER,)),
    ],
)
def test_a_moment_is_so_long_after_midnight(
    clock: str, instant: str, derived: tuple[str, ...]
) -> None:
    made = Partial(instant, derived=derived)
    assert convert.moment("2025-07-01", clock, SYDNEY) == made
    if clock.strip():
        start = ("2025-06-30", "00:00")
        assert convert.end_moment(("2025-07-01", clock), start, 30, SYDNEY) == made


def ends(end: tuple[str, str], start: tuple[str, str] = ("2025-07-01", "09:00")) -> Partial:
    return convert.end_moment(end, start, 30, SYDNEY)


NO_END = "no end: set to 30 minutes after the start"
NO_CLOCK = "an end on another day without a time: set to 30 minutes after the start"
BEFORE = "an end before the start: set to 30 minutes after the start"


@pytest.mark.parametrize(
    ("end", "instant", "derived"),
    [
        (("2025-07-01", "09:00"), "2025-06-30 23:00:00+00", ()),
        (("2025-07-01", "08:59:59"), "2025-06-30 23:30:00+00", (BEFORE,)),
        (("", "09:45"), "2025-06-30 23:45:00+00", ()),
        ((" ", " "), "2025-06-30 23:30:00+00", (NO_END,)),
        ((" 2025-07-01 ", ""), "2025-06-30 23:30:00+00", (NO_END,)),
        (("2025-07-02", ""), "2025-06-30 23:30:00+00", (NO_CLOCK,)),
        (("2025-07-02", "08:00"), "2025-07-01 22:00:00+00", ()),
    ],
)
def test_an_end_is_its_own_or_so_many_minutes_after_the_start(
    end: tuple[str, str], instant: str, derived: tuple[str, ...]
) -> None:
    assert ends(end) == Partial(instant, derived=derived)


@pytest.mark.parametrize("end", [("2025-07-01", ""), ("", "09:00"), ("2025-07-01", "09:00")])
def test_an_end_without_a_start_is_told(end: tuple[str, str]) -> None:
    with pytest.raises(ConversionError, match="an end without a start"):
        ends(end, (" ", "09:00"))


def test_an_event_without_a_time_begins_at_midnight() -> None:
    assert ends(("", ""), ("2025-07-01", "")) == Partial(
        "2025-06-30 14:30:00+00", derived=(NO_END,)
    )


@pytest.mark.parametrize(
    ("stamp", "instant", "derived"),
    [
        ("2020-01-01 09:30:15", "2025-06-30 23:30:15+00", ()),
        ("2020-01-01", "2025-06-30 14:00:00+00", (NO_TIME,)),
        (" ", "2025-06-30 14:00:00+00", (NO_TIME,)),
        (
            "nonsense",
            "2025-06-30 14:00:00+00",
            ("a date beside a time that cannot be read: set to midnight",),
        ),
    ],
)
def test_a_dated_stamp_has_the_day_of_its_date(
    stamp: str, instant: str, derived: tuple[str, ...]
) -> None:
    assert convert.dated("2025-07-01", stamp, SYDNEY) == Partial(instant, derived=derived)
