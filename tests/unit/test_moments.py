"""What the clock shows, in PostgreSQL's own form, and how times sort."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import convert
from nexus_reimport.convert import ConversionError, Partial
from nexus_reimport.convert.moments import NO_TIME, time_of_day, wall_clock

SYDNEY = ZoneInfo("Australia/Sydney")
SKIPPED = "a time that a clock change skips: moved forward"


@pytest.mark.parametrize("blank", ["", " \t\r"])
def test_nothing_is_no_time_of_day_and_no_time_on_the_clock(blank: str) -> None:
    assert wall_clock(blank) is time_of_day(blank) is None


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


def test_a_day_that_is_not_over_on_the_clinics_calendar_is_not_over() -> None:
    at = datetime(2026, 3, 1, 2, tzinfo=UTC)  # in New York it is still the day before
    assert not convert.is_over("2026-02-28", at, ZoneInfo("America/New_York"))
    assert convert.is_over("2026-02-27", at, ZoneInfo("America/New_York"))


@pytest.mark.parametrize(
    ("value", "other", "is_before"),
    [
        ("2025-07-01", "2025-07-01 05:00:00+00", False),  # the day at which it is 15:00 in Sydney
        ("2025-07-01", "2025-07-01 15:00:00+00", True),  # there it is the 2nd
        ("2025-07-01", "2025-07-01 09:00:00", False),
        ("2025-06-30 20:00:00+00", "2025-07-01", False),
        ("2025-06-30 13:00:00+00", "2025-07-01", True),
        ("2025-07-01 14:59:00", "2025-07-01 05:00:00+00", True),
        ("2025-07-01 15:00:00", "2025-07-01 05:00:00+00", False),
        ("08:30:00", "09:00:00", True),
        ("09:00:00", "08:30:00", False),
        ("0044-03-15 10:00:00+00 BC", "2025-07-01", True),
        ("2025-07-01", "9999-12-31 23:00:00+00", True),
        ("infinity", "9999-12-31 23:00:00+00", False),
        ("about 8: late", "2025-07-01", False),
    ],
)
def test_what_is_before_another_is_told_on_the_clinics_clock_and_by_days_beside_a_date(
    value: str, other: str, *, is_before: bool
) -> None:
    assert convert.is_before(value, other, SYDNEY) == is_before


def test_a_time_without_a_zone_is_over_by_the_clinics_clock() -> None:
    at = datetime(2026, 3, 1, 2, tzinfo=UTC)  # in Sydney it is 13:00
    assert convert.is_over("2026-03-01 12:59:59", at, SYDNEY)
    assert not convert.is_over("2026-03-01 13:00:00", at, SYDNEY)


def test_an_instant_is_shown_on_the_clinics_clock_if_python_can_hold_it() -> None:
    assert convert.on_the_clock("2026-02-28 20:00:00+00", SYDNEY) == "2026-03-01 07:00"
    for value in ("infinity", "0044-03-15 10:00:00 BC", "9999-12-31 23:00:00+00"):
        assert convert.on_the_clock(value, SYDNEY) == value


def test_a_zone_that_skips_midnight_moves_a_bare_date_forward_and_tells_both() -> None:
    made = convert.timestamp("2018-11-04", ZoneInfo("America/Sao_Paulo"))
    assert made == Partial("2018-11-04 03:00:00+00", derived=(NO_TIME, SKIPPED))
    made = convert.moment("2018-11-04", " ", ZoneInfo("America/Sao_Paulo"))
    assert made == Partial("2018-11-04 03:00:00+00", derived=(NO_TIME, SKIPPED))
    made = convert.dated("2018-11-04", "", ZoneInfo("America/Sao_Paulo"))
    assert made == Partial("2018-11-04 03:00:00+00", derived=(NO_TIME, SKIPPED))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("1889-12-31", "a date out of range"),
        ("1890-01-01", ""),
        ("2199-12-31", ""),
        ("2200-01-01", "a date out of range"),
        ("2025-06-30 09:59", ""),
        ("2025-06-30 09:60", "not a time"),
        ("2025-06-30 09:00:59", ""),
        ("2025-06-30 09:00:60", "not a time"),
    ],
)
def test_what_is_just_beyond_a_limit_does_not_fit(value: str, why: str) -> None:
    if why:
        with pytest.raises(ConversionError, match=why):
            wall_clock(value)
    else:
        assert str(wall_clock(value)).startswith(value)
