"""What kind a file is, whatever its name: by its first bytes, or by what an archive holds."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

WORKBOOK = "an Excel workbook (.xlsx)"
LOCKED = "a workbook with a password"
_SIGNS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a compressed file (gzip)"),
    (b"7z\xbc\xaf", "a compressed file (7z)"),
    (b"Rar!", "a compressed file (RAR)"),
    (b"SQLite format 3", "a SQLite database"),
)
# The first match counts: every Office file also holds [Content_Types].xml.
_IN_ARCHIVES = (
    ("xl/workbook.bin", "a binary Excel workbook (.xlsb)"),
    ("word/document.xml", "a Word document"),
    ("[Content_Types].xml", WORKBOOK),
    ("Index/Document.iwa", "a Numbers document"),
    ("Index.zip", "a Numbers document"),
    ("content.xml", "an OpenDocument spreadsheet (.ods)"),
)
# The first match counts: an Excel 2003 or FileMaker XML file also begins with <?xml.
_MARKUP = (
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<table", "a web page (HTML)"),
    (b"<fmpxmlresult", "a FileMaker XML export"),
    (b"urn:schemas-microsoft-com:office:spreadsheet", "an Excel 2003 XML file"),
    (b"<?xml", "an XML file"),
)
# A workbook with a password is an OLE file, as an .xls is, with this stream (MS-OFFCRYPTO).
_FILEMAKER_SIGN, _ENCRYPTED = b"HBAM", "EncryptedPackage".encode("utf-16-le")
SUFFIXES = {
    ".xls": "an old Excel file: export the table as .xlsx",
    ".xlsm": "a workbook with macros: export the table as .xlsx",
    ".xlsb": "a binary Excel workbook: export the table as .xlsx",
    ".fmp12": "a FileMaker file: export each table of it as .xlsx or .mer",
    ".numbers": "a Numbers document: export the table from FileMaker as .xlsx",
    ".ods": "an OpenDocument spreadsheet: export the table from FileMaker as .xlsx",
    ".zip": "an archive: unpack it into the exports folder",
    ".htm": "a web page: export the table as .xlsx or .mer",
    ".html": "a web page: export the table as .xlsx or .mer",
    ".xml": "an XML file: export the table as .xlsx or .mer",
    ".txt": "a text file of unknown kind: export the table as .xlsx or .mer",
    ".tsv": "a tab-separated file: rename it to .tab",
}
"""Frequent suffixes that cannot be read: what such a file is, and what to do about it."""


_HEAD = 1 << 16  # bytes


def of_file(path: Path) -> str:
    """What a file is; ``""`` for plain text, and for anything unknown."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        # All of it only if it is no text anyway: of a workbook the end shows what it is.
        return of(head + file.read()) if of(head) else ""


def of(content: bytes) -> str:
    """What ``content`` is; ``""`` for plain text, and for anything unknown."""
    if content.startswith(b"PK\x03\x04"):
        return _archive(content)
    for sign, kind in _SIGNS:
        if content.startswith(sign):
            return LOCKED if _ENCRYPTED in content else kind
    if _FILEMAKER_SIGN in content[:32]:
        return "a FileMaker file"
    head = content[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<"):
        return next((kind for sign, kind in _MARKUP if sign in head), "a markup file")
    return ""


def _archive(content: bytes) -> str:
    """What an archive holds. One that cannot be opened counts as a workbook, which it is named."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return WORKBOOK
    return next((kind for name, kind in _IN_ARCHIVES if name in names), "a ZIP archive")
