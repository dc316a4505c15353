"""A plan for a clinic with as many times the notes, in a process of its own that tells its peak.

python -m benchmarks.many_notes 20 FOLDER
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.planning import plan
from nexus_reimport.runbook import book

Vary = Callable[[str, int], str]


def _times(
    source: Path, file: RowFile, folder: Path, times: int, vary: Mapping[str, Vary]
) -> RowFile:
    """``file`` as many times over, some columns of each copy varied."""
    places = {file.columns.index(column): by for column, by in vary.items()}

    def rows() -> Iterator[rowfile.Row]:
        for number in range(times):
            for row in rowfile.read(source, file):
                yield [places[n](v, number) if n in places and v else v for n, v in enumerate(row)]

    return rowfile.write(folder / file.name, file.columns, rows())


def _said_again(text: str, number: int) -> str:
    return f"{text} {number}" if number else text


def _another_id(text: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{text} {number}")) if number else text


def _later_id(text: str, number: int) -> str:
    """An id behind those of all copies before: a table is read in the order of its ids."""
    return f"z{number:07}{text}" if number else text


def _peak() -> int:
    """The most memory that this process has had, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def planned(run: book.Runbook, times: int, folder: Path) -> int:
    """Make the plan of a run with as many times the notes, in ``folder``; the rows of both sides.

    The run needs all that a plan is made of.
    """
    given = run.intake()
    folder.mkdir()
    for path in given.folder.glob("*.parquet"):
        (folder / path.name).hardlink_to(path)
    extract, before = given.snapshot.extracts["notes"], given.survey.rows["notes"]
    of_records = {"_key": _another_id, "id": _another_id, "Note": _said_again}
    texts = _times(given.folder, extract.file, folder, times, of_records)
    rows = _times(given.folder, before, folder, times, {"id": _later_id, "content": _said_again})
    extracts = {**given.snapshot.extracts, "notes": replace(extract, file=texts)}
    intake = replace(
        given,
        folder=folder,
        snapshot=replace(given.snapshot, extracts=extracts),
        survey=replace(given.survey, rows={**given.survey.rows, "notes": rows}),
    )
    new_plan = plan.make(intake, run.settings, as_of=given.survey.taken_at)
    return texts.rows + new_plan.entities["notes"].rows_before


if __name__ == "__main__":
    print(planned(book.reopen("sandbox-dev"), int(sys.argv[1]), Path(sys.argv[2])), _peak())
