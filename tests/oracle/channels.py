"""By which channel each table is read, chosen at random; and what arrives of FileMaker's values.

A value arrives by each channel as FileMaker holds it, docs/mapping.md says, but for words in a
number field. A file that somebody exports has no tabs in its values where tabs are between them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import PLAIN, Style
from nexus_sandbox.filemaker.file import FileTable
from oracle.seen import SOURCES, Row
from support.channels import read_by
from support.clinic import Clinic

_CHANNELS = ("data_api", "odata", "exports")
_SUFFIXES = (".xlsx", ".mer", ".csv", ".tab")
_HALF = re.compile("[\ud800-\udfff]")  # of a character
_ENCODINGS = {"utf-8": "utf-8", "utf-16-le": "utf-16"}
_OF_A_BYTE = {"mac_roman": "macroman", "cp1252": "windows-1252"}


@dataclass(frozen=True, slots=True)
class Way:
    """How one source is read: from a server, or from a file of this name and style."""

    channel: str
    file: str = ""
    style: Style = PLAIN

    @property
    def suffix(self) -> str:
        """What the file's name ends with."""
        return self.file.removeprefix(self.file.partition(".")[0])


Ways = Mapping[str, Way]  # by source


def choose(random: Random) -> Ways:
    """One channel for all sources, or another one for each."""
    of_all = random.choice((*_CHANNELS, ""))
    return {source: _way(random, source, of_all or random.choice(_CHANNELS)) for source in SOURCES}


def _way(random: Random, source: str, channel: str) -> Way:
    if channel != "exports":
        return Way(channel)
    suffix = random.choice((".xlsx", *_SUFFIXES))
    encoding = random.choice((*_ENCODINGS, *_ENCODINGS, *_OF_A_BYTE))
    style = Style(
        headers=suffix in (".xlsx", ".mer") or random.random() < 0.5,
        dates=random.choice(("d/m/y", "m/d/y", "y-m-d")),
        encoding=encoding,
        mark=encoding in _ENCODINGS,
        line_end=random.choice(("\r", "\n", "\r\n")),
        separator=random.choice(",;") if suffix == ".mer" else ",",
        text_dates=random.random() < 0.3,
        number_ids=random.random() < 0.3,
        empty_rows=random.choice((0, 2)),
        paragraph=random.choice(("\n", "_x000D_\n", "_x000D_")),
    )
    return Way(channel, f"{source}{suffix}", style)


def read(clinic: Clinic, ways: Ways, name: str) -> None:
    """Write the files that are exported, and let an environment read each source in its way."""
    folder = clinic.folder.parent / "exported"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    clinic.simulator.only_odata = ()
    files = {source: way for source, way in ways.items() if way.file}
    more = [f'[filemaker.exports]\nfolder = "{folder}"'] if files else []
    for source, way in files.items():
        table = clinic.simulator.tables[SOURCES[source]["table"]]
        written = table if way.suffix == ".xlsx" else _encodable(table, way)
        exports.write(written, folder / way.file, way.style)
        more += [
            f'[filemaker.exports.files."{way.file}"]',
            f'encoding = "{(_ENCODINGS | _OF_A_BYTE)[way.style.encoding]}"',
            f'separator = "{way.style.separator}"',
            f'dates = "{way.style.dates}"',
        ]
        if not way.style.headers:
            names = ", ".join(f'"{field.name}"' for field in table.fields)
            more.append(f"columns = [{names}]")
    channels = ", ".join(f'{source} = "{way.channel}"' for source, way in ways.items())
    tables = ", ".join(f'{source} = "{way.file}"' for source, way in files.items())
    read_by(clinic, f"channels = {{ {channels} }}\ntables = {{ {tables} }}", "\n".join(more), name)


def _encodable(table: FileTable, way: Way) -> FileTable:
    """The table without what the encoding of a text file lacks, as halves of characters."""
    written = copy.deepcopy(table)
    for record in written.records:
        record.values = {
            name: _encoded(value, way) if isinstance(value, str) else value
            for name, value in record.values.items()
        }
    return written


def _encoded(text: str, way: Way) -> str:
    encoding = way.style.encoding
    text = _HALF.sub("\ufffd", text)
    return text.encode(encoding, "replace").decode(encoding) if encoding in _OF_A_BYTE else text


def arrived(tables: Mapping[str, FileTable], ways: Ways) -> dict[str, list[Row]]:
    """Table -> its records, as they arrive."""
    rows = {}
    for source, way in ways.items():
        table = tables[SOURCES[source]["table"]]
        numbers = {field.name for field in table.fields if field.type == "number"}
        rows[table.name] = [
            {
                name: _value(way, value, is_number=name in numbers)
                for name, value in record.values.items()
            }
            for record in table.records
        ]
    return rows


def _value(way: Way, value: Any, *, is_number: bool) -> Any:
    if not isinstance(value, str):
        # A number in a spreadsheet has no more digits.
        is_long = way.suffix == ".xlsx" and abs(value or 0) >= 10**15
        return float(f"{value:.16g}") if is_long else value
    if way.suffix and way.suffix != ".xlsx":
        value = _encoded(value, way)
    if way.suffix == ".tab":
        return value.replace("\t", " ")
    if is_number and way.channel == "odata":
        return _number_in(value)
    return "" if is_number and way.channel == "exports" else value


def _number_in(text: str) -> Any:
    """The number that FileMaker finds in the words of a number field."""
    number = "".join(re.findall(r"[\d.]+", text))
    return float(number) if number else ""
