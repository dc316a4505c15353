"""Converters at the limits: the last value that fits, the first that does not, blanks around it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import convert
from nexus_reimport.convert import ConversionError, registry, texts
from nexus_reimport.convert.registry import Given

SYDNEY = ZoneInfo("Australia/Sydney")
NOW = datetime.fromisoformat("2025-11-15T00:00Z")
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


# ---------------------------------------------------------------- dates and times


@pytest.mark.parametrize("value", ["1890-01-01", "2199-12-31", "2024-02-29"])
def test_the_first_and_the_last_day_of_a_plan_fit(value: str) -> None:
    assert convert.iso_date(f" {value}\t") == value


@pytest.mark.parametrize("value", ["1889-12-31", "2200-01-01", "0202-05-05", "9999-12-31"])
def test_a_day_beyond_them_is_out_of_range_wherever_it_is_read(value: str) -> None:
    for read in (
        lambda: convert.iso_date(value),
        lambda: convert.birth_date(value, NOW, SYDNEY),
        lambda: convert.timestamp(f"{value} 10:00:00", SYDNEY),
        lambda: convert.moment(value, "10:00:00", SYDNEY),
        lambda: convert.dated(value, "", SYDNEY),
    ):
        with pytest.raises(ConversionError, match="a date out of range"):
            read()


@pytest.mark.parametrize("value", ["20250630", "2025-W27-1", "2025-6-3", "2023-02-29"])
def test_a_day_that_python_alone_would_read_is_none(value: str) -> None:
    with pytest.raises(ConversionError, match="not a date"):
        convert.iso_date(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("9:59:59", 35_999),
        ("0:00", 0),
        (" 09:05 ", 32_700),
        ("24:00:01", 86_401),
        ("9999:59:59", 35_999_999),
        ("0:00:00.000001", 0.000_001),
        ("0:00:00.0000019", 0.000_001),
    ],
)
def test_a_time_fits_up_to_its_last_minute_and_second(value: str, seconds: float) -> None:
    assert convert.duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    ["9:60", "9:60:00", "9:00:60", "9:5", "10000:00", "-1:00", "9:00:00.1234567890123", "9.30"],
)
def test_a_time_beyond_them_is_none_and_never_becomes_a_later_one(value: str) -> None:
    with pytest.raises(ConversionError, match="not a time"):
        convert.duration(value)


@pytest.mark.parametrize("read", [convert.iso_date, convert.whole, convert.as_uuid])
def test_blanks_alone_are_no_value(read) -> None:
    assert read(" \r\t") is None
    assert convert.timestamp(" ", SYDNEY).value is None
    assert convert.moment(" ", " ", SYDNEY).value is None
    assert convert.birth_date(" ", NOW, SYDNEY) is None


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (" 2025-06-30T10:00:00+11:00\t", "2025-06-30 00:00:00+00"),
        ("2025-06-30 10:00", "2025-06-30 00:00:00+00"),
        ("2025-06-30T10:00:00.50Z", "2025-06-30 00:00:00.5+00"),
        ("2025-06-30", "2025-06-29 14:00:00+00"),
        ("2025-06-30 24:00:00", "2025-06-30 14:00:00+00"),
    ],
)
def test_a_timestamp_is_read_on_the_clinics_clock(value: str, instant: str) -> None:
    made = convert.timestamp(value, SYDNEY)
    assert made.value == instant
    # On a calendar an assumed midnight looks like a time that somebody has entered.
    has_time = ":" in value
    assert made.derived == (() if has_time else ("no time: set to midnight",))


def test_blanks_are_no_end_and_no_start() -> None:
    assert convert.end_moment((" ", " "), (" ", " "), 30, SYDNEY).value is None
    for end in ((" ", "9:00"), ("2025-06-30", " ")):
        with pytest.raises(ConversionError, match="an end without a start"):
            convert.end_moment(end, (" ", " "), 30, SYDNEY)


@pytest.mark.parametrize(
    ("end", "instant", "reasons"),
    [
        (("2025-07-01", "09:00"), "2025-06-30 23:00:00+00", ()),
        ((" 2025-06-30 ", "11:00"), "2025-06-30 01:00:00+00", ()),
        ((" ", " 11:00 "), "2025-06-30 01:00:00+00", ()),
        (("2025-06-30 ", " "), "2025-06-30 00:30:00+00", ("no end",)),
        (("2025-07-01", ""), "2025-06-30 00:30:00+00", ("an end on another day without a time",)),
        (("2025-06-29", "11:00"), "2025-06-30 00:30:00+00", ("an end before the start",)),
        (("", "10:00"), "2025-06-30 00:00:00+00", ()),
    ],
)
def test_an_end_is_on_its_own_day_and_what_is_assumed_is_told(
    end: tuple[str, str], instant: str, reasons: tuple[str, ...]
) -> None:
    made = convert.end_moment(end, (" 2025-06-30", "10:00 "), 30, SYDNEY)
    assert made.value == instant
    assert made.derived == tuple(f"{why}: set to 30 minutes after the start" for why in reasons)


@pytest.mark.parametrize("stamp", [" ", "2025-07-01", "2025-07-01T"])
def test_a_date_without_a_time_beside_it_is_at_midnight_and_nothing_was_unread(stamp: str) -> None:
    made = convert.dated("2025-06-30", stamp, SYDNEY)
    assert made.value == "2025-06-29 14:00:00+00"
    assert made.derived == ("no time: set to midnight",)
    assert convert.dated(" ", "2025-06-30 10:00:00", SYDNEY).value == "2025-06-30 00:00:00+00"


def test_what_is_now_or_today_is_not_over() -> None:
    now = datetime.fromisoformat("2025-11-15T21:00Z")  # the 16th in Sydney
    over = {
        value: convert.is_over(value, now, SYDNEY)
        for value in (
            *("2025-11-15 20:59:59.999999+00", "2025-11-15 21:00:00+00", "2025-11-15"),
            *("2025-11-16", "", None, "infinity", "-infinity", "0044-03-15 BC"),
        )
    }
    assert {value for value, is_over in over.items() if is_over} == {
        "2025-11-15 20:59:59.999999+00",
        "2025-11-15",
        "-infinity",
        "0044-03-15 BC",
    }


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("smallint", -32_768, 32_767),
        ("integer", -2_147_483_648, 2_147_483_647),
        ("bigint", -9_223_372_036_854_775_808, 9_223_372_036_854_775_807),
    ],
)
def test_a_whole_number_fits_up_to_the_last_that_its_type_holds(
    kind: str, least: int, most: int
) -> None:
    for fits in (least, most):
        assert convert.for_type(f" {fits}.0 ", kind) == str(fits)
    for beyond in (least - 1, most + 1):
        with pytest.raises(ConversionError, match=f"too large for {kind}"):
            convert.for_type(str(beyond), kind)


@pytest.mark.parametrize(
    ("kind", "fits", "beyond"),
    [
        ("real", "123456", "1234567"),
        ("real", "0.00123456", "0.001234567"),
        ("double precision", "123456789012345", "1234567890123456"),
        ("double precision", "1.23456789012345e-30", "1.23456789012345e-31"),
        ("numeric(4,1)", "-999.9", "1000"),
        ("numeric(4,1)", "0.10", "0.01"),
        ("numeric", "9" * 400, "9" * 401),
        ("numeric(1000,700)", "9" * 300, "9" * 301),
    ],
)
def test_a_number_fits_with_every_digit_or_not_at_all(kind: str, fits: str, beyond: str) -> None:
    assert Decimal(convert.for_type(fits, kind)) == Decimal(fits)
    with pytest.raises(ConversionError, match=r"digits|too large|characters"):
        convert.for_type(beyond, kind)


def test_a_fraction_is_no_whole_number_and_no_zero_has_a_sign() -> None:
    for value in ("2.5", "-0.1", "1e-1"):
        with pytest.raises(ConversionError, match="not a whole number"):
            convert.whole(value)
        with pytest.raises(ConversionError, match="not a whole number"):
            convert.for_type(value, "integer")
    assert [convert.whole(value) for value in ("-0", "7.0", " 1e2 ")] == ["0", "7", "100"]
    assert convert.for_type("-0.00", "numeric") == "0.00"
    assert [convert.for_type(v, "real") for v in ("-0.0", "0e99", "0.000")] == ["0", "0", "0"]


def test_a_text_has_blanks_at_its_end_where_its_column_has_a_length() -> None:
    assert convert.for_type("ab", "character(4)") == "ab  "
    assert convert.for_type("ab", "character varying(4)") == convert.for_type("ab", "text") == "ab"


def test_a_value_is_foretold_of_the_types_whose_print_is_known() -> None:
    known = (
        *("smallint", "integer", "bigint", "real", "double precision", "boolean", "uuid"),
        *("numeric", "numeric(4,1)", "text", "bpchar", "character(3)", "character varying"),
        *("character varying(5)", "date", "time without time zone", convert.INSTANT),
        "timestamp without time zone",
    )
    others = ("interval", "bytea", "text[]", "jsonb", "time with time zone", "inet", "")
    assert [one for one in (*known, *others) if convert.is_foretold(one)] == [*known]
    of_text = [one for one in (*known, *others) if convert.is_text(one)]
    assert of_text == ["text", "bpchar", "character(3)", "character varying", known[13]]


@pytest.mark.parametrize(
    "value",
    ["1_0", "NaN", "Infinity", "\u0661\u0662", "0x10", "1e100", "1,5", "1.234,5", ".", "e5", "+"],
)
def test_what_only_looks_like_a_number_is_none(value: str) -> None:
    with pytest.raises(ConversionError, match="not a number"):
        convert.number(value)


# ---------------------------------------------------------------- words and flags


def test_blanks_are_no_choice_and_a_dot_is_one_that_does_not_fit() -> None:
    choices = {"Mr": ("mr",)}
    assert convert.choice("", choices) is convert.choice(" \r", choices) is None
    for value in (".", "...", "-"):
        with pytest.raises(ConversionError, match="not one of the choices"):
            convert.choice(value, choices)


@pytest.mark.parametrize(
    ("first", "second", "number", "is_told"),
    [
        (" 0491 570 001 ", "", "0491 570 001", False),
        (" ", " 0491 570 002", "0491 570 002", False),
        ("+61491570001", "(0491) 570-001", "+61491570001", False),
        ("ask mother", " Ask  mother", "ask mother", False),
        ("+61491570001", "0491 570 002", "+61491570001", True),
        ("0491 570 001", "ask mother", "0491 570 001", True),
        ("02 5550 1234", "03 5550 1234", "02 5550 1234", True),
        ("5550 1234", "+61 2 5550 1234", "5550 1234", False),
        ("+61 2 5550 1234", "5550 1234", "+61 2 5550 1234", False),
        ("ask mother", "ask father", "ask mother", True),
        ("491570001", "0491570001", "491570001", False),
        (" ", "", None, False),
    ],
)
def test_of_two_fields_of_a_phone_the_second_counts_where_the_first_is_empty_and_else_is_told(
    first: str, second: str, number: str | None, is_told: bool
) -> None:
    given = Given(SYDNEY, NOW, first, {"local": second}, {"else": "local"})
    made = registry.of("phone").make(given)
    told = ("two fields hold different numbers: the first is taken",) if is_told else ()
    assert (made.value, made.misfits, made.derived) == (number, (), told)


@pytest.mark.parametrize(
    ("value", "is_set", "is_known"),
    [
        *((one, True, True) for one in ("1", " 1 ", "1.0", "YES", "on\r")),
        *((one, False, True) for one in ("", " ", "0", " 0", "0.0", "No")),
        *((one, False, False) for one in ("2", "-1", "01", "x", "?", "1,0")),
    ],
)
def test_a_flag_is_set_or_not_or_none(value: str, is_set: bool, is_known: bool) -> None:
    assert (convert.flag(value), texts.is_flag(value)) == (is_set, is_known)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        *((one, "t") for one in ("t", " TRUE ", "Yes\r", "y", "1", "1.0", "On")),
        *((one, "f") for one in ("f", "False", "NO", " n", "0", "0.0", "off")),
    ],
)
def test_yes_and_no_in_any_case_are_printed_as_postgresql_does(value: str, printed: str) -> None:
    assert convert.for_type(value, "boolean") == printed


@pytest.mark.parametrize("value", ["ja", "2", "-1", "01", "1.00", "x", "?", "\u2714"])
def test_a_word_that_is_neither_is_no_boolean(value: str) -> None:
    with pytest.raises(ConversionError, match="neither yes nor no"):
        convert.for_type(value, "boolean")


def test_a_letter_has_no_empty_paragraph_and_no_indentation() -> None:
    body = "  first \r\r \x0b\tsecond\r\nthird"
    (page,) = convert.html_pages(body, " Dear Sir,\r")
    assert page == "<p>Dear Sir,</p><p>first</p><p>second</p><p>third</p>"


LEFT_OUT = ("a sentence is left out, because another field of it is empty",)


@pytest.mark.parametrize(
    ("ends", "who", "text", "derived"),
    [
        ("2026-01-31", " NDIS ", "Plan of NDIS ends 2026-01-31. Ask NDIS. Call.", ()),
        ("", "NDIS", "Ask NDIS. Call.", ()),  # another sentence says it
        ("2026-01-31", " ", "Call.", LEFT_OUT),
        ("", "", "Call.", ()),
    ],
)
def test_a_sentence_with_an_empty_field_is_left_out_and_what_it_would_say_is_told(
    ends: str, who: str, text: str, derived: tuple[str, ...]
) -> None:
    said = "Plan of {who} ends {ends}. Ask {who}. Call."
    record = {"ends": ends, "who": who}
    make = registry.of("sentence").make
    made = make(Given(SYDNEY, NOW, ends, record, {"text": said}))
    assert (made.value, made.misfits, made.derived) == (text, (), derived)
    alone = make(Given(SYDNEY, NOW, ends, record, {"text": "Plan of {who} ends {ends}."}))
    assert bool(alone.value) is ("ends" in text)
    assert bool(alone.misfits) is (bool(ends.strip()) != bool(who.strip()))


# ---------------------------------------------------------------- ids of a whole page


@pytest.mark.parametrize(
    "odd",
    [
        "P1",
        "",
        f" {UUID.upper()} ",
        UUID.upper(),
        UUID.replace("-", "_"),
        UUID.upper().replace("F", "G"),
        # As long as a UUID, its hyphens in other places.
        "-".join(("ABCDEFAB", "CDEFABCD", "1234567", "1234", "12345")),
        f"{UUID[:-1]}-".upper(),
        "ABCDEF" * 6,
    ],
)
def test_many_ids_are_what_each_is_for_itself(odd: str) -> None:
    for several in ([odd], [UUID.upper(), odd], [odd, UUID.upper()], [odd, odd[::-1]]):
        assert convert.identifiers(several) == [convert.identifier(one) for one in several]
