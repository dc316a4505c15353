"""The texts in which a word is a label and tells of nobody: what a sweep does not search for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from nexus_reimport import CHECKOUT, PACKAGE
from nexus_reimport.events import Event
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Approval, Backup, SignOff, Snapshot, Survey
from nexus_reimport.record import journal
from nexus_reimport.record.notebooks import pages
from nexus_reimport.record.run import Run
from nexus_reimport.settings import Settings

_SOURCES = ("*.py", "*.sql", "*.toml")


def of_run(settings: Settings, mapping: FieldMapping | None, run: Run) -> tuple[bytes, ...]:
    """All texts of labels: the package's own, and the names of this run's systems and accounts."""
    # No name goes on in the next.
    named = "\n\x00\n".join(map(str, (*of_settings(settings, mapping), *_of_run(run))))
    has_pages = any(run.folder.rglob("*.html"))
    frame = pages.empty().encode() if has_pages else b""  # its library takes a second to load
    return of_package(), frame, named.encode("utf-8", "replace")


@cache
def of_package() -> bytes:
    """The package's sources, and its pages as they are shipped."""
    texts = [p.read_bytes() for pattern in _SOURCES for p in sorted(PACKAGE.rglob(pattern))]
    for page in sorted((CHECKOUT / "runbook").glob("*.ipynb")):
        cells = json.loads(page.read_bytes())["cells"]
        texts += ["".join(cell["source"]).encode() for cell in cells]
    return b"\n".join(texts)


def of_settings(settings: Settings, mapping: FieldMapping | None) -> Iterator[object]:
    """What people have called their systems, and who has given a waiver."""
    server, source, store = settings.postgres, settings.filemaker, settings.s3
    yield from (settings.name, settings.timezone, *vars(settings.folders).values())
    yield from (server.host, server.database, server.user)
    yield from (source.url, source.database, source.user, store.endpoint, store.bucket)
    yield from (store.region, store.profile, *store.prefixes)
    yield from (waiver.who for waiver in settings.waivers)
    yield from settings.labels
    yield mapping.text if mapping else ""


def _of_run(run: Run) -> Iterator[object]:
    """Who has worked on a run, and the names in the systems that it has read."""
    for entry in journal.only(run.events(), Event.OPENED):
        yield from (entry.text("who"), entry.text("host"), entry.text("name"))
    if approval := run.loaded(Approval):
        yield from (approval.who, approval.name)
    if sheet := run.loaded(SignOff):
        yield from (line.signed.who for line in sheet.lines if line.signed)
    yield from _of_systems(run)


def _of_systems(run: Run) -> Iterator[object]:
    """The names of tables, columns, fields and roles, as FileMaker and Nexus have them."""
    if snapshot := run.loaded(Snapshot):
        for extract in snapshot.extracts.values():
            yield extract.table
            yield from (name for f in extract.fields for name in (f.name, f.found_as, *f.nearest))
    if seen := run.loaded(Survey):
        yield from (*seen.tables, *seen.content_types, *(fact.place for fact in seen.schema))
        yield from (column.name for columns in seen.columns.values() for column in columns)
    for name in ("backup", "rollback_backup"):
        if backup := run.loaded(Backup, name):
            yield backup.owners
