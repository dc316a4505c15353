"""A workbook as other programs save it: the same cells, written in other ways.

Excel keeps each text once, in a table of its own, and a text with several fonts as runs.
LibreOffice writes styled lines below, and styled cells beside, what is filled.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

_INLINE = re.compile(r'<c ([^>]*?)t="inlineStr"><is><t[^>]*>(.*?)</t></is></c>', re.DOTALL)
_SHARED = (
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml",
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings",
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
Change = Callable[[str, str], str]  # the name of a part, its text -> its text


def as_excel(content: bytes, *, in_runs: bool = False) -> bytes:
    """Each text in the table of shared strings; ``in_runs``: its letters in two fonts."""
    texts: list[str] = []

    def shared(name: str, part: str) -> str:
        if name.startswith("xl/worksheets/sheet"):
            part = _INLINE.sub(put, part)
        elif name == "[Content_Types].xml":
            one = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_SHARED[0]}"/>'
            part = part.replace("</Types>", f"{one}</Types>")
        elif name == "xl/_rels/workbook.xml.rels":
            one = f'<Relationship Id="rIdS" Type="{_SHARED[1]}" Target="sharedStrings.xml"/>'
            part = part.replace("</Relationships>", f"{one}</Relationships>")
        return part

    def put(found: re.Match[str]) -> str:
        texts.append(found[2])
        return f'<c {found[1]}t="s"><v>{len(texts) - 1}</v></c>'

    changed = rewritten(content, shared)
    items = "".join(f"<si>{_runs(text) if in_runs else _text(text)}</si>" for text in texts)
    return with_part(changed, "xl/sharedStrings.xml", f'<sst xmlns="{_MAIN}">{items}</sst>')


def _text(text: str) -> str:
    return f'<t xml:space="preserve">{text}</t>'


def _runs(text: str) -> str:
    """A text as two runs, where none of its escapes is cut."""
    first, rest = (text[:1], text[1:]) if "&" not in text else ("", text)
    bold = f"<r><rPr><b/></rPr>{_text(first)}</r>" if first else ""
    return f"{bold}<r>{_text(rest)}</r>"


def as_libreoffice(content: bytes) -> bytes:
    """With styled lines below and a styled cell beside what is filled, and no size of a sheet."""

    def padded(name: str, part: str) -> str:
        if not name.startswith("xl/worksheets/sheet"):
            return part
        part = re.sub(r'<dimension ref="[^"]*" ?/>', "", part)
        part = part.replace("</c></row>", '</c><c r="AZ1" s="0"/></row>')
        empty = "".join(
            f'<row r="{n}" customFormat="1" ht="12.8"><c r="A{n}" s="0"/><c r="F{n}" s="0"/></row>'
            for n in range(900, 960)
        )
        return part.replace("</sheetData>", f"{empty}</sheetData>")

    return rewritten(content, padded)


def since_1904(content: bytes) -> bytes:
    """With days counted from 1904, as Excel for the Macintosh did: four years and a day later."""

    def moved(name: str, part: str) -> str:
        if name == "xl/workbook.xml":
            return part.replace("<workbookPr ", '<workbookPr date1904="1" ')
        days = re.compile(r'(<c [^>]*t="n"[^>]*><v>)([0-9.]+)(</v>)')
        return days.sub(lambda m: f"{m[1]}{float(m[2]) - 1462}{m[3]}", part)

    return rewritten(content, moved)


def rewritten(content: bytes, change: Change) -> bytes:
    """The same archive with each XML part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.endswith((".xml", ".rels")):
                part = change(name, part.decode()).encode()
            new.writestr(name, part)
    return out.getvalue()


def with_part(content: bytes, name: str, text: str) -> bytes:
    """The same archive with one part more."""
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, text)
    return out.getvalue()
