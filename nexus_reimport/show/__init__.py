"""Values -> what a cell displays: tables and pictures, one function for each value.

Each gives a ``Page`` that is HTML in a notebook and plain text elsewhere. Pages show counts, ids
and column names, and never a value: a notebook's output is part of the record, which is archived.
"""

from nexus_reimport.show.activity import activity
from nexus_reimport.show.checks import report
from nexus_reimport.show.doctor import examination
from nexus_reimport.show.execution import applied, approval, drift, proposal, rehearsal
from nexus_reimport.show.first_screen import banner, first_screen
from nexus_reimport.show.page import Page, table
from nexus_reimport.show.pictures import completeness, flow, stage_times, transaction_times
from nexus_reimport.show.planned import plan
from nexus_reimport.show.preflight import backup, census, counts, snapshot, survey
from nexus_reimport.show.progress import bar
from nexus_reimport.show.rights import rights_paper
from nexus_reimport.show.rollback import (
    restored,
    rollback,
    rollback_proposal,
    undo_data,
    undone,
)
from nexus_reimport.show.run_summary import facts, signed_off, summary
from nexus_reimport.show.self_test import self_test
from nexus_reimport.show.sign_off import sheet_text, sign_off
from nexus_reimport.show.whereabouts import whereabouts

__all__ = [
    "Page",
    "activity",
    "applied",
    "approval",
    "backup",
    "banner",
    "bar",
    "census",
    "completeness",
    "counts",
    "drift",
    "examination",
    "facts",
    "first_screen",
    "flow",
    "plan",
    "proposal",
    "rehearsal",
    "report",
    "restored",
    "rights_paper",
    "rollback",
    "rollback_proposal",
    "self_test",
    "sheet_text",
    "sign_off",
    "signed_off",
    "snapshot",
    "stage_times",
    "summary",
    "survey",
    "table",
    "transaction_times",
    "undo_data",
    "undone",
    "whereabouts",
]
