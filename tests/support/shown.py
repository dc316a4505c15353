"""A plan and a report as a run of a small clinic would have them, to be shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.model import (
    Account,
    ByHand,
    ColumnChange,
    EntityPlan,
    Level,
    LinkPlan,
    Misfits,
    OverriddenRows,
    Plan,
    Report,
    Result,
    Scope,
    UnmatchedRows,
)
from nexus_reimport.settings import Cause

FILE = RowFile("plan_patients.parquet", ("id",), 3, "ab" * 32)
PATIENTS = EntityPlan(
    entity="patients",
    table="patients",
    file=FILE,
    source_rows=2845,
    left_out={"without_a_name": 3},
    matched={"filemaker_id": 2830},
    rows_before=2867,
    replaced=2830,
    new=12,
    kept=37,
    purged=0,
    unmatched=(
        UnmatchedRows(Cause.NOT_IN_FILEMAKER, 12, "purge", 12),
        UnmatchedRows(Cause.NO_FILEMAKER_ID, 25, None),
    ),
    changes=(
        ColumnChange("title", 1, 0, 0, 0, 2829, None, 100, 113),
        ColumnChange("dob", 0, 7, 2, 0, 2821, None, 2867, 2865, 9, 0, 7),
        ColumnChange("contact_json.phones", 5, 3, 0, 239, 2500, "filemaker", 2742, 2747, 4),
        ColumnChange("clinic_id", 86, 4, 0, 1, 2739, "nexus", 2756, 2842),
        ColumnChange("created_at", 0, 9, 0, 0, 2821, "filemaker", 2830, 2842, 9, is_stamp=True),
        ColumnChange("sex", 0, 0, 0, 0, 2830, "filemaker", 2830, 2842),
    ),
    overridden=(OverriddenRows("past_is_completed", "status", "completed", 4, True, None, 4),),
    misfits=(
        Misfits("dob", "no date", 1, 1, 0, ("F-1", "F-2")),
        Misfits("end_time", "no end: 30 minutes after the start", 0, 0, 9, ("F-3",)),
    ),
    ambiguous=(),
    unfed={"status": "completed if end_time is over, else scheduled"},
)
LINKS = LinkPlan(
    attachment="documents",
    table="documents_document",
    file=replace(FILE, rows=3),
    rows=10190,
    placed=10100,
    right_already=10097,
    fixed={"dangling": 2, "unlinked": 1},
    elsewhere=1,
    owner_unknown=4,
    not_in_filemaker=85,
    reachable_before=10186,
    reachable_after=10189,
)
PLAN = Plan(
    scope=Scope.REIMPORT,
    as_of=datetime(2026, 3, 1, 2, 0, tzinfo=UTC),
    entities={"patients": PATIENTS},
    links={"documents": LINKS},
    accounts=(
        Account(
            "contacts",
            "patients",
            2845,
            2842,
            0,
            0,
            0,
            {"without_a_name": 3},
            {"without_a_name": 29},
        ),
        Account(
            "contact_details",
            "patients",
            10688,
            0,
            9500,
            0,
            0,
            {"owner_not_loaded": 1188},
            {"owner_not_loaded": 1069},
        ),
        Account(
            "docs",
            "documents",
            11269,
            0,
            0,
            10100,
            0,
            {"not_in_nexus": 1169},
            {"not_in_nexus": 1691},
        ),
        Account("calendars", "", 10, 0, 0, 0, 10, {}, {}),
    ),
    by_hand=(ByHand("clinics", "patients", 84, 2, 1, 1),),
    sheet="",
    ledger=FILE,
    id_map=FILE,
    misfits=FILE,
    overrides=FILE,
    differences=replace(FILE, name="differences.parquet", rows=11),
    before={},
    digest="0123456789abcdef" * 4,
)
REPORT = Report(
    "before",
    (
        Result("all_is_well", "All is well.", ("A1",), Level.STOP, 10, 0),
        Result("look_here", "Nobody minds.", ("B5", "P7"), Level.REVIEW, 10, 2, ("F-1", "F-2")),
        Result(
            "was_waived", "It was.", ("B3",), Level.STOP, 2842, 86, ("F-3",), 86, "by A. Person"
        ),
        Result("looked_at_nothing", "It looked.", (), Level.STOP, 0, 0),
    ),
)
