"""What the project stores for itself in Nexus's database. No other room names these tables.

nexus_reimport.runs               one row per run that was committed, written in its transaction
nexus_reimport.loaded             which FileMaker record became which row
nexus_reimport.deployment         the marker: which environment owns this database
nexus_reimport.restores           restores from a backup that a person has acknowledged
nexus_reimport_undo_<run>         the rows as they were before the run, and (key, hash) of each
                                  row as the run left it
"""

from nexus_reimport.nexus.registry.committed import (
    Committed,
    RunRow,
    UndoSize,
    described,
    dump_fixed,
    fixed,
    is_held,
    mark_undone,
    purpose,
    remember,
    runs,
    standing,
    still_standing,
    undo_of_no_run,
    undo_sizes,
    was_committed,
    write_seal,
    written,
)
from nexus_reimport.nexus.registry.objects import AS_MADE, TABLE, OwnObject, objects
from nexus_reimport.nexus.registry.own_schema import (
    LOADED,
    OF_THE_RUN,
    OWN_SCHEMA,
    RUNS,
    RUNS_NAME,
    UNDO_PREFIX,
    make,
)
from nexus_reimport.nexus.registry.restores import Restore
from nexus_reimport.nexus.registry.undo import (
    UndoData,
    UndoLinks,
    UndoNames,
    UndoPart,
    UndoTable,
    drop_undo,
    missing,
    tables_of,
    undo_schema,
)

__all__ = [
    "AS_MADE",
    "LOADED",
    "OF_THE_RUN",
    "OWN_SCHEMA",
    "RUNS",
    "RUNS_NAME",
    "TABLE",
    "UNDO_PREFIX",
    "Committed",
    "OwnObject",
    "Restore",
    "RunRow",
    "UndoData",
    "UndoLinks",
    "UndoNames",
    "UndoPart",
    "UndoSize",
    "UndoTable",
    "described",
    "drop_undo",
    "dump_fixed",
    "fixed",
    "is_held",
    "make",
    "mark_undone",
    "missing",
    "objects",
    "purpose",
    "remember",
    "runs",
    "standing",
    "still_standing",
    "tables_of",
    "undo_of_no_run",
    "undo_schema",
    "undo_sizes",
    "was_committed",
    "write_seal",
    "written",
]
