"""Converters: what FileMaker writes, what PostgreSQL gets, and what does not fit."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import convert
from nexus_reimport.convert import ConversionError, Partial, registry
from nexus_reimport.convert.registry import Given
from nexus_reimport.mapping import ColumnSpec
from nexus_reimport.text import folded

SYDNEY = ZoneInfo("Australia/Sydney")


@given(st.uuids())
def test_a_uuid_is_one_id_in_whatever_case(value: uuid.UUID) -> None:
    assert convert.identifier(str(value).upper()) == convert.identifier(f" {value} ") == str(value)


OF_UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    "value",
    [
        "1234",
        "A" * len(OF_UUID),
        "0f8f_d5b-d9cb-469f-a165-70867728950e",
        "0x8fad5bd9cb469fa16570867728950e",
        "+f8fad5bd9cb469fa16570867728950e",
        "\N{ARABIC-INDIC DIGIT ZERO}" + OF_UUID[1:],
        OF_UUID.replace("-", ""),
        f"{{{OF_UUID}}}",
        f"urn:uuid:{OF_UUID}",
    ],
)
def test_an_id_that_is_no_uuid_stays_text(value: str) -> None:
    assert convert.identifier(f" {value} ") == value
    with pytest.raises(ConversionError, match="not a UUID"):
        convert.as_uuid(value)


def test_a_column_of_uuids_takes_what_is_known_as_one_and_blanks_around_it() -> None:
    assert convert.as_uuid(OF_UUID) == convert.as_uuid(f"\n{OF_UUID.upper()} ") == OF_UUID
    assert convert.as_uuid(" \r") is None


@given(st.dates(date(1890, 1, 1), date(2199, 12, 31)))
def test_a_date_goes_through_unchanged(day: date) -> None:
    assert convert.iso_date(day.isoformat()) == day.isoformat()


@pytest.mark.parametrize("value", ["03/04/2025", "2025-13-01", "1889-12-31", "tomorrow", "?"])
def test_a_date_in_another_form_does_not_fit_and_is_never_guessed(value: str) -> None:
    with pytest.raises(ConversionError) as told:
        convert.iso_date(value)
    assert value not in str(told.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2025-06-30 10:00:00", "a date with a time of day"),
        ("2025-06-30T00:00:00", "a date with a time of day"),
        ("30/06/2025 10:00 (not d/m/y)", "a date with a time of day"),
        ("03/04/2025 10:00 (not d.m.y)", "a date with a time of day"),
        ("30/06/2025 10:00 (not m/d/y)", "in the form d/m/y"),
        ("30/06/25 (not d/m/y)", "its year has two digits"),
        ("2025/06/30", "in the form y/m/d"),
        ("10:00:00 (not a date)", "not a date"),
    ],
)
def test_a_date_that_does_not_fit_is_told_by_what_is_wrong_with_it(value: str, reason: str) -> None:
    with pytest.raises(ConversionError) as misfit:
        convert.iso_date(value)
    assert str(misfit.value).endswith(reason)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("30/06/2025 9h30 (not d/m/y and a time)", "not a time"),
        ("30/06/2025 (not d/m/y and a time)", "a date without a time of day"),
        ("30/06/2025 10:00 (not m/d/y and a time)", "but in the form d/m/y"),
        ("30/06/2025 10:00", "but in the form d/m/y"),
        ("2025-06-30 9h30", "not a time"),
        ("45123 (not a timestamp)", "not a date"),
    ],
)
def test_a_timestamp_that_does_not_fit_is_told_by_what_is_wrong_with_it(
    value: str, reason: str
) -> None:
    with pytest.raises(ConversionError) as misfit:
        convert.timestamp(value, SYDNEY)
    assert str(misfit.value).endswith(reason)


@pytest.mark.parametrize(
    ("as_of", "zone", "today", "tomorrow"),
    [
        ("2025-11-14T21:00+00:00", "Australia/Sydney", "2025-11-15", "2025-11-16"),
        ("2025-11-15T12:59+00:00", "Australia/Sydney", "2025-11-15", "2025-11-16"),
        ("2025-11-16T03:00+00:00", "America/New_York", "2025-11-15", "2025-11-16"),
        ("2025-11-15T00:00+00:00", "UTC", "2025-11-15", "2025-11-16"),
    ],
)
def test_a_birth_date_is_not_after_the_clinics_own_day(
    as_of: str, zone: str, today: str, tomorrow: str
) -> None:
    at, place = datetime.fromisoformat(as_of), ZoneInfo(zone)
    assert convert.birth_date(today, at, place) == today
    with pytest.raises(ConversionError, match="future"):
        convert.birth_date(tomorrow, at, place)


def test_twenty_four_hours_are_the_next_midnight() -> None:
    assert convert.moment("2025-06-30", "24:00:00", SYDNEY) == Partial("2025-06-30 14:00:00+00")
    assert convert.moment("2025-06-30", "25:30:00.5", SYDNEY) == Partial("2025-06-30 15:30:00.5+00")


def test_a_time_that_was_typed_without_its_colon_is_told() -> None:
    """FileMaker takes 930 for as many hours: the appointment would be 38 days later."""
    later = ("a time of 48 hours or more: set to a later day",)
    for clock, derived in (("47:59:59", ()), ("48:00:00", later), ("930:00:00", later)):
        assert convert.moment("2025-06-30", clock, SYDNEY).derived == derived
        assert ends(("", clock)).derived == derived
        stamp = f"2025-06-30 {clock}"
        assert convert.timestamp(stamp, SYDNEY).derived == derived
        assert convert.derived_for_type(stamp, "timestamp without time zone") == derived
    assert convert.moment("2025-06-30", "930:00:00", SYDNEY).value == "2025-08-07 08:00:00+00"


@pytest.mark.parametrize("more", ["", "9", "99", "999999"])
def test_of_a_fraction_the_digits_that_postgresql_cannot_keep_are_cut(more: str) -> None:
    """A quotient has any number of them; rounded, this one would be on the next day."""
    last = f"23:59:59.999999{more}"
    assert convert.moment("2025-06-30", last, SYDNEY).value == "2025-06-30 13:59:59.999999+00"
    assert convert.timestamp(f"2025-06-30T{last}Z", SYDNEY).value == "2025-06-30 13:59:59.999999+00"


@given(st.integers(0, 9999), st.integers(0, 59), st.integers(0, 59))
def test_a_time_is_a_duration_however_long(hours: int, minutes: int, seconds: int) -> None:
    said = convert.duration(f"{hours:02}:{minutes:02}:{seconds:02}")
    assert said == timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_the_repeated_hour_is_taken_as_its_first_and_marked_as_derived() -> None:
    told = ("a time that a clock change repeats: taken as the first of the two",)
    first = Partial("2025-04-05 15:30:00+00", derived=told)
    assert convert.timestamp("2025-04-06 02:30:00", SYDNEY) == first
    assert convert.moment("2025-04-06", "02:30:00", SYDNEY) == first
    assert convert.dated("2025-04-06", "2025-11-10 02:30:00", SYDNEY) == first
    for hour, at in (("01:59:59", "14:59:59"), ("03:00:00", "17:00:00")):
        made = convert.moment("2025-04-06", hour, SYDNEY)
        assert made == Partial(f"2025-04-05 {at}+00"), "before and after it is as on any day"


SKIPPED = ("a time that a clock change skips: moved forward",)


def test_a_time_that_a_clock_change_skips_moves_forward_and_is_marked_as_derived() -> None:
    half_past_two = Partial("2025-10-04 16:30:00+00", derived=SKIPPED)
    assert convert.timestamp("2025-10-05 02:30:00", SYDNEY) == half_past_two
    assert convert.moment("2025-10-05", "02:30:00", SYDNEY) == half_past_two
    assert convert.moment("2025-10-04", "26:30:00", SYDNEY) == half_past_two
    assert convert.dated("2025-10-05", "2025-11-10 02:30:00", SYDNEY) == half_past_two
    assert convert.dated("", "2025-10-05 02:30:00", SYDNEY) == half_past_two
    assert ends(("2025-10-05", "02:30:00"), ("2025-10-05", "01:00:00")) == half_past_two
    for real in ("01:59:59", "03:00:00", "03:30:00"):
        assert convert.timestamp(f"2025-10-05 {real}", SYDNEY).derived == ()
    lord_howe = convert.timestamp("2025-10-05 02:15:00", ZoneInfo("Australia/Lord_Howe"))
    assert lord_howe == Partial("2025-10-04 15:45:00+00", derived=SKIPPED)


def test_an_end_is_not_before_a_start_that_a_clock_change_moved_forward() -> None:
    made = ends(("2025-10-05", "03:00:00"), ("2025-10-05", "02:30:00"))
    assert made.value == "2025-10-04 17:00:00+00"
    assert made.derived == ("an end before the start: set to 30 minutes after the start",)


@pytest.mark.parametrize("offset", ["", "Z", "+10:00", "+1000", "-03:30"])
def test_an_offset_that_a_server_adds_is_dropped(offset: str) -> None:
    written = f"2025-01-20T09:15:00{offset}"
    assert convert.timestamp(written, SYDNEY) == Partial("2025-01-19 22:15:00+00")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_an_instant_is_written_as_postgresql_prints_it(moment: datetime) -> None:
    written = convert.as_text(moment)
    assert datetime.fromisoformat(written) == moment
    assert not written.removesuffix("+00").endswith(".0")


def test_a_day_without_a_time_is_midnight_and_marked_as_derived() -> None:
    no_time = "no time: set to midnight"
    assert convert.moment("2025-06-30", " ", SYDNEY) == Partial(
        "2025-06-29 14:00:00+00", derived=(no_time,)
    )
    assert convert.moment("2025-06-30", "00:00:00", SYDNEY) == Partial("2025-06-29 14:00:00+00")
    # In Santiago clocks go forward at midnight.
    skipped = convert.moment("2025-09-07", "", ZoneInfo("America/Santiago"))
    assert skipped.derived == (no_time, *SKIPPED)


def test_a_time_or_an_end_of_no_day_is_told() -> None:
    assert convert.moment("", " ", SYDNEY) == Partial(None)
    with pytest.raises(ConversionError, match="a time without a date"):
        convert.moment(" ", "09:00:00", SYDNEY)
    assert ends(("", ""), ("", "09:00:00")) == Partial(None)
    for end in (("2025-06-30", ""), ("", "09:30:00")):
        with pytest.raises(ConversionError, match="an end without a start"):
            ends(end, ("", ""))


def test_an_end_on_another_day_without_a_time_is_told_as_that() -> None:
    made = ends(("2025-07-02", ""))
    assert made.value == "2025-06-29 23:30:00+00"
    assert made.derived == (
        "an end on another day without a time: set to 30 minutes after the start",
    )
    assert ends(("2025-06-30", "")).derived == ("no end: set to 30 minutes after the start",)


def ends(end: tuple[str, str], start: tuple[str, str] = ("2025-06-30", "09:00:00")) -> Partial:
    return convert.end_moment(end, start, 30, SYDNEY)


def test_an_event_without_an_end_lasts_as_long_as_declared_and_is_marked_as_derived() -> None:
    made = ends(("", ""))
    assert made.value == "2025-06-29 23:30:00+00"
    assert made.derived == ("no end: set to 30 minutes after the start",)
    assert ends(("", "10:00:00")) == Partial("2025-06-30 00:00:00+00")
    assert ends(("2025-06-30", "24:00:00")) == Partial("2025-06-30 14:00:00+00")


def test_an_end_before_the_start_is_none() -> None:
    made = ends(("2025-06-30", "08:59:59"))
    assert made.value == "2025-06-29 23:30:00+00"
    assert made.derived == ("an end before the start: set to 30 minutes after the start",)
    assert ends(("2025-06-30", "09:00:00")).derived == ()


def test_a_note_gets_the_date_of_the_note_and_the_time_of_its_making() -> None:
    made = convert.dated("2024-02-03", "2025-11-10 14:05:06", SYDNEY)
    assert made == Partial("2024-02-03 03:05:06+00")
    assert convert.dated("", "2025-11-10 14:05:06", SYDNEY) == Partial("2025-11-10 03:05:06+00")
    # The time of the plan took the place of a good date, and the date was said to be none.
    at_midnight = convert.dated("2024-02-03", "yesterday", SYDNEY)
    assert at_midnight.value == "2024-02-02 13:00:00+00"
    assert at_midnight.derived == ("a date beside a time that cannot be read: set to midnight",)
    # The hours of whole days went without a word.
    for clock, of_day in (("24:00:00", "13:00:00"), ("930:00:00", "07:00:00")):
        on_the_date = convert.dated("2024-02-03", f"2024-02-03 {clock}", SYDNEY)
        day = "2024-02-02" if of_day == "13:00:00" else "2024-02-03"
        assert on_the_date.value == f"{day} {of_day}+00"
        assert on_the_date.derived == (
            "a time of 24 hours or more beside a date: its whole days do not count",
        )
    for day, stamp in (("soon", "2025-11-10 14:05:06"), ("soon", "yesterday"), ("", "yesterday")):
        with pytest.raises(convert.ConversionError):
            convert.dated(day, stamp, SYDNEY)


def test_paragraph_marks_become_newlines_and_blanks_stay() -> None:
    assert convert.paragraphs("a\rb\r\nc\x0bd ") == "a\nb\nc\nd "
    assert convert.paragraphs(" \r ") is None


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize(
    ("written", "chosen"),
    [("Mr.", "Mr"), (" mr ", "Mr"), ("MR", "Mr"), ("doctor", "Dr"), (" ", None)],
)
def test_a_choice_is_found_in_every_spelling(written: str, chosen: str | None) -> None:
    assert convert.choice(written, {"Mr": ("mr",), "Dr": ("dr", "doctor")}) == chosen


@pytest.mark.parametrize("written", ["MÄNNLICH", "männl", "Männl.", "M", "m."])
def test_a_spelling_of_the_mapping_may_have_capitals_and_dots(written: str) -> None:
    assert convert.choice(written, {"f": ("Weibl.",), "M.": ("Männlich", "Männl.")}) == "M."


def test_a_value_that_is_no_choice_does_not_fit() -> None:
    with pytest.raises(ConversionError, match="not one of the choices"):
        convert.choice("Sir", {"Mr": ("mr",)})


DETAIL = {
    **dict.fromkeys(("kind", "value", "label", "default_mobile", "default_email"), ""),
    **dict.fromkeys(("line1", "line2", "suburb", "state", "postcode", "country"), ""),
    "contact": "",
}


def details(*given: dict[str, str]) -> list[dict[str, str]]:
    return [{**DETAIL, **one} for one in given]


@pytest.mark.parametrize(
    ("zone", "written", "e164"),
    [
        ("Australia/Sydney", "0401 234 567", "+61401234567"),
        ("Europe/Stockholm", "040-123 45 67", None),  # of Malmö
        ("Europe/Berlin", "0401 234 567", None),  # of Hamburg
        ("Europe/Stockholm", "+46 40 123 45 67", "+46401234567"),
        ("Europe/Stockholm", "0061 401 234 567", "+61401234567"),
        ("Europe/Berlin", "\u202a(+61) 401 234 567", "+61401234567"),  # as it was pasted
    ],
)
def test_a_number_of_another_country_is_no_australian_one(
    zone: str, written: str, e164: str | None
) -> None:
    of_one = tuple(details({"kind": "Phone", "value": written}))
    given_of_one = Given(ZoneInfo(zone), datetime.now(UTC), details=of_one)
    (phone,) = registry.of("contact_card").make(given_of_one).value["phones"]
    assert (phone["number"], phone.get("e164")) == (written, e164)


def test_a_clinic_has_its_own_words_for_a_phone_and_no_field_for_the_rest() -> None:
    named = {"kind": "Art", "value": "Wert"}
    kinds = {"mobile": ["Handy", "Funk"], "email": ["Post"]}
    spec = ColumnSpec.model_validate(
        {
            "gather": "g",
            "convert": "contact_card",
            "keys": ["phones"],
            "with": named,
            "kinds": kinds,
        }
    )
    records = (("funk.", "0171 5"), ("Post", "w@b.example"), ("Phone", "030 1"), ("Fax", "030 2"))
    of_one = tuple(spec.detail({"Art": kind, "Wert": value}) for kind, value in records)
    made = spec.converter.make(Given(ZoneInfo("Europe/Berlin"), datetime.now(UTC), details=of_one))
    assert [phone["type"] for phone in made.value["phones"]] == ["mobile", "phone", "phone"]
    assert made.value["email"] == "w@b.example"
    assert made.derived == ("of unknown kind: taken as a phone, judged by its value",)


def test_an_email_comes_from_the_value_and_never_from_the_flag() -> None:
    email = {"kind": "Email", "default_email": "1"}
    made = convert.contact_card(details({**email, "value": "1"}, {**email, "value": "a@b.example"}))
    assert made.value["email"] == "a@b.example"
    assert len(made.value["emails"]) == 1
    assert made.misfits == ("an e-mail without @",)
    assert made.derived == ()


@pytest.mark.parametrize("kind", ["Phone", "Mobile", "E-mail"])
def test_a_label_without_a_phone_or_an_email_is_told(kind: str) -> None:
    made = convert.contact_card(details({"kind": kind, "value": " ", "label": "after five"}))
    assert (made.value, made.misfits) == ({}, ("a label without a phone or an e-mail",))
    of_an_address = {"kind": "Address", "label": "gate 12"}, {"kind": kind}
    assert convert.contact_card(details(*of_an_address)).misfits == ()


@pytest.mark.parametrize("says", [{"label": "gate 12"}, {"country": "Fiji"}])
def test_an_address_that_is_a_label_or_a_country_alone_is_told(says: dict[str, str]) -> None:
    nothing = dict.fromkeys(("line1", "line2", "suburb", "state", "postcode", "country"), "")
    made = convert.address_card(details({**nothing, "kind": "Address", **says}))
    assert (made.value, made.misfits) == ({}, ("an address that is a label or a country alone",))
    home = {**nothing, "kind": "Address", "country": "Australia", "label": " "}
    assert convert.address_card(details(home, {**nothing, "kind": "Phone", **says})).misfits == ()


@pytest.mark.parametrize("typed", ["2", "-1", "about 1", "x", "1,0", "\u200e1"])
def test_a_default_that_is_neither_yes_nor_no_is_told(typed: str) -> None:
    email = {"kind": "Email", "value": "a@b.example", "default_email": typed}
    phone = {"kind": "Mobile", "value": "0491 570 001", "default_mobile": typed}
    told = "a default that is neither yes nor no: taken as no"
    made = convert.contact_card(details(email, phone))
    assert made.misfits == (told, told)
    assert (made.value["email"], len(made.value["phones"])) == ("a@b.example", 1)
    other = {**email, "default_email": " 0.0", "default_mobile": typed}  # not an e-mail's default
    assert convert.contact_card(details(other)).misfits == ()


@pytest.mark.parametrize("no", ["0", "no", "N", "false", "Off"])
@pytest.mark.parametrize("yes", ["1", "yes", "Y", "true", " On "])
def test_a_default_may_be_any_word_for_yes_or_no(yes: str, no: str) -> None:
    made = convert.contact_card(
        details(
            {"kind": "Email", "value": "a@b.example", "default_email": no},
            {"kind": "Email", "value": "c@d.example", "default_email": yes},
        )
    )
    assert (made.value["email"], made.misfits) == ("c@d.example", ())


@pytest.mark.parametrize(
    "value",
    [
        *("a@b", "\u202aa@b.example\u202c", "a @b.example", "a@b.example; c@d.example", "a@@b.ex"),
        *("mailto:a@b.example", "<a@b.example>", "(a@b.example)", '"a"@b.example', "a@b.example/x"),
        *("a@b.example.", ".a@b.example", "a@.example", "a@b..example", "a..b@c.example"),
    ],
)
def test_an_email_of_an_odd_shape_is_kept_as_written_and_told(value: str) -> None:
    made = convert.contact_card(details({"kind": "E-mail", "value": value}))
    assert made.value["email"] == value
    assert made.derived == ("an e-mail of unusual form: kept as it was written",)


def test_the_default_mobile_comes_first_and_carries_both_keys() -> None:
    made = convert.contact_card(
        details(
            {"kind": "Mobile", "value": "0491 570 001", "default_mobile": "0"},
            {"kind": "Mobile", "value": "0491 570 002", "default_mobile": "1"},
        )
    )
    assert [p["number"] for p in made.value["phones"]] == ["0491 570 002", "0491 570 001"]
    assert all(p["number"] == p["phone"] for p in made.value["phones"])


@pytest.mark.parametrize(
    ("written", "international"),
    [
        ("0491 570 006", "+61491570006"),
        ("(02) 5550 1234", "+61255501234"),
        ("+61 (0)491-570-006", "+61491570006"),
        ("61491570006", "+61491570006"),
        ("0011 61 491 570 006", "+61491570006"),
        ("491570006", "+61491570006"),  # a spreadsheet took the zero
        ("491570006.0", "+61491570006"),
        ("+61491570006.00", "+61491570006"),
        ("0491.570.0", None),
        ("+44 20 7946 0958", "+442079460958"),
        ("1300 555 012", None),
        ("13 11 14", None),
        ("5550 1234", None),
        ("0491 570 006 (mum)", None),
        ("+61 12 3456", None),
        ("0591 570 006", None),
        ("(02) 5550\N{NO-BREAK SPACE}1234", "+61255501234"),
        ("02/5550 1234", "+61255501234"),  # as long as one number with its area code
        ("\u202a0491 570 006\u202c", "+61491570006"),  # pasted from an address book
        ("0491\N{NON-BREAKING HYPHEN}570\N{EN DASH}006\N{ZERO WIDTH SPACE}", "+61491570006"),
        ("0491 570 00\N{FULLWIDTH DIGIT SIX}", None),
        ("+44 20 7946 095\N{ARABIC-INDIC DIGIT EIGHT}", None),
    ],
)
def test_a_phone_stays_as_written_and_has_an_international_form_where_its_shape_has_one(
    written: str, international: str | None
) -> None:
    assert convert.e164(written) == international
    (phone,) = convert.contact_card(details({"kind": "Mobile", "value": written})).value["phones"]
    assert phone["number"] == phone["phone"] == written
    assert phone.get("e164") == international
    if international:
        assert not convert.contact_card(details({"kind": "Mobile", "value": written})).derived


@pytest.mark.parametrize(
    "written",
    [
        "+64 21 123 456 / 457",
        "5550 1234/5",
        "4155 5123 / 4",
        "+64 21 123 456\n457",
        "+64 21 123 456 - 457",
        "+64 21 123 456 \N{EN DASH} 457",
        "4155 5123 - 4",
        "+64 21 123 456\u2028457",
        "+64 21 123 456\u2029457",
        "0491 570 006\n0491 570 007",
        "0491 570 006; 0491 570 007",
        "0491 570 006, 0491 570 007",
        "0491 570 006 | 0491 570 007",
        "0491 570 006 or 0491 570 007",
        "0491 570 006 OR 007",
        "0491 570 006 & 007",
        "mob 0491 570 006 home (02) 5550 1234",
        "0491570006 mum 131234",
        "131234 mum 555012",
        "0491 570 006 0491 570 007",
        "+61 491 570 006 +64 21 123 456",
    ],
)
def test_what_may_be_two_numbers_is_kept_as_written_without_one_form_and_told(written: str) -> None:
    assert convert.e164(written) is None
    made = convert.contact_card(details({"kind": "Phone", "value": written}))
    assert made.value["phones"] == [
        {"type": "phone", "number": written, "phone": written, "label": ""}
    ]
    assert made.derived == ("a phone that may be several numbers: kept as it was written",)


@pytest.mark.parametrize(
    "written",
    [
        "0491 570 006 / mum, work",
        "mob 0491 570 006",
        "0491 570 006 (Oriana)",
        "(02) 5550 1234 ext 12",
        "(02) 5550 1234 x12345",
        "after 5 pm: 0491 570 006",
        "(+61) 491 570 006",
        "13 12 34",
        "5550 - 1234",
        "1300 - 555 - 012",
        "+1 (202) 555 - 0142",
        "0491 - 570 - 006",
        "0491 570 006 - mum",
    ],
)
def test_signs_and_words_around_one_number_make_no_second_of_it(written: str) -> None:
    made = convert.contact_card(details({"kind": "Phone", "value": written}))
    assert made.derived == ()


@given(
    st.text(alphabet="0123456789\N{FULLWIDTH DIGIT SIX}\N{SUPERSCRIPT TWO}+()-/ \n", max_size=20)
)
def test_an_international_form_is_of_the_same_number(written: str) -> None:
    found = convert.e164(written)
    if found is not None:
        digits = "".join(c for c in written if c in "0123456789")
        assert found[0] == "+"
        assert set(found[1:]) <= set("0123456789")
        assert 8 <= len(found[1:]) <= 15
        assert digits.endswith(found[3:] if found.startswith("+61") else found[1:])


@pytest.mark.parametrize("mark", ["\r", "\r\n", "\x0b"])
def test_paragraph_marks_in_a_contact_card_become_newlines(mark: str) -> None:
    texts = {"value": f"5550 1234{mark}after six", "label": f"Mum{mark}Dad"}
    made = convert.contact_card(
        details({"kind": "Phone", **texts}, {"kind": "Email", **texts, "value": f"a{mark}b@c.ex"})
    )
    (phone,), (email,) = made.value["phones"], made.value["emails"]
    assert phone["number"] == phone["phone"] == "5550 1234\nafter six"
    assert email["address"] == made.value["email"] == "a\nb@c.ex"
    assert phone["label"] == email["label"] == "Mum\nDad"
    address = {"kind": "Address", "line1": f"1 Made{mark}Up St", "label": f"Mum{mark}Dad"}
    (entry,) = convert.address_card(details(address)).value["addresses"]
    assert (entry["line1"], entry["label"]) == ("1 Made\nUp St", "Mum\nDad")


def test_a_detail_of_no_known_kind_is_taken_by_what_it_holds_and_told() -> None:
    made = convert.contact_card(details({"kind": "Fax", "value": "02 5550 1234"}))
    assert made.value["phones"][0]["type"] == "phone"
    assert made.derived == ("of unknown kind: taken as a phone, judged by its value",)


def test_what_is_in_the_record_of_another_kind_is_not_taken_and_told() -> None:
    both = {"value": "0491 570 006", "contact": "0491 570 006", "line1": "1 Made Up St"}
    card = convert.contact_card(details({"kind": "Address", **both}, {"kind": "Phone", **both}))
    assert [phone["number"] for phone in card.value["phones"]] == ["0491 570 006"]
    assert card.misfits == ("a phone or an e-mail in the record of an address",)
    every = [{"kind": kind, **both} for kind in ("Mobile", "E-mail", "Fax", "Address", "")]
    made = convert.address_card(details(*every))
    assert len(made.value["addresses"]) == 2  # that of an address, and that of no kind
    assert made.misfits == ("an address in the record of a phone or an e-mail",) * 3
    for home in ("Australia", "AU", "aus", ""):
        of_a_phone = details({"kind": "Mobile", "country": home})
        assert convert.address_card(of_a_phone) == Partial({})


@pytest.mark.parametrize("kind", ["Phone", "Mobile", "E-mail", "Fax", ""])
def test_a_foreign_country_in_the_record_of_a_phone_is_not_taken_and_told(kind: str) -> None:
    """Nexus has no place for it; the home country is entered by itself."""
    abroad = {"kind": kind, "contact": "+679 555 0123", "country": "Fiji"}
    home = {"kind": "Address", "line1": "1 Made Up St"}
    made = convert.address_card(details(abroad, home, {**abroad, "country": "AU"}))
    assert made.misfits == ()
    assert made.derived == ("a country in the record of a phone or an e-mail: it is not taken",)
    assert len(made.value["addresses"]) == 1
    assert convert.address_card(details(abroad)).derived == made.derived


@pytest.mark.parametrize("kind", ["Postal", ""])
@pytest.mark.parametrize("says", [{"label": "gate 12"}, {"country": "Fiji"}])
def test_a_label_or_a_country_alone_is_told_of_whatever_kind(
    kind: str, says: dict[str, str]
) -> None:
    made = convert.address_card(details({"kind": kind, **says}))
    assert (made.value, made.misfits) == ({}, ("a label or a country alone, of unknown kind",))
    of_a_phone = {"kind": kind, "contact": "02 5550 1234", **says}
    assert convert.address_card(details(of_a_phone, {"kind": kind})).misfits == ()


def test_an_address_of_no_known_kind_is_taken_and_told() -> None:
    made = convert.address_card(details({"kind": "Postal", "line1": "PO Box 1", "postcode": "800"}))
    assert made.value["street"] == "PO Box 1"
    assert made.misfits == ()
    assert made.derived == (
        "of unknown kind: taken as an address, judged by its value",
        "a postcode of three digits: its leading zero was restored",
    )


@pytest.mark.parametrize("kind", ["Phone", "Mobile"])
def test_an_email_in_the_record_of_a_phone_stays_there_and_is_told(kind: str) -> None:
    made = convert.contact_card(details({"kind": kind, "value": "a@b.example"}))
    assert made.value["phones"][0]["number"] == "a@b.example"
    assert made.derived == ("an e-mail in the record of a phone: kept there as it was written",)


def test_an_email_of_no_known_kind_is_taken_as_one() -> None:
    made = convert.contact_card(details({"kind": "Work", "value": "a@b.example"}))
    assert made.derived == ("of unknown kind: taken as an e-mail, judged by its value",)


def test_the_first_address_stands_at_the_top_as_far_as_it_has_parts() -> None:
    first = {"line1": " 1 Made Up St ", "line2": "Unit 2", "suburb": "Kyneton", "label": " Home "}
    second = {"suburb": "Perth", "state": "WA", "postcode": "6000", "country": "Australia"}
    made = convert.address_card(details({**first, "state": "VIC"}, second))
    empty = dict.fromkeys(("line1", "line2", "suburb", "state", "postcode", "country", "label"), "")
    top = {"street": "1 Made Up St", "street2": "Unit 2", "suburb": "Kyneton", "state": "VIC"}
    assert made.value == top | {
        "addresses": [
            empty
            | {"line1": "1 Made Up St", "line2": "Unit 2", "suburb": "Kyneton", "state": "VIC"}
            | {"label": "Home", "full_address": "1 Made Up St, Unit 2, Kyneton, VIC"},
            empty | second | {"full_address": "Perth, WA, 6000, Australia"},
        ]
    }


def test_a_postcode_is_text_and_gets_back_the_zero_that_a_number_lost() -> None:
    address = {"kind": "Address", "line1": "1 Made Up St", "postcode": "0800"}
    assert convert.address_card(details(address)).value["postcode"] == "0800"
    made = convert.address_card(details({**address, "postcode": "800"}))
    assert made.value["postcode"] == "0800"
    assert made.derived == ("a postcode of three digits: its leading zero was restored",)
    at_home = convert.address_card(details({**address, "postcode": "800", "country": "AUS"}))
    assert at_home.value["postcode"] == "0800"
    abroad = convert.address_card(details({**address, "postcode": "800", "country": "Iceland"}))
    assert (abroad.value["postcode"], abroad.derived) == ("800", ())


@pytest.mark.parametrize(
    ("written", "postcode", "is_bare"), [("2000.0", "2000", True), ("2000", "2000", False)]
)
def test_a_postcode_that_a_spreadsheet_wrote_as_a_number_is_taken_without_its_point(
    written: str, postcode: str, is_bare: bool
) -> None:
    (told,) = {convert.address_card(details({"line1": "1 St", "postcode": written})).derived}
    card = convert.address_card(details({"line1": "1 St", "postcode": written})).value
    assert (card["postcode"], card["addresses"][0]["full_address"]) == (
        postcode,
        f"1 St, {postcode}",
    )
    reason = "a postcode with .0, as a spreadsheet writes numbers: taken without it"
    assert told == ((reason,) if is_bare else ())
    both = convert.address_card(details({"line1": "1 St", "postcode": "800.0"}))
    assert both.value["postcode"] == "0800"
    assert len(both.derived) == 2


def test_a_postcode_of_three_digits_is_a_whole_one_in_another_country() -> None:
    """Those of Iceland have three digits: 220 is Hafnarfjordur."""
    of_iceland = details({"kind": "address", "line1": "Strandgata 1", "postcode": "220"})
    in_iceland = Given(ZoneInfo("Atlantic/Reykjavik"), datetime.now(UTC), details=(*of_iceland,))
    card = registry.of("address_card").make(in_iceland)
    assert (card.value["postcode"], card.derived) == ("220", ())
    assert (
        registry.of("address_card").make(in_iceland._replace(zone=SYDNEY)).value["postcode"]
        == "0220"
    )


def test_paragraphs_of_a_short_text_are_newlines_too() -> None:
    assert convert.text(" first\rsecond\x0bthird ") == "first\nsecond\nthird"


def test_a_letter_is_its_opening_and_its_body_escaped_line_by_line() -> None:
    assert convert.html_pages("a < b\rc & d", "") == ["<p>a &lt; b</p><p>c &amp; d</p>"]
    assert convert.html_pages(" a\r \rb ", "Dear Ann,\r") == ["<p>Dear Ann,</p><p>a</p><p>b</p>"]
    assert convert.html_pages(" ", "") == []


@pytest.mark.parametrize(
    "value",
    ["a@b.example", "A.B-c+d_e@x-y.example.au", "o'neil@b.example", "jürgen@bücher.example"],
)
def test_an_email_of_the_usual_shape_is_not_remarked_on(value: str) -> None:
    made = convert.contact_card(details({"kind": "Email", "value": value}))
    assert (made.value["email"], made.derived) == (value, ())


OTHER = "two fields hold different numbers: the first is taken"


@pytest.mark.parametrize(
    ("value", "other", "number", "e164", "told"),
    [
        ("", "+61491570156", "+61491570156", "+61491570156", ()),  # that field alone
        ("0491 570 156", "+61491570156", "0491 570 156", "+61491570156", ()),
        ("0491 570 156", "61491570156", "0491 570 156", "+61491570156", ()),
        ("0491 570 156 (Ada)", "+61491570156", "0491 570 156 (Ada)", "+61491570156", ()),
        ("5550 1234", "+61255501234", "5550 1234", "+61255501234", ()),  # the area code is there
        ("0491 570 156", "+61491570157", "0491 570 156", "+61491570156", (OTHER,)),
        ("0491 570 156", "", "0491 570 156", "+61491570156", ()),
        ("ask Ada", "+61491570156", "ask Ada", None, (OTHER,)),
        (
            "0491 570 157 / 0491 570 156",
            "+61491570156",
            "0491 570 157 / 0491 570 156",
            None,
            ("a phone that may be several numbers: kept as it was written",),
        ),
    ],
)
def test_a_phone_of_a_card_may_stand_in_a_second_field(
    value: str, other: str, number: str, e164: str | None, told: tuple[str, ...]
) -> None:
    made = convert.contact_card(details({"kind": "Mobile", "value": value, "else": other}))
    (phone,) = made.value["phones"]
    assert (phone["number"], phone["phone"], phone.get("e164")) == (number, number, e164)
    assert (made.misfits, made.derived) == ((), told)


def test_a_second_phone_in_another_record_is_no_email_and_no_address() -> None:
    email = {"kind": "Email", "value": "", "else": "+61491570156"}
    assert convert.contact_card(details(email)).misfits == ("an e-mail without @",)
    made = convert.contact_card(details({**email, "value": "a@b.example"}))
    assert made.derived == ("a phone in the record of an e-mail: it is not taken",)
    address = {"kind": "Address", "else": "+61491570156"}
    told = ("a phone or an e-mail in the record of an address",)
    assert convert.contact_card(details(address)).misfits == told
