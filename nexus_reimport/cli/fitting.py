"""Fits text into a terminal: a long line goes on under its own words, a table within its columns.

Only a terminal gets it: in a file or a pipe each line stays one line, for whoever searches it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

WIDEST = 100  # characters: the eye loses a longer line
_NARROWEST = 12  # of a column of a table
_GAP = "  "
_RULE = re.compile(r"-+(?:  -+)*")  # under the head of a table: a dash for each character
# What a line begins with, before its text: blanks, and a label that is set apart by blanks.
_LABEL = re.compile(r" *(?:\S.{0,20}?  +(?=\S)|(?:where|state|next|fix): )?")
# A command is pasted: it is broken nowhere. Its words are those that can be its own.
_COMMAND = re.compile(
    r"nexus-reimport(?: \w[\w.…/-]*){1,3}(?: --?\S+(?: (?!-)(?:\"[^\"]*\"|\S+))?)*"
)
_HELD = "\0"  # in place of the blanks of a command


def fitted(text: str, columns: int) -> str:
    """``text`` for a terminal of so many columns; what is short enough stays as it is."""
    width = min(columns, WIDEST)
    return "\n".join(_lines(text.split("\n"), width))


def _lines(lines: Sequence[str], width: int) -> Iterator[str]:
    at = 0
    while at < len(lines):
        rows = _table(lines, at)
        if max(map(len, rows), default=0) > width:
            yield from _narrowed(rows, width)
        elif rows:
            yield from rows
        else:
            yield from _folded(lines[at], width)
        at += max(1, len(rows))


def _table(lines: Sequence[str], at: int) -> Sequence[str]:
    """The table whose head is at ``at``, up to an empty line; none if there is none."""
    if at + 1 >= len(lines) or not lines[at] or not _RULE.fullmatch(lines[at + 1]):
        return ()
    end = next((n for n in range(at, len(lines)) if not lines[n]), len(lines))
    is_title = "  " not in lines[at + 1] and end == at + 2
    return () if is_title else lines[at:end]


def _narrowed(rows: Sequence[str], width: int) -> Iterator[str]:
    """A table, with cells of several lines where one is too long."""
    spans = [match.span() for match in re.finditer("-+", rows[1])]
    cells = [[row[begin:end] for begin, end in spans] for row in (rows[0], *rows[2:])]
    longest = [
        max(len(w) for cell in column for w in cell.split() or [""])
        for column in zip(*cells, strict=True)
    ]
    widths = [end - begin for begin, end in spans]
    for least in (longest, [_NARROWEST] * len(widths)):  # words stay whole, if that is possible
        widths = _widths(widths, least, width)
    head, *others = ([*_row(row, widths)] for row in cells)
    yield from (*head, _GAP.join("-" * w for w in widths))
    for row in others:
        yield from row


def _widths(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """The widest columns made narrower, until all fit, or each has its least width."""
    now = list(widths)
    while sum(now) + len(_GAP) * (len(now) - 1) > width:
        wide = [n for n, w in enumerate(now) if w > least[n]]
        if not wide:
            break
        now[max(wide, key=now.__getitem__)] -= 1
    return now


def _row(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    # A short cell may be aligned to the right: it stays as it is.
    parts = [
        [cell] if len(cell.rstrip()) <= w else textwrap.wrap(cell, w, break_on_hyphens=False)
        for cell, w in zip(cells, widths, strict=True)
    ]
    for line in zip_longest(*parts, fillvalue=""):
        yield _GAP.join(f"{c[:w]:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip()


def _folded(line: str, width: int) -> Iterator[str]:
    if len(line) <= width or line.lstrip().startswith("nexus-reimport "):
        yield line
        return
    label = _LABEL.match(line)
    indent = label.end() if label else 0
    indent = indent if 0 < indent < width // 2 else 2
    held = _COMMAND.sub(lambda match: match[0].replace(" ", _HELD), line)
    for part in textwrap.wrap(
        held,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    ):
        yield part.replace(_HELD, " ")
