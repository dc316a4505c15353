"""Exported files, with everything that has cost rows in real ones."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import threading
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import convert, mapping
from nexus_reimport.errors import MappingError, SettingsError, SourceError
from nexus_reimport.filemaker import Field, Product, ReadRequest, Source
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.exports import cells, delimited, grid
from nexus_reimport.files import rowfile
from nexus_reimport.settings import Exports, FileMaker
from nexus_reimport.stages import snapshot
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.simulator import Simulator
from support.exported_files import (
    SECRET,
    SUFFIXES,
    files,
    lines,
    raw_workbook,
    read,
    table,
    workbook,
)
from support.small_filemaker import PASSWORD, contacts, empty, events

SYDNEY = ZoneInfo("Australia/Sydney")


# ------------------------------------------------------------------ what must come out

READERS = {
    "text": convert.paragraphs,
    "number": convert.text,
    "date": convert.iso_date,
    "time": lambda value: convert.duration(value) if value else None,
    "timestamp": lambda value: convert.timestamp(value, SYDNEY),
}


def values(rows, types):
    """Rows as the values that the converters make of them."""
    return [{name: READERS[kind](row[name]) for name, kind in types.items()} for row in rows]


def types_of(made):
    """The fields that every format has, with their types."""
    return {f.name: f.type for f in made.fields if f.type != "container" and f.repetitions == 1}


def truth(api, made, key, suffix):
    """What the server gives for a table, but for what the format cannot hold.

    Only numbers are exported from a number field, and a tab in a text is a blank between tabs.
    """
    types = types_of(made)
    rows = [dict(row) for part in api.records(ReadRequest(made.name, key, {})) for row in part.rows]
    for row in rows:
        for name, kind in types.items():
            if kind == "number" and suffix != ".tab" and not _is_number(row[name]):
                row[name] = ""
            if kind == "text" and suffix == ".tab":
                row[name] = row[name].replace("\t", " ")
    return sorted(values(rows, types), key=lambda row: row[key].casefold())


def _is_number(text):
    try:
        return bool(text) and Decimal(text).is_finite()
    except InvalidOperation:
        return False


@pytest.fixture(scope="module")
def everything(made_up):
    """The small tables and the made-up clinic's, under names of their own, by key."""
    small = [contacts(), events()]
    for made in small:
        made.name = f"small {made.name}"
    return {made.name: made for made in (*small, *made_up.filemaker)}


@pytest.fixture(scope="module")
def server(everything):
    with Simulator(list(everything.values()), password=PASSWORD) as simulator:
        api = DataApi(simulator.url, "WalkClinic", "nexus_reader", PASSWORD)
        with api:
            yield api


def key_of(made):
    names = [field.name for field in made.fields]
    return next(n for n in ("id", "_kp_MessageID", "_kp_ReplyID", "PrimaryKey") if n in names)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_gives_the_values_that_the_server_gives(everything, server, suffix, tmp_path):
    source = files(tmp_path)
    for number, made in enumerate(everything.values()):
        exports.write(made, tmp_path / f"{number}{suffix}")
        key, types = key_of(made), types_of(made)
        found = values(read(source, f"{number}{suffix}", key, **types), types)
        found = sorted(found, key=lambda row: row[key].casefold())
        assert found == truth(server, made, key, suffix), made.name


ODD = [
    (".csv", Style(mark=True, line_end="\r\n"), "utf-8"),
    (".csv", Style(encoding="utf-16"), "utf-16"),
    (".csv", Style(encoding="cp1252", line_end="\n"), "windows-1252"),
    (".tab", Style(encoding="mac_roman"), "macroman"),
    (".tab", Style(half_days=True, encoding="utf-16-le", mark=True), "utf-16"),
    (".xlsx", Style(text_dates=True, half_days=True), "utf-8"),
    (".xlsx", Style(time_format="h:mm:ss", paragraph="_x000D_"), "utf-8"),
    (".xlsx", Style(time_format="General", paragraph="_x000D_\n", empty_rows=3), "utf-8"),
]


@pytest.mark.parametrize(("suffix", "style", "encoding"), ODD)
def test_no_oddity_of_a_format_changes_a_value(
    everything, server, suffix, style, encoding, tmp_path
):
    for name in ("small API_Contacts", "small API_event"):
        made = everything[name]
        exports.write(made, tmp_path / f"t{suffix}", style)
        types = types_of(made)
        found = read(files(tmp_path, encoding=encoding), f"t{suffix}", **types)
        assert values(found, types) == truth(server, made, "id", suffix)


@pytest.mark.parametrize("form", ["d/m/y", "m/d/y", "y-m-d"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_form_of_dates_gives_the_same_values(everything, server, form, suffix, tmp_path):
    made = everything["small API_Contacts"]
    exports.write(made, tmp_path / f"t{suffix}", Style(dates=form, text_dates=True))
    types = types_of(made)
    found = read(files(tmp_path, dates=form), f"t{suffix}", **types)
    assert values(found, types) == truth(server, made, "id", suffix)


CALLED = {
    "contacts": "API_Contacts",
    "contact_details": "API_Contact_Details",
    "events": "API_event",
    "calendars": "API_calendar",
    "clinics": "API_Clinic_Name",
    "notes": "API_Notes",
    "funding_sources": "API_Funding_Sources",
    "messages": "API_Messages",
    "replies": "API_Replies",
    "letters": "@Letters",
    "reminders": "@ Dates to Connect",
    "docs": "API_Docs",
    "images": "API_Images",
}


def channels(folder, loaded):
    place = FileMaker(
        database="WalkClinic",
        channel="exports",
        exports=Exports(folder=folder, dates="d/m/y"),
        tables={source: exports.EXPORTED[layout][0] for source, layout in CALLED.items()},
    )
    return Channels(place, loaded)


def test_a_whole_clinic_is_read_from_its_files(made_up, server, tmp_path):
    exports.export(made_up.filemaker, tmp_path / "exports")
    loaded = mapping.load("nexus")
    with channels(tmp_path / "exports", loaded) as opened:
        taken = snapshot.take(opened, loaded, tmp_path / "rows")
    of_server = {made.name: made for made in made_up.filemaker}
    for source, extract in taken.extracts.items():
        spec, made = loaded.sources[source], of_server[CALLED[source]]
        path = tmp_path / "exports" / exports.EXPORTED[made.name][0]
        types = {f.name: spec.fields[f.name].type for f in extract.fields if f.found_as}
        found = values(rowfile.read_dicts(tmp_path / "rows", extract.file), types)
        right = truth(server, made, spec.key[0], path.suffix)
        assert found == [{name: row[name] for name in types} for row in right], source
        assert extract.origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert extract.origin.name == path.name
    assert taken.channels[0].product == "Exported files"
    sizes = sum(path.stat().st_size for path in (tmp_path / "exports").iterdir())
    assert taken.channels[0].bytes_read == sizes


# ------------------------------------------------------------------ columns


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h34_a_blank_header_cell_keeps_its_place_and_shifts_no_column(suffix, tmp_path):
    made = table({"a": "1a", "b": "1b", "c": "1c"}, a="text", b="text", c="text")
    exports.write(made, tmp_path / f"t{suffix}", Style(blank_headers=("b",)))
    source = files(tmp_path)
    assert source.fields(f"t{suffix}") == {n: Field(n, "") for n in ("id", "a", "c")}
    assert read(source, f"t{suffix}", a="text", c="text") == [{"id": "R0", "a": "1a", "c": "1c"}]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h34_the_last_header_cell_may_be_blank_too(suffix, tmp_path):
    made = table({"a": "1a", "b": ""}, {"a": "2a", "b": ""}, a="text", b="text")
    exports.write(made, tmp_path / f"t{suffix}", Style(blank_headers=("b",)))
    found = read(files(tmp_path), f"t{suffix}", a="text")
    assert found == [{"id": "R0", "a": "1a"}, {"id": "R1", "a": "2a"}]


def test_columns_are_found_by_name_and_told_in_the_order_of_the_file(tmp_path):
    lines(tmp_path, "b, id ,a", "2,1,3")
    assert list(files(tmp_path).fields("t.csv")) == ["b", "id", "a"]
    assert read(files(tmp_path), "t.csv", a="text", b="text") == [{"id": "1", "a": "3", "b": "2"}]


def test_a_header_that_comes_twice_stops_where_it_is_wanted_and_nowhere_else(tmp_path):
    lines(tmp_path, "Remark,id,note, Remark,note", "1,2,3,4,5")
    assert read(files(tmp_path), "t.csv") == [{"id": "2"}]
    with pytest.raises(SourceError) as stopped:
        read(files(tmp_path), "t.csv", Remark="text")
    assert str(stopped.value) == (
        "columns 1 and 4 are both called Remark, which the mapping reads\n"
        "  where: channel=exports, file=t.csv\n"
        "  state: nothing was written\n"
        "  next:  export this field only once"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h28_a_file_without_headers_gets_its_columns_from_the_mapping(suffix, tmp_path):
    made = table({"a": "1a"}, {"a": "2a"}, a="text")
    exports.write(made, tmp_path / f"t{suffix}", Style(headers=False))
    source = files(tmp_path, headers={f"t{suffix}": ("id", "a")})
    assert source.count(f"t{suffix}") == 2
    assert read(source, f"t{suffix}", a="text")[0] == {"id": "R0", "a": "1a"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_headers_are_no_record_where_the_mapping_gives_columns_too(suffix, tmp_path):
    made = table({"long name": "1a"}, **{"long name": "text"})
    exports.write(made, tmp_path / f"t{suffix}", Style(underscores=True))
    source = files(tmp_path, headers={f"t{suffix}": ("id", "long name")})
    with pytest.raises(SourceError, match="is a header line, but the columns are given"):
        source.count(f"t{suffix}")


@pytest.mark.parametrize(
    "line", ["17,Quillfeather", "1/2/2020,Quillfeather", "0000AAAA-1111-4BBB-8CCC-DDDDEEEEFFFF,x"]
)
def test_a_record_is_never_taken_for_headers(line, tmp_path):
    lines(tmp_path, line, line)
    with pytest.raises(SourceError, match="line 1 is not a header line: see column 1") as stopped:
        files(tmp_path).fields("t.csv")
    assert SECRET not in str(stopped.value)
    workbook(tmp_path, [SECRET, datetime(2020, 1, 2)], ["a", "b"])
    with pytest.raises(SourceError, match="line 1 is not a header line: see column 2"):
        files(tmp_path).fields("t.xlsx")


def test_h10_a_column_that_is_missing_stops_before_a_record_is_read(made_up, tmp_path):
    """An export holds only the fields that were chosen: what is not there is not empty."""
    exports.export(made_up.filemaker, tmp_path / "exports")
    loaded = mapping.load("nexus")
    (tmp_path / "exports" / "Calendars.csv").write_text("id,Nam\n1,Home\n")
    with channels(tmp_path / "exports", loaded) as opened, pytest.raises(MappingError) as error:
        snapshot.take(opened, loaded, tmp_path / "rows")
    assert "Calendars.csv: no field name; nearest: Nam" in str(error.value)
    assert not (tmp_path / "rows").exists()
    with pytest.raises(MappingError, match="has no column name; nearest: Nam"):
        read(files(tmp_path / "exports"), "Calendars.csv", name="text")


def test_a_line_that_is_not_as_wide_as_the_headers_stops_with_its_number(tmp_path):
    for row, held in ((f"1,{SECRET},3", 3), ("1", 1)):
        for name, separator in (("t.csv", ","), ("t.tab", "\t")):
            lines(tmp_path, *(x.replace(",", separator) for x in ("id,a", "0,0", row)), name=name)
            with pytest.raises(SourceError) as stopped:
                files(tmp_path).count(name)
            what = f"line 3 holds {held} values, but there are 2 columns"
            assert str(stopped.value).splitlines()[0] == what
            assert SECRET not in str(stopped.value)


def test_a_sheet_may_end_a_line_early_and_not_go_beyond_its_headers(tmp_path):
    workbook(tmp_path, ["id", "a", None], ["1"], ["2", "b", None])
    found = read(files(tmp_path), "t.xlsx", a="text")
    assert found == [{"id": "1", "a": ""}, {"id": "2", "a": "b"}]
    workbook(tmp_path, ["id", "a"], ["1"], ["2", "b", SECRET])
    with pytest.raises(SourceError, match="line 3 holds 3 values, but there are 2 columns"):
        files(tmp_path).count("t.xlsx")


# ------------------------------------------------------------------ encodings and lines


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-8", codecs.BOM_UTF8 + "id,ä\r1,ö".encode()),
        ("utf-8", "id,ä\r1,ö".encode()),
        ("utf-16", "id,ä\r1,ö".encode("utf-16")),
        ("utf-16", codecs.BOM_UTF16_BE + "id,ä\r1,ö".encode("utf-16-be")),
        ("windows-1252", "id,ä\r1,ö".encode("cp1252")),
        ("macroman", "id,ä\r1,ö".encode("mac_roman")),
    ],
)
def test_h27_a_file_is_read_in_the_encoding_that_is_declared(encoding, content, tmp_path):
    """A byte-order mark before the first header hid the key: 0 of 6,490 images were linked."""
    (tmp_path / "t.csv").write_bytes(content)
    source = files(tmp_path, encoding=encoding)
    assert list(source.fields("t.csv")) == ["id", "ä"]
    assert read(source, "t.csv", ä="text") == [{"id": "1", "ä": "ö"}]


@pytest.mark.parametrize(
    ("encoding", "content", "where"),
    [
        ("utf-8", b"id,a\r\n1,b\r\n2,\xe4Quillfeather", "line 3, byte 14"),
        ("utf-8", codecs.BOM_UTF8 + b"id,a\r1,\xe4Quillfeather", "line 2, byte 11"),
        ("windows-1252", b"id,a\n1,\x81Quillfeather", "line 2, byte 8"),
        ("utf-16", "id,a\r1,\ud800x".encode("utf-16", "surrogatepass"), "line 2, byte 17"),
        ("utf-16", "id,a\r1,\ud800x".encode("utf-16-le", "surrogatepass"), "line 2, byte 15"),
    ],
)
def test_what_cannot_be_decoded_is_one_error_with_its_place(encoding, content, where, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SourceError) as stopped:
        files(tmp_path, encoding=encoding).count("t.csv")
    assert str(stopped.value).splitlines()[0] == f"{where}: cannot be read as {encoding}"
    assert SECRET not in repr(stopped.value)
    assert stopped.value.__context__ is None


def test_the_mark_of_another_encoding_stops(tmp_path):
    (tmp_path / "t.csv").write_bytes(codecs.BOM_UTF8 + b"id\r1")
    with pytest.raises(SettingsError, match=r"windows-1252 is declared, but .* mark of utf-8"):
        files(tmp_path, encoding="windows-1252").count("t.csv")


STAYS = "\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.tab"])
def test_h28_a_record_ends_at_cr_lf_or_crlf_and_nothing_else(name, end, tmp_path):
    """A .tab ends its records with a bare CR, and 0x0B is a line break inside of a value."""
    separator = "," if name == "t.csv" else "\t"
    rows = (f"id{separator}a", f"1{separator}x\x0by{STAYS}z", f"2{separator}")
    lines(tmp_path, *rows, name=name, end=end)
    found = read(files(tmp_path), name, a="text")
    assert found == [{"id": "1", "a": f"x\ny{STAYS}z"}, {"id": "2", "a": ""}]


def test_the_last_record_needs_no_end(tmp_path):
    (tmp_path / "t.tab").write_bytes(b"id\ta\r1\tx\r2\ty")
    assert [row["a"] for row in read(files(tmp_path), "t.tab", a="text")] == ["x", "y"]


def test_quotes_hold_commas_quotes_and_line_ends_in_csv_and_are_characters_in_tab(tmp_path):
    lines(tmp_path, "id,a", '1,"x, ""y""\r\nz"', '"2",plain')
    assert [r["a"] for r in read(files(tmp_path), "t.csv", a="text")] == ['x, "y"\r\nz', "plain"]
    lines(tmp_path, "id\ta", '1\t"x', '2\ty"', name="t.tab")
    assert [r["a"] for r in read(files(tmp_path), "t.tab", a="text")] == ['"x', 'y"']


def test_a_value_may_be_longer_than_the_csv_library_thinks(tmp_path):
    lines(tmp_path, "id,a", f'1,"{"x" * 200_000}"')
    assert len(read(files(tmp_path), "t.csv", a="text")[0]["a"]) == 200_000


def test_lines_are_counted_as_a_person_counts_them(tmp_path):
    lines(tmp_path, "id,a", '1,"over\r\ntwo lines"', "2,b,c")
    with pytest.raises(SourceError, match="line 4 holds 3 values"):
        files(tmp_path).count("t.csv")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (("id,a", "1,b", f'2,"{SECRET}', "3,c"), "line 3: the file ends inside quotes"),
        (("id,a", f'1,"{SECRET}" x', "2,c"), "line 2: a quote inside a value is not doubled"),
    ],
)
def test_quotes_that_do_not_close_stop(rows, what, tmp_path):
    lines(tmp_path, *rows)
    with pytest.raises(SourceError) as stopped:
        files(tmp_path).count("t.csv")
    assert str(stopped.value).splitlines()[0] == what
    assert SECRET not in str(stopped.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_every_text_comes_back_from_commas(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    exports.write(table(*({"a": text} for text in texts), a="text"), folder / "t.csv")
    found = [row["a"] for row in read(files(folder), "t.csv", a="text")]
    assert found == [
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n") for text in texts
    ]


def test_the_escapes_of_a_sheet_are_undone(tmp_path):
    shared = [
        "<t>id</t>",
        "<t>a</t>",
        "<t>1</t>",
        "<t>one_x000D_two_x000B_three_x000d_\nfour</t>",
        "<r><t>rich </t></r><r><t>text, _x0041_ and file_x2024_</t></r>",
    ]
    rows = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" t="s"><v>3</v></c></row>'
        '<row r="4"><c r="A4"><v>2</v></c><c r="B4" t="s"><v>4</v></c></row>'
        '<row r="5"><c r="A5"><v>3</v></c><c r="B5" t="inlineStr"><is><t>_x005F_x000D_</t></is>'
        "</c></row>"
    )
    raw_workbook(tmp_path, rows, shared)
    assert [row["a"] for row in read(files(tmp_path), "t.xlsx", a="text")] == [
        "one\rtwo\nthree\r\nfour",
        "rich text, _x0041_ and file_x2024_",
        "_x000D_",
    ]


def test_a_sheet_is_read_whole_though_it_claims_to_be_one_cell(tmp_path):
    rows = '<row r="1"><c r="A1" t="str"><v>id</v></c><c r="B1" t="str"><v>a</v></c></row>'
    rows += '<row r="2"><c r="A2"><v>1</v></c><c r="B2"><v>7</v></c></row>'
    raw_workbook(tmp_path, rows, dimension='<dimension ref="A1"/>')
    assert read(files(tmp_path), "t.xlsx", a="number") == [{"id": "1", "a": "7"}]


# ------------------------------------------------------------------ types


def test_h21_days_are_never_swapped_and_no_second_form_is_tried(tmp_path):
    """All 2,842 birth dates were once lost, and days up to 12 silently swapped."""
    dates = (
        "3/4/2025",
        "13/4/2025",
        "2025-11-09",
        "4/13/2025",
        "31/2/2025",
        "3/4/25",
        "20251109",
        "",
        "03.04.2025",
        "03-04/2025",
    )

    def by(form):
        return [cells.as_text(day, "date", cells.Forms(form)) for day in dates]

    found = by("d/m/y")
    assert found[:2] == ["2025-04-03", "2025-04-13"]
    assert found[7:9] == ["", "2025-04-03"]
    for place in (2, 3, 4, 5, 6, 9):
        assert found[place] == f"{dates[place]} (not d/m/y)"
        with pytest.raises(convert.ConversionError):
            convert.iso_date(found[place])
    by_month = by("m/d/y")
    assert by_month[:2] == ["2025-03-04", "13/4/2025 (not m/d/y)"]
    assert (by_month[3], by_month[8]) == ("2025-04-13", "2025-03-04")
    iso = by("y-m-d")
    assert (iso[0], iso[2], iso[6]) == (
        "3/4/2025 (not y-m-d)",
        "2025-11-09",
        "20251109 (not y-m-d)",
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_h21_a_date_as_text_needs_a_declared_form(suffix, kind, tmp_path):
    stored = "2025-11-09 09:30:00"[: 10 if kind == "date" else None]
    exports.write(
        table({"d": ""}, {"d": stored}, d=kind), tmp_path / f"t{suffix}", Style(text_dates=True)
    )
    source = files(tmp_path, dates=None)
    assert source.count(f"t{suffix}") == 2
    with pytest.raises(SettingsError) as stopped:
        read(source, f"t{suffix}", d=kind)
    assert str(stopped.value) == (
        "column d: 1 date(s) are written as text, but their form is not declared"
        " (readable: 1 as d/m/y, 1 as m/d/y)\n"
        f"  where: channel=exports, file=t{suffix}\n"
        "  state: nothing was written\n"
        '  next:  write dates = "d/m/y", "m/d/y" or "y/m/d", as the file has it,'
        " under [filemaker.exports]"
    )


def test_a_form_is_not_needed_where_no_date_is_text(tmp_path):
    exports.write(table({"d": "2025-11-09"}, d="date"), tmp_path / "t.xlsx")
    assert read(files(tmp_path, dates=None), "t.xlsx", d="date")[0]["d"] == "2025-11-09"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (datetime(2025, 11, 9), "2025-11-09"),
        (date(2025, 11, 9), "2025-11-09"),
        (" 9/11/2025 ", "2025-11-09"),
        (" ", ""),
        (None, ""),
        ("?", None),
        (cells.Failed.FAILED, None),
    ],
)
def test_dates(cell, text):
    assert cells.as_text(cell, "date", cells.Forms("d/m/y")) == text


@pytest.mark.parametrize(
    "cell",
    [
        45_970,
        45_970.0,
        20_251_109,
        True,
        time(9, 30),
        timedelta(hours=26),
        datetime(2025, 11, 9, 9, 30),
        "2025-11-09",
        "soon",
    ],
)
def test_what_is_no_date_is_passed_on_and_refused(cell):
    text = cells.as_text(cell, "date", cells.Forms("d/m/y"))
    assert str(cell) in text
    with pytest.raises(convert.ConversionError):
        convert.iso_date(text)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (datetime(2025, 11, 9, 9, 30), "2025-11-09 09:30:00"),
        (datetime(2025, 11, 9, 9, 30, 0, 500_000), "2025-11-09 09:30:00.500000"),
        (datetime(2025, 11, 9), "2025-11-09 00:00:00"),
        (date(2025, 11, 9), "2025-11-09 00:00:00"),
        ("9/11/2025 9:30", "2025-11-09 09:30:00"),
        ("09/11/2025 09:30:07", "2025-11-09 09:30:07"),
        ("9/11/2025 9:30:07.25 pm", "2025-11-09 21:30:07.25"),
        ("9/11/2025 12:00 AM", "2025-11-09 00:00:00"),
        ("9/11/2025  9:30:07\u202fPM", "2025-11-09 21:30:07"),
        ("", ""),
    ],
)
def test_timestamps(cell, text):
    assert cells.as_text(cell, "timestamp", cells.Forms("d/m/y")) == text
    if text:
        assert convert.timestamp(text, SYDNEY)


@pytest.mark.parametrize(
    "cell",
    [
        45_970.4,
        20_251_109,
        False,
        time(9, 30),
        timedelta(hours=26),
        "9/11/2025",
        "9:30",
        "2025-11-09 09:30:00",
        "9/11/2025 25",
        "9/11/2025 13:00 PM",
    ],
)
def test_what_is_no_timestamp_is_passed_on_and_refused(cell):
    text = cells.as_text(cell, "timestamp", cells.Forms("d/m/y"))
    assert str(cell) in text
    with pytest.raises(convert.ConversionError):
        convert.timestamp(text, SYDNEY)


def test_a_declared_iso_timestamp_may_have_a_t(tmp_path):
    forms = cells.Forms("y-m-d")
    assert cells.as_text("2025-11-09T9:30:00", "timestamp", forms) == "2025-11-09 09:30:00"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (time(9, 30), "09:30:00"),
        (time(9, 30, 0, 250_000), "09:30:00.25"),
        (timedelta(days=1), "24:00:00"),
        (timedelta(hours=26, minutes=30), "26:30:00"),
        (timedelta(), "00:00:00"),
        (0.5, "12:00:00"),
        (1, "24:00:00"),
        (1.5, "36:00:00"),
        (datetime(1900, 1, 1), "24:00:00"),
        (datetime(1900, 1, 1, 2, 30), "26:30:00"),
        (datetime(1900, 1, 31), "744:00:00"),
        ("9:30", "09:30:00"),
        ("09:30:07", "09:30:07"),
        ("24:00:00", "24:00:00"),
        ("100:00:00.5", "100:00:00.5"),
        ("9:30 AM", "09:30:00"),
        ("12:30:00 a.m.", "00:30:00"),
        ("12:30:00 pm", "12:30:00"),
        ("11:59:59 PM", "23:59:59"),
        ("9.30", "09:30:00"),
        ("26.30.15", "26:30:15"),
        (None, ""),
        ("?", None),
    ],
)
def test_h20_a_time_is_a_duration(cell, text):
    """24:00:00 of an all-day event comes out of a spreadsheet as ``1 day, 0:00:00``."""
    assert cells.as_text(cell, "time", cells.Forms("d/m/y")) == text


def test_h20_a_workbook_that_counts_from_1904_has_the_same_times(tmp_path):
    def since_1904(book):
        book.epoch = datetime(1904, 1, 1)

    row = ["1", 1.0, 1.5, 0.25, 40_000]
    formats = {"B2": "h:mm:ss", "C2": "[h]:mm:ss", "D2": "h:mm:ss", "E2": "d/mm/yyyy"}
    head = ["id", "b", "c", "d", "e"]
    workbook(tmp_path, head, row, formats=formats, change=since_1904)
    (found,) = read(files(tmp_path), "t.xlsx", b="time", c="time", d="time", e="date")
    assert list(found.values()) == ["1", "24:00:00", "36:00:00", "06:00:00", "2013-07-07"]
    workbook(tmp_path, head, row, formats=formats)
    (found,) = read(files(tmp_path), "t.xlsx", b="time", c="time", d="time", e="date")
    assert list(found.values()) == ["1", "24:00:00", "36:00:00", "06:00:00", "2009-07-06"]


@given(st.integers(min_value=0, max_value=100 * 86_400 * 1_000))
def test_h20_every_time_comes_back_from_the_part_of_a_day(milliseconds):
    text = cells.as_text(milliseconds / 86_400_000, "time", cells.Forms())
    assert convert.duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "cell",
    [
        930,
        -0.5,
        1e300,
        True,
        datetime(2025, 11, 9, 9, 30),
        date(2025, 11, 9),
        timedelta(hours=-1),
        timedelta(days=500),
        "930",
        "9.75",
        "9.5",
        "13:00 PM",
        "0:30 AM",
        "9:75",
        "soon",
        "9:30:00 Uhr",
    ],
)
def test_what_is_no_time_is_passed_on_and_refused(cell):
    text = cells.as_text(cell, "time", cells.Forms())
    assert str(cell) in text or isinstance(cell, str)
    with pytest.raises(convert.ConversionError):
        convert.duration(text)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (123.0, "123"),
        (123, "123"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (61412345678.0, "61412345678"),
        (123456789012345.0, "123456789012345"),
        (-2.5, "-2.5"),
        ("007", "007"),
        ("n/a", "n/a"),
        (None, ""),
        (cells.Failed.FAILED, None),
    ],
)
@pytest.mark.parametrize("kind", ["text", "number"])
def test_h34_a_number_is_its_digits(kind, cell, text):
    """Ids arrive from a spreadsheet as floats: 17.0 is the id 17."""
    assert cells.as_text(cell, kind, cells.Forms()) == text


def test_h34_ids_that_are_numbers_in_a_sheet_are_the_same_ids(tmp_path):
    made = FileTable(
        "T",
        (StoredField("id", "text"), StoredField("a", "text")),
        [Record(n, 0, {"id": i, "a": i}) for n, i in enumerate(("17", "123456789012345", "0017"))],
    )
    exports.write(made, tmp_path / "t.xlsx", Style(number_ids=True))
    found = read(files(tmp_path), "t.xlsx", a="text")
    assert {row["a"] for row in found} == {"17", "123456789012345", "0017"}
    assert all(row["a"] == row["id"] for row in found)


@pytest.mark.parametrize("value", [datetime(2025, 11, 9), time(9, 30), timedelta(hours=30)])
@pytest.mark.parametrize("kind", ["text", "number"])
def test_h9_a_text_or_number_that_has_become_a_date_stops(kind, value, tmp_path):
    """The type of a field changed overnight: a file tells only by its cells."""
    workbook(tmp_path, ["id", "Type"], ["1", "Scan"], ["2", value])
    with pytest.raises(SourceError) as stopped:
        read(files(tmp_path), "t.xlsx", Type=kind)
    assert str(stopped.value) == (
        "line 3, column Type: a date or time where the mapping expects a text or number\n"
        "  where: channel=exports, file=t.xlsx\n"
        "  state: nothing was written\n"
        "  next:  check in FileMaker whether the field's type was changed;"
        " do not save the file in Excel"
    )
    assert read(files(tmp_path), "t.xlsx")[1] == {"id": "2"}  # an unused column may be anything


def test_h9_a_date_that_has_become_something_else_is_refused_by_its_converter(tmp_path):
    workbook(tmp_path, ["id", "Date"], ["1", "Scan"], ["2", 7])
    for row in read(files(tmp_path), "t.xlsx", Date="date"):
        with pytest.raises(convert.ConversionError, match="not a date"):
            convert.iso_date(row["Date"])


def test_what_could_not_be_computed_is_empty_and_counted(tmp_path):
    def spoil(book):
        for cell, error in (("B2", "#REF!"), ("C2", "#N/A"), ("D3", "#VALUE!"), ("E2", "#DIV/0!")):
            book.active[cell].value, book.active[cell].data_type = error, "e"
        book.active["B3"].data_type = "s"

    workbook(tmp_path, ["id", "a", "b", "c", "unused"], ["1"], ["2", "#REF!", 5], change=spoil)
    source = files(tmp_path)
    wanted = ReadRequest("t.xlsx", "id", {"a": "text", "b": "number", "c": "timestamp"})
    parts = list(source.records(wanted, page=1))
    assert [part.repaired for part in parts] == [2, 1]
    assert parts[0].rows[0] == {"id": "1", "a": "", "b": "", "c": ""}
    assert parts[1].rows[0] == {"id": "2", "a": "#REF!", "b": "5", "c": ""}  # a text that says so
    assert source.usage().repaired == 3
    lines(tmp_path, "id,a,b", "1,?,?")
    (part,) = source.records(ReadRequest("t.csv", "id", {"a": "text", "b": "number"}))
    assert (part.rows[0], part.repaired) == ({"id": "1", "a": "?", "b": ""}, 1)


def test_a_date_beyond_all_dates_is_counted_and_nobody_is_warned(tmp_path):
    """The library's warning would quote the cell into a notebook."""
    workbook(tmp_path, ["id", "d"], ["1", 1e9], formats={"B2": "d/mm/yyyy"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (part,) = files(tmp_path).records(ReadRequest("t.xlsx", "id", {"d": "date"}))
    assert (part.rows[0]["d"], part.repaired) == ("", 1)


@pytest.mark.parametrize("letter", ["x", "😀", "\r"])
def test_a_text_as_long_as_a_cell_can_be_stops_since_it_may_be_cut(letter, tmp_path):
    whole = "x" + letter * (32_766 // (2 if letter == "😀" else 1))
    for text, stops in ((whole[:-1], False), (whole, True)):
        exports.write(table({"a": text}, a="text"), tmp_path / "t.xlsx")
        if not stops:
            assert len(read(files(tmp_path), "t.xlsx", a="text")[0]["a"]) == len(text)
            continue
        with pytest.raises(SourceError) as stopped:
            read(files(tmp_path), "t.xlsx", a="text")
        assert str(stopped.value) == (
            "line 2, column a: a text of 32,767 characters, the most that a cell holds:"
            " it may be cut\n"
            "  where: channel=exports, file=t.xlsx\n"
            "  state: nothing was written\n"
            "  next:  export this table as .csv or .tab, which have no such limit"
        )
    exports.write(table({"a": whole}, a="text"), tmp_path / "t.csv")
    assert len(read(files(tmp_path), "t.csv", a="text")[0]["a"]) == len(whole)


# ------------------------------------------------------------------ rows and keys


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h34_rows_in_which_every_cell_is_empty_are_no_rows(suffix, tmp_path):
    made = table({"a": "x"}, {"a": ""}, a="text")
    made.records.insert(1, Record(9, 0, {}))
    exports.write(made, tmp_path / f"t{suffix}", Style(empty_rows=4))
    source = files(tmp_path)
    assert source.count(f"t{suffix}") == 2
    assert [row["id"] for row in read(source, f"t{suffix}")] == ["R0", "R1"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_row_with_values_and_no_key_stops_and_is_named_by_its_line(suffix, tmp_path):
    made = table(*({"a": SECRET} for _ in range(9)), a="text")
    for record in made.records[2:]:
        record.values["id"] = ("", " ")[record.record_id % 2]
    exports.write(made, tmp_path / f"t{suffix}")
    source = files(tmp_path)
    assert source.count(f"t{suffix}") == 9
    with pytest.raises(SourceError) as stopped:
        read(source, f"t{suffix}")
    assert str(stopped.value) == (
        "7 rows have values but no key: lines 4, 5, 6, 7, 8 and 2 more\n"
        f"  where: channel=exports, file=t{suffix}\n"
        "  state: nothing was written\n"
        "  next:  fix the records in FileMaker, and export the table again"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keys_that_come_twice_stop_and_are_named_by_their_lines(suffix, tmp_path):
    made = table(*({} for _ in range(4)))
    made.records[2].values["id"] = "r0"
    made.records[3].values["id"] = " R1"
    exports.write(made, tmp_path / f"t{suffix}")
    with pytest.raises(
        SourceError, match="2 rows have the key of an earlier row: lines 4, 5\n"
    ) as e:
        read(files(tmp_path), f"t{suffix}")
    assert "R1" not in str(e.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("page", [1, 2, 7, 56, 57, 58, 1000])
def test_every_size_of_page_gives_the_same_rows_in_the_order_of_the_key(suffix, page, tmp_path):
    exports.write(contacts(), tmp_path / f"t{suffix}")
    source: Source = files(tmp_path)
    parts = list(source.records(ReadRequest(f"t{suffix}", "id", {"nameLast": "text"}), page=page))
    assert [part.offset for part in parts] == list(range(1, 58, page))
    assert max(len(part.rows) for part in parts) == min(page, 57)
    keys = [row["id"] for part in parts for row in part.rows]
    assert keys == sorted(record.values["id"] for record in contacts().records)
    assert set(parts[0].rows[0]) == {"id", "nameLast"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_records_is_read_as_such(suffix, tmp_path):
    exports.write(empty(), tmp_path / f"t{suffix}")
    source = files(tmp_path)
    assert source.count(f"t{suffix}") == 0
    assert list(source.records(ReadRequest(f"t{suffix}", "_kp_ReplyID", {}))) == []
    assert source.newest(f"t{suffix}", "Timestamp") == ""


# ------------------------------------------------------------------ the source as such


def test_it_knows_what_it_is_and_what_is_in_the_folder(tmp_path):
    exports.write(contacts(), tmp_path / "C.xlsx")
    exports.write(events(), tmp_path / "E.tab")
    for name in ("E.xls", "readme.txt", ".DS_Store"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.csv").mkdir()
    with files(tmp_path) as source:
        assert (source.channel, source.product()) == ("exports", Product("Exported files", ""))
        assert source.tables() == ("C.xlsx", "E.tab")
        assert source.newest("C.xlsx", "modificationTimestamp") == "2025-11-28 09:30:55"
        os.utime(tmp_path / "C.xlsx", (1_700_000_000, 1_700_000_000))
    with files(tmp_path) as source:
        origin = source.origin("C.xlsx")
        content = (tmp_path / "C.xlsx").read_bytes()
        assert (origin.name, origin.size) == ("C.xlsx", len(content))
        assert origin.sha256 == hashlib.sha256(content).hexdigest()
        assert origin.modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
        read(source, "C.xlsx"), read(source, "C.xlsx"), source.count("C.xlsx")
        assert source.usage().bytes_read == len(content)
        assert source.usage().requests == 0


def test_a_file_is_parsed_once_for_all_questions(tmp_path, monkeypatch):
    exports.write(contacts(), tmp_path / "C.csv")
    parsed = []
    real = grid.read
    monkeypatch.setattr(grid, "read", lambda *a, **k: parsed.append(1) or real(*a, **k))
    source = files(tmp_path)
    source.fields("C.csv"), source.count("C.csv"), source.origin("C.csv")
    assert len(read(source, "C.csv")) == source.count("C.csv") == 57
    assert len(parsed) == 1
    assert len(read(source, "C.csv")) == 57  # the rows were let go of, so they are read again
    assert len(parsed) == 2


def test_the_case_of_a_suffix_does_not_matter(tmp_path):
    lines(tmp_path, "id", "1", name="T.CSV")
    exports.write(contacts(), tmp_path / "c.xlsx")
    (tmp_path / "c.xlsx").rename(tmp_path / "C.XLSX")
    source = files(tmp_path)
    assert [(name, source.count(name)) for name in source.tables()] == [
        ("C.XLSX", 57),
        ("T.CSV", 1),
    ]


def test_several_threads_may_read_at_a_time(tmp_path):
    for number in range(4):
        exports.write(contacts(), tmp_path / f"{number}.xlsx")
    source = files(tmp_path)
    start = threading.Barrier(8)

    def all_of(number):
        start.wait()
        return read(source, f"{number % 4}.xlsx", nameLast="text", page=5)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(all_of, range(8)))
    assert all(rows == found[0] for rows in found)
    assert len(found[0]) == 57
    assert source.usage().bytes_read == sum(p.stat().st_size for p in tmp_path.iterdir())


def test_a_file_that_changes_while_it_is_read_stops(tmp_path):
    exports.write(contacts(), tmp_path / "C.csv")
    source = files(tmp_path)
    pages = source.records(ReadRequest("C.csv", "id", {}), page=50)
    next(pages)
    with (tmp_path / "C.csv").open("ab") as out:
        out.write(b"more")
    with pytest.raises(SourceError) as stopped:
        list(pages)
    assert str(stopped.value) == (
        "C.csv was changed after it was first read\n"
        "  where: channel=exports, file=C.csv\n"
        "  state: nothing was written\n"
        "  next:  run again once the exports are complete and nobody writes to them"
    )
    for ask in (source.count, source.fields, source.origin):
        with pytest.raises(SourceError, match="was changed"):
            ask("C.csv")


def test_a_file_that_goes_while_it_is_read_stops(tmp_path):
    lines(tmp_path, "id", "1")
    source = files(tmp_path)
    assert source.count("t.csv") == 1
    (tmp_path / "t.csv").unlink()
    with pytest.raises(SourceError, match="the file cannot be read: No such file"):
        source.count("t.csv")


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    lines(tmp_path, "id", "1", name="out.csv")
    (folder / "link.csv").symlink_to(tmp_path / "out.csv")
    for name in ("../out.csv", str(tmp_path / "out.csv"), "link.csv", "../../etc/passwd"):
        with pytest.raises(SettingsError, match="leads out of the exports folder"):
            files(folder).count(name)


def test_a_folder_that_does_not_exist_is_one_error(tmp_path):
    with pytest.raises(SettingsError, match="the folder of the exported files does not exist"):
        files(tmp_path / "nowhere").count("t.csv")


def test_a_file_that_is_missing_names_its_nearest(tmp_path):
    for name in ("Contacts.xlsx", "Coms.xlsx"):
        exports.write(contacts(), tmp_path / name)
    with pytest.raises(SourceError) as stopped:
        files(tmp_path).fields("contacts.xlsx")
    assert str(stopped.value) == (
        "there is no file contacts.xlsx; nearest: Contacts.xlsx, Coms.xlsx\n"
        f"  where: channel=exports, file=contacts.xlsx, folder={tmp_path}\n"
        "  state: nothing was written\n"
        "  next:  export it into the folder, or name the file under [filemaker.tables]"
    )


def test_a_kind_of_file_that_cannot_be_read_is_one_error(tmp_path):
    for name in ("t.xls", "t.txt", "t"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(SettingsError, match="cannot be read") as stopped:
            files(tmp_path).count(name)
        assert "export the table as one of .xlsx, .csv, .tab" in str(stopped.value)
    with pytest.raises(SettingsError, match="an old Excel file"):
        files(tmp_path).count("t.xls")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_one_error(suffix, tmp_path):
    (tmp_path / f"t{suffix}").touch()
    with pytest.raises(SourceError, match="the file is empty"):
        files(tmp_path).count(f"t{suffix}")
    if suffix != ".xlsx":
        (tmp_path / f"t{suffix}").write_bytes(b"\r\n\r\n")
    else:
        workbook(tmp_path)
    with pytest.raises(SourceError, match="the file holds no data"):
        files(tmp_path).count(f"t{suffix}")


OLE2 = bytes.fromhex("D0CF11E0A1B11AE1")


def _cut(content):
    return content[: len(content) // 2]


def _spoilt(content):
    """The workbook with another text in the place of its first sheet."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            sheet = name.startswith("xl/worksheets/")
            new.writestr(name, b"<worksheet><Quillfeather" if sheet else old.read(name))
    return out.getvalue()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda _: OLE2 + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "has a password"),
        (lambda _: OLE2 + b"\0" * 600 + "Workbook".encode("utf-16-le"), "an old Excel file"),
        (lambda _: b"id,name\r\n1,Quillfeather", "is named .xlsx, but it is not an Excel workbook"),
        (_cut, "the workbook is damaged or incomplete"),
        (_spoilt, "the workbook is damaged or incomplete"),
        (lambda _: b"PK\x03\x04 and nothing more", "the workbook is damaged"),
    ],
)
def test_what_is_no_workbook_is_one_error(spoil, what, tmp_path):
    exports.write(contacts(), tmp_path / "t.xlsx")
    (tmp_path / "t.xlsx").write_bytes(spoil((tmp_path / "t.xlsx").read_bytes()))
    with pytest.raises(SourceError, match=what) as stopped:
        files(tmp_path).count("t.xlsx")
    assert "file=t.xlsx" in str(stopped.value)
    assert "next:" in str(stopped.value)
    assert SECRET not in str(stopped.value)
    assert stopped.value.__suppress_context__ or stopped.value.__context__ is None


def test_a_cell_that_the_library_cannot_read_is_not_quoted(tmp_path):
    row = '<row r="1"><c r="A1" t="str"><v>id</v></c></row>'
    row += f'<row r="2"><c r="A2" t="n"><v>{SECRET}</v></c></row>'
    raw_workbook(tmp_path, row)
    with pytest.raises(SourceError) as stopped:
        files(tmp_path).count("t.xlsx")
    assert SECRET not in str(stopped.value)
    assert str(stopped.value).startswith("the workbook is damaged")


def test_data_may_be_on_the_first_visible_sheet_alone(tmp_path):
    rows = (["id"], ["1"])
    workbook(tmp_path, *rows, more={"empty": []})
    assert files(tmp_path).count("t.xlsx") == 1
    workbook(tmp_path, *rows, more={"b": [["x"]], "c": [["y"]], "d": []})
    with pytest.raises(SourceError, match="3 of 4 sheets hold data; only the first may"):
        files(tmp_path).count("t.xlsx")
    workbook(tmp_path, more={"b": [["id"], ["1"]]})
    with pytest.raises(SourceError, match="1 of 2 sheets hold data; only the first may"):
        files(tmp_path).count("t.xlsx")


def test_a_hidden_sheet_is_not_the_first(tmp_path):
    def hide(book):
        book.worksheets[0].sheet_state = "hidden"

    workbook(tmp_path, more={"seen": [["id"], ["7"]]}, change=hide)
    assert read(files(tmp_path), "t.xlsx") == [{"id": "7"}]


def test_no_message_of_the_text_formats_leaves_a_trace_of_the_values():
    with pytest.raises(SourceError) as stopped:
        delimited.decoded(SECRET.encode() + b"\xff", "utf-8", "here")
    assert stopped.value.__context__ is None
