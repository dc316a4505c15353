"""Numbers and lists as people read them: every list is cut here, and says how much it leaves out.

No number that is printed here can contradict another one: a list counts its rest, a part is never
more than its whole, and only all of them are 100%.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

SHOWN = 5  # of a list in one line


def some(
    items: Iterable[str], count: int | None = None, *, shown: int = SHOWN, between: str = ", "
) -> str:
    """``a, b, c and 6 more``: at most ``shown`` of ``items``, and how many there are beside them.

    ``count`` is the length of a list of which ``items`` are the beginning.
    """
    first = list(islice(items, shown + 1)) if count is not None else list(items)
    told = first[:shown]
    rest = max(count or 0, len(first)) - len(told)
    return between.join(told) + (f" and {rest:,} more" if rest else "")


def lines(items: Collection[str], *, shown: int = 20, indent: str = "    ") -> str:
    """A list with a line for each, for an error; the rest is counted in the last one."""
    told = [f"{indent}{item}" for item in islice(items, shown)]
    rest = len(items) - len(told)
    return "\n".join([*told, *([f"{indent}and {rest:,} more"] if rest else [])])


def amount(count: int, one: str, many: str = "") -> str:
    """``1 row``, ``2,877 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def part(count: int, whole: int) -> str:
    """``11 of 12``; where the count is of something else than the whole, both without ``of``."""
    return f"{count:,} of {whole:,}" if count <= whole else f"{count:,} found, {whole:,} looked at"


def share(count: int, whole: int) -> str:
    """A part in percent; ``100.0%`` are all of them and ``0.0%`` none; "" of nothing."""
    if not whole:
        return ""
    percent = 100 * count / whole
    if 0 < count < whole:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.1f}%"
