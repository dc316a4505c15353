"""One run's record: folder, journal, verdict, seal, chain.

``<runs>/<environment>/<run>/`` goes to the archive: a bag (RFC 8493). Under its ``data/``, from the
first line on: executed notebooks, ``journal.jsonl``, the stages' values, ``verdict.json``. It holds
counts, ids and names of columns. The seal adds what vouches for that, beside it.
``<private>/<environment>/<run>/`` holds values: row files, the dump, CSVs; mode 0700.

The verdict is made from the journal, whose every line is on the disk before the work goes on.
``notebooks`` brings executed pages in, ``search`` looks for people's data in all of it, ``closing``
calls both and then ``sealed``, which vouches for the whole and checks it later.
"""

from nexus_reimport.record.lock import at_work
from nexus_reimport.record.run import Run
from nexus_reimport.record.runs import (
    create,
    every,
    find,
    listed_once,
    open_runs,
    refuse_unfinished,
    taken_back,
    unfinished,
)
from nexus_reimport.record.verdict import State, Verdict

__all__ = [
    "Run",
    "State",
    "Verdict",
    "at_work",
    "create",
    "every",
    "find",
    "listed_once",
    "open_runs",
    "refuse_unfinished",
    "taken_back",
    "unfinished",
]
