"""Columns, lines and rows of exported files: headers, encodings, ends of lines, keys."""

from __future__ import annotations

import codecs
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.filemaker import Field, ReadRequest, Remark, Source
from nexus_reimport.filemaker.exports.cells import CUT
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.file import Record
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
from support.odd_exports import separated
from support.small_filemaker import contacts, empty

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


def test_a_line_that_is_not_as_wide_as_the_headers_stops_with_its_number(tmp_path):
    for row, held in ((f"1,{SECRET},3", "3 values"), ("1", "1 value")):
        for name, separator in (("t.csv", ","), ("t.tab", "\t")):
            lines(tmp_path, *(x.replace(",", separator) for x in ("id,a", "0,0", row)), name=name)
            with pytest.raises(SourceError) as stopped:
                files(tmp_path).count(name)
            what = f"line 3 holds {held}, but there are 2 columns"
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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tab", "id\ta\r2\ty\r1\tx"),
        ("t.csv", 'id,a\r\n2,y\r\n1,"x"'),
        ("t.mer", 'id,a\n2,"y"\n1,x'),
    ],
)
def test_the_last_record_needs_no_end_and_its_last_value_is_told_as_one_that_may_be_cut(
    name, content, tmp_path
):
    wanted = ReadRequest(name, "id", {"id": "text", "a": "text"})
    for encoding in ("utf-8", "utf-16"):
        for end, remarks in (("", (Remark(0, "a", CUT),)), (content[4], ()), ("\r\n\r\n", ())):
            (tmp_path / name).write_bytes((content + end).encode(encoding))
            (part,) = files(tmp_path, encoding=encoding).records(wanted)
            assert [row["a"] for row in part.rows] == ["x", "y"]
            assert part.remarks == remarks


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


# ------------------------------------------------------------------ rows and keys


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h34_rows_in_which_every_cell_is_empty_are_no_rows(suffix, tmp_path):
    made = table({"a": "x"}, {"a": ""}, a="text")
    made.records.insert(1, Record(9, 0, {}))
    exports.write(made, tmp_path / f"t{suffix}", Style(empty_rows=4))
    source = files(tmp_path)
    assert source.count(f"t{suffix}") == 2
    assert [row["id"] for row in read(source, f"t{suffix}")] == ["R0", "R1"]


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h34_a_row_in_which_nobody_sees_anything_is_no_row(suffix, blank, tmp_path):
    """Somebody has pressed the space bar, beyond the columns of a sheet as well."""
    beyond = [blank] if suffix == ".xlsx" else []
    rows = (("id", "a"), ("1", "x"), (blank, ""), ("", blank), ("2", "y", *beyond))
    source = files(tmp_path)
    name = separated(tmp_path, rows, suffix)
    assert source.count(name) == 2
    assert [row["a"] for row in read(source, name, a="text")] == ["x", "y"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_row_with_values_and_no_key_stops_and_is_named_by_its_line(suffix, tmp_path):
    made = table(*({"a": SECRET} for _ in range(30)), a="text")
    for record in made.records[2:9]:
        record.values["id"] = ("", " ")[record.record_id % 2]
    exports.write(made, tmp_path / f"t{suffix}")
    source = files(tmp_path)
    assert source.count(f"t{suffix}") == 30
    with pytest.raises(SourceError) as stopped:
        read(source, f"t{suffix}")
    assert str(stopped.value) == (
        "7 rows have values but no key, in lines 4, 5, 6, 7, 8 and 2 more\n"
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
        SourceError, match="2 rows have the key of an earlier row, in lines 4, 5\n"
    ) as e:
        read(files(tmp_path), f"t{suffix}")
    assert "R1" not in str(e.value)


@pytest.mark.parametrize(("of", "is_the_file"), [(4, True), (40, False)])
def test_where_many_keys_are_wrong_the_file_is_looked_at_before_filemaker(
    of, is_the_file, tmp_path
):
    """As where two exports are in one file, or its columns are not in the order that is given."""
    rows = [f"R{number}" for number in range(of)]
    lines(tmp_path, "id", *rows, "R1", "R2", "R3")
    with pytest.raises(SourceError, match="3 rows have the key of an earlier row") as stopped:
        read(files(tmp_path), "t.csv")
    assert ("whether the file holds two exports" in str(stopped.value)) is is_the_file


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
