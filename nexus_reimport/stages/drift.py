"""What was done in FileMaker after it was read.

A server names the version of every record (``filemaker.version``), which shows every edit. An
exported file has a digest, which shows that it is the same file, and nothing of FileMaker. Where
neither is, an edit shows only by the count and the newest change, which the clock of a computer can
hide.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport import forms, naming, progress, wording
from nexus_reimport.filemaker import ReadRequest, Source
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.files import columns
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import VERSION, Drift, Extract, Snapshot

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column


def since(snapshot: Snapshot, folder: Path, channels: Channels, mapping: FieldMapping) -> Drift:
    """What was edited, added or deleted since ``snapshot``, whose row files are in ``folder``.

    Raises:
        SourceError: FileMaker refused, or was edited so that no complete list arrived.
    """
    extracts, by_newest = snapshot.extracts, list[str]()
    sources = {name: channels.of(name).source for name in extracts}
    steps = progress.Steps(len(extracts))

    def look(name: str) -> str:
        extract, source = extracts[name], sources[name]
        steps.begin(naming.rows(name))
        if origin := source.origin(extract.table):
            same = extract.origin is not None and origin.sha256 == extract.origin.sha256
            return "" if same else "the file was replaced or edited"
        real = {field.name: field.found_as for field in extract.fields}
        spec = mapping.sources[name]
        versions = extract.versions
        if versions is not None and versions.rows == extract.rows:  # each record came with one
            key, *beside = (real[part] for part in spec.key)
            request = ReadRequest(extract.table, key, dict.fromkeys((key, *beside), ""), (*beside,))
            pages = source.versions(request, page=channels.place.page)
            now = columns.of(version for page in pages for version in page)
            if len(now) or not extract.rows:
                return _changes(columns.column(folder, versions, VERSION), now)
        by_newest.append(name)
        return _by_newest(extract, source, real.get(spec.modified, ""))

    with channels.each() as each:
        looked = each(look, extracts)
    return Drift(
        {name: what for name, what in looked.items() if what},
        tuple(sorted(by_newest)),
        exported=tuple(sorted(name for name, extract in extracts.items() if extract.origin)),
    )


def _changes(then: Column, now: Column) -> str:
    """How many records are in another version, or in one list alone; "" if none is."""
    if now.equals(then):
        return ""
    before, after = _records(then, now), _records(now, then)
    counts = {
        "edited": len(before & after),
        "added": len(after - before),
        "deleted": len(before - after),
    }
    return ", ".join(f"{wording.amount(n, 'record')} {what}" for what, n in counts.items() if n)


def _records(ones: Column, others: Column) -> set[str]:
    """The ids of the records whose version is only among ``ones``."""
    only = columns.unless_true(ones, columns.among(ones, others))
    return {version.rpartition(".")[0] for version in columns.texts(only)}


def _by_newest(extract: Extract, source: Source, modified: str) -> str:
    now = source.count(extract.table)
    if now != extract.rows:
        return f"{wording.amount(extract.rows, 'record')} then, {now:,} now"
    newest = source.newest(extract.table, modified) if modified else ""
    return "" if forms.stamp(newest) == extract.newest else "a record was edited"
