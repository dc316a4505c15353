"""Dates and times that are off, by every unit in which programs get them wrong."""

from __future__ import annotations

from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Field, Scene

SORT = "a date or a time of a wiped row"
_INSTANT = ("timestamp",)
_DATE = ("date",)
_MONTH_FOR_DAY: LiteralString = (
    "make_date(extract(year FROM {0})::int, extract(day FROM {0})::int,"
    " extract(month FROM {0})::int)"
)

# name, what it means, of which types, the value as it becomes, which can be changed so
# isfinite: infinity plus any interval is infinity, so nothing would be changed.
_MOMENTS: tuple[tuple[str, str, tuple[str, ...], LiteralString, LiteralString], ...] = (
    (
        "a_time_is_off_by_a_microsecond",
        "An instant is off by a microsecond.",
        _INSTANT,
        "{0} + interval '1 microsecond'",
        "isfinite({0})",
    ),
    (
        "a_time_lost_its_fraction",
        "An instant lost what it had below the second.",
        _INSTANT,
        "date_trunc('second', {0})",
        "isfinite({0})",
    ),
    (
        "a_time_is_off_by_a_second",
        "An instant is off by a second.",
        _INSTANT,
        "{0} + interval '1 second'",
        "isfinite({0})",
    ),
    (
        "a_time_is_off_by_a_minute",
        "An instant is off by a minute.",
        _INSTANT,
        "{0} - interval '1 minute'",
        "isfinite({0})",
    ),
    (
        "a_time_is_off_by_an_hour",
        "An instant is off by an hour, as where summer time was missed.",
        _INSTANT,
        "{0} + interval '1 hour'",
        "isfinite({0})",
    ),
    (
        "a_time_is_in_another_zone",
        "An instant is off by ten hours: local time taken for UTC.",
        _INSTANT,
        # The offset of Australia's east coast, without summer time.
        "{0} + interval '10 hours'",
        "isfinite({0})",
    ),
    (
        "a_time_is_off_by_half_a_day",
        "An instant is off by twelve hours: a lost PM.",
        _INSTANT,
        "{0} - interval '12 hours'",
        "isfinite({0})",
    ),
    (
        "a_time_is_midnight",
        "An instant lost its time of day.",
        _INSTANT,
        "date_trunc('day', {0})",
        "isfinite({0})",
    ),
    ("a_date_is_off_by_a_day", "A date is the day before.", _DATE, "{0} - 1", "isfinite({0})"),
    (
        "a_date_has_day_for_month",
        "A date has its day for its month.",
        _DATE,
        _MONTH_FOR_DAY,
        # Only a day up to 12 can be a month.
        "isfinite({0}) AND extract(day FROM {0}) <= 12",
    ),
    (
        "a_date_is_off_by_a_month",
        "A date is a month later.",
        _DATE,
        "({0} + interval '1 month')::date",
        "isfinite({0})",
    ),
    (
        "a_date_is_off_by_a_year",
        "A date is a year later.",
        _DATE,
        "({0} + interval '1 year')::date",
        "isfinite({0})",
    ),
    (
        "a_date_is_in_another_century",
        "A date is a century earlier: a year of two digits.",
        _DATE,
        "({0} - interval '100 years')::date",
        "isfinite({0})",
    ),
    (
        "a_date_is_the_first_of_its_year",
        "A date lost its day and month.",
        _DATE,
        "date_trunc('year', {0})::date",
        "isfinite({0})",
    ),
    (
        "a_date_is_the_first_of_all",
        "A date is the day from which computers count.",
        _DATE,
        "date '1970-01-01'",
        "isfinite({0})",
    ),
    (
        "a_date_is_counted_from_1904",
        "A date is off by four years and a day, as spreadsheets differ.",
        _DATE,
        # The days between the two from which Excel counts: 1900 and 1904.
        "{0} - 1462",
        "isfinite({0})",
    ),
    (
        "a_date_is_infinite",
        "A date is the one after all others.",
        _DATE,
        "'infinity'",
        "isfinite({0})",
    ),
)


def _changed(
    types: tuple[str, ...], to: LiteralString, condition: LiteralString, scene: Scene
) -> int:
    return scene.change_first(scene.moments(*types), to, condition)


for _name, _meaning, _types, _to, _condition in _MOMENTS:
    declare(
        Kind(_name, _meaning, SORT, partial(_changed, _types, _to, _condition), only_links=False)
    )


@kind(SORT, only_links=False)
def a_date_is_lost(scene: Scene) -> int:
    """A date is NULL."""
    return scene.change_first((f for f in scene.moments() if not f.column.not_null), "NULL")


@kind(SORT, only_links=False)
def two_dates_are_swapped(scene: Scene) -> int:
    """Two rows have each other's date."""
    return scene.swap_first(scene.moments(*_DATE))


@kind(SORT, only_links=False)
def two_times_cancel(scene: Scene) -> int:
    """One row's time is an hour later and another one's an hour earlier: the sum is what it was."""

    def attempt(where: Field) -> int:
        keys = scene.keys(where.table, sql.SQL("isfinite(t.{})").format(where.name))
        return scene.cancel(where, keys, "interval '1 hour'")

    return scene.first_of(attempt, scene.moments(*_INSTANT))


@kind(SORT, only_links=False)
def every_time_is_off_by_an_hour(scene: Scene) -> int:
    """All appointments are an hour later, and as long as they were."""
    calendar = scene.database.mapping.application.calendar
    return scene.do(
        sql.SQL(
            "UPDATE {} SET {start} = {start} + '1 hour'::interval,"
            " {end} = {end} + '1 hour'::interval"
        ).format(
            scene.place(scene.appointments),
            start=sql.Identifier(calendar.start),
            end=sql.Identifier(calendar.end),
        )
    )


@kind(SORT, only_links=False)
def an_appointment_ends_before_it_starts(scene: Scene) -> int:
    """Start and end of an appointment are swapped."""
    calendar = scene.database.mapping.application.calendar
    table = scene.appointments
    return scene.do(
        sql.SQL(
            "UPDATE {table} SET {start} = {end}, {end} = {start} WHERE {key} = (SELECT {key}"
            " FROM {table} WHERE {end} > {start} ORDER BY {key}::text LIMIT 1)"
        ).format(
            table=scene.place(table),
            start=sql.Identifier(calendar.start),
            end=sql.Identifier(calendar.end),
            key=sql.Identifier(table.primary_key[0]),
        )
    )


@kind(SORT, only_links=False)
def an_appointment_has_no_end(scene: Scene) -> int:
    """An appointment of a patient has no end: the calendar's own code fails on it."""
    calendar = scene.database.mapping.application.calendar
    column = scene.appointments.column(calendar.end)
    if column is None:
        return 0
    return scene.change(Field(scene.appointments, column), "NULL", among=scene.of_a_patient)
