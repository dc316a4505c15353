"""Numbers and lists as people read them. Every list is cut here, and says how much it leaves out.

The numbers printed here cannot contradict each other: a list counts the items left out, a part is
never more than its whole, and 100% means all.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import islice
from math import ceil

SHOWN = 5  # of a list in one line


def some(
    items: Iterable[str], count: int | None = None, *, shown: int = SHOWN, between: str = ", "
) -> str:
    """``a, b, c and 6 more``: at most ``shown`` of ``items``, and the number of the others.

    ``count`` is the length of the whole list, if ``items`` are only its beginning.
    """
    first = list(islice(items, shown + 1)) if count is not None else list(items)
    listed = first[:shown]
    rest = max(count or 0, len(first)) - len(listed)
    return between.join(listed) + (f" and {rest:,} more" if rest else "")


def lines(items: Collection[str], *, shown: int = 20, indent: str = "    ", noun: str = "") -> str:
    """A list for an error, one line for each item; the last line counts the others.

    ``noun`` is what one of them is, where the list stands without a head that says it.
    """
    listed = [f"{indent}{item}" for item in islice(items, shown)]
    rest = len(items) - len(listed)
    others = f"{rest:,} more" + (f" {noun if rest == 1 else noun + 's'}" if noun else "")
    return "\n".join([*listed, *([f"{indent}and {others}"] if rest else [])])


def spelt_out(text: str) -> str:
    """One line: what has no look of its own is spelt out, so that a name cannot pass for lines.

    A line's end, what moves a terminal's cursor, what turns the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def name_of_file(name: str) -> str:
    """A file's name: ours are ASCII, and one that only looks like one of ours must not pass for it.

    Letters of another script, or with marks, are spelt out.
    """
    return "".join(c if c.isascii() else ascii(c)[1:-1] for c in name)


def amount(count: int, singular: str, plural: str = "") -> str:
    """``1 row``, ``2,877 rows``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def processes(pids: Collection[int]) -> str:
    """``pid 7``, ``pids 7, 8``."""
    return f"{'pid' if len(pids) == 1 else 'pids'} {some(map(str, pids))}"


def moment(at: datetime) -> str:
    """``2026-11-29 14:05:09 UTC``; ``at`` has an offset, whichever."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def minute(at: datetime) -> str:
    """``2026-11-29 14:05 UTC``; ``at`` has an offset, whichever."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def reimported(rows: str, written: int | None) -> str:
    """That ``rows`` were reimported, and how many had to be written for it.

    The rows are the same as if all had been deleted and imported afresh; ``written`` is None if
    they really were.
    """
    if written is None:
        return f"{rows}, every one of them deleted and inserted"
    return f"{rows}; {had_to_be_written(written)}"


def reimporting(written: int | None) -> str:
    """What a committed run has done to its tables; it has wiped nothing if it had nothing to write.

    ``written`` is how many rows had to be written for it; None if all were.
    """
    return "reimported" if written == 0 else "wiped and reimported"


def had_to_be_written(count: int) -> str:
    """How many rows the transaction has written, of those that it has made as imported."""
    none = "no row had to be written for it: all were already so"
    return f"{amount(count, 'row')} had to be written for it" if count else none


def at_most(seconds: float) -> str:
    """How long those who wrote meanwhile can have waited: never less than it was."""
    return f"{ceil(seconds * 100) / 100:,.2f} s at most"


def part(count: int, whole: int) -> str:
    """``11 of 12``; without ``of`` if the count is more than the whole, as of different things."""
    return f"{count:,} of {whole:,}" if count <= whole else f"{count:,} found, {whole:,} looked at"


def share(count: int, whole: int) -> str:
    """A part in percent: ``100.0%`` only for all, ``0.0%`` only for none; "" if the whole is 0."""
    if not whole:
        return ""
    percent = 100 * count / whole
    if 0 < count < whole:  # 99.97% must not be shown as 100%, nor 0.03% as nothing
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.1f}%"


def nearest(name: str, existing: Iterable[str]) -> str:
    """The existing name that was probably meant by ``name``; "" if none is like it."""
    by_fold = {other.casefold(): other for other in existing}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else ""


def meant(name: str, existing: Iterable[str]) -> str:
    """``; did you mean …?``, to be added to a message; "" if no existing name is like it."""
    return did_you_mean(nearest(name, existing))


def did_you_mean(name: str) -> str:
    """``; did you mean …?`` of a name that was found; "" if none was."""
    return f"; did you mean {name}?" if name else ""
