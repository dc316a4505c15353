"""What FileMaker's servers may answer, from the snapshot to the checks of a small clinic.

The second installation again, over each channel, with one thing of FileMaker's changed.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from openpyxl import load_workbook

from nexus_reimport import runbook, show
from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.filemaker import NO_VALUE
from nexus_reimport.filemaker.cleaning import MORE
from nexus_reimport.filemaker.exports.cells import NUMBER_AS_TEXT
from nexus_reimport.files import rowfile
from nexus_reimport.model import Cleaned, Plan, Snapshot
from nexus_reimport.text import CONTROL, HALF, JOINED, UNSEEN
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.filemaker import exports as exported
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field, FileTable
from nexus_sandbox.filemaker.message import Reply
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support import SUPPORT
from support.clinic import OWNER
from support.second_installation import ENVIRONMENT, SCHEMA, adopt, filemaker, set_variables

PASSWORD = "opensesame"
SERVERS = ("data_api", "odata")
CHANNELS = (*SERVERS, "exports")
FILES = ("People.csv", "Visits.csv", "Scans.csv", "Cares.csv")
OBJECTS = ("scans/1.pdf", "scans/2.pdf", "scans/3.pdf", "uploads/4.pdf")
Tables = dict[str, FileTable]


@dataclass(frozen=True, slots=True)
class Planned:
    """A run of the small clinic, up to its plan."""

    book: runbook.Runbook
    snapshot: Snapshot
    plan: Plan

    def rows(self, entity: str) -> list[dict[str, str | None]]:
        """The rows of one entity that will be there."""
        return list(rowfile.read_dicts(self.book.folder, self.plan.entities[entity].file))

    def lines(self, file: rowfile.RowFile) -> list[tuple[str | None, ...]]:
        """What a row file of the run holds."""
        return list(rowfile.read(self.book.folder, file))


@dataclass(frozen=True, slots=True)
class Place:
    """The small clinic: its folder, its database, and its FileMaker."""

    folder: Path
    connection: psycopg.Connection[Any]
    simulator: Simulator

    def read(self) -> Snapshot:
        """The snapshot of a run."""
        return runbook.begin("second").snapshot()

    def planned(self) -> Planned:
        """A run with its plan."""
        book = runbook.begin("second")
        taken = book.snapshot()
        book.census()
        book.survey_and_backup()
        return Planned(book, taken, book.plan())


Open = Callable[..., Any]


@pytest.fixture
def small(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Opens the small clinic on a channel, FileMaker's tables and the mapping changed as asked."""

    @contextmanager
    def opened(
        channel: str,
        change: Callable[[Tables], object] = lambda _: None,
        mapping: tuple[tuple[str, str], ...] = (),
        schema: str = SCHEMA,
    ) -> Iterator[Place]:
        tables = {table.name: table for table in filemaker()}
        change(tables)
        text = (SUPPORT / "second_installation.toml").read_text(encoding="utf-8")
        text = text.replace("People.xlsx", "People.csv").replace("Scans.tab", "Scans.csv")
        text = text.replace('columns = ["ScanNo", "Person"]\n', "")
        for old, new in mapping:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "second_installation.toml").write_text(text, encoding="utf-8")
        shutil.rmtree(tmp_path / "exports", ignore_errors=True)
        (tmp_path / "exports").mkdir()
        style = Style(encoding="utf-8", dates="m/d/y")
        for table, name in zip(tables.values(), FILES, strict=True):
            exported.write(table, tmp_path / "exports" / name, style)
        postgres.create_database("second", owner=OWNER)
        try:
            with (
                Simulator(tables.values(), password=PASSWORD) as simulator,
                psycopg.connect(postgres.dsn("second", OWNER), autocommit=True) as connection,
            ):
                connection.execute(schema)
                adopt(postgres, "second", tmp_path)
                environment = ENVIRONMENT.format(
                    url=simulator.url, endpoint=s3.access.endpoint, channel=channel
                )
                environment = environment.replace("utf-16", "utf-8")
                (tmp_path / "second.toml").write_text(environment, encoding="utf-8")
                yield Place(tmp_path, connection, simulator)
        finally:
            postgres.drop_database("second")

    s3.access.fill("second-installation", [StoredObject(key, b"x") for key in OBJECTS])
    set_variables(monkeypatch, tmp_path, postgres, s3)
    return opened


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


def put(table: str, number: int, field: str, value: object) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[table].records[number].values[field] = value

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
        _finish(place.planned().book)
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
        _finish(made.book)
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


@pytest.mark.parametrize("channel", SERVERS)
def test_ids_that_differ_in_case_alone_stop_and_are_named(small: Open, channel: str) -> None:
    def change(tables: Tables) -> None:
        tables["Visits"].records[0].values["VisitNo"] = "aB"
        tables["Visits"].records[1].values["VisitNo"] = "Ab"

    with small(channel, change) as place, pytest.raises(SourceError) as stopped:
        place.read()
    said = "visits: 1 pair of keys differs only in case or spelling"
    assert said in str(stopped.value)
    assert {"aB", "Ab"} <= set(str(stopped.value).replace("(", " ").split())
    assert "someone is editing" not in str(stopped.value)


def test_ids_in_a_file_that_differ_in_case_alone_stop_and_their_lines_are_named(
    small: Open,
) -> None:
    def change(tables: Tables) -> None:
        tables["Visits"].records[0].values["VisitNo"] = "aB"
        tables["Visits"].records[1].values["VisitNo"] = "Ab"

    with small("exports", change) as place, pytest.raises(SourceError) as stopped:
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
        _finish(place.planned().book)
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


def _finish(book: runbook.Runbook) -> None:
    report = book.check_before()
    assert not report.blocking, report.blocking
    book.rehearse()
    book.propose()
    book.approve(rehearsed=True)
    book.apply()
    after = book.verify()
    assert not after.blocking, after.blocking
    book.sign_off()
    book.seal()


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
