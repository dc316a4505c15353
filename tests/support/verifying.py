"""Verification of a run that was executed and sealed, again: nothing of its record is touched."""

from __future__ import annotations

from nexus_reimport import runbook
from nexus_reimport.model import Report
from nexus_reimport.runbook.opening import today
from nexus_reimport.stages import verify


def verified(book: runbook.Runbook) -> Report:
    """What the verification says now; of S3 what the census before said."""
    expected = book.expected()
    storage = verify.Storage.untouched(expected.census, expected.sample)
    return verify.run(book.settings, expected, storage, today=today(book.settings))
