"""Lists for people: ids for the record, values for the private folder, and the sheet."""

from __future__ import annotations

import cProfile
import csv
import re
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook

from nexus_reimport.convert import cards
from nexus_reimport.errors import StopError
from nexus_reimport.files import rowfile
from nexus_reimport.planning import listings, manual
from nexus_reimport.planning.manual import asking
from nexus_reimport.settings import EntityDecisions
from nexus_reimport.settings.environment import Asking
from nexus_reimport.text import HALF
from support import SUPPORT
from support.by_itself import PlannedAlone, Written

COLUMNS = {
    "people": {
        "id": "integer",
        "fid": "text",
        "name": "text",
        "born": "date",
        "site_id": "integer",
        "data": "jsonb",
        "card": "jsonb",
    },
    "visits": {
        "id": "uuid",
        "person_id": "integer",
        "starts": "timestamptz",
        "with_id": "integer",
        "kind": "text",
    },
}
VISITS = """
[by_hand.visits]
entity = "visits"
columns = { with_id = "site.label" }
show = ["starts", "person_id.name", "person_id.born"]
future = "starts"
ask = "With whom?"
[application]
"""
DECISIONS = EntityDecisions.model_validate(
    {"left_out_by_rule": "keep", "when_different": {"*": "filemaker"}}
)
ZONE = ZoneInfo("Australia/Sydney")
PERSON = {"id": "P1", "name": "Person 1", "born": "1990-01-02", "seen": "2025-07-01 09:00"}


def visit(number: int, day: str, **more: str) -> dict[str, str]:
    return {"id": f"V{number}", "of": "P1", "day": day, "time": "10:00:00", **more}


def clinic(folder: Path, visits: list[dict[str, str]], **more: Any) -> Written:
    """A person, and visits with each of which somebody is to be named by hand."""
    text = (SUPPORT / "by_itself.toml").read_text().replace("[application]\n", VISITS)
    given: dict[str, Any] = {
        "records": {"people": [PERSON], "visits": visits},
        "lookups": {"site.label": [("1", "North"), ("2", "South")]},
        "next_keys": {"people": (100, 2_000_000_000)},
        "decisions": dict.fromkeys(COLUMNS, DECISIONS),
    }
    return Written(folder, text, COLUMNS, **given | more)


def sheet_of(made: PlannedAlone, written: Written, *, past: bool = False) -> Path:
    path = made.intake.folder / "manual.xlsx"
    settings = written.settings.model_copy(update={"manual": Asking(past=past)})
    asking.write(made.plan, made.intake, settings, path)
    return path


@pytest.mark.parametrize("site", ["", "North"])  # of the person, who may be asked about or not
@pytest.mark.parametrize("past", [False, True])
def test_a_sheet_asks_of_what_lacks_a_value_and_is_still_to_come(
    tmp_path: Path, past: bool, site: str
) -> None:
    visits = [
        visit(1, "2025-07-01"),
        visit(2, "2026-03-02"),
        visit(3, "2026-03-03", **{"with": "P1"}),
    ]
    records = {"people": [PERSON | {"site": site}], "visits": visits}
    written = clinic(tmp_path, visits, records=records)
    made = written.planned()
    sheet = load_workbook(sheet_of(made, written, past=past))["visits"]
    shown = [[cell.value for cell in row][1:5] for row in sheet.iter_rows(min_row=2)]
    born = datetime(1990, 1, 2)
    over = [[datetime(2025, 7, 1, 10), "Person 1", born, None]] if past else []
    assert shown == [[datetime(2026, 3, 2, 10), "Person 1", born, None], *over]


def test_what_is_given_by_hand_comes_into_its_row_and_into_the_next_sheet(tmp_path: Path) -> None:
    written = clinic(tmp_path, [visit(1, "2026-03-02"), visit(2, "2026-03-03")])
    made = written.planned()
    path = sheet_of(made, written)
    book = load_workbook(path)
    book["visits"]["E3"] = " south "
    key = book["visits"]["A3"].value
    book.save(path)
    for _ in range(2):  # the next sheet can take the place of the one before
        given = manual.read(path, manual.kinds(made.intake))
        made = written.planned(given)
        assert {k: row["with_id"] for k, row in made.rows("visits").items() if row["with_id"]} == {
            key: "2"
        }
        assert {b.kind: (b.given, b.used, b.waiting) for b in made.plan.by_hand} == {
            "sites": (0, 0, 1),
            "visits": (1, 1, 1),
        }
        path = sheet_of(made, written)
        assert load_workbook(path)["visits"]["E3"].value == "South"
    record = tmp_path / "record"
    record.mkdir()
    listings.ids(made.plan, tmp_path, record)
    assert read(record / "overrides.csv")[1:] == [["visits", key, "with_id", "by hand"]]


def test_of_a_column_with_choices_one_of_them_is_asked_for(tmp_path: Path) -> None:
    """PostgreSQL would take any text there, and the application knows these alone."""
    visits = [visit(1, "2026-03-02"), visit(2, "2026-03-03", kind="odd")]
    written = clinic(tmp_path, visits)
    instead = VISITS.replace('with_id = "site.label"', 'kind = ""')
    written.mapping = written.mapping.replace(VISITS, instead).replace('kind = "plain"\n', "")
    made = written.planned()
    path = sheet_of(made, written)
    book = load_workbook(path)
    (allowed,) = book["visits"].data_validations.dataValidation
    cells = book[manual.CHOICES][allowed.formula1.rpartition("!")[2].replace("$", "")]
    assert [cell.value for (cell,) in cells] == ["noted", "odd", "plain"]
    for text, value in (("Odd ", "odd"), ("strange", "")):
        book["visits"]["E2"] = text
        book.save(path)
        if value:
            given = manual.read(path, manual.kinds(made.intake))
            rows = written.planned(given).rows("visits").values()
            assert [row["kind"] for row in rows] == ["odd", value]
        else:
            with pytest.raises(StopError, match="Kind: is not one of the choices"):
                manual.read(path, manual.kinds(made.intake))


def test_a_boolean_in_words_of_its_own_is_asked_for_as_one(tmp_path: Path) -> None:
    written = clinic(tmp_path, [visit(1, "2026-03-02")])
    written.columns = COLUMNS | {"visits": {**COLUMNS["visits"], "kind": "boolean"}}
    instead = VISITS.replace('with_id = "site.label"', 'kind = ""')
    kinds = "choices = { plain = [], noted = [], odd = [] }", 'choices = { t = ["ja"], f = [] }'
    written.mapping = written.mapping.replace(VISITS, instead).replace(*kinds)
    written.mapping = written.mapping.replace('kind = "plain"\n', "")
    path = sheet_of(written.planned(), written)
    book = load_workbook(path)
    assert not book["visits"].data_validations.dataValidation
    book["visits"]["E2"] = "yes"
    book.save(path)
    made = written.planned(manual.read(path, manual.kinds(written.intake())))
    assert [row["kind"] for row in made.rows("visits").values()] == ["t"]


def test_what_a_rule_has_changed_was_not_given_by_hand(tmp_path: Path) -> None:
    key = "00000000-0000-4000-8000-00000000000{}"
    rows: Any = {
        "people": [{"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}],
        "visits": [
            {"id": key.format(n), "person_id": "7", "starts": f"2026-03-0{n} 23:00:00+00", **more}
            for n, more in enumerate(({"kind": "plain", "remark": "x"}, {}), 1)
        ],
    }
    visits = [visit(1, "2026-03-02"), visit(2, "2026-03-03")]
    written = clinic(tmp_path, visits, rows=rows)
    written.columns = COLUMNS | {"visits": {**COLUMNS["visits"], "remark": "text"}}
    instead = VISITS.replace('with_id = "site.label"', 'kind = ""')
    written.mapping = written.mapping.replace(VISITS, instead)
    made = written.planned()
    assert made.lines(made.plan.overrides) == [("visits", key.format(1), "kind", "noted")]
    sheet = load_workbook(sheet_of(made, written))["visits"]
    assert [row[0].value for row in sheet.iter_rows(min_row=2)] == [key.format(2)]


@pytest.mark.parametrize("second", ["E2", "F2"])
def test_what_is_given_by_hand_does_not_make_its_own_line_stale(
    tmp_path: Path, second: str
) -> None:
    """A sheet may show what it asks for, so that a person sees what there is already."""
    written = clinic(tmp_path, [visit(1, "2026-03-02")])
    written.columns = COLUMNS | {"visits": {**COLUMNS["visits"], "hint": "text"}}
    instead = VISITS.replace('{ with_id = "site.label" }', '{ with_id = "site.label", hint = "" }')
    instead = instead.replace('"person_id.name", "person_id.born"', '"hint", "person_id.site_id"')
    written.mapping = written.mapping.replace(VISITS, instead)
    path = sheet_of(written.planned(), written)
    for cell, text in (("F2", "first"), (second, "South" if second == "E2" else "second")):
        book = load_workbook(path)
        book["visits"][cell] = text
        book["sites"]["C2"] = "North"
        book.save(path)
        made = written.planned(manual.read(path, manual.kinds(written.intake())))
        path = sheet_of(made, written)
    (row,) = made.rows("visits").values()
    assert (row["hint"], row["with_id"]) == ("first", "2") if second == "E2" else ("second", None)


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [*csv.reader(file)]


def test_values_are_listed_in_the_private_folder_and_ids_alone_in_the_record(
    tmp_path: Path,
) -> None:
    record, private = tmp_path / "record", tmp_path / "private"
    record.mkdir()
    private.mkdir()
    visits = [visit(1, "2025-07-01", kind="a poem"), visit(2, "2025-07-02", of="P7")]
    people = [PERSON | {"site": "nowhere", "file": "F1"}, {"id": "P2", "name": " ", "sex": "x"}]
    row = {"id": "7", "fid": "p1", "name": "Old", "data": '{"file": "F0"}'}
    written = clinic(
        private, visits, records={"people": people, "visits": visits}, rows={"people": [row]}
    )
    made = written.planned()
    listings.values(made.plan, made.intake, ZONE)
    listings.ids(made.plan, private, record)
    assert read(private / "differences.csv")[1:] == [
        ["people", "7", "fid", "p1", "P1"],
        ["people", "7", "name", "Old", "Person 1"],
        ["people", "7", "data.file", "F0", "F1"],
    ]
    head, left_out = read(private / "left_out" / "people.csv")
    assert head[:4] == ["rule", "for", "id", "name"]
    assert left_out[:4] == ["nameless", "people", "P2", " "]
    assert read(private / "left_out" / "visits.csv")[1][:4] == [
        "of somebody unknown",
        "visits",
        "V2",
        "P7",
    ]
    default = "not one of the choices: the default of a new row is used"
    nowhere = "names no row of site"
    assert read(private / "misfits.csv") == [
        ["entity", "column", "reason", "became", "filemaker_id", "values"],
        ["people", "site_id", nowhere, "empty", "P1", "site: nowhere; ward: "],
        ["visits", "kind", default, "empty", "V1", "kind: a poem"],
    ]
    assert read(record / "misfits.csv")[1:] == [
        ["people", "site_id", nowhere, "P1", "empty"],
        ["visits", "kind", default, "V1", "empty"],
    ]
    # Without the lines that say only that a record was used.
    (key,) = made.rows("visits")
    assert read(record / "ledger.csv")[1:] == [
        ["people", "people", "left out", "nameless", "P2", ""],
        ["visits", "visits", "left out", "of somebody unknown", "V2", ""],
        ["visits", "visits", "new", "", "V1", key],
    ]
    assert [path.name for path in record.iterdir() if "Old" in path.read_text()] == []


def test_of_a_card_the_record_whose_value_does_not_fit_is_listed_with_its_values(
    tmp_path: Path,
) -> None:
    """A value of a detail that is merged for another one would stand in no list at all."""
    details = [
        {"id": "D1", "of": "p1", "kind": "Email", "value": "sam at x", "label": "Sam"},
        {"id": "D2", "of": "P1", "kind": "Address", "value": "5550 1234"},
        {"id": "D3", "of": "P1", "kind": "Phone", "value": "5550 5678", "flag": "maybe"},
        {"id": "D4", "of": "P7", "kind": "Email", "value": "of nobody"},
    ]
    written = clinic(tmp_path, [], records={"people": [PERSON], "details": details})
    made = written.planned()
    listings.values(made.plan, made.intake, ZONE)
    kept = "the card has its other values"
    no_flag = "a default that is neither yes nor no: taken as no"
    one = "details D1: kind: Email; value: sam at x; label: Sam"
    two = "details D2: kind: Address; value: 5550 1234"
    three = "details D3: kind: Phone; value: 5550 5678; flag: maybe"
    assert read(tmp_path / "misfits.csv")[1:] == [
        ["people", "card", no_flag, kept, "P1", three],
        ["people", "card", cards.IN_AN_ADDRESS, kept, "P1", two],
        ["people", "card", cards.NO_EMAIL, "empty", "P1", one],
    ]


def test_of_a_value_that_a_rule_derives_what_it_was_decided_by_is_listed(tmp_path: Path) -> None:
    records = {"people": [PERSON | {"seen": ""}], "visits": [visit(1, "")]}
    made = clinic(tmp_path, [], records=records).planned()
    listings.values(made.plan, made.intake, ZONE)
    assert {tuple(line[1:4]): line[5] for line in read(tmp_path / "misfits.csv")[1:]} == {
        ("made", "no seen: the time of the plan is used", "derived"): "seen: ",
        ("status", "no starts: taken as still to come", "derived"): "day: ; time: 10:00:00",
        ("starts", "a time without a date", "empty"): "day: ; time: 10:00:00",
    }


def test_of_a_card_each_record_is_named_for_its_own_reason(tmp_path: Path) -> None:
    details = [
        {"id": f"D{n}", "of": "p1" if n == 4 else "P1", "kind": kind, "value": value, "flag": "0"}
        for n, (kind, value) in enumerate(
            [
                ("email", "no at sign"),
                ("email", "a@example.com"),
                ("phone", "02 5550 1234"),
                ("fax", "02 5550 1235"),
                ("E-mail", "none either"),
                ("phone", "5550 1234, 5550 1235"),
            ]
        )
    ]
    records = {"people": [PERSON], "details": details, "visits": []}
    made = clinic(tmp_path, [], records=records).planned()
    listings.values(made.plan, made.intake, ZONE)
    lines = read(tmp_path / "misfits.csv")[1:]
    named: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        named[line[2]] += re.findall(r"details (\w+):", line[5])
    assert {reason: ids for reason, ids in named.items() if ids} == {
        "an e-mail without @": ["D0", "D4"],
        "of unknown kind: taken as a phone, judged by its value": ["D3"],
        "a phone that may be several numbers: kept as it was written": ["D5"],
    }


def test_of_a_person_with_thousands_of_details_each_is_converted_and_listed_once(
    tmp_path: Path,
) -> None:
    """Each line had all of them, and all were converted anew for it."""
    calls, sizes = [], []
    for number in (100, 400):
        details = [
            {"id": f"D{n}", "of": "P1", "kind": "email", "value": f"no at sign {n:04}"}
            for n in range(number)
        ]
        folder = tmp_path / str(number)
        folder.mkdir()
        made = clinic(folder, [], records={"people": [PERSON], "details": details}).planned()
        profile = cProfile.Profile()
        profile.runcall(listings.values, made.plan, made.intake, ZONE)
        calls.append(sum(one.callcount for one in profile.getstats()))
        sizes.append((folder / "misfits.csv").stat().st_size)
        lines = read(folder / "misfits.csv")[1:]
        named = re.findall(r"details (\w+):", " ".join(line[5] for line in lines))
        assert sorted(named) == sorted(f"D{n}" for n in range(number))
    assert calls[1] < 5 * calls[0]
    assert sizes[1] < 5 * sizes[0]


def test_records_that_were_cleaned_are_listed_by_id_as_long_as_there_are_any(
    tmp_path: Path,
) -> None:
    private, record = tmp_path / "private", tmp_path / "record"
    private.mkdir()
    record.mkdir()
    snapshot = clinic(private, []).intake().snapshot
    columns = ("source", "field", "what", "filemaker_id")
    line = ("people", "name", HALF, "P1")
    some = rowfile.write(private / "some.parquet", columns, [line])
    none = rowfile.write(private / "none.parquet", columns)
    for cleaned, lists in ((some, [[[*columns], [*line]]]), (none, []), (some, ...), (None, [])):
        listings.cleaned(replace(snapshot, cleaned=cleaned), private, record)
        written = [read(path) for path in record.iterdir()]
        assert lists is ... or written == lists


def test_a_record_that_is_not_left_out_any_more_is_in_no_list(tmp_path: Path) -> None:
    """The plan of a run is made again once somebody has corrected FileMaker."""
    folder = tmp_path / "left_out"
    nameless = {"id": "P2", "name": " "}
    for people, visits, lists in (
        ([PERSON, nameless], [visit(1, "2025-07-01", of="P7")], ["people.csv", "visits.csv"]),
        ([PERSON], [visit(1, "2025-07-01", of="P7")], ["visits.csv"]),
        ([PERSON], [visit(1, "2025-07-01")], []),
    ):
        made = clinic(tmp_path, visits, records={"people": people, "visits": visits}).planned()
        listings.values(made.plan, made.intake, ZONE)
        assert sorted(path.name for path in folder.glob("*")) == lists
