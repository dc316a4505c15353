"""A value is planned in the form in which PostgreSQL prints it, type by type."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport import convert
from nexus_reimport.nexus.connection.session import SESSION
from nexus_sandbox.postgres.server import PostgresServer

NUMBERS = (
    *("7", "007", "+7", "-7", "7.", ".5", "0.50", "-0", "-0.00", "1e3", "1.5e3", "1.50e1", "1e-2"),
    *("123456", "999999", "100000", "1000000", "0.0001", "0.00001", "1.5e-7", "-1e-12", "1e-30"),
    *("123456789012345", "999999999999999", "0.123456789012345", "1e15", "1e22", "1e23", "9e98"),
    *("0.1", "0.3", "16777217", "9007199254740993", "1" * 60, f"{'9' * 45}.{'8' * 45}", "1e-31"),
)
NUMERICS = ("numeric", "numeric(4,1)", "numeric(60,0)", "numeric(100,50)", "numeric(3,5)")
FLOATS = ("real", "double precision")
INTEGERS = ("smallint", "integer", "bigint")
TIMES = ("09:00", "9:00:00", "24:00:00", "23:59:59.999999", "00:00:00.100", "24:00:01", "99:00")
STAMPS = ("2026-01-31", "2026-01-31 09:00:00", "2026-01-31T09:00:00.50", "2026-01-31 24:00:00")
TEXTS = ("", "ab", "ab  ", "Größe", "\U0001f600", "12345")


@pytest.fixture(scope="module")
def connection(postgres: PostgresServer):
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        for name, value in SESSION.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        yield connection


def printed(connection: psycopg.Connection, text: str, kind: str) -> str:
    # A parameter would be a text, and be cast otherwise than what COPY puts in.
    quoted = "'" + text.replace("'", "''") + "'"
    (value,) = connection.execute(f"SELECT format('%s', CAST({quoted} AS {kind}))").fetchone()
    return value


def planned(text: str, kind: str) -> str | None:
    """The planned form; None if the value does not fit."""
    try:
        return convert.for_type(text, kind)
    except convert.ConversionError:
        return None


@pytest.mark.parametrize("kind", [*NUMERICS, *FLOATS, *INTEGERS])
def test_a_number_is_planned_as_postgresql_prints_it(connection, kind: str) -> None:
    fit = {text: form for text in NUMBERS if (form := planned(text, kind)) is not None}
    assert len(fit) >= 4
    for text, form in fit.items():
        assert printed(connection, form, kind) == form
        assert Decimal(form) == Decimal(text)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("time without time zone", TIMES),
        ("timestamp without time zone", STAMPS),
        ("date", STAMPS),
        ("character(5)", TEXTS),
        ("character varying(5)", TEXTS),
        ("bpchar", TEXTS),
        ("text", TEXTS),
        ("uuid", ("6A1D2F5C-7B0E-5C3A-8F44-0C5D9E2B7A10 ", "x")),
        ("boolean", ("t", "yes", "0", "OFF", "1.0")),
    ],
)
def test_a_value_is_planned_as_postgresql_prints_it(connection, kind: str, texts) -> None:
    fit = [form for text in texts if (form := planned(text, kind)) is not None]
    assert fit
    assert fit == [printed(connection, form, kind) for form in fit]


@settings(deadline=None, max_examples=300)
@given(
    number=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
    | st.builds(lambda n, e: f"{n}e{e}", st.integers(-(10**16), 10**16), st.integers(-40, 40)),
    kind=st.sampled_from((*NUMERICS, *FLOATS, *INTEGERS)),
)
def test_any_number_that_fits_is_planned_as_it_is_printed(connection, number, kind: str) -> None:
    form = planned(str(number), kind)
    if form is not None:
        assert form == printed(connection, form, kind)
        assert Decimal(form) == Decimal(number)


@pytest.mark.parametrize("kind", ["numeric", "numeric(4,1)", "integer", "real", "numeric(200,1)"])
@pytest.mark.parametrize("text", ["9" * 39, "9" * 400, "0." + "9" * 398, "9" * 401, "1e99"])
def test_a_number_of_any_length_is_planned_or_does_not_fit(kind: str, text: str) -> None:
    form = planned(text, kind)
    assert form is None or "e" in text or form.rstrip("0").rstrip(".") == text


def test_every_type_that_is_foretold_is_known_by_its_name() -> None:
    for kind in (
        *NUMERICS,
        *FLOATS,
        *INTEGERS,
        "character(5)",
        "character varying",
        "uuid",
    ):
        assert convert.is_foretold(kind), kind
    for kind in (
        *("interval", "bytea", "text[]", "numeric(2,-3)", "timestamp(0) with time zone", "money"),
        *("time with time zone", "bit(3)", "name", '"char"', "inet", "practice.pair", "daterange"),
    ):
        assert not convert.is_foretold(kind), kind
