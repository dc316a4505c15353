"""How names and ids compare: in every script, in every form of Unicode, in every case."""

from __future__ import annotations

import unicodedata
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from nexus_reimport import ids
from nexus_reimport.text import (
    CONTROL,
    HALF,
    JOINED,
    UNSEEN,
    clean,
    find,
    fold,
    id_key,
    is_clean,
    name_key,
    of_parts,
)

ACCENTED = "Bemärkung"
TWO_WORDS_OF_ONE_STEM = ("कि", "का")  # Devanagari: the vowels are marks


def decomposed(value: str) -> str:
    return unicodedata.normalize("NFD", value)


@pytest.mark.parametrize("name", ["備考", "住所", "Ärzte", "Имя", "שם", "ชื่อ", "कि", "이름"])
def test_a_name_in_any_script_folds_to_itself_and_to_no_other(name: str) -> None:
    assert fold(name) == fold(decomposed(name)) == fold(f" {name}_") != ""
    others = [other for other in ("備考", "住所", "Имя", "שם", "שָׁם", "कि", "का") if other != name]
    assert fold(name) not in map(fold, others)


def test_the_marks_of_a_script_are_part_of_a_word() -> None:
    assert len({fold(word) for word in TWO_WORDS_OF_ONE_STEM}) == 2


@pytest.mark.parametrize("name", ["", " ", "_", "--", "(#)", "☎", "☎\ufe0f", "→", "\u0301"])
def test_a_name_without_letter_and_digit_has_no_other_spelling(name: str) -> None:
    assert fold(name) == ""
    assert find(name, ["☏", "§", "__", "***"]) == ()
    assert find(name, ["☏", name]) == (name,)


def test_an_exact_name_wins_and_names_that_are_spelt_alike_all_come() -> None:
    live = ["Health Number", "health_number", "Other"]
    assert find("Health Number", live) == ("Health Number",)
    assert find("HealthNumber", live) == ("Health Number", "health_number")
    assert find("HealthNumber", live[:2]) == ("Health Number", "health_number")
    assert find("Number", live) == ()


def test_a_decomposed_name_is_the_composed_one_before_any_that_is_merely_alike() -> None:
    live = [decomposed(ACCENTED), f"{ACCENTED}_"]
    assert find(ACCENTED, live) == (decomposed(ACCENTED),)


def test_what_only_a_compatible_form_makes_equal_stays_apart() -> None:
    assert find("x2", ["x²", "x₂"]) == ()


def test_a_looked_up_name_compares_composed_without_case_and_blanks() -> None:
    assert name_key(decomposed("  NÖRTH \n clinic ")) == name_key("nörth clinic")
    assert name_key("Große Straße") == name_key("GROSSE STRASSE")


@example("0\u0339:\u0334")  # a sign between two marks
@given(st.text())
def test_a_key_of_a_key_is_itself(value: str) -> None:
    assert id_key(id_key(value)) == id_key(value)
    assert name_key(name_key(value)) == name_key(value)
    assert fold(fold(value)) == fold(value)


@given(st.uuids())
def test_a_uuid_is_one_id_in_whatever_case(value: uuid.UUID) -> None:
    assert id_key(str(value).upper()) == id_key(f" {value} ") == str(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P1", "p1"),
        (" P1 ", "P1"),
        ("7", "7.0"),
        ("7", " 7.000"),
        ("-7", "-7.0"),
        ("ä1", decomposed("Ä1")),
        ("P1+C1", "p1+c1"),
        ("7+8", "7.0+8.0"),
    ],
)
def test_two_spellings_of_one_id_are_one(one: str, other: str) -> None:
    assert id_key(one) == id_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("7", "07"), ("7", "70"), ("7.0", "7.5"), ("70", "7.00"), ("P 1", "P1"), ("1+10", "11+0")],
)
def test_two_ids_stay_two(one: str, other: str) -> None:
    assert id_key(one) != id_key(other)


PARTS = st.lists(st.text("+%25bB7a", min_size=1), min_size=2, max_size=3)


@example(["A+B", "C"], ["A", "B+C"])
@example(["%2B", "C"], ["+", "C"])
@example(["%2b", "C"], ["+", "C"])
@example(["%252B", "C"], ["%2B", "C"])
@given(PARTS, PARTS)
def test_keys_of_other_parts_stay_two(some: list[str], others: list[str]) -> None:
    is_one = [*map(str.lower, some)] == [*map(str.lower, others)]
    assert (id_key(of_parts(some)) == id_key(of_parts(others))) is is_one


def test_a_key_of_usual_parts_is_written_as_it_was() -> None:
    assert of_parts(["P1", "50% off"]) == "P1+50% off"


def test_pairs_go_by_their_ids_and_the_last_one_counts() -> None:
    found = {ids.of(written): value for written, value in (("P1", 1), ("p2", 2), ("p1", 3))}
    assert found == {ids.of("p1"): 3, ids.of("P2"): 2}


def test_an_id_is_shown_as_it_was_written_and_false_where_there_is_none() -> None:
    assert str(ids.of("P 1")) == f"{ids.of('P 1')}" == "P 1"
    assert ids.of("0")
    assert not ids.of(" \t")


@pytest.mark.parametrize(
    ("value", "kept", "done"),
    [
        ("cut \ud83d", "cut \ufffd", (HALF,)),
        ("\ude00\ud83d", "\ufffd\ufffd", (HALF,)),
        ("smile \ud83d\ude00 end", "smile \U0001f600 end", (JOINED,)),
        ("\ud83d\ude00\ud83d", "\U0001f600\ufffd", (JOINED, HALF)),
        ("a\x00b", "ab", (CONTROL,)),
        ("a\x02\x1f\x1db", "ab", (CONTROL,)),
        ("page one\x0cpage two", "page one\npage two", (CONTROL,)),
        ("a\ufffe\uffffb", "ab", (CONTROL,)),
        ("\x00\ud83d", "\ufffd", (HALF, CONTROL)),
        ("a\rb\x0bc\td\ne", "a\rb\x0bc\td\ne", ()),
        ("\u200b", "", (UNSEEN,)),
        (" \u200b\ufeff\n\u2060\u00a0", "", (UNSEEN,)),
        ("\u3164", "", (UNSEEN,)),
        ("\x01\u00ad", "", (CONTROL, UNSEEN)),
        ("\u200bAnn", "\u200bAnn", ()),
        ("\u05d0\u200f", "\u05d0\u200f", ()),
        (" \u00a0\n", " \u00a0\n", ()),
    ],
)
def test_a_text_is_cleaned_of_what_a_later_place_cannot_hold(
    value: str, kept: str, done: tuple[str, ...]
) -> None:
    assert clean(value) == (kept, done)


@given(st.text(st.characters()))
def test_what_was_cleaned_goes_into_xml_and_json_and_stays_as_it_is(value: str) -> None:
    cleaned, done = clean(value)
    assert clean(cleaned) == (cleaned, ())
    assert bool(done) is (cleaned != value)
    assert cleaned.encode().decode() == cleaned
    shown = cleaned.replace("\x0b", "\n")
    assert not ILLEGAL_CHARACTERS_RE.search(shown)  # of openpyxl


ODD = st.sampled_from(
    [*map(chr, range(0x20)), *"\x7f\ud83d\ude00\ufffd\ufffe\uffff\x85\xad\u200b\u2800\ufeff"]
)


@given(st.lists(st.text(ODD | st.characters(), max_size=4), max_size=4))
def test_many_texts_is_clean_if_each_of_them_is(values: list[str]) -> None:
    assert is_clean(values) == all(clean(value) == (value, ()) for value in values)
