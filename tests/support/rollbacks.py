"""Rollbacks up to their approval."""

from __future__ import annotations

from pathlib import Path

from nexus_reimport import runbook
from nexus_reimport.runbook import rollback
from nexus_reimport.runbook.rollback import Rollback
from support.clinic import Clinic

DEV = "sandbox-dev"


def executed(clinic: Clinic, rehearsed: Path, *, verified: bool = True) -> runbook.Runbook:
    """The session's approved run, executed here; with ``verified`` the one that was, and sealed."""
    if verified:
        return clinic.executed()
    book = clinic.approved(rehearsed)
    book.apply()
    return book


def approved(newer: str = "") -> Rollback:
    """A rollback of the latest run, looked at and approved."""
    book = rollback.begin(DEV, newer=newer)
    book.back_up()
    book.preview()
    book.propose()
    book.approve(rehearsed=True)
    return book
