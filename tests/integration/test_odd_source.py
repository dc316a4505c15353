"""Odd names, ids and files of FileMaker's, from the snapshot to the checks of a small clinic.

The second installation again, over each channel, with one thing of FileMaker's changed.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from openpyxl import load_workbook

from nexus_reimport.errors import MappingError, SourceError
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.filemaker.file import Field, FileTable
from nexus_sandbox.s3.server import S3Server
from support.odd_source import CHANNELS, SERVERS, Open, Place, Tables, put, small
from support.second_installation import SCHEMA

__all__ = ["small"]


def renamed(table: FileTable, old: str, new: str) -> FileTable:
    """``table`` with one field under another name."""
    fields = tuple(replace(f, name=new) if f.name == old else f for f in table.fields)
    records = [
        replace(r, values={new if n == old else n: v for n, v in r.values.items()})
        for r in table.records
    ]
    return FileTable(table.name, fields, records)


def rename(table: str, old: str, new: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[table] = renamed(tables[table], old, new)

    return change


def remark_called(name: str) -> tuple[tuple[str, str], ...]:
    return ('Remark = "text"', f'"{name}" = "text"'), ('from = "Remark"', f'from = "{name}"')


def decomposed(value: str) -> str:
    return unicodedata.normalize("NFD", value)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("channel", "advice"),
    [
        ("data_api", "put the field on the layout"),
        ("exports", "export the file again, with the field"),
        ("odata", "let the account see the field in its table"),
    ],
)
def test_no_other_field_is_taken_for_one_whose_name_is_in_another_script(
    small: Open, channel: str, advice: str
) -> None:
    change = rename("Visits", "Remark", "住所")
    with (
        small(channel, change, remark_called("備考")) as place,
        pytest.raises(MappingError, match="no field 備考") as stopped,
    ):
        place.read()
    assert stopped.value.where == f"channel={channel}"
    assert advice in stopped.value.next


@pytest.mark.parametrize("channel", CHANNELS)
def test_two_fields_that_are_spelt_alike_are_both_named_and_an_exact_name_wins(
    small: Open, channel: str
) -> None:
    def change(tables: Tables) -> None:
        table = tables["Visits"]
        fields = (*table.fields, Field("re_mark", "text"))
        records = [replace(r, values={**r.values, "re_mark": "other"}) for r in table.records]
        tables["Visits"] = FileTable("Visits", fields, records)

    with (
        small(channel, change, remark_called("Re-mark")) as place,
        pytest.raises(MappingError, match=r"Re-mark may be any of Remark, re_mark"),
    ):
        place.read()
    with small(channel, change) as place:
        rows = place.planned().rows("visits")
        assert "other" not in {row["remark"] for row in rows}
        assert "second" in {row["remark"] for row in rows}


@pytest.mark.parametrize(
    "other", ['Place = { type = "text", also = ["Remark"], optional = true }', '"re mark" = "text"']
)
def test_a_field_that_two_of_the_mapping_are_found_as_stops(small: Open, other: str) -> None:
    """Its values would have stood in the columns of both."""
    added = (('Remark = "text"', f'Remark = "text"\n{other}'),)
    told = r"Remark and (Place|re mark) are both found as Remark"
    with small("data_api", mapping=added) as place, pytest.raises(MappingError, match=told):
        place.read()


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_field_is_found_in_either_form_of_unicode(small: Open, channel: str) -> None:
    change = rename("Visits", "Remark", decomposed("Bemärkung"))
    with small(channel, change, remark_called("Bemärkung")) as place:
        remarks = [row["remark"] for row in place.planned().rows("visits")]
        assert "first" in remarks
        assert "second" in remarks


def test_a_file_is_found_in_either_form_of_unicode_and_two_of_one_name_stop(small: Open) -> None:
    name, half = "Präsénz.csv", "Pra\u0308sénz.csv"
    mapping = (('exports = "Visits.csv"', f'exports = "{name}"'),)
    with small("exports", mapping=mapping) as place:
        exports = place.folder / "exports"
        (exports / "Visits.csv").rename(exports / decomposed(name))
        assert place.read().extracts["visits"].rows == 4
        shutil.copy(exports / decomposed(name), exports / half)
        with pytest.raises(SourceError, match="2 files have the name"):
            place.read()
        shutil.copy(exports / half, exports / name)
        with pytest.raises(SourceError, match="3 files have the name"):  # one of them is older
            place.read()


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_looked_up_name_is_found_in_either_form_of_unicode(small: Open, channel: str) -> None:
    change = put("People", 2, "Site", decomposed("nÖrth"))
    schema = SCHEMA.replace("'North'", "'Nörth'")
    with small(channel, change, schema=schema) as place:
        sites = {row["given"]: row["site_id"] for row in place.planned().rows("people")}
        assert sites["Eulalia"] == "1"


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_link_finds_its_record_in_whatever_case_it_is_written(small: Open, channel: str) -> None:
    def change(tables: Tables) -> None:
        tables["Visits"].records[1].values["Person"] = "p2"
        tables["Scans"].records[1].values.update(ScanNo="s2", Person=" p2 ")
        tables["Cares"].records[2].values["Person"] = "p3"

    with small(channel, change) as place:
        made = place.planned()
        report = made.book.check_before()
        assert not report.blocking, report.blocking
        plan = made.plan
        assert plan.entities["visits"].left_out == {"nobody": 1}
        assert [row["person_id"] for row in made.rows("visits")] == ["1", "2", "3", "4"]
        assert {row["legacy_no"] for row in made.rows("people")} == {
            "P1",
            "P2",
            "P3",
            None,
        }
        linked = {row[0]: row[1] for row in made.lines(plan.links["scans"].file)}
        assert linked["2"] == "2"


def test_a_record_whose_id_changes_its_case_stays_the_row_that_it_was(small: Open) -> None:
    with small("data_api") as place:
        place.planned().finish()
        before = _visits(place)
        carers = place.connection.execute("SELECT id, named FROM practice.carer").fetchall()
        with place.simulator.edit() as tables:
            for table, field in (
                ("Visits", "VisitNo"),
                ("People", "PersonNo"),
                ("Cares", "Person"),
            ):
                for record in tables[table].records:
                    record.values[field] = str(record.values[field]).lower()
        made = place.planned()
        plan = made.plan
        assert {n: e.new for n, e in plan.entities.items()} == {
            "people": 0,
            "visits": 0,
            "carers": 0,
        }
        assert plan.entities["people"].matched == {"legacy_no": 3}
        assert plan.entities["visits"].matched == {"remembered": 3}
        id_map = {line[1] for line in made.lines(plan.id_map)}
        assert id_map == {"p1", "p2", "p3", "v1", "v2", "v3", "p1+C1", "p1+C2", "p3+C1"}
        made.finish()
        assert _visits(place) == before
        after = place.connection.execute("SELECT id, named FROM practice.carer").fetchall()
        assert {i for i, _ in after} == {i for i, _ in carers}
        stored = place.connection.execute("SELECT legacy_no FROM practice.person").fetchall()
        assert {number for (number,) in stored} == {"p1", "p2", "p3", None}  # as FileMaker has it


def test_two_rows_of_nexus_whose_ids_differ_in_case_alone_claim_one_record(small: Open) -> None:
    with small("data_api") as place:
        place.connection.execute(
            "INSERT INTO practice.person (legacy_no, given, family) VALUES ('p1', 'A', 'B')"
        )
        made = place.planned()
        assert made.plan.entities["people"].ambiguous == ("P1",)
        blocking = {result.check for result in made.book.check_before().blocking}
        assert "no_two_rows_claim_one_record" in blocking


def in_case_alone(tables: Tables) -> None:
    tables["Visits"].records[0].values["VisitNo"] = "aB"
    tables["Visits"].records[1].values["VisitNo"] = "Ab"


@pytest.mark.parametrize("channel", SERVERS)
def test_ids_that_differ_in_case_alone_stop_and_are_named(small: Open, channel: str) -> None:
    with small(channel, in_case_alone) as place, pytest.raises(SourceError) as stopped:
        place.read()
    said = "visits: 1 pair of keys differs only in case or spelling"
    assert said in str(stopped.value)
    assert {"aB", "Ab"} <= set(str(stopped.value).replace("(", " ").split())
    assert "someone is editing" not in str(stopped.value)


def test_ids_in_a_file_that_differ_in_case_alone_stop_and_their_lines_are_named(
    small: Open,
) -> None:
    with small("exports", in_case_alone) as place, pytest.raises(SourceError) as stopped:
        place.read()
    assert "1 row has the key of an earlier row, in line 3\n" in str(stopped.value)
    assert "in line 3 the key differs only in case or spelling" in str(stopped.value)


@pytest.mark.parametrize("channel", SERVERS)
def test_records_that_share_a_key_are_named_by_key_and_record(small: Open, channel: str) -> None:
    change = put("Visits", 1, "VisitNo", "V1")
    with small(channel, change) as place, pytest.raises(SourceError) as stopped:
        place.read()
    record = "record id" if channel == "data_api" else "number"
    assert str(stopped.value) == (
        f"visits: 1 record has the same key as another one: V1 ({record} 1 and 2)\n"
        f"  where: channel={channel}, table=Visits\n"
        "  state: nothing was written\n"
        "  next:  find them in FileMaker with ! in VisitNo, and give each its own key"
        " (Duplicate Record copies the key); if they are many, another field is the key:"
        " correct `key` in the mapping; then run 01_preflight again"
    )


@pytest.mark.parametrize("channel", SERVERS)
def test_records_without_a_key_are_named_by_record(small: Open, channel: str) -> None:
    change = put("Visits", 1, "VisitNo", " ")
    with small(channel, change) as place, pytest.raises(SourceError) as stopped:
        place.read()
    record = "record id 2" if channel == "data_api" else "number 1"
    assert f"visits: 1 record has no key: {record}\n" in str(stopped.value)
    assert "with = in VisitNo" in str(stopped.value)


# ---------------------------------------------------------------- files in S3


def test_a_file_whose_key_is_in_another_form_of_unicode_is_there_and_told(
    small: Open, s3: S3Server
) -> None:
    s3.access.fill("second-installation", [StoredObject(decomposed("scans/Müller.pdf"), b"x")])
    schema = SCHEMA.replace("scans/1.pdf", "scans/Müller.pdf")
    with small("data_api", schema=schema) as place:
        report = place.planned().book.check_before()
        (files,) = (r for r in report.results if r.check == "every_file_is_in_s3")
        assert files.offending == 0
        assert "1 under a key that differs from Nexus's only in its Unicode form" in files.note


def _visits(place: Place) -> list[tuple[Any, ...]]:
    rows = place.connection.execute("SELECT id, person_id, remark FROM practice.visit ORDER BY 1")
    return rows.fetchall()


def test_a_control_character_of_nexus_itself_does_not_end_the_planning(small: Open) -> None:
    """The sheet by hand refused the cell, and the error of it was the patient's name."""
    by_hand = '[by_hand.sites]\nentity = "people"\ncolumns = { site_id = "site.label" }\n'
    mapping = (("[application]", f'{by_hand}show = ["given", "family"]\n\n[application]'),)
    schema = SCHEMA.replace(
        "'Made', 'Here', NULL, 39.0, 2", "E'Ma\\x1dde', 'Here', NULL, 39.0, NULL"
    )
    schema = schema.replace("('North')", "(E'Nor\\x1dth')")
    with small("exports", put("People", 2, "Given", "Eu\x02lalia"), mapping, schema) as place:
        made = place.planned()
        book = load_workbook(made.book.folder / "manual.xlsx")
        shown = {row[:3] for row in book["sites"].iter_rows(min_row=2, values_only=True)}
        assert ("3", "Ma\ufffdde", "Here") in shown
        assert {row[0] for row in book["choices"].iter_rows(values_only=True)} == {
            "Nor\ufffdth",
            "South",
        }
        assert "Ma\x1dde" in {row["given"] for row in made.rows("people")}  # Nexus's own stays


@pytest.mark.parametrize("channel", CHANNELS)
def test_keys_of_several_fields_are_told_apart_by_their_parts(small: Open, channel: str) -> None:
    """``P1+X`` beside ``C1`` is not ``P1`` beside ``X+C1``: each is a carer of another person."""

    def change(tables: Tables) -> None:
        tables["People"].records[1].values["PersonNo"] = "P1+X"
        carers = zip(tables["Cares"].records, (("P1+X", "C1"), ("P1", "X+C1")), strict=False)
        for record, (person, carer) in carers:
            record.values |= {"Person": person, "Carer": carer}

    with small(channel, change) as place:
        planned = place.planned()
        assert planned.snapshot.extracts["cares"].distinct_keys == 3
        carers = {(row["person_id"], row["named"]) for row in planned.rows("carers")}
        people = {row["legacy_no"]: row["id"] for row in planned.rows("people")}
        assert carers == {
            (people["P1+X"], "C1"),
            (people["P1"], "X+C1"),
            (people["P3"], "C1"),
            (people["P1"], "C1"),
        }


def test_a_record_does_not_take_the_row_of_one_whose_parts_only_read_alike(small: Open) -> None:
    """The id map of the run before holds the key of a record that is gone."""
    with small("data_api", put("Cares", 1, "Carer", "X+C2")) as place:
        place.planned().finish()
        ((was,),) = place.connection.execute(
            "SELECT id::text FROM practice.carer WHERE named = 'X+C2'"
        ).fetchall()
        place.simulator.tables["People"].records[2].values["PersonNo"] = "P1+X"
        place.simulator.tables["Cares"].records[1].values |= {"Person": "P1+X", "Carer": "C2"}
        rows = place.planned().rows("carers")
        (new,) = (row["id"] for row in rows if row["named"] == "C2")
        assert new != was
