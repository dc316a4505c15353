"""Reads a found set of the Data API to its end, and stops if it changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nexus_reimport.filemaker import RecordPage, codes
from nexus_reimport.filemaker.answer import inconsistent_read
from nexus_reimport.filemaker.data_api.envelope import Envelope, page_of

Fetch = Callable[[int, int], Envelope]
"""Takes an offset from 1 and a limit; gives an answer with a new row, or with no record."""


def whole(table: str, fetch: Fetch, size: int, where: str) -> Iterator[RecordPage]:
    """Pages until the found count is reached: a short page need not be the last one.

    Each page after the first is requested with the last record of the page before, which is then
    left out. This shows a record that moves across the edge of a page, even if the count stays.

    Raises:
        SourceError: the count changed, records moved, or one came twice. Nothing was written.
    """
    seen: set[str] = set()
    total, last = 0, ""
    # Not "until a page is short": pages can be short in the middle of a found set.
    while not seen or len(seen) < total:
        overlap = 1 if seen else 0  # the last record of the page before, asked for again
        offset = len(seen) + 1 - overlap
        answer = fetch(offset, size + overlap)
        now = answer.total if answer.code == codes.OK else 0
        # Nothing is there, or code 101 had another cause: ``records`` asks for the count.
        if not seen and not now:
            return
        total = total or now
        # A found set that shrinks while it is paged once hid 5,094 of 11,259 documents.
        if now != total:
            raise inconsistent_read(
                f"{table}: {total:,} in FileMaker at first, {now:,} at record {offset:,}", where
            )
        if overlap and answer.first != last:
            raise inconsistent_read(
                f"{table}: the order of the records changed after {len(seen):,} of {total:,}", where
            )
        page = page_of(answer, offset=offset, skip=overlap)
        new = page.record_ids
        if len(set(new)) != len(new) or not seen.isdisjoint(new):
            raise inconsistent_read(f"{table}: a record came twice among {total:,}", where)
        seen.update(new)
        last = new[-1]
        yield page
    if len(seen) != total:
        raise inconsistent_read(f"{table}: {total:,} in FileMaker, {len(seen):,} arrived", where)
