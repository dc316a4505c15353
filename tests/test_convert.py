"""Converters: what FileMaker writes, what PostgreSQL gets, and what does not fit."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import convert
from nexus_reimport.convert import Misfit

SYDNEY = ZoneInfo("Australia/Sydney")


@given(st.uuids())
def test_a_uuid_is_one_id_in_whatever_case(value: uuid.UUID) -> None:
    assert convert.identifier(str(value).upper()) == convert.identifier(f" {value} ") == str(value)


def test_an_id_that_is_no_uuid_stays_text() -> None:
    assert convert.identifier(" 1234 ") == "1234"
    with pytest.raises(Misfit, match="not a UUID"):
        convert.as_uuid("1234")


@given(st.dates(date(1890, 1, 1), date(2199, 12, 31)))
def test_a_date_goes_through_unchanged(day: date) -> None:
    assert convert.iso_date(day.isoformat()) == day.isoformat()


@pytest.mark.parametrize("value", ["03/04/2025", "2025-13-01", "1889-12-31", "tomorrow", "?"])
def test_a_date_in_another_form_does_not_fit_and_is_never_guessed(value: str) -> None:
    with pytest.raises(Misfit) as told:
        convert.iso_date(value)
    assert value not in str(told.value)


def test_a_birth_date_is_not_in_the_future() -> None:
    as_of = datetime(2025, 11, 15, tzinfo=UTC)
    assert convert.birth_date("2025-11-15", as_of) == "2025-11-15"
    with pytest.raises(Misfit, match="future"):
        convert.birth_date("2025-11-16", as_of)


def test_twenty_four_hours_are_the_next_midnight() -> None:
    assert convert.moment("2025-06-30", "24:00:00", SYDNEY) == "2025-06-30 14:00:00+00"
    assert convert.moment("2025-06-30", "25:30:00.5", SYDNEY) == "2025-06-30 15:30:00.5+00"


@given(st.integers(0, 9999), st.integers(0, 59), st.integers(0, 59))
def test_a_time_is_a_duration_however_long(hours: int, minutes: int, seconds: int) -> None:
    said = convert.duration(f"{hours:02}:{minutes:02}:{seconds:02}")
    assert said == timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_the_repeated_hour_is_taken_as_its_first_and_the_missing_one_moves_forward() -> None:
    assert convert.timestamp("2025-04-06 02:30:00", SYDNEY) == "2025-04-05 15:30:00+00"
    assert convert.timestamp("2025-10-05 02:30:00", SYDNEY) == "2025-10-04 16:30:00+00"


@pytest.mark.parametrize("offset", ["", "Z", "+10:00", "+1000", "-03:30"])
def test_an_offset_that_a_server_adds_is_dropped(offset: str) -> None:
    written = f"2025-01-20T09:15:00{offset}"
    assert convert.timestamp(written, SYDNEY) == "2025-01-19 22:15:00+00"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_an_instant_is_written_as_postgresql_prints_it(moment: datetime) -> None:
    written = convert.as_text(moment)
    assert datetime.fromisoformat(written) == moment
    assert not written.removesuffix("+00").endswith(".0")


def test_an_event_without_an_end_lasts_as_long_as_declared() -> None:
    end = convert.end_moment(("", ""), ("2025-06-30", "09:00:00"), 30, SYDNEY)
    assert end == "2025-06-29 23:30:00+00"
    end = convert.end_moment(("", "10:00:00"), ("2025-06-30", "09:00:00"), 30, SYDNEY)
    assert end == "2025-06-30 00:00:00+00"


def test_a_note_gets_the_date_of_the_note_and_the_time_of_its_making() -> None:
    made = convert.dated("2024-02-03", "2025-11-10 14:05:06", SYDNEY)
    assert made == "2024-02-03 03:05:06+00"
    assert convert.dated("", "2025-11-10 14:05:06", SYDNEY) == "2025-11-10 03:05:06+00"


def test_paragraph_marks_become_newlines_and_blanks_stay() -> None:
    assert convert.paragraphs("a\rb\r\nc\x0bd ") == "a\nb\nc\nd "
    assert convert.paragraphs(" \r ") is None
    with pytest.raises(Misfit, match="NUL"):
        convert.paragraphs("a\x00b")


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert convert.folded(convert.folded(text)) == convert.folded(text)


@pytest.mark.parametrize(
    ("written", "chosen"), [("Mr.", "Mr"), (" mr ", "Mr"), ("MR", "Mr"), ("doctor", "Dr")]
)
def test_a_choice_is_found_in_every_spelling(written: str, chosen: str) -> None:
    assert convert.choice(written, {"Mr": ("mr",), "Dr": ("dr", "doctor")}) == chosen


def test_a_value_that_is_no_choice_does_not_fit() -> None:
    with pytest.raises(Misfit, match="no such choice"):
        convert.choice("Sir", {"Mr": ("mr",)})


def test_an_email_comes_from_the_value_and_never_from_the_flag() -> None:
    detail = {"kind": "Email", "label": "", "default_mobile": "", "default_email": "1"}
    card, misfits = convert.contact_card(
        [{**detail, "value": "1"}, {**detail, "value": "a@b.example"}]
    )
    assert card["email"] == "a@b.example"
    assert len(card["emails"]) == 1
    assert misfits == 1


def test_the_default_mobile_comes_first_and_carries_both_keys() -> None:
    detail = {"kind": "Mobile", "label": "home", "default_email": ""}
    card, _ = convert.contact_card(
        [
            {**detail, "value": "0491 570 001", "default_mobile": "0"},
            {**detail, "value": "0491 570 002", "default_mobile": "1"},
        ]
    )
    assert [entry["number"] for entry in card["phones"]] == ["0491 570 002", "0491 570 001"]
    assert all(entry["number"] == entry["phone"] for entry in card["phones"])


def test_the_old_and_the_new_shape_of_a_contact_say_the_same() -> None:
    old = {"mobile": {"home": {"value": "0491570001", "default": True}},
           "email": {"work": {"value": "A@b.example", "default": True}}}  # fmt: skip
    new = {"phones": [{"type": "mobile", "number": "0491 570 001", "label": "home"}],
           "emails": [{"address": "a@b.example", "label": ""}], "email": "a@b.example"}  # fmt: skip
    assert convert.contents(old) == convert.contents(new)


def test_a_letter_is_escaped() -> None:
    assert convert.html_pages("a < b\rc & d", "") == ["<p>a &lt; b</p><p>c &amp; d</p>"]
    assert convert.html_pages(" ", "") == []
