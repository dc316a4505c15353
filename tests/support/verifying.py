"""Verification of a run that was executed and sealed, again: nothing of its record is touched."""

from __future__ import annotations

from nexus_reimport import runbook
from nexus_reimport.model import Report, Result
from nexus_reimport.runbook.opening import today
from nexus_reimport.stages import verify

LINKING = "every_linking_row_is_as_planned"
FIRST = "(SELECT min(id::text)::uuid FROM {})"
LAST = "(SELECT max(id::text)::uuid FROM {})"


def swap(table: str, column: str) -> str:
    """Two rows of ``table`` exchange what they hold in ``column``."""
    first, last = FIRST.format(table), LAST.format(table)
    return (
        f"UPDATE {table} t SET {column} = o.{column} FROM {table} o WHERE (t.id, o.id)"
        f" IN (({first}, {last}), ({last}, {first}))"
    )


def failed(report: Report) -> dict[str, Result]:
    return {r.check: r for r in report.results if not r.passed}


def verified(book: runbook.Runbook) -> Report:
    """What the verification says now; of S3 what the census before said."""
    expected = book.expected()
    storage = verify.Storage.untouched(expected.census, expected.sample)
    return verify.run(book.settings, expected, storage, today=today(book.settings))
