"""A made-up FileMaker file on disk: one JSON file per table, as the simulator serves it.

Values are canonical, one form per type, whatever a channel makes of them later:

    text        str, ``\\r`` between paragraphs
    number      int or float; a str where FileMaker's number field holds something else
    date        "YYYY-MM-DD"
    time        "HH:MM:SS", a duration: 24:00:00 and more are allowed
    timestamp   "YYYY-MM-DD HH:MM:SS", wall clock, no zone
    container   a file name
    empty       "" for every type

The second repetition of a field ``Face`` is the value of the name ``Face(2)``. A name that a
record does not hold is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from nexus_reimport.errors import SandboxError

_END = "]}"  # the last line of a table's file


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a layout. ``type`` is one of the six of this module's docstring.

    ``shows`` is the last repetition that the layout shows; 0 is all of them.
    """

    name: str
    type: str
    is_global: bool = False
    is_calculation: bool = False
    repetitions: int = 1
    auto_enter: bool = False
    is_summary: bool = False
    shows: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its values in a record: one per repetition."""
        more = (f"{self.name}({number})" for number in range(2, self.repetitions + 1))
        return (self.name, *more)

    @property
    def shown(self) -> tuple[str, ...]:
        """Those of ``names`` that the layout shows; the Data API has no others."""
        return self.names[: self.shows or None]


@dataclass(slots=True)
class Record:
    """One record: FileMaker's own ids, and its values by name."""

    record_id: int
    mod_id: int
    values: dict[str, object]


@dataclass(slots=True)
class FileTable:
    """A layout and the records behind it, in the order of creation."""

    name: str
    fields: tuple[Field, ...]
    records: list[Record]

    @property
    def value_names(self) -> tuple[str, ...]:
        """Every name that a record may hold a value for, in the order of the layout."""
        return tuple(name for field in self.fields for name in field.names)


def save(tables: Iterable[FileTable], folder: Path) -> None:
    """Write each table to ``folder``; a table of the same name that is there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        # A table's name can hold what a file's cannot, such as a slash.
        path = folder / f"{quote(table.name, safe=' @')}.json"
        path.write_text("\n".join(_lines(table)), encoding="utf-8")


def load(folder: Path) -> list[FileTable]:
    """The tables that ``save`` wrote, in the order of their names.

    Raises:
        SandboxError: there is none, or a file is not one of ours.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise SandboxError(
            "the folder has no FileMaker tables",
            where=str(folder),
            next="start the sandbox again: it writes them",
        )
    return [_read(path) for path in paths]


def _lines(table: FileTable) -> Iterator[str]:
    """One JSON document, with a line per record so that two files can be compared by eye."""
    names = table.value_names
    known = set(names)
    head = {"name": table.name, "fields": [asdict(field) for field in table.fields]}
    yield json.dumps(head)[:-1] + ', "records": ['
    for number, record in enumerate(table.records, 1):
        if not record.values.keys() <= known:
            odd = ", ".join(sorted(record.values.keys() - known))
            raise SandboxError(
                f"{table.name}: a record has unknown fields: {odd}",
                next="add them to the table's fields, or leave them out of the record",
            )
        row = [record.record_id, record.mod_id, *(record.values.get(name, "") for name in names)]
        yield json.dumps(row, ensure_ascii=False) + ("," if number < len(table.records) else "")
    yield _END


def _read(path: Path) -> FileTable:
    """The table of a file, line by line, so that a large one is not held twice."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            content = json.loads(next(lines) + _END)
            fields = tuple(Field(**field) for field in content["fields"])
            table = FileTable(content["name"], fields, [])
            names = table.value_names
            for line in lines:
                if line != _END:
                    record_id, mod_id, *values = json.loads(line.rstrip(",\n"))
                    given = zip(names, values, strict=True)
                    held = {name: value for name, value in given if value != ""}
                    table.records.append(Record(record_id, mod_id, held))
    except (StopIteration, ValueError, KeyError, TypeError) as error:
        raise SandboxError(
            "a table of the FileMaker simulator cannot be read",
            where=f"{path} ({type(error).__name__})",
            next="start the sandbox again with a new folder",
        ) from None
    return table
