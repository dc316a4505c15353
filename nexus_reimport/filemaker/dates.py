"""The form in which a server sends dates, found from every column of all its tables.

The Data API is asked for ISO dates (``dateformats=2``). A server before 19.6.1 ignores that
silently and sends US dates, 06/30/2025. One column alone may not show which order it has, so the
server is judged as a whole: it knows the parameter or it does not. OData always has ISO dates.

Source: Claris FileMaker Data API Guide, "Get a range of records" (dateformats); Claris FileMaker
Server 19.6.1 release notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nexus_reimport import wording
from nexus_reimport.errors import SourceError
from nexus_reimport.forms import ISO, ORDERS, US, Seen, day, day_of, orders

_DAY_FIRST = "d/m/y"


class Sent:
    """The dates of one table as they were sent, column by column."""

    def __init__(self, table: str, types: Mapping[str, str]) -> None:
        self.table = table
        self.fields = tuple(n for n, kind in types.items() if kind in ("date", "timestamp"))
        self._seen = {name: Seen() for name in self.fields}

    def add(self, columns: Mapping[str, Sequence[str]]) -> None:
        """Look at a page, which is given by its fields."""
        for name, seen in self._seen.items():
            texts = columns.get(name, ())
            # The usual case; no other form has a hyphen there.
            others = [text for text in texts if text and text[4:5] != "-"]
            if usual := len(texts) - len(others) - texts.count(""):
                seen.counts[(ISO,)] += usual
            seen.counts.update(orders(day_of(text)) for text in others)

    def columns(self) -> Iterator[tuple[str, Seen]]:
        """The dates by table and field."""
        yield from ((f"{self.table}.{name}", seen) for name, seen in self._seen.items())


def form_of(channel: str, sent: Iterable[Sent]) -> str:
    """The order in which one server sends dates: ISO, or the US order of an older Data API.

    Raises:
        SourceError: it sends two forms, one that can be read in two ways, or an unexpected one.
    """
    columns = [column for table in sent for column in table.columns()]
    others = [(name, seen) for name, seen in columns if seen.under(US) or seen.under(_DAY_FIRST)]
    if not others:
        return ISO
    is_us = (
        channel == "data_api"
        and not any(seen.under(ISO) for _, seen in columns)
        and not any(seen.only_under(_DAY_FIRST, not_under=US) for _, seen in others)
        and any(seen.only_under(US, not_under=_DAY_FIRST) for _, seen in others)
    )
    if is_us:
        return US
    counts = ", ".join(
        f"{total:,} as {order}"
        for order in ORDERS
        if (total := sum(seen.under(order) for _, seen in columns))
    )
    raise SourceError(
        f"FileMaker was asked for ISO dates and sent another form, in which one text may mean two"
        f" dates; readable: {counts}",
        where=f"channel={channel}, {wording.some(name for name, _ in others)}",
        next="update FileMaker Server to 19.6.1 or later, or read these tables by another channel"
        " ([filemaker] channels)",
    )


def iso(text: str) -> str:
    """A US date or timestamp in ISO form; any other text unchanged, for ``convert`` to judge."""
    first, blank, clock = text.partition(" ")
    parsed = day(first, US)
    return f"{parsed.isoformat()}{blank}{clock}" if parsed else text
