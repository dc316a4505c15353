"""Rollbacks up to their approval, or to their end; and rows as people write them since a run."""

from __future__ import annotations

import uuid
from pathlib import Path

from nexus_reimport import runbook
from nexus_reimport.files import rowfile
from nexus_reimport.model import Approval, NewerDecision, Plan, RollbackProposal, Undone
from nexus_reimport.runbook import rollback
from nexus_reimport.runbook.rollback import Rollback
from nexus_reimport.stages import undo
from support.clinic import Clinic

DEV = "sandbox-dev"


def executed(clinic: Clinic, rehearsed: Path, *, verified: bool = True) -> runbook.Runbook:
    """The session's approved run, executed here; with ``verified`` the one that was, and sealed."""
    if verified:
        return clinic.executed()
    book = clinic.approved(rehearsed)
    book.apply()
    return book


def approved(newer: str = "", environment: str = DEV) -> Rollback:
    """A rollback of the latest run, looked at and approved."""
    book = rollback.begin(environment, newer=newer)
    book.back_up()
    book.preview()
    book.propose()
    book.approve(rehearsed=True)
    return book


def request_of(book: Rollback) -> undo.RollbackRequest:
    """What the undo of an approved rollback is asked to do."""
    load = book.run.load
    newer, proposal, approval = NewerDecision.UNDECIDED, load(RollbackProposal), load(Approval)
    return undo.RollbackRequest(book.run.id, DEV, book.undoes, newer, proposal, approval)


def taken_back(newer: str = "") -> tuple[Rollback, Undone]:
    """A rollback to its end, sealed."""
    book = approved(newer)
    done = book.undo()
    assert book.verify().passed
    book.sign_off()
    book.book.seal()
    return book, done


def new_patient(book: runbook.Runbook) -> str:
    """The Nexus id of a patient that the run has made."""
    rows = rowfile.read(book.folder, book.run.load(Plan).ledger)
    return next(r[5] or "" for r in rows if r[1] == "patients" and r[2] == "new")


def copy_row(clinic: Clinic, table: str, **changed: object) -> str:
    """A new row like one that is there, with another id; its id."""
    key = str(uuid.uuid4())
    fields = {"id": key, **{c: None if v is None else str(v) for c, v in changed.items()}}
    pairs = ", ".join(f"'{c}', %s::text" for c in fields)
    clinic.do(
        f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object({pairs}))).*"
        f" FROM {table} AS t ORDER BY id LIMIT 1",
        "dev",
        *fields.values(),
    )
    return key
