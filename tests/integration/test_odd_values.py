"""Odd values of FileMaker's, from the snapshot to the checks of a small clinic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nexus_reimport import show
from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.filemaker import NO_VALUE
from nexus_reimport.filemaker.cleaning import MORE
from nexus_reimport.filemaker.exports.cells import NUMBER_AS_TEXT
from nexus_reimport.model import Cleaned
from nexus_reimport.text import CONTROL, HALF, JOINED, UNSEEN
from nexus_sandbox.filemaker import exports as exported
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field, FileTable
from nexus_sandbox.filemaker.message import Reply
from support.odd_source import CHANNELS, SERVERS, Open, Planned, Tables, put, small
from support.second_clinic import result
from support.second_installation import filemaker

__all__ = ["small"]


# ---------------------------------------------------------------- characters and repetitions


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_character_that_a_later_place_cannot_hold_is_cleaned_counted_and_listed(
    small: Open, channel: str
) -> None:
    def change(tables: Tables) -> None:
        visits = tables["Visits"].records
        visits[1].values["Remark"] = "cut \ud83d"
        visits[2].values["Remark"] = "smile \ud83d\ude00 \x02\x1fend\x0cnext"

    with small(channel, change) as place:
        made = place.planned()
        remarks = {row["remark"] for row in made.rows("visits")}
        assert {"cut \ufffd", "smile \U0001f600 end\nnext"} <= remarks
        assert made.snapshot.extracts["visits"].cleaned == (
            Cleaned("Remark", CONTROL, 1, ("V3",)),
            Cleaned("Remark", HALF, 1, ("V2",)),
            Cleaned("Remark", JOINED, 1, ("V3",)),
        )
        listed = (made.book.run.folder / "cleaned.csv").read_text(encoding="utf-8-sig")
        assert listed.splitlines() == [
            "source,field,what,filemaker_id",
            f"visits,Remark,{CONTROL},V3",
            f"visits,Remark,{HALF},V2",
            f"visits,Remark,{JOINED},V3",
        ]
        assert f"visits  Remark  {HALF}" in str(show.snapshot(made.snapshot))
        report = made.book.check_before()
        assert not report.blocking, report.blocking
        (fits,) = (r for r in report.results if r.check == "every_value_fits")
        assert {f"visits.Remark: {CONTROL} (1)", f"visits.Remark: {HALF} (1)"} <= set(fits.sample)
        assert not any(JOINED in line for line in fits.sample)  # nothing was lost
        entities = made.plan.entities.values()
        held = sum(fit.held for entity in entities for fit in entity.fits)
        assert fits.looked_at == held > sum(entity.loaded for entity in entities), "it is of values"


def test_characters_reach_postgresql_and_its_json_as_they_were_cleaned(small: Open) -> None:
    with small("odata", put("People", 2, "Family", "Brand\ud83d\ude00\x00wine")) as place:
        place.planned().finish()
        found = place.connection.execute("SELECT family FROM practice.person WHERE id = 4")
        assert found.fetchone() == ("Brand\U0001f600wine",)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_name_that_nobody_sees_is_no_name(small: Open, channel: str) -> None:
    def change(tables: Tables) -> None:
        tables["People"].records[1].values.update(Given="\u200b", Family=" \ufeff\u2060")

    with small(channel, change) as place:
        made = place.planned()
        (account,) = (a for a in made.plan.accounts if a.source == "people")
        assert account.left_out["nameless"] == 2  # one has none at all
        cleaned = made.snapshot.extracts["people"].cleaned
        assert [(one.field, one.what, one.records) for one in cleaned] == [
            ("Family", UNSEEN, 1),
            ("Given", UNSEEN, 1),
        ]


def test_marks_of_paragraphs_tabs_and_line_ends_stay(small: Open) -> None:
    with small("data_api", put("Visits", 0, "Remark", "a\rb\x0bc\td\ne")) as place:
        made = place.planned()
        assert "a\nb\nc\td\ne" in {row["remark"] for row in made.rows("visits")}
        assert made.snapshot.extracts["visits"].cleaned == ()
        assert not (made.book.run.folder / "cleaned.csv").exists()


@pytest.mark.parametrize(
    ("channel", "key"), [("data_api", "V\x02"), ("odata", "V\ud83d"), ("exports", "V\x00")]
)
def test_a_key_with_such_a_character_stops_and_its_record_is_named(
    small: Open, channel: str, key: str
) -> None:
    with small(channel, put("Visits", 1, "VisitNo", key)) as place:
        with pytest.raises(SourceError) as stopped:
            place.read()
        assert "visits: 1 record has a key with control characters" in str(stopped.value)
        assert ("record id 2" if channel == "data_api" else "number ") in str(stopped.value)
        str(stopped.value).encode()


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_key_with_a_whole_character_in_two_halves_is_that_character(
    small: Open, channel: str
) -> None:
    with small(channel, put("Visits", 1, "VisitNo", "V\ud83d\ude00")) as place:
        made = place.planned()
        assert "V\U0001f600" in {line[1] for line in made.lines(made.plan.id_map)}


def repeated(tables: Tables) -> None:
    """Two repetitions of each remark: the second of the first visit alone holds something."""
    table = tables["Visits"]
    fields = tuple(replace(f, repetitions=2) if f.name == "Remark" else f for f in table.fields)
    records = [replace(r, values={**r.values, "Remark(2)": ""}) for r in table.records]
    records[0].values["Remark(2)"] = "the other"
    tables["Visits"] = FileTable("Visits", fields, records)


def brackets(answer: Reply) -> Reply:
    return replace(answer, body=answer.body.replace(b'"Remark":', b'"Remark(1)":'))


@pytest.mark.parametrize(
    ("channel", "in_brackets"),
    [("data_api", False), ("data_api", True), ("odata", False), ("exports", False)],
)
def test_the_first_repetition_is_the_value_and_who_holds_more_is_told(
    small: Open, channel: str, in_brackets: bool
) -> None:
    with small(channel, repeated) as place:
        if in_brackets:
            fault = Fault(path="/Visits/records$", change=brackets, times=99)
            place.simulator.faults.append(fault)
        made = place.planned()
        remarks = {row["remark"] for row in made.rows("visits")}
        assert {"first", "second"} <= remarks
        assert not any("other" in (remark or "") for remark in remarks)
        (told,) = made.snapshot.extracts["visits"].cleaned
        assert told == Cleaned("Remark", MORE, 1, ("V1",))


def hidden(tables: Tables) -> None:
    """As ``repeated``, and the layout shows the first repetition alone, as it does at first."""
    repeated(tables)
    table = tables["Visits"]
    fields = tuple(replace(f, shows=1) if f.name == "Remark" else f for f in table.fields)
    tables["Visits"] = FileTable("Visits", fields, table.records)


def test_repetitions_that_a_layout_hides_stop_the_preflight_before_a_record_is_read(
    small: Open,
) -> None:
    with small("data_api", hidden) as place:
        with pytest.raises(MappingError) as stopped:
            place.planned()
        assert (
            "Visits.Remark: has 2 repetitions, and the layout hides 1 of them, which can neither be"
            " read nor counted: show all of them" in str(stopped.value)
        )
        assert not any("/Visits/records" in path for _, path in place.simulator.requests)


@pytest.mark.parametrize("channel", ["odata", "exports"])
def test_a_channel_of_tables_knows_no_layout_and_hides_no_repetition(
    small: Open, channel: str
) -> None:
    with small(channel, hidden) as place:
        (told,) = place.planned().snapshot.extracts["visits"].cleaned
        assert told == Cleaned("Remark", MORE, 1, ("V1",))


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_timestamp_in_a_text_is_the_same_whichever_channel_it_came_by(
    small: Open, channel: str
) -> None:
    mapping = (('family = { from = "Family" }', 'family = { from = "Changed" }'),)
    with small(channel, mapping=mapping) as place:
        rows = place.planned().rows("people")
        brought = {row["legacy_no"]: row["family"] for row in rows if row["legacy_no"]}
        assert brought == {f"P{n}": f"2025-10-0{n} 08:00:00" for n in (1, 2, 3)}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_number_in_a_text_is_the_same_whichever_channel_it_came_by(
    small: Open, channel: str
) -> None:
    """The servers write it with an exponent, a file its digits."""

    def change(tables: Tables) -> None:
        table = tables["Visits"]
        fields = tuple(replace(f, type="number") if f.name == "Remark" else f for f in table.fields)
        numbers = (1e20, -2.5e-7, 42)
        records = [
            replace(r, values={**r.values, "Remark": number})
            for r, number in zip(table.records, numbers, strict=False)
        ]
        tables["Visits"] = FileTable("Visits", fields, records)

    with small(channel, change, (('Remark = "text"', 'Remark = "number"'),)) as place:
        rows = place.planned().rows("visits")
        brought = {row["remark"] for row in rows} - {"made here"}
        assert brought == {"100000000000000000000", "-0.00000025", "42"}


# ---------------------------------------------------------------- what a channel cannot give


def cleaned_and_judged(made: Planned) -> tuple[tuple[Cleaned, ...], tuple[str, ...]]:
    """What was cleaned of the visits, and what the check of values says to a person."""
    (fits,) = (r for r in made.book.check_before().results if r.check == "every_value_fits")
    return made.snapshot.extracts["visits"].cleaned, fits.sample


def test_a_number_that_a_spreadsheet_has_for_a_text_is_counted_and_listed(small: Open) -> None:
    mapping = (('exports = "Visits.csv"', 'exports = "Visits.xlsx"'),)
    with small("exports", put("Visits", 1, "Remark", "412345678"), mapping) as place:
        tables = {table.name: table for table in filemaker()}
        put("Visits", 1, "Remark", "412345678")(tables)
        style = Style(number_ids=True)
        exported.write(tables["Visits"], place.folder / "exports" / "Visits.xlsx", style)
        made = place.planned()
        assert "412345678" in {row["remark"] for row in made.rows("visits")}
        cleaned, told = cleaned_and_judged(made)
        assert cleaned == (Cleaned("Remark", NUMBER_AS_TEXT, 1, ("V2",)),)
        assert f"visits.Remark: {NUMBER_AS_TEXT} (1)" in told
        listed = (made.book.run.folder / "cleaned.csv").read_text(encoding="utf-8-sig")
        assert listed.splitlines()[1:] == [f'visits,Remark,"{NUMBER_AS_TEXT}",V2'.replace('"', "")]
        assert f"visits  Remark  {NUMBER_AS_TEXT}" in str(show.snapshot(made.snapshot))


@pytest.mark.parametrize("channel", SERVERS)
def test_a_value_that_filemaker_could_not_compute_is_listed_by_its_record(
    small: Open, channel: str
) -> None:
    with small(channel) as place:
        fault = faults.question_mark(r"/Visits(/records)?$", "Remark")
        place.simulator.faults.append(replace(fault, times=99))
        cleaned, told = cleaned_and_judged(place.planned())
        assert cleaned == (Cleaned("Remark", NO_VALUE, 1, ("V1",)),)
        assert f"visits.Remark: {NO_VALUE} (1)" in told


@pytest.mark.parametrize("channel", SERVERS)
@pytest.mark.parametrize("is_calculation", [True, False])
def test_a_question_mark_is_no_text_of_a_field_that_filemaker_computes(
    small: Open, channel: str, *, is_calculation: bool
) -> None:
    """In a field that people fill in it stays: somebody has typed it."""

    def change(tables: Tables) -> None:
        table = tables["Visits"]
        fields = tuple(
            replace(f, is_calculation=is_calculation) if f.name == "Remark" else f
            for f in table.fields
        )
        tables["Visits"] = FileTable("Visits", fields, table.records)
        table.records[0].values["Remark"] = "?"

    with small(channel, change) as place:
        made = place.planned()
        cleaned, told = cleaned_and_judged(made)
        remarks = {row["remark"] for row in made.rows("visits")}
        assert ("?" in remarks) is not is_calculation
        assert ("first" in remarks) is is_calculation, "Nexus's stays"
        wanted = (Cleaned("Remark", NO_VALUE, 1, ("V1",)),) if is_calculation else ()
        assert cleaned == wanted
        assert made.snapshot.extracts["visits"].repaired == len(wanted)
        assert (f"visits.Remark: {NO_VALUE} (1)" in told) is is_calculation


def words_in_a_number(tables: Tables) -> None:
    """The remarks of visits are numbers, of which FileMaker stores what was typed."""
    table = tables["Visits"]
    fields = tuple(replace(f, type="number") if f.name == "Remark" else f for f in table.fields)
    records = [replace(r, values={**r.values, "Remark": ""}) for r in table.records]
    records[0].values["Remark"], records[1].values["Remark"] = "about 5", "unknown"
    tables["Visits"] = FileTable("Visits", fields, records)


@pytest.mark.parametrize(
    ("channel", "arrives"),
    [
        ("data_api", {"about 5", "unknown"}),
        ("odata", {"5"}),
        ("exports", {"first"}),  # empty in the file, so Nexus's stays
    ],
)
def test_number_fields_of_which_words_do_not_arrive_are_named(
    small: Open, channel: str, arrives: set[str]
) -> None:
    mapping = (('Remark = "text"', 'Remark = "number"'),)
    with small(channel, words_in_a_number, mapping) as place:
        made = place.planned()
        assert arrives == {row["remark"] for row in made.rows("visits")} - {None, "made here"}
        unseen = () if channel == "data_api" else ("Remark",)
        assert made.snapshot.extracts["visits"].numbers_alone == unseen
        page = str(show.snapshot(made.snapshot))
        assert ("words do not arrive" in page) is bool(unseen)
        (fits,) = (r for r in made.book.check_before().results if r.check == "every_value_fits")
        assert ("words in 1 number field do not arrive" in fits.note) is bool(unseen)


def test_a_calculated_number_holds_no_words_and_is_not_named(small: Open) -> None:
    def change(tables: Tables) -> None:
        words_in_a_number(tables)
        table = tables["Visits"]
        calculated = (
            replace(f, is_calculation=True) if f.name == "Remark" else f for f in table.fields
        )
        tables["Visits"] = FileTable("Visits", tuple(calculated), table.records)

    with small("odata", change, (('Remark = "text"', 'Remark = "number"'),)) as place:
        assert place.read().extracts["visits"].numbers_alone == ()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_fields_that_nobody_reads_are_named(small: Open, channel: str) -> None:
    """Only their number was there: what people had written into one stayed behind unnoticed."""

    def change(tables: Tables) -> None:
        table = tables["Visits"]
        sums = Field("Sum of it", "number", is_calculation=True)
        more = (Field("Told at the desk", "text"), sums)
        tables["Visits"] = FileTable("Visits", (*table.fields, *more), table.records)

    with small(channel, change) as place:
        read = place.read()
    assert "Told at the desk" in read.extracts["visits"].unread
    page = repr(show.snapshot(read))
    assert "Told at the desk" in page
    assert "does not read: what they hold stays in FileMaker alone" in page
    assert ("Sum of it" in page) is (channel == "exports")  # a file says of no field what it is


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("text", ["<No Access>", "<Kein Zugriff>", "<アクセス権がありません>"])
def test_a_field_that_the_account_may_not_see_stops_and_is_no_text(
    small: Open, channel: str, text: str
) -> None:
    """FileMaker gives `<No Access>`, in its own language, which would become a name or a note."""

    def change(tables: Tables) -> None:
        for record in tables["People"].records[:2]:
            record.values.update(Given=text, Family=text)

    with small(channel, change) as place:
        with pytest.raises(SourceError) as stopped:
            place.read()
        assert f"people: FileMaker gives {text} in the place of a value, in Given, Family" in (
            str(stopped.value)
        )
        assert "the right to view every record and field" in stopped.value.next


ALIKE = "no_field_holds_one_text_in_angle_brackets"
WAIVED = """
[[waivers]]
check = "{}"
at_most = 1
reason = "the family name of all"
who = "A. Person"
until = 2099-01-01
"""


def test_in_a_language_that_nobody_has_named_a_closed_field_is_told_by_its_sameness(
    small: Open,
) -> None:
    def change(tables: Tables) -> None:
        for record in tables["People"].records:
            record.values.update(Family="<Ei oikeuksia>")

    with small("data_api", change) as place:
        report = place.planned().book.check_before()
        told = result(report, ALIKE)
        assert told.blocks
        assert told.sample == ("people.Family",)
        assert "if it is their own text, waive this check" in told.note
        assert "oikeuksia" not in str(report)
        with (place.folder / "second.toml").open("a", encoding="utf-8") as file:
            file.write(WAIVED.format(ALIKE))
        assert result(place.planned().book.check_before(), ALIKE).passed
