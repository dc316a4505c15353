"""A page of records is worked on at once; the result is that of one record after the other."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_reimport import convert, forms
from nexus_reimport.errors import SourceError
from nexus_reimport.filemaker import Field, ReadRequest
from nexus_reimport.filemaker.cleaning import MORE, REPETITION, Cleaner, apart
from nexus_reimport.filemaker.jsontext import NOT_COMPUTED
from nexus_reimport.filemaker.keys import Keys
from nexus_reimport.filemaker.odata.collection import Collection
from nexus_reimport.filemaker.odata.rows import Shape

TEXTS = st.sampled_from(["", "a", " a ", "A", "b\x00", "\ud800", "\ud83d\ude00", "é\n", "7", "7.0"])
RECORDS = st.lists(st.fixed_dictionaries({"k": TEXTS, "Face": TEXTS, "Face(2)": TEXTS}))
USUAL = ("2025-06-30T09:00:00", "2024-12-31T23:59:59", "2025-06-30T09:00:01")
ENDS = ("+11:00", "Z", "-0530", "", ".5", ".5+11:00", "\n", "+11:00\n", "+11", " ")
STAMPS = st.builds(str.__add__, st.sampled_from(USUAL), st.sampled_from(ENDS))
SENT = st.one_of(st.sampled_from([None, "", "a", "2025-06-30+11:00"]), STAMPS)
ROWS = st.lists(st.fixed_dictionaries({"id": SENT, "at": SENT, "@id": st.integers()}))


@given(RECORDS)
@example([{"k": "A", "Face": "x", "Face(2)": ""}, {"k": "a", "Face": "y", "Face(2)": "z"}])
def test_keys_are_judged_as_if_they_came_one_by_one(records: list[dict[str, str]]) -> None:
    written = ReadRequest("T", "k", {}).keys_of(records)
    names = [f"r{number}" for number in range(len(records))]
    at_once, one_by_one = Keys(["k"]), Keys(["k"])
    at_once.add(written, names, {n for n, key in enumerate(written) if "\x00" in key})
    for key, name in zip(written, names, strict=True):
        one_by_one.add([key], [name], {0} if "\x00" in key else ())
    assert at_once.fault() == one_by_one.fault()
    assert at_once.distinct == one_by_one.distinct


def cleaned(pages: Iterable[list[dict[str, str]]]) -> tuple[list[str], object]:
    """What the pages give for a field, and what was changed in it; a field without one is empty."""
    cleaner = Cleaner({"face": "Face", "none": ""}, ("Face",))
    faces: list[str] = []
    for page in pages:
        texts, nothing = cleaner.columns(page, [record["k"] for record in page])
        faces += texts
        assert nothing == [""] * len(page)
    return faces, list(cleaner.counted())


@given(RECORDS)
def test_texts_are_cleaned_as_if_they_came_one_by_one(records: list[dict[str, str]]) -> None:
    assert cleaned([records]) == cleaned([record] for record in records)


@pytest.mark.parametrize("names", [("k", "Face", "Face(2)"), ("k", "Face(2)", "Face")])
def test_a_field_that_is_called_like_a_repetition_keeps_its_value_and_both_are_told_apart(
    names: tuple[str, ...],
) -> None:
    held = {"k": "A", "Face": f"first{REPETITION}second", "Face(2)": "its own"}
    cleaner = Cleaner({"face": "Face", "other": "Face(2)"}, names)
    assert cleaner.columns([apart({n: held[n] for n in names})], ["A"]) == [["first"], ["its own"]]
    assert list(cleaner.counted()) == [("face", MORE, 1, ("A",))]


class Compared(str):
    """The name of a field that counts how often it is compared."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_what_was_cleaned_is_counted_in_one_look_however_many_fields_there_are() -> None:
    """All lines were gone through anew for each field: a table can have thousands of them."""
    times = []
    for fields in (50, 200):
        cleaner = Cleaner({}, ())
        names = [Compared(f"field {number}") for number in range(fields)]
        cleaner.changed = [(name, "cut", str(record)) for name in names for record in range(20)]
        Compared.times = 0
        counted = list(cleaner.counted())
        times.append(Compared.times)
        assert len(counted) == fields
        assert counted[0] == ("field 0", "cut", 20, ("0", "1", "10", "11", "12"))
    assert times[1] < 8 * times[0]  # four times the lines


UUIDS = st.uuids().map(str)
IDS = st.one_of(UUIDS, UUIDS.map(str.upper))
ODD_IDS = st.one_of(
    st.text("0Aa-\n ", max_size=37),
    UUIDS.map(" {}".format),
    UUIDS.map(lambda one: one.replace("-", "0")),
    UUIDS.map(lambda one: one[1:] + "-"),
    UUIDS.map(lambda one: f"g{one[1:]}"),
    UUIDS.map(lambda one: f"-{one[1:]}"),
)


@given(st.lists(IDS), st.lists(ODD_IDS, max_size=1))
def test_ids_are_written_as_if_they_came_one_by_one(usual: list[str], odd: list[str]) -> None:
    for values in (usual, [*usual, *odd], [*odd, *usual]):
        assert convert.identifiers(values) == list(map(convert.identifier, values))


OTHER_FORM = st.sampled_from(["06/30/2025 09:00:00", "2025-06-30 09:00:02", "2025-02-31T00:00:00"])
TWO = f"{USUAL[0]}\n{USUAL[1]}"  # in one field, which is no timestamp


@given(st.lists(st.one_of(SENT, OTHER_FORM, st.just(TWO)).map(lambda sent: sent or "")))
@example([USUAL[0], "", USUAL[2], USUAL[1]])
@example([USUAL[0], "2025-06-30 09:00:02"])
@example([TWO.replace("T", " "), USUAL[1].replace("T", " ")])
def test_the_newest_of_a_page_is_that_of_one_by_one(texts: list[str]) -> None:
    assert forms.newest(texts) == max(map(forms.stamp, texts), default="")


def shape(*names: str) -> Shape:
    return Shape(names, {"id": Field("id", "text"), "at": Field("at", "timestamp")}, "here")


def collection(rows: list[dict[str, object]]) -> Collection:
    return Collection(code=0, where="here", rows=tuple(rows))


@given(ROWS)
def test_rows_of_odata_are_read_as_if_they_came_one_by_one(rows: list[dict[str, object]]) -> None:
    expected = tuple(row for one in rows for row in shape("id", "at").rows(collection([one])))
    assert shape("id", "at").rows(collection(rows)) == expected
    # Without named fields every field of the table is read.
    assert [sorted(row) for row in shape().rows(collection(rows))] == [["at", "id"]] * len(rows)


def test_one_value_that_is_no_text_does_not_change_how_the_others_are_read() -> None:
    rows: list[dict[str, object]] = [
        {"id": NOT_COMPUTED, "at": None},
        {"id": "1", "at": "2025-06-30T09:00:00Z"},
    ]
    assert shape("id", "at").rows(collection(rows)) == (
        {"id": "", "at": ""},
        {"id": "1", "at": "2025-06-30T09:00:00"},
    )
    for odd in (True, [], {"a": "1"}):
        with pytest.raises(SourceError, match="field id holds neither text nor a number"):
            shape("id", "at").rows(collection([*rows, {"id": odd, "at": ""}]))
