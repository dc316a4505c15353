"""Memory at many times the real size, of what holds a number or an id for each value and row.

python -m benchmarks.many --scale 1,10,100

The made-up clinic has one number of everything; row files of many clinics are made straight from
seeded numbers, with texts that are all different, and each part is measured in a process of its
own: the search before a seal, and the ids by which a plan finds rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

from benchmarks import commands
from benchmarks.meter import Cost, measuring, own_peak
from nexus_reimport import CHECKOUT
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile

PATIENTS, NOTES, ROWS = 2_842, 11_210, 31_000  # of the real clinic; rows of all wiped tables
WORDS = 60  # of a note
PAGE = 5_000  # rows that are looked up at once
_VOCABULARY = 20_000
_SEED = 7
_BORN = date(1930, 1, 1).toordinal()
_MODULE, _CHILD = "benchmarks.many", "--child"


def _people(scale: float) -> Iterator[rowfile.Row]:
    """A name, a birth date, a phone and an address for each patient, none of them twice."""
    import numpy as np

    random = np.random.default_rng(_SEED)
    for number in range(int(PATIENTS * scale)):
        given, family = random.integers(0, 1 << 32, 2).tolist()
        born = date.fromordinal(_BORN + number % 30_000)
        phone = f"+614{number:08}"
        address = f"{number} {_word(family)} Street {_word(given)}"
        yield f"p{number}", f"G{_word(given)}", f"F{_word(family)}", f"{born}", phone, address


def _notes(scale: float) -> Iterator[rowfile.Row]:
    """Notes, each of words in an order of its own."""
    import numpy as np

    random = np.random.default_rng(_SEED + 1)
    words = [_word(number * 7919) for number in range(_VOCABULARY)]
    for number in range(int(NOTES * scale)):
        text = " ".join(words[place] for place in random.integers(0, _VOCABULARY, WORDS).tolist())
        yield f"n{number}", text


def _word(number: int) -> str:
    """A word of letters for a number."""
    letters = ""
    while number or not letters:
        number, place = divmod(number, 21)
        letters += "bcdfghklmnprstvwaeiou"[place]
    return f"{letters}ent"


def _ids(scale: float) -> Iterator[rowfile.Row]:
    """FileMaker's id and Nexus's id of each row, as long as those of the real clinic."""
    import numpy as np

    random = np.random.default_rng(_SEED + 2)
    for _ in range(int(ROWS * scale)):
        ours, theirs = (random.bytes(16).hex() for _ in range(2))
        yield "patients", ours.upper().ljust(36, "0"), theirs.ljust(36, "0")


def _search(folder: Path, files: dict[str, RowFile], cost: Cost) -> None:
    """Gather what identifies somebody as before a seal, and search the sample record for it."""
    from nexus_reimport.record.search import personal
    from nexus_reimport.record.search.identifiers import Identifiers
    from nexus_reimport.record.search.personal import Columns
    from nexus_reimport.record.search.sweep import Sweep

    terms = Identifiers(folder)
    names = ("given", "family")
    of_people = Columns(name=names, births=frozenset({"born"}), addresses=frozenset({"address"}))
    for name, columns in (("people", of_people), ("notes", Columns())):
        cost.rows += files[name].rows
        for values in rowfile.distinct(folder / files[name].name, columns.name):
            personal.take(terms, values, columns, date(2026, 1, 1))
    record = CHECKOUT / "docs" / "sample-record"
    cost.facts["places"] = sum(1 for _ in Sweep(terms).files(record))
    cost.facts.update(terms.counts())


def _id_maps(folder: Path, files: dict[str, RowFile], cost: Cost) -> None:
    """Read an id map, and look each of its ids up, page by page, as planning does."""
    from nexus_reimport.files import columns
    from nexus_reimport.intake import IdPairs, ids_of

    pairs = IdPairs.read(folder, files["ids"], "patients")
    page: list[str] = []
    for written in columns.texts(pairs.written):
        page.append(written)
        if len(page) == PAGE:
            cost.rows += sum(key is not None for key in pairs.find(ids_of(page)))
            page = []


MADE: dict[str, tuple[tuple[str, ...], Callable[[float], Iterable[rowfile.Row]]]] = {
    "people": (("id", "given", "family", "born", "phone", "address"), _people),
    "notes": (("id", "text"), _notes),
    "ids": (("entity", "filemaker_id", "nexus_id"), _ids),
}
PARTS: dict[str, tuple[Callable[[Path, dict[str, RowFile], Cost], None], tuple[str, ...]]] = {
    "the search before a seal": (_search, ("people", "notes")),
    "id maps of a plan": (_id_maps, ("ids",)),
}


def _make(name: str, scale: float, folder: Path) -> RowFile:
    columns, rows = MADE[name]
    return rowfile.write(folder / f"{name}.parquet", columns, rows(scale))


def _measured(part: str, scale: float, folder: Path) -> Cost:
    """The cost of one part in this process; its row files are made in another one."""
    measure, needed = PARTS[part]
    files = {}
    for name in needed:
        described = json.loads(_run("make", name, f"{scale}", str(folder)))
        files[name] = RowFile(**{**described, "columns": tuple(described["columns"])})
    with measuring(part, {}) as cost:
        measure(folder, files, cost)
    cost.scale = scale
    # Not that of the processes that have made the files.
    cost.peak = own_peak()
    return cost


def _run(*given: str) -> str:
    """What this module prints in a process of its own."""
    asked = [sys.executable, "-m", _MODULE, _CHILD, *given]
    return subprocess.run(asked, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    """Measure every part at each scale, and print a table."""
    if sys.argv[1:2] == [_CHILD]:
        what, name, times, place = sys.argv[2:]
        work: Callable[[str, float, Path], RowFile | Cost]
        work = _make if what == "make" else _measured
        print(json.dumps(asdict(work(name, float(times), Path(place)))))
        return
    for scale in commands.scales(__doc__):
        for part in PARTS:
            with tempfile.TemporaryDirectory(prefix="nexus-benchmark-") as folder:
                cost = Cost.of(json.loads(_run("measure", part, f"{scale}", folder)))
            commands.say(cost)
            print(json.dumps(cost.facts))


if __name__ == "__main__":
    main()
