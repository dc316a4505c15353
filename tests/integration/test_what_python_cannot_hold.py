"""What PostgreSQL can hold and Python cannot: carried over as the text that PostgreSQL prints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest

from nexus_reimport import convert
from nexus_reimport.errors import TargetError
from nexus_reimport.nexus.connection.driver_errors import scrubbed
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.planning.feed import RecordConverter
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import Altered, altered
from support.clinic import taken_back
from support.second_installation import SCHEMA

# column -> (type, values of the three persons)
STRANGE = {
    "c_date": ("date", ("infinity", "-infinity", "10000-01-01")),
    "c_bc": ("date", ("0044-03-15 BC", "4713-01-01 BC", "5874897-12-31")),
    "c_stamp": ("timestamp", ("infinity", "294276-12-31 23:59:59.999999", "4713-01-01 00:00 BC")),
    "c_instant": ("timestamptz", ("-infinity", "10000-01-01 00:00+00", "0044-03-15 12:00+00 BC")),
    "c_time": ("time", ("24:00:00", "00:00:00", "23:59:59.999999")),
    "c_timetz": ("timetz", ("24:00:00+15:59", "00:00:00-15:59", "12:00:00+05:30")),
    "c_interval": ("interval", ("178000000 years", "-1 mons +1 day -00:00:01", "P0D")),
    "c_dates": ("date[]", ("{infinity,NULL,0001-01-01 BC}", "{}", "{{2000-01-01},{10001-01-01}}")),
    "c_range": ("daterange", ("[2000-01-01,infinity]", "empty", "[,10000-01-01)")),
    "c_ranges": ("tstzmultirange", ("{[-infinity,infinity]}", "{}", "{[10000-01-01 00:00+00,)}")),
    "c_numeric": ("numeric", ("NaN", "Infinity", "1E+1000")),
    "c_float": ("float8", ("NaN", "1.7976931348623157e308", "5e-324")),
    "c_real": ("real", ("-Infinity", "3.4028235e38", "-0")),
    "c_money": ("money", ("-92233720368547758.08", "0", "12.34")),
    "c_bytes": ("bytea", (r"\x00ff5c", r"\x", r"\x0a0d09")),
    "c_bits": ("bit varying", ("1010", "", "0")),
    "c_json": ("jsonb", ('{"n": 1e400}', f"[{'9' * 5000}]", "null")),
    "c_json_as_is": ("json", ('{"a":1,"a":2}', " [1,  2] ", "null")),
    "c_text": ("text", ("\\N", "tab\tand\r\nline", "\u001f\u007f\ufffe")),
}


def with_columns() -> str:
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in STRANGE.items())
    places = [
        ", ".join("E'" + v[n].replace("\\", "\\\\") + "'" for _, v in STRANGE.values())
        for n in range(3)
    ]
    updates = "".join(
        f"UPDATE practice.person SET ({', '.join(STRANGE)}) = ROW({values}) WHERE id = {n};\n"
        for n, values in enumerate(places, 1)
    )
    schema = SCHEMA.replace("shoe_size numeric(4, 1),", f"shoe_size numeric(4, 1), {columns},")
    visit = "UPDATE practice.visit SET starts = '-infinity', ends = 'infinity' WHERE id = 3;"
    return schema + updates + visit


@pytest.fixture(scope="module")
def strange(
    postgres: PostgresServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Altered]:
    with altered(postgres, s3, tmp_path_factory.mktemp("strange"), with_columns()) as found:
        yield found


def held(strange: Altered) -> list[tuple[str | None, ...]]:
    columns = ", ".join(f"{name}::text" for name in STRANGE)
    return strange.rows(f"SELECT {columns} FROM practice.person WHERE id <= 3 ORDER BY id")


def test_every_value_that_postgresql_can_hold_is_carried_over_and_taken_back(
    strange: Altered,
) -> None:
    before = held(strange)
    book = strange.whole()
    assert held(strange) == before
    report = taken_back("second")
    assert report.passed
    assert held(strange) == before
    assert book.run.verdict() == "COMPLETE"


@pytest.mark.parametrize("kind", ["date", "timestamptz", "timestamptz[]", "tstzrange", "interval"])
def test_a_date_beyond_pythons_years_is_read_as_text_on_our_connections(
    strange: Altered, kind: str
) -> None:
    from nexus_reimport import settings

    literal = {
        "timestamptz[]": "{infinity}",
        "tstzrange": "[0044-03-15 00:00:00+00 BC,)",
        "interval": "178000000 years",
    }.get(kind, "infinity")
    place = settings.load("second").postgres
    with connected(place) as connection:
        row = connection.execute(f"SELECT '{literal}'::{kind}").fetchone()
    assert row is not None
    assert "datetime" not in repr(row[0])


def test_a_value_that_the_driver_cannot_load_is_no_lost_connection(strange: Altered) -> None:
    with pytest.raises(TargetError) as told, scrubbed("here", "nothing was written"):
        strange.connection.execute("SELECT 'infinity'::timestamptz").fetchone()
    assert "could not be passed" in told.value.what
    assert "lost" not in told.value.what
    assert "infinity" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_lost_connection_is_still_called_that(strange: Altered) -> None:
    with pytest.raises(TargetError, match=r"connection .*was lost"), scrubbed("here", "x"):
        psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")


def test_dates_sort_by_time_and_not_by_their_digits() -> None:
    in_order = [
        "-infinity",
        "4713-01-01 BC",
        "0044-03-15 BC",
        "0001-01-01 BC",
        "0001-01-01",
        "1890-01-01",
        "2026-01-01",
        "9999-12-31",
        "10000-01-01",
        "294276-12-31",
        "infinity",
    ]
    assert sorted(set(in_order), key=convert.chronological) == in_order


@pytest.mark.parametrize(
    ("value", "over"),
    [
        ("infinity", False),
        ("-infinity", True),
        ("10000-01-01 00:00:00+00", False),
        ("10000-01-01", False),
        ("0044-03-15 12:00:00+00 BC", True),
        ("2026-03-01 11:59:59+00", True),
        ("2026-03-01 12:00:01+00", False),
        ("2026-02-28", True),
        ("2026-03-01", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_over_is_told_for_every_date_that_postgresql_prints(
    value: str | None, over: bool
) -> None:
    records = RecordConverter.__new__(RecordConverter)
    records._as_of, records.zone = datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("UTC")
    assert records.is_over(value) is over


@pytest.mark.parametrize(
    "value", ["infinity", "10000-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC"]
)
def test_an_instant_beyond_pythons_years_is_shown_to_people_as_it_is(value: str) -> None:
    assert convert.on_the_clock(value, ZoneInfo("Australia/Sydney")) == value
    assert convert.on_the_clock("2026-01-01 00:00:00+00", ZoneInfo("Australia/Sydney")) == (
        "2026-01-01 11:00"
    )


def test_an_instant_at_the_end_of_pythons_years_is_shown_as_it_is() -> None:
    last = "9999-12-31 23:59:59+00"
    assert convert.on_the_clock(last, ZoneInfo("Australia/Sydney")) == last
