"""Exported files, with everything that has cost rows in real ones."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import convert, mapping
from nexus_reimport.errors import MappingError, SettingsError, SourceError
from nexus_reimport.filemaker import Product, ReadRequest
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.exports import encoded, grid
from nexus_reimport.files import rowfile
from nexus_reimport.settings import Exports, FileMaker
from nexus_reimport.stages import snapshot
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.simulator import Simulator
from support.exported_files import (
    SECRET,
    SUFFIXES,
    files,
    lines,
    raw_workbook,
    read,
    workbook,
)
from support.small_filemaker import PASSWORD, contacts, events

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


@pytest.mark.parametrize("suffix", [".csv", ".tab"])
@pytest.mark.parametrize(
    "rewritten",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"R9", b"\xff\xfe"),
        lambda content: content.replace(b"R9", b'R"9'),
        lambda content: b"x\r\n" + content,
        lambda content: content.replace(b"note", b"note9"),
    ],
    ids=["cut", "other bytes", "other quotes", "a line more", "other columns"],
)
def test_a_file_that_is_written_anew_while_it_is_read_stops_in_its_own_words(
    rewritten, suffix, tmp_path
):
    sign = {".csv": ",", ".tab": "\t"}[suffix]
    rows = [f"R{number}{sign}{SECRET} {number}" for number in range(40)]
    name = lines(tmp_path, f"id{sign}note", *rows, name=f"t{suffix}")
    source = files(tmp_path)
    pages = source.records(ReadRequest(name, "id", {"id": "text", "note": "text"}), page=5)
    next(pages)
    (tmp_path / name).write_bytes(rewritten((tmp_path / name).read_bytes()))
    with pytest.raises(SourceError, match=f"{name} was changed after it was first read") as stopped:
        list(pages)
    assert SECRET not in str(stopped.value)
    assert stopped.value.__context__ is None


@pytest.mark.parametrize("suffix", [".csv", ".tab"])
def test_of_a_text_file_only_keys_and_places_are_in_memory(suffix, tmp_path):
    sign, words = {".csv": ",", ".tab": "\t"}[suffix], "lorem ipsum " * 250
    rows = [
        f"R{(number * 7) % 5000:04}{sign}{number % 28 + 1}/1/2020{sign}{words}"
        for number in range(5000)
    ]
    name = lines(tmp_path, f"id{sign}day{sign}note", *rows, name=f"t{suffix}")
    source, keys = files(tmp_path), []
    request = ReadRequest(name, "id", {"id": "text", "day": "date", "note": "text"})
    tracemalloc.start()
    for part in source.records(request, page=100):
        keys += [row["id"] for row in part.rows]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert keys == sorted(keys)
    assert len(keys) == 5000
    assert peak < (tmp_path / name).stat().st_size / 2


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
        "there is no file contacts.xlsx; nearest: Contacts.xlsx\n"
        f"  where: channel=exports, file=contacts.xlsx, folder={tmp_path}\n"
        "  state: nothing was written\n"
        "  next:  export it into the folder, or name the file under [filemaker.tables]"
    )


def test_a_kind_of_file_that_cannot_be_read_is_one_error(tmp_path):
    for name in ("t.xls", "t.txt", "t"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(SettingsError, match="cannot be read") as stopped:
            files(tmp_path).count(name)
        assert "export the table as one of .xlsx, .csv, .mer, .tab" in str(stopped.value)
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


def test_no_message_of_the_text_formats_leaves_a_trace_of_the_values(tmp_path):
    (tmp_path / "t.csv").write_bytes(SECRET.encode() + b"\xff")
    with pytest.raises(SourceError) as stopped:
        encoded.opened(tmp_path / "t.csv", "utf-8", "here")
    assert stopped.value.__context__ is None
