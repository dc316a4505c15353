"""Links that hang wrongly, and runs that relink alone."""

from __future__ import annotations

from nexus_reimport import runbook
from support.clinic import Clinic, finished

LINKS = "SELECT id::text, object_id::text FROM documents_document ORDER BY id"


def linked_wrongly(clinic: Clinic) -> tuple[dict[str, str], str]:
    """The right links, and a document whose link has been broken since."""
    right = dict(clinic.rows(LINKS))
    victim = clinic.value(
        "SELECT min(d.id::text) FROM documents_document d JOIN patients p ON p.id = d.object_id"
        " WHERE d.filemaker_id IS NOT NULL AND p.filemaker_metadata ? 'filemaker_id'"
    )
    clinic.do(
        "UPDATE documents_document SET object_id = gen_random_uuid() WHERE id = %s", "dev", victim
    )
    return right, victim


def relinked(clinic: Clinic) -> runbook.Runbook:
    """A run that re-links alone, to its end, by its steps."""
    book = clinic.preflight(links_only=True, dry=True)
    book.approve(rehearsed=True)
    return finished(book)
