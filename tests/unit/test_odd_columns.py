"""The columns of an exported file: headers, separators, quotes, related and repeating fields."""

from __future__ import annotations

from datetime import datetime

import pytest

from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.filemaker import ReadRequest
from nexus_reimport.filemaker.exports import ExportedFiles, Known
from nexus_reimport.settings import Exports
from nexus_reimport.text import find
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from support.exported_files import SECRET, SUFFIXES, files, lines, read, table, workbook
from support.odd_exports import WANTED, decomposed, knowing, separated


@pytest.mark.parametrize("name", ["-----", "=====", "1", "#", "2024-01-31", "", "id 2", "\u00a0"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_column_that_nobody_wants_may_be_called_anything(name, suffix, tmp_path):
    """FileMaker's files have fields that are dividers, and an export of all fields has them."""
    made = table({"Remark": "x", "Day": "y"}, Remark="text", Day="text", **{name: "text"})
    exports.write(made, tmp_path / f"t{suffix}")
    found = read(knowing(tmp_path, f"t{suffix}"), f"t{suffix}", Remark="text")
    assert found == [{"id": "R0", "Remark": "x"}]


def test_a_header_that_a_sheet_holds_as_a_number_is_a_name(tmp_path):
    workbook(tmp_path, ["id", 1, "Remark", datetime(2024, 1, 31), True], ["a", "b", "c", "d", "e"])
    assert read(knowing(tmp_path, "t.xlsx"), "t.xlsx", **{"1": "text"}) == [{"id": "a", "1": "b"}]


@pytest.mark.parametrize(
    "line",
    [f"{SECRET},Wendelgard", f"{SECRET},1/2/2020", "Id of the day,Remarks", f"{SECRET},remark"],
)
def test_a_first_line_without_wanted_fields_is_told_and_not_quoted(line, tmp_path):
    """A file without headers would else show a patient's name among the nearest ones.

    One of its values may be called like a field.
    """
    lines(tmp_path, line, line)
    with pytest.raises(SourceError, match="line 1 is not a header line") as stopped:
        knowing(tmp_path, "t.csv").fields("t.csv")
    assert SECRET not in str(stopped.value)


def test_a_header_in_decomposed_letters_is_the_same_name(tmp_path):
    lines(tmp_path, f"id,{decomposed('Bemärkung')},\u200bZeit\ufeff", "1,x,y")
    assert list(files(tmp_path).fields("t.csv")) == ["id", "Bemärkung", "Zeit"]
    assert read(files(tmp_path), "t.csv", Bemärkung="text")[0]["Bemärkung"] == "x"
    lines(tmp_path, f"Bemärkung,id,{decomposed('Bemärkung')}", "1,2,3")
    with pytest.raises(SourceError, match="columns 1 and 3 are both called Bemärkung"):
        read(files(tmp_path), "t.csv", Bemärkung="text")


def test_the_headers_again_in_the_middle_are_no_record(tmp_path):
    lines(tmp_path, "id,a", "1,x", "id,a", "2,y")
    with pytest.raises(
        SourceError, match="line 3 repeats the headers: the file may hold two exports"
    ):
        files(tmp_path).count("t.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.mer"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("hint", ["sep={}", "SEP={}", '"sep={}"', "\ufeffsep={}"])
def test_a_hint_for_excel_in_the_first_line_is_no_header_line(hint, separator, name, tmp_path):
    """It was told as "not a header line", and the file could not be read."""
    rows = (hint.format(separator), separator.join(("id", "a")), separator.join(("1", "x")))
    lines(tmp_path, *rows, name=name)
    place = Exports(folder=tmp_path, separator=separator)
    source = ExportedFiles(place, {name: Known(wanted=WANTED)})
    assert source.count(name) == 1
    assert read(source, name, a="text") == [{"id": "1", "a": "x"}]
    source = ExportedFiles(place, {name: Known(("id", "a"))})
    with pytest.raises(SourceError, match="line 2 is a header line, but the columns are given"):
        source.count(name)


def test_of_a_hint_that_names_another_separator_it_is_told_what_to_declare(tmp_path):
    lines(tmp_path, "sep=;", "id;a", "1;x")
    with pytest.raises(SettingsError, match="separated by semicolons, and not by commas"):
        knowing(tmp_path, "t.csv").count("t.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_further_related_records_are_no_records_of_the_table(suffix, tmp_path):
    """FileMaker exports a line for each of them, with nothing in it but the related fields."""
    header = ("id", "a", "Invoices::Nr", "Invoices::Day")
    rows = (("1", "x", "I1", "d"), ("", "", "I2", ""), ("", "", "", "d"), ("2", "y", "", ""))
    name = separated(tmp_path, (header, *rows), suffix)
    source = files(tmp_path)
    assert source.count(name) == 2
    assert read(source, name, a="text") == [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}]
    with pytest.raises(SourceError) as stopped:
        read(source, name, **{"Invoices::Nr": "text"})
    assert str(stopped.value) == (
        "Invoices::Nr is a related field with several values for one record: the others are in"
        " line 3\n"
        f"  where: channel=exports, file={name}\n"
        "  state: nothing was written\n"
        "  next:  export the related table itself, and map it as its own source"
    )


def test_a_related_field_with_one_value_for_each_record_is_read(tmp_path):
    lines(tmp_path, "id,Person::Name", "1,x", "2,")
    found = read(files(tmp_path), "t.csv", **{"Person::Name": "text"})
    assert [row["Person::Name"] for row in found] == ["x", ""]
    lines(tmp_path, "id,Person::Name", ",x", "1,x")
    with pytest.raises(SourceError, match="1 row has values but no key, in line 2"):
        read(files(tmp_path), "t.csv")


def test_a_related_field_is_never_taken_for_one_of_the_table():
    assert find("PersonName", ["Person::Name"]) == ()
    assert find("person::name", ["Person::Name", "PersonName"]) == ("Person::Name",)


@pytest.mark.parametrize("suffix", [".csv", ".tab"])
@pytest.mark.parametrize("kind", ["text", "number", "date"])
def test_each_repetition_of_a_field_is_read_by_the_type_of_the_field(suffix, kind, tmp_path):
    """The cleaning takes them apart: the first is the value, and who holds more is told."""
    rows = (("id", "a"), ("1", "1/2/2025\x1d\x1d3/2/2025"), ("2", "\x1d"), ("3", "1/2/2025"))
    name = separated(tmp_path, rows, suffix)
    wanted = ReadRequest(name, "id", {"id": "text", "a": kind})
    (part,) = files(tmp_path).records(wanted)
    first, last = ("2025-02-01", "2025-02-03") if kind == "date" else ("1/2/2025", "3/2/2025")
    assert part.separated
    assert [row["a"] for row in part.rows] == [f"{first}\x1d\x1d{last}", "\x1d", first]


@pytest.mark.parametrize(
    "values",
    [
        ['"Smith, Ann"', "plain"],  # as Excel saves it
        ["plain", '"said ""yes"""'],
        ["a, b", '"said ""yes"""'],  # as LibreOffice does
    ],
)
def test_quotes_of_a_spreadsheet_program_in_a_tab_separated_file_stop(values, tmp_path):
    held = (f"{number}\t{value}" for number, value in enumerate(values))
    lines(tmp_path, "id\ta", *held, name="t.tab")
    with pytest.raises(SourceError, match=r"a spreadsheet program has saved it \(line") as stopped:
        files(tmp_path).count("t.tab")
    assert "Ann" not in str(stopped.value)


@pytest.mark.parametrize(
    "values",
    [
        ['"Bob"', '""'],  # somebody's nickname
        ['"Smith, Ann"', "Doe, Jo"],
        ['"Smith, Ann"', '6" wide'],
        ['"said ""yes"""', 'said "no"'],
        ['"a" and "b"', "c"],
    ],
)
def test_quotes_that_somebody_has_typed_are_a_part_of_their_value(values, tmp_path):
    held = (f"{number}\t{value}" for number, value in enumerate(values))
    lines(tmp_path, "id\ta", *held, name="t.tab")
    assert [row["a"] for row in read(files(tmp_path), "t.tab", a="text")] == values


def with_separator(folder, separator=",", given=()):
    """The files of ``folder``, of which ``id`` and ``Last name`` are wanted."""
    wanted = () if given else (frozenset({"id"}), frozenset({"lastname"}))
    place = Exports(folder=folder, separator=separator)
    return ExportedFiles(place, {f"t{suffix}": Known(given, wanted) for suffix in SUFFIXES})


def test_a_merge_file_of_a_system_that_writes_semicolons_is_read(tmp_path):
    """FileMaker puts the sign of the system's language between the values of such a file."""
    people = table({"Last": "Ann; B"}, {"Last": 'said "yes", twice'}, Last="text")
    exports.write(people, tmp_path / "t.mer", Style(separator=";"))
    by_place = ExportedFiles(Exports(folder=tmp_path, separator=";"), {})
    rows = read(by_place, "t.mer", Last="text")
    assert [row["Last"] for row in rows] == ["Ann; B", 'said "yes", twice']
    one = Exports(folder=tmp_path, files={"t.mer": {"separator": ";"}})
    assert read(ExportedFiles(one, {}), "t.mer", Last="text") == rows


@pytest.mark.parametrize(
    ("name", "declared", "header", "what", "advice"),
    [
        ("t.csv", ",", '"id";"Last name"', "by semicolons, and not by commas", 'separator = ";"'),
        ("t.csv", ",", "id;Last name", "by semicolons, and not by commas", 'separator = ";"'),
        ("t.mer", ",", '"id";"Last name"', "by semicolons, and not by commas", 'separator = ";"'),
        ("t.mer", ";", '"id","Last name"', "by commas, and not by semicolons", 'separator = ","'),
        ("t.csv", ",", "id\tLast name", "by tabs, and not by commas", "name the file .tab"),
        ("t.tab", ",", '"id";"Last name"', "by semicolons, and not by tabs", "name the file .csv"),
        ("t.tab", ",", "id,Last name", "by commas, and not by tabs", "name the file .csv"),
    ],
)
@pytest.mark.parametrize("has_headers", [True, False])
def test_another_separator_is_told_by_its_name_and_never_guessed(
    name, declared, header, what, advice, has_headers, tmp_path
):
    record = header.replace("id", "R1").replace("Last name", SECRET)
    lines(tmp_path, *([header] if has_headers else []), record, name=name, end="\r")
    given = () if has_headers else ("id", "Last name")
    with pytest.raises(SettingsError, match=what) as stopped:
        with_separator(tmp_path, declared, given).count(name)
    assert advice in str(stopped.value)
    assert SECRET not in str(stopped.value)


@pytest.mark.parametrize("name", ["t.csv", "t.tab"])
def test_a_file_without_headers_is_told_which_exports_have_them(name, tmp_path):
    sign = "\t" if name.endswith("tab") else ","
    lines(tmp_path, sign.join(["R1", SECRET]), name=name)
    with pytest.raises(SourceError, match=r"as a merge file \(\.mer\)") as stopped:
        with_separator(tmp_path).count(name)
    assert SECRET not in str(stopped.value)
