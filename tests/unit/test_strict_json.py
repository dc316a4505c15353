"""A JSON column's text is compared as PostgreSQL keeps it, not as Python does."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import strict_json

DIGITS = "9" * 5000
DEEP = "[" * 20_000 + "]" * 20_000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("true", "1"),
        ("false", "0"),
        ("1", "1.0"),
        ("1.0", "1.00"),
        ("1", '"1"'),
        ("null", '""'),
        ("null", "{}"),
        ("null", "false"),
        ("[]", "{}"),
        ('{"a": null}', "{}"),
        ('{"a": [true, 1]}', '{"a": [1, true]}'),
        ('{"a": {"b": true}}', '{"a": {"b": 1}}'),
        ("[1, 2]", "[2, 1]"),
        ("[1]", "1"),
        ('["1,2"]', '["1","2"]'),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('"A"', '"a"'),
        ('"a"', '"a "'),
        ('"\\u00e9"', '"e\\u0301"'),
        (DIGITS, DIGITS[:-1] + "8"),
        ("1e400", "1e401"),
        (DEEP, f"[{DEEP}]"),
        ("1", None),
        ("null", None),
        ("no JSON", "no json"),
        ("NaN", "null"),
    ],
)
def test_what_the_database_keeps_apart_is_not_the_same(one: str, other: str | None) -> None:
    assert not strict_json.same(one, other)
    assert not strict_json.same(other, one)
    assert strict_json.same(one, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}'),
        ('{"a": {"x": 1, "y": [1, {"p": 1, "q": 2}]}}', '{"a":{"y":[1,{"q":2,"p":1}],"x":1}}'),
        ("[1,  2]", " [1,2]\n"),
        ('"\\u00e9"', '"é"'),
        ('"\\/"', '"/"'),
        ("1e0", "1"),
        ("1.50e1", "15.0"),
        ("1e-3", "0.001"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("0.0e5", "0"),
        ("1E+400", "1" + "0" * 400),
        (DIGITS, f" {DIGITS}"),
    ],
)
def test_order_blanks_and_spelling_are_free(one: str, other: str) -> None:
    assert strict_json.same(one, other)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.decimals(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_read_and_written_again_is_the_same(document: object) -> None:
    text = strict_json.dumps(document)
    assert strict_json.same(text, strict_json.dumps(strict_json.loads(text)))
    assert strict_json.same_documents(document, strict_json.loads(text))


def test_every_digit_of_a_number_is_kept() -> None:
    assert strict_json.loads("[0.10]") == [Decimal("0.10")]
    assert strict_json.dumps(strict_json.loads(f"[{DIGITS}]")) == f"[{DIGITS}]"
    assert strict_json.dumps(strict_json.loads("[0.10]")) == "[0.10]"


def test_what_is_no_json_is_a_value_error_for_who_wants_to_change_it() -> None:
    with pytest.raises(ValueError, match="line 1"):
        strict_json.loads("{")
    assert json.loads(strict_json.dumps({"b": 1, "a": "é"})) == {"a": "é", "b": 1}


LIKE_EACH_OTHER = st.sampled_from(
    [None, True, False, 0, 1, 100, "", "1", Decimal("1.0"), Decimal("1E2"), Decimal("-0.0")]
)
DOCUMENTS = st.recursive(
    LIKE_EACH_OTHER,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=3,
)


@given(DOCUMENTS, DOCUMENTS)
def test_documents_compare_as_their_texts_do(one: object, other: object) -> None:
    as_texts = strict_json.same(strict_json.dumps(one), strict_json.dumps(other))
    assert strict_json.same_documents(one, other) is as_texts


def test_documents_compare_as_deep_as_they_can_be_read() -> None:
    deep = "[" * 700 + "1" + "]" * 700
    assert strict_json.same_documents(strict_json.loads(deep), strict_json.loads(deep))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(["0", "-0", "1", "1.0", "1.00", "1e0", "10e-1", "-1", "1e400"]).map(Decimal)
    | st.sampled_from(["", "a", "1", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=5,
)


@given(JSON, JSON)
def test_values_are_equal_if_their_one_spelling_is(one: object, other: object) -> None:
    texts = (strict_json.dumps(one), strict_json.dumps(other))
    equal = strict_json.canonical(texts[0]) == strict_json.canonical(texts[1])
    assert strict_json.same(*texts) == equal
    assert (strict_json.held(texts[0]) == strict_json.held(texts[1])) == equal


def test_half_a_character_is_written_as_the_escape_that_it_was() -> None:
    text = r'{"a": "x\ud800", "b": "\\ud800", "c": "😀"}'
    assert strict_json.dumps(strict_json.loads(text)) == text
    text.encode()


def test_what_a_later_value_of_its_key_hides_is_given_and_equal_values_hide_nothing() -> None:
    text = '[{"a": 1, "b": {"c": "x", "c": true, "c": 1}, "a": 1.0, "a": 2}, {"d": 1, "d": 1}]'
    assert strict_json.hidden(text) == (
        ("c", "x"),
        ("c", True),
        ("a", 1),
        ("a", Decimal("1.0")),
    )
    assert strict_json.hidden('{"a": {"b": 1}}') == ()


def test_a_key_that_stands_twice_is_compared_with_all_of_its_values() -> None:
    assert strict_json.same('{"a": 1, "a": 2}', '{"a": 2, "a": 1e0}')
    assert not strict_json.same('[{"a": 1, "a": 2}]', '[{"a": 3, "a": 2}]')
    assert strict_json.held('{"a": 1, "a": 2}') == strict_json.held('{"a": 2}')
