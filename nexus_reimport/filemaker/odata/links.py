"""Follows the links of OData from page to page, and stops if the records change meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from nexus_reimport import wording
from nexus_reimport.errors import SourceError
from nexus_reimport.filemaker.answer import incomplete_answer, inconsistent_read
from nexus_reimport.filemaker.odata.collection import Collection
from nexus_reimport.filemaker.odata.query import onward

Fetch = Callable[[str], Collection]
"""Takes a path with its query; gives a page, which has a row unless it is the last one."""

THE_COUNT = "the number of records"  # without it nothing would prove that all of them arrived


def whole(table: str, path: str, fetch: Fetch, where: str) -> Iterator[Collection]:
    """Pages until one has no link: a short page need not be the last one.

    Raises:
        SourceError: rows and count disagree, the count changed, or a link is wrong.
    """
    followed: set[str] = set()
    total, arrived = -1, 0
    while path:
        followed.add(path)
        page = fetch(path)
        now = total if page.count is None else page.count
        if now < 0:
            raise incomplete_answer(THE_COUNT, where)
        if total not in (-1, now):
            raise inconsistent_read(
                f"{table}: {total:,} in FileMaker at first, {now:,} at record {arrived:,}",
                where,
            )
        total, arrived = now, arrived + len(page.rows)
        if arrived > total:
            raise inconsistent_read(f"{table}: {total:,} in FileMaker, {arrived:,} arrived", where)
        yield page
        path = onward(page.link, path, where)
        if path in followed:
            raise _endless(where)
    if arrived != total:
        raise inconsistent_read(f"{table}: {total:,} in FileMaker, {arrived:,} arrived", where)


class Keys:
    """The keys of a table in the order of their arrival."""

    def __init__(self, table: str, where: str) -> None:
        self._table, self._where = table, where
        self._keys: list[str] = []

    def add(self, keys: list[str]) -> None:
        """Add the keys of one page."""
        self._keys.extend(keys)

    def expect(self, again: Keys) -> None:
        """Check that the keys read ``again`` are the same, in the same order.

        One that came twice must come twice again: then records share it, which ``filemaker.keys``
        reports.

        Raises:
            SourceError: they are not, or one record was sent twice.
        """
        if not self._twice() <= again._twice():
            what = f"{self._table}: a record came twice among {len(self._keys):,}"
            raise inconsistent_read(what, self._where)
        first, second = len(self._keys), len(again._keys)
        if first != second:
            arrived = f"{wording.amount(first, 'record')} arrived"
            what = f"{self._table}: {arrived}, but {second:,} existed afterwards"
            raise inconsistent_read(what, self._where)
        if self._keys != again._keys:
            records = wording.amount(first, "record")
            what = f"{self._table}: the order of {records} changed while they were read"
            raise inconsistent_read(what, self._where)

    def _twice(self) -> set[str]:
        """The keys that came more than once. An empty one is none."""
        return {key for key, times in Counter(self._keys).items() if key and times > 1}


def _endless(where: str) -> SourceError:
    return SourceError(
        "FileMaker's link to the next page leads back to a page that was read before",
        where=where,
        next="run again; if the problem remains, read this table by another channel"
        " ([filemaker] channels)",
    )
