"""Exported files of every kind, made by hand, and read."""

from __future__ import annotations

import io
import zipfile

from openpyxl import Workbook

from nexus_reimport.filemaker import ReadRequest
from nexus_reimport.filemaker.exports import ExportedFiles, Known
from nexus_reimport.settings import Exports
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import FileTable, Record


def _strict(content):
    """The workbook with the namespaces of ISO/IEC 29500 Strict, as Excel saves it on request."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            for family in ("spreadsheetml", "officeDocument", "drawingml"):
                known = f"http://schemas.openxmlformats.org/{family}/2006/".encode()
                body = body.replace(known, f"http://purl.oclc.org/ooxml/{family}/".encode())
            new.writestr(name, body)
    return out.getvalue()


SUFFIXES = (".xlsx", ".csv", ".mer", ".tab")


SECRET = "Quillfeather"  # a value of a record: no message may hold it


def files(folder, dates="d/m/y", encoding="utf-8", headers=None):
    known = {name: Known(columns) for name, columns in (headers or {}).items()}
    return ExportedFiles(Exports(folder=folder, dates=dates, encoding=encoding), known)


def read(source, table, key="id", page=1000, **types):
    """Every row of ``table``."""
    wanted = ReadRequest(table, key, {key: "text", **types})
    return [row for part in source.records(wanted, page=page) for row in part.rows]


def lines(folder, *rows, name="t.csv", end="\r\n"):
    """A file of text whose lines are ``rows``."""
    (folder / name).write_bytes("".join(row + end for row in rows).encode())
    return name


def workbook(folder, *rows, name="t.xlsx", formats=None, more=None, change=None):
    """A workbook whose lines are ``rows``; ``formats`` are of cells, as ``{"B2": "0.00"}``."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for cell, number_format in (formats or {}).items():
        book.active[cell].number_format = number_format
    for title, content in (more or {}).items():
        sheet = book.create_sheet(title)
        for row in content:
            sheet.append(row)
    if change:
        change(book)
    book.save(folder / name)
    return name


def raw_workbook(folder, sheet, shared=(), dimension=""):
    """A workbook of XML as other programs write it: texts in a table of their own."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    base = "http://schemas.openxmlformats.org"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{base}/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/s.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/t.xml" ContentType="{kind}.sharedStrings+xml"/></Types>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{base}/officeDocument/2006/relationships">'
        '<sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{base}/package/2006/relationships">'
        f'<Relationship Id="r1" Target="s.xml" Type="{base}/officeDocument/2006/relationships/'
        'worksheet"/></Relationships>',
        "xl/s.xml": f"<worksheet {main}>{dimension}<sheetData>{sheet}</sheetData></worksheet>",
        "xl/t.xml": f"<sst {main}>{''.join(f'<si>{text}</si>' for text in shared)}</sst>",
    }
    with zipfile.ZipFile(folder / "t.xlsx", "w") as archive:
        for path, content in parts.items():
            archive.writestr(path, content)


def table(*records, **types):
    """A table of FileMaker with text ids from 1, and ``records`` of the fields ``types``."""
    fields = [StoredField("id", "text"), *(StoredField(n, t) for n, t in types.items())]
    made = [
        Record(number, 0, {"id": f"R{number}", **record}) for number, record in enumerate(records)
    ]
    return FileTable("T", tuple(fields), made)
